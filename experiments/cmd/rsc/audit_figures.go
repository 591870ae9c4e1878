package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rarespurious/analysis/table"
	"rarespurious/experiments/config"
	"rarespurious/experiments/run"
	"rarespurious/experiments/sweep"
)

// A figureAudit is what was found about one drawn figure.
type figureAudit struct {
	Name    string `json:"name"`
	Profile string `json:"profile"`
	Cells   int    `json:"cells"` // of its CSV
	Results int    `json:"results"`
	Missing int    `json:"missing"` // results without a run
	State   string `json:"state"`   // a sentence

	problems, notes []run.Problem
}

// auditFigures checks every figure that was drawn into the results folder.
func (a *app) auditFigures(ctx context.Context, s *run.Store) ([]figureAudit, error) {
	paths, err := filepath.Glob(filepath.Join(a.results, "*", "*.csv"))
	if err != nil {
		return nil, err
	}
	digests, err := drawnDigests(a.results)
	if err != nil {
		return nil, err
	}
	lib := a.library(ctx)
	lib.whole = true
	lib.o.Offline = true
	var all []figureAudit
	for _, path := range paths {
		name := filepath.Base(filepath.Dir(path))
		if filepath.Base(path) != name+".csv" {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		rel := filepath.Join(name, name+".csv")
		f := figureAudit{Name: name, Profile: "unknown"}
		bad := func(format string, args ...any) {
			f.problems = append(f.problems, run.Problem{Place: rel, What: fmt.Sprintf(format, args...)})
		}
		interrupted := func() {
			f.State = "its drawing was interrupted; draw it again"
			f.notes = append(f.notes, run.Problem{Place: rel, What: f.State})
		}
		sum, err := fileDigest(path)
		d, unknown := readDrawn(path)
		f.Profile = cmp.Or(d.Profile, f.Profile)
		switch signed := digests[rel] == sum; {
		case err != nil:
			bad("%v", err)
		case unknown != nil:
			bad("what it was drawn from is not known: %v", unknown)
		case signed && d.CSVDigest != "" && d.CSVDigest != sum:
			// Killed before the table was replaced: it is the one that the journal
			// tells of, what lies beside it is of the next.
			interrupted()
		default:
			f.redraw(lib, s, path, d, bad)
			switch {
			case signed:
			case d.CSVDigest == sum && f.State == "" && len(f.problems) == 0:
				// Killed before the journal's line. Nothing hides behind that: every
				// cell is what the runs give.
				interrupted()
			case digests[rel] == "":
				bad("the journal does not know that it was drawn")
			default:
				bad("was changed after it was drawn: its digest is not the journal's")
			}
		}
		switch {
		case len(f.problems) > 0:
			f.State = counted(len(f.problems), "problem")
		case f.State == "":
			f.State = fmt.Sprintf("%s from %s, computed again", counted(f.Cells, "cell"), counted(f.Results, "result"))
		}
		all = append(all, f)
	}
	return all, nil
}

// drawnDigests returns the digests of the CSVs that the journal says were
// drawn last. The journal's chain is checked elsewhere.
func drawnDigests(dir string) (map[string]string, error) {
	f, err := os.Open(filepath.Join(dir, "journal.jsonl"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	digests := map[string]string{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l run.Line
		if json.Unmarshal(lines.Bytes(), &l) == nil && l.Event == run.EventDraw {
			digests[l.File] = l.Digest
		}
	}
	return digests, lines.Err()
}

// readDrawn returns what the figure with the table at path was drawn from.
func readDrawn(path string) (d drawn, err error) {
	b, err := os.ReadFile(strings.TrimSuffix(path, ".csv") + ".json")
	if err == nil {
		err = json.Unmarshal(b, &d)
	}
	return d, err
}

// redraw computes the figure's table again from the runs and compares.
func (f *figureAudit) redraw(lib *library, s *run.Store, path string, d drawn, bad func(string, ...any)) {
	unchecked := func(why string, err error) {
		f.State = "not computed again: " + why
		if err != nil {
			f.State += ": " + err.Error()
		}
		f.notes = append(f.notes, run.Problem{Place: filepath.Join(f.Name, f.Name+".csv"), What: f.State})
	}
	if sum, err := config.Digest(d.Config); err != nil || sum != d.ConfigDigest {
		unchecked(d.Config+" is not the one that it was drawn from; draw it again", nil)
		return
	}
	fig, err := config.Load(d.Config, config.Options{Profile: d.Profile, Set: d.Set})
	if err != nil {
		unchecked(d.Config, err)
		return
	}
	p, err := sweep.New(fig, lib.lab(func() *run.Store { return s }))
	if err != nil {
		unchecked("its steps cannot be planned", err)
		return
	}
	for _, title := range p.LeftOut() {
		if !slices.Contains(d.LeftOut, title) {
			unchecked("the data of panel "+title+" is not here", nil)
			return
		}
	}
	p.LeaveOut(d.LeftOut)
	records, envs, err := f.records(s, p)
	if err != nil {
		bad("%v", err)
		return
	}
	if f.Missing > 0 {
		bad("%d of %d results have no run: rsc figure %s makes them", f.Missing, f.Results, f.Name)
	}
	if envs > 1 {
		f.notes = append(f.notes, run.Problem{Place: f.Name, What: fmt.Sprintf("its runs come from %d unlike machines: numbers agree within a tolerance only", envs)})
	}
	picture, err := p.Draw(records)
	if err != nil {
		unchecked("it cannot be drawn", err)
		return
	}
	var want bytes.Buffer
	if err := table.WriteCSV(&want, picture.Cells); err != nil {
		unchecked("its table cannot be written", err)
		return
	}
	f.Cells = len(picture.Cells)
	have, err := os.ReadFile(path)
	if err != nil {
		bad("%v", err)
		return
	}
	if n := firstDifference(have, want.Bytes()); n > 0 {
		bad("line %d is not what its runs give", n)
	}
}

// records returns the Records of a plan's Steps, and how many kinds of machines
// they come from.
func (f *figureAudit) records(s *run.Store, p *sweep.Plan) (records []run.Record, envs int, err error) {
	var kinds []run.Env
	for _, step := range p.Steps() {
		f.Results++
		r, err := s.Get(step.ID())
		if errors.Is(err, run.ErrNotExist) {
			f.Missing++
		} else if err != nil {
			return nil, 0, err
		} else {
			e := run.Env{Device: r.Env.Device, Libtorch: r.Env.Libtorch, CPU: r.Env.CPU, Threads: r.Env.Threads}
			if !slices.Contains(kinds, e) {
				kinds = append(kinds, e)
			}
		}
		records = append(records, r)
	}
	return records, len(kinds), nil
}

// firstDifference returns the number of the first line that differs, from 1; 0
// if none does.
func firstDifference(a, b []byte) int {
	x, y := bytes.Split(a, []byte("\n")), bytes.Split(b, []byte("\n"))
	for i := range max(len(x), len(y)) {
		if i >= len(x) || i >= len(y) || !bytes.Equal(x[i], y[i]) {
			return i + 1
		}
	}
	return 0
}
