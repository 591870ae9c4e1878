package report

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"rarespurious/experiments/run"
)

// TestWrite follows every link and looks for what a hostile name may inject.
func TestWrite(t *testing.T) {
	const evil = `<script>alert("x")</script>`
	dir := t.TempDir()
	s, err := run.OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	step := run.Step{Train: &run.Train{Optimizer: evil}}
	_, err = s.Create(context.Background(), step, func(to string) (run.Record, error) {
		log := "{\"epoch\":1,\"loss\":2}\n{\"epoch\":2,\"loss\":1}\n" + evil + "\n"
		return run.Record{Status: run.Done, Values: map[string]float64{evil: 0.25}}, os.WriteFile(filepath.Join(to, "events.jsonl"), []byte(log), 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	os.Mkdir(filepath.Join(dir, "f"), 0o755)
	csv := "figure,panel,series,x,metric,mean,se,n,diverged,p,p_test,runs\nf," + "<script>,R3,0,m,0.25,,1,0,,," + step.ID().String() + "\n"
	os.WriteFile(filepath.Join(dir, "f", "f.csv"), []byte(csv), 0o644)
	os.WriteFile(filepath.Join(dir, "f", "f.svg"), []byte("<svg/>"), 0o644)
	audit := &run.AuditReport{Problems: []run.Problem{{Place: "f", What: evil}}}
	if _, err := Write(s, audit, []Figure{{Name: "f", Notes: []string{evil}}}); err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`(?:href|src)="([^"]*)"`)
	pages, _ := filepath.Glob(filepath.Join(dir, Folder, "*.html"))
	if len(pages) != 1 {
		t.Fatalf("%d pages of runs, want 1", len(pages))
	}
	for _, path := range append(pages, filepath.Join(dir, "index.html")) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := string(b)
		if strings.Contains(text, "<script") || !strings.Contains(text, "&lt;script") {
			t.Errorf("%s: not escaped", path)
		}
		if strings.Contains(text, dir) {
			t.Errorf("%s: has an absolute path", path)
		}
		links := link.FindAllStringSubmatch(text, -1)
		if len(links) < 2 {
			t.Errorf("%s: %d links", path, len(links))
		}
		for _, l := range links {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), l[1])); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
	b, _ := os.ReadFile(pages[0])
	if !strings.Contains(string(b), `points="70.0,10.0 635.0,195.0 "`) {
		t.Error("the loss curve is not there")
	}
}
