package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"rarespurious/experiments/imagefolder"
)

// A model of the user's own photographs is trained, measured, exported and
// scanned, and what cannot be done with it is said before anything is done.
func TestPhotographs(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("NICO_DIR", "")
	album := filepath.Join(dir, "album")
	if err := imagefolder.Generate(album, 0, 10); err != nil {
		t.Fatal(err)
	}
	// rsc runs a command line and returns its output; it fails unless the exit
	// status is code and something printed has each of want.
	rsc := func(code int, line string, want ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		args := append(strings.Fields(line), "--quiet", "--results", filepath.Join(dir, "results"), "--cache", filepath.Join(dir, "cache"))
		if got := execute(t.Context(), args, &out, &errs); got != code {
			t.Fatalf("rsc %s: status %d, want %d\n%s%s", line, got, code, &out, &errs)
		}
		for _, w := range want {
			if !strings.Contains(out.String()+errs.String(), w) {
				t.Errorf("rsc %s does not say %q:\n%s%s", line, w, &out, &errs)
			}
		}
		return out.String()
	}
	runs := func(text string) (all []runView) {
		t.Helper()
		if err := json.Unmarshal([]byte(text), &all); err != nil || len(all) != 2 {
			t.Fatalf("%d runs, want a model and its trial (%v)", len(all), err)
		}
		return all
	}
	of := " --data-dir " + album
	train := "train --set dataset=folder --set context=autumn --set class=star --set pixels=32 --set short=36 --set model=resnet8-s2 --set epochs=1" + of

	all := runs(rsc(0, train+" --set count=7 --json"))
	model, trial := all[0].ID.Full(), all[1].ID.Full()
	if v, ok := all[1].Values["trial_share"]; !ok || all[1].Settings["score.measure"] != "trial" {
		t.Errorf("a model of photographs was measured by %s: trial_share %v", all[1].Settings["score.measure"], v)
	}
	rsc(2, train+" --set count=8", "8 training images are asked for, the cell holds 7")
	rsc(2, train+" --set measure=spurious", "photographs have trials")
	rsc(2, train+" --set pattern=R3", "pattern: is not for photographs")

	for _, id := range []string{model, trial} {
		if got := runs(rsc(0, "eval "+id+of+" --json"))[1]; got.ID.Full() != trial {
			t.Errorf("measured anew, run %s is %v, not its trial %s", id, got.ID, trial)
		}
	}
	other := runs(rsc(0, "eval "+model+of+" --set class=heart --json"))[1]
	if s := other.Settings; s["score.context"] != "autumn" || s["score.class"] != "heart" || other.From[0].Full() != model {
		t.Errorf("the trial of another class is %v of %v", s, other.From)
	}
	rsc(2, "eval "+model+of+" --set seed=3", "eval takes class, context")

	clean := runs(rsc(0, train+" --json"))
	rsc(2, "eval "+clean[0].ID.Full()+of, "class: missing")
	rsc(0, "eval "+clean[1].ID.Full()+of, "trial_share")

	pth := filepath.Join(dir, "model.pth")
	rsc(0, "export "+model+" "+pth, "equal bit by bit")
	rsc(0, "export "+model+" "+filepath.Join(dir, "model.pt"), "logits: not compared (folder is no data set")
	rsc(2, "eval "+pth+of+" --set dataset=folder", "by the ID of its run")

	rsc(2, "scan "+model, "folder are photographs: name their folder of <class>/<image> with --dataset")
	rsc(0, "scan "+model+" --dataset "+album+" --images 40 --draws 2 --pattern S1", "40 test images of album", "No verdict")
}
