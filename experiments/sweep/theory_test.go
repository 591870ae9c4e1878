package sweep

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rarespurious/analysis/figure"
	"rarespurious/analysis/theory"
	"rarespurious/experiments/config"
)

// The theory's models are checked before anything is drawn.
func TestTheoryIsChecked(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*config.Figure)
		want   string
	}{
		{"fig11", func(f *config.Figure) { f.Theory = nil }, "theory: has 0 models"},
		{"fig11", func(f *config.Figure) { f.Theory[0].Vary = "nois" }, "cannot vary"},
		{"fig11", func(f *config.Figure) { f.Theory[1].Gamma = []float64{0, 2} }, "Gamma is 2"},
		{"fig11", func(f *config.Figure) { f.Theory[0].Gamma = []float64{0.5} }, "two ends of the axis"},
		{"fig7", func(f *config.Figure) { f.Theory = f.Theory[:1] }, "has 1 models, kind theory-mechanism draws 2"},
		{"fig9", func(f *config.Figure) { f.Theory[0].Inv.Norm2 = 0 }, "Norm2Inv is 0"},
		{"theory-vs-network", func(f *config.Figure) { f.Theory[0].Values = []float64{0, -0.1} }, "theory[0].values: theory: invalid model: Noise is -0.1"},
		{"theory-vs-network", func(f *config.Figure) { f.Theory[0].Vary = "lambda" }, `theory[0].vary: "lambda" cannot be trained, only noise`},
		{"fig2", func(f *config.Figure) { f.Theory = make([]config.Theory, 1) }, "kind curves draws 0"},
	} {
		f := load(t, c.name, "quick")
		c.change(&f)
		if _, err := New(f, lab()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
}

// Points of a noise lie on the closed form of that noise, whichever runs failed.
func TestNoiseWithoutRuns(t *testing.T) {
	p := plan(t, "theory-vs-network", "smoke")
	rs := records(p.Steps())
	for i, s := range p.Steps() {
		if s.Score.Measure == measureLinear && s.From[0].Train.Noise == 0 {
			rs[i].Status = ""
		}
	}
	pic, err := p.Draw(rs)
	if err != nil {
		t.Fatal(err)
	}
	m := linear(p.Figure.Theory[0])
	m.Gamma, m.Noise = 0.5, 0.3
	want, err := m.Solve()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, c := range pic.Cells {
		if !strings.HasPrefix(c.Series, closedForm) {
			continue
		}
		if c.Series != closedForm+", noise of variance 0.3" {
			t.Errorf("%s is drawn, of which no run is there", c.Series)
		}
		if c.X == "0.5" && c.Metric == "linear_difference" {
			seen++
			if c.Mean != want.Difference {
				t.Errorf("closed form %g, want %g", c.Mean, want.Difference)
			}
		}
	}
	if seen != 1 {
		t.Errorf("%d values at γ = .5, want 1", seen)
	}
}

// Noise in the theory is drawn twice: in training and test, in training only.
func TestTheoryRows(t *testing.T) {
	pic, err := plan(t, "fig11", "quick").Draw(nil)
	if err != nil {
		t.Fatal(err)
	}
	var titles []string
	for _, p := range pic.Figure.Panels {
		c := p.(*figure.Curves)
		titles = append(titles, c.Title)
		solid := 0
		for _, s := range c.Series {
			if !s.Dashed {
				solid++
			}
			if s.Dashed && s.Name != "" && !strings.Contains(s.Name, "notebook") {
				t.Errorf("%q: the dashed line is called %q", c.Title, s.Name)
			}
		}
		if solid != 4 {
			t.Errorf("%q, %s: %d solid lines, want 4", c.Title, c.YLabel, solid)
		}
	}
	if want := []string{"noise of variance Q, in training and test", "noise of variance Q, in training only", "penalty λ"}; len(titles) != 9 ||
		!slices.Equal(slices.Compact(titles), want) {
		t.Errorf("rows %q, want %q", slices.Compact(titles), want)
	}
}

// The files say what package theory takes for the figures' values.
func TestTheoryFiles(t *testing.T) {
	for name, want := range map[string][]theory.Sweep{"fig10": theory.Figure10(), "fig11": theory.Figure11()} {
		var got []theory.Sweep
		for _, of := range load(t, name, "paper").Theory {
			got = append(got, row(of))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(name, diff)
		}
	}
	phase, gammas := theory.PhaseModel()
	of := load(t, "phase", "paper").Theory[0]
	if diff := cmp.Diff(phase, linear(of)) + cmp.Diff(gammas, theory.Grid(of.Gamma[0], of.Gamma[1], of.Points)); diff != "" {
		t.Error("phase", diff)
	}
	for _, name := range []string{"fig7", "fig9"} {
		of := load(t, name, "paper").Theory[0]
		m := linear(of)
		m.Gamma = of.Gamma[0]
		if diff := cmp.Diff(theory.PictureModel(), m); diff != "" {
			t.Error(name, diff)
		}
	}
}
