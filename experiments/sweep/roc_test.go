package sweep

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"rarespurious/analysis/figure"
	"rarespurious/experiments/config"
	"rarespurious/experiments/run"
)

// rocs is the file of curves that made-up runs have: 4 of 10 members are found
// before the first of 1000 others is accused, all 10 with 100 of them.
var rocs = func() string {
	var curves []string
	for _, name := range []string{"spurious", "spurious_vs_clean", "spurious_online", "spurious_offline", "clean_online", "clean_offline"} {
		curves = append(curves, fmt.Sprintf(`%q:{"members":10,"non_members":1000,"points":[{"tp":0,"fp":0},{"tp":4,"fp":0},{"tp":4,"fp":100},{"tp":10,"fp":100},{"tp":10,"fp":1000}]}`, name))
	}
	return "{" + strings.Join(curves, ",") + "}"
}()

// One shadow model per seed serves all counts and patterns of a figure.
func TestShadowModels(t *testing.T) {
	for name, want := range map[string][2]int{"fig5": {7 * 2, 2}, "fig22": {6 * 7 * 2, 2}} {
		roles := map[string]map[run.ID]bool{"target": {}, "shadow": {}}
		for _, m := range plan(t, name, "paper", "seed=[0, 1]").Models() {
			if m.Train.Data.Name != "mnist" {
				continue
			}
			roles[m.Train.Data.Part][m.ID()] = true
			if clean := m.Train.Poison.Count == 0; clean != (m.Train.Data.Part == "shadow") || m.Train.Data.Seed != m.Train.Seed {
				t.Errorf("%s: a model of part %q has %d poisoned examples", name, m.Train.Data.Part, m.Train.Poison.Count)
			}
		}
		if got := [2]int{len(roles["target"]), len(roles["shadow"])}; got != want {
			t.Errorf("%s: %v target and shadow models, want %v", name, got, want)
		}
	}
	for _, profile := range config.Profiles() {
		have := ids(plan(t, "fig5", profile, "seed=0"), "")
		for _, m := range plan(t, "membership", profile, "seed=0").Models() {
			if !have[m.ID()] {
				t.Fatalf("%s: membership trains a model that Figure 5 does not", profile)
			}
		}
		for id := range ids(plan(t, "fig22", profile, "pattern=R3", "seed=0"), "cifar10") {
			if profile != "smoke" && !have[id] {
				t.Errorf("%s: Figure 22 shares no model with Figure 5", profile)
			}
		}
	}
}

// The models of a likelihood-ratio attack have one pattern draw and one list of
// candidates, and are otherwise independent.
func TestLowerLiRA(t *testing.T) {
	steps := plan(t, "lira", "paper", "count=[10]").Steps()
	if len(steps) != 3 || len(steps[0].From) != 64 {
		t.Fatalf("%d steps", len(steps))
	}
	seeds := map[int]bool{}
	for m, s := range steps[0].From {
		if *s.Train.Pool != (run.Pool{Clean: 2000, Model: m}) || s.Train.Poison != steps[0].From[0].Train.Poison {
			t.Errorf("model %d has the pool %+v and %+v", m, *s.Train.Pool, s.Train.Poison)
		}
		seeds[s.Train.Seed] = true
	}
	if len(seeds) != 64 {
		t.Errorf("%d training seeds for 64 models", len(seeds))
	}
}

func TestAttacksRefused(t *testing.T) {
	for _, c := range []struct {
		figure string
		change func(*config.Point)
		want   string
	}{
		{"fig5", func(p *config.Point) { p.Part = "" }, "part: must be target"},
		{"fig5", func(p *config.Point) { p.Count = 0 }, "count: 0"},
		{"lira", func(p *config.Point) { p.Models = 3 }, "models: 3"},
		{"lira", func(p *config.Point) { p.Pattern, p.Count = "", 0 }, "pattern: missing"},
		{"lira", func(p *config.Point) { p.Train, p.Count = 100, 6 }, "count: 6: twice as many"},
		{"lira", func(p *config.Point) { p.Train, p.Count, p.Clean = 100, 5, 91 }, "clean: 91 candidates are more than the 90"},
		{"lira", func(p *config.Point) { p.Delete = Scratch }, "delete: "},
	} {
		f := load(t, c.figure, "quick", "dataset=mnist", "seed=0")
		c.change(&f.Panels[0].Points[0])
		if _, err := New(f, lab()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
}

// The authors' quantity is drawn where it is asked for, behind ours.
func TestUpstreamBar(t *testing.T) {
	for _, upstream := range []bool{false, true} {
		p := plan(t, "fig5", "quick", fmt.Sprintf("upstream=%t", upstream))
		pic, err := p.Draw(records(p.Steps()))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, s := range pic.Figure.Panels[0].(*figure.Bars).Series {
			names = append(names, s.Name)
		}
		want := 4
		if upstream {
			want = 5
		}
		if m, _ := findMetric("membership_upstream"); len(names) != want || slices.Index(names, m.label) != map[bool]int{false: -1, true: 2}[upstream] {
			t.Errorf("upstream %t: bars %q", upstream, names)
		}
	}
}

// Curves are means over seeds, and have no place where nothing is found.
func TestMeanROC(t *testing.T) {
	p := plan(t, "membership", "quick", "dataset=mnist", "count=[10]")
	p.lab.File = func(id run.ID, name string) (io.ReadCloser, error) {
		if id == p.Panels[0].Wants[0].ID { // one seed of three finds nothing
			return io.NopCloser(strings.NewReader(strings.ReplaceAll(rocs, `{"tp":4,"fp":0},`, ""))), nil
		}
		return io.NopCloser(strings.NewReader(rocs)), nil
	}
	pic, err := p.Draw(records(p.Steps()))
	if err != nil {
		t.Fatal(err)
	}
	s := pic.Figure.Panels[0].(*figure.Curves).Series[0]
	for _, pt := range s.Points {
		want := 1.
		if pt.X < .1-1e-9 {
			want = .4 * 2 / 3
		}
		if math.Abs(pt.Y-want) > 1e-9 {
			t.Errorf("TPR %v at FPR %v, want %v", pt.Y, pt.X, want)
		}
	}
	if s.Name != "10 spurious" {
		t.Errorf("the curve is called %q", s.Name)
	}
}

// What one count has too few examples for stays in the CSV at another.
func TestLiRACells(t *testing.T) {
	p := plan(t, "lira", "quick", "dataset=mnist")
	p.Panels = p.Panels[:1]
	rs := records(p.Steps())
	delete(rs[0].Values, "lira_tpr_at_01_spurious_online") // of 10 spurious examples
	pic, err := p.Draw(rs)
	if err != nil {
		t.Fatal(err)
	}
	var at []string
	for _, c := range pic.Cells {
		if c.Metric == "lira_tpr_at_01_spurious_online" {
			at = append(at, c.X)
		}
	}
	if !slices.Equal(at, []string{"100"}) || len(pic.Figure.Panels) != 2 || len(pic.Cells) != 47 {
		t.Errorf("the rate is given at %q; %d panels, %d cells", at, len(pic.Figure.Panels), len(pic.Cells))
	}
}
