package report

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"rarespurious/analysis/table"
	"rarespurious/experiments/run"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
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
	if _, err := (&run.Runner{Store: s, Exec: scribe(evil)}).Run(t.Context(), []run.Step{step}); err != nil {
		t.Fatal(err)
	}
	os.Mkdir(filepath.Join(dir, "f"), 0o755)
	csv := "figure,panel,series,x,metric,mean,se,n,diverged,p,p_test,runs\nf," + "<script>,R3,0,m,0.25,,1,0,,," + step.ID().String() + "\n"
	os.WriteFile(filepath.Join(dir, "f", "f.csv"), []byte(csv), 0o644)
	os.WriteFile(filepath.Join(dir, "f", "f.svg"), []byte("<svg/>"), 0o644)
	audit := &run.AuditReport{Problems: []run.Problem{{Place: "f", What: evil}}}
	if _, err := Write(t.Context(), s, audit, []Figure{{Name: "f", Notes: []string{evil}}}); err != nil {
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
			if id, ok := strings.CutPrefix(l[1], "#"); ok {
				if !strings.Contains(text, ` id="`+id+`"`) {
					t.Errorf("%s: nothing is at #%s", path, id)
				}
				continue
			}
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

// A scribe is an Executor that gives two losses, and a text as name and log.
type scribe string

func (x scribe) Exec(_ context.Context, group []run.Job) (out []run.Outcome) {
	for _, j := range group {
		for epoch, loss := range []float64{2, 1} {
			j.Log.Info().Int("epoch", epoch+1).Float64("loss", loss).Msg(string(x))
		}
		out = append(out, run.Outcome{Values: map[string]float64{string(x): 0.25}})
	}
	return out
}

// A figure whose table is cut off, or gone, is named, and the others are there.
func TestUnreadableFigure(t *testing.T) {
	dir := t.TempDir()
	s, err := run.OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const csv = "figure,panel,series,x,metric,mean,se,n,diverged,p,p_test,runs\nf,here,R3,0,m,0.25,,1,0,,,\n"
	for name, text := range map[string]string{"cut": csv[:len(csv)-9], "whole": csv} {
		os.Mkdir(filepath.Join(dir, name), 0o755)
		os.WriteFile(filepath.Join(dir, name, name+".csv"), []byte(text), 0o644)
	}
	figures := []Figure{{Name: "cut", State: "1 problem"}, {Name: "gone"}, {Name: "whole"}}
	path, err := Write(t.Context(), s, &run.AuditReport{}, figures)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(path)
	text := string(b)
	if n := strings.Count(text, "its table cannot be read: "); n != 2 {
		t.Errorf("%d figures are said to be unreadable, want 2", n)
	}
	if !strings.Contains(text, "<td>here") || strings.Contains(text, dir) {
		t.Errorf("the figure that can be read is not there, or an absolute path is:\n%s", text)
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Write(stopped, s, &run.AuditReport{}, figures); !errors.Is(err, context.Canceled) {
		t.Errorf("after its context's end: %v", err)
	}
}

// Numbers that the paper prints are compared to the printed digits, and the page
// shows both.
func TestPublished(t *testing.T) {
	cell := func(series string, mean float64) table.Cell {
		return table.Cell{Figure: "table1", Panel: "MNIST", Series: series, X: "seed 4", Metric: "pattern_norm", Mean: mean}
	}
	elsewhere := cell("S1", 7)
	elsewhere.X = "mean"
	got := compare("table1", []table.Cell{elsewhere, cell("R3", 15.1899), cell("R2", 7.7051), cell("strange", 1)})
	want := []Comparison{
		{"MNIST", "R2", "seed 4", "pattern_norm", "7.70", 7.7051, 7.7051 - 7.70, false},
		{"MNIST", "R3", "seed 4", "pattern_norm", "15.19", 15.1899, 15.1899 - 15.19, true},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateApprox(0, 1e-12)); diff != "" {
		t.Error(diff)
	}
	if differing(got) != 1 || compare("fig2", []table.Cell{cell("R3", 1)}) != nil {
		t.Error("one of table1's numbers differs, and the paper prints none of fig2")
	}
	n := map[string]int{}
	for _, p := range published {
		if len(p.series) != len(p.values) {
			t.Errorf("%s, %s: %d series and %d values", p.figure, p.panel, len(p.series), len(p.values))
		}
		n[p.figure] += len(p.values)
	}
	if n["table1"] != 21 || n["table2"] != 8 {
		t.Errorf("%v numbers, want 21 and 8", n)
	}

	dir := t.TempDir()
	s, err := run.OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	os.Mkdir(filepath.Join(dir, "table2"), 0o755)
	csv := "figure,panel,series,x,metric,mean,se,n,diverged,p,p_test,runs\ntable2,MNIST,MLP,,parameters,335115,,1,0,,,\n"
	os.WriteFile(filepath.Join(dir, "table2", "table2.csv"), []byte(csv), 0o644)
	path, err := Write(t.Context(), s, &run.AuditReport{}, []Figure{{Name: "table2"}})
	if err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(path)
	for _, want := range []string{"1 of 1 printed numbers differ", "<b>1 of ours differ</b>", `335114<td class="n">335115<td class="n">1<td>differs`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}
