package sweep

import (
	"slices"
	"strings"
	"testing"

	"rarespurious/analysis/figure"
	"rarespurious/experiments/run"
)

// The grids of the paper: 19 strengths, 7 counts and 5 seeds of an MLP, 15 and 8
// of a ResNet, where no method is one of three times and trained once.
func TestMitigationGrid(t *testing.T) {
	for _, name := range []string{"fig12", "fig13"} {
		p := plan(t, name, "paper")
		if n := len(ids(p, "mnist")); n != 19*7*5 {
			t.Errorf("%s trains %d models on MNIST, want 665", name, n)
		}
		if n := len(ids(p, "cifar10")); n != 15*8*5 {
			t.Errorf("%s trains %d models on CIFAR-10, want 600", name, n)
		}
	}
	of13 := ids(plan(t, "fig13", "paper"), "mnist")
	for id := range ids(plan(t, "fig8", "paper"), "") {
		if !of13[id] {
			t.Fatal("Figure 8 trains a model that Figure 13 does not")
		}
	}
}

// A score is the mean over counts within a seed, then over seeds, and stands
// above its accuracies over strengths that grow from none.
func TestMitigation(t *testing.T) {
	p := plan(t, "fig8", "quick")
	steps := p.Steps()
	rs := make([]run.Record, len(steps))
	for i, s := range steps {
		train := s.From[0].Train
		score := 0.1*float64(train.Seed) + 0.001*float64(train.Poison.Count) - 10*train.WeightDecay
		rs[i] = run.Record{Status: run.Done, Values: map[string]float64{"spurious_score": score, "clean_accuracy": .9, "spurious_accuracy": .5}}
	}
	pic, err := p.Draw(rs)
	if err != nil {
		t.Fatal(err)
	}
	if len(pic.Figure.Panels) != 6 || !pic.Figure.ShareX || pic.Figure.Cols != 3 {
		t.Fatalf("%d panels in %d columns, shared axis %t; want 6 in 3, shared", len(pic.Figure.Panels), pic.Figure.Cols, pic.Figure.ShareX)
	}
	for i, want := range []string{"none 0.1 0.5 1", "none 0.0001 0.001 0.01", "none 0.01 0.0001"} {
		above, below := pic.Figure.Panels[i].(*figure.Curves), pic.Figure.Panels[i+3].(*figure.Curves)
		if got := strings.Join(above.Categories, " "); got != want || !slices.Equal(above.Categories, below.Categories) {
			t.Errorf("panel %d has the strengths %s above %v, want %s", i, got, below.Categories, want)
		}
		if len(above.Series) != 1 || len(below.Series) != 2 || below.Series[0].Dashed || !below.Series[1].Dashed {
			t.Errorf("panel %d: %d series above %d", i, len(above.Series), len(below.Series))
		}
	}
	decay := pic.Figure.Panels[1].(*figure.Curves).Series[0].Points
	const mean = 0.05 + 0.001*(0+10+100)/3 // over seeds 0 and 1, counts 0, 10 and 100
	for i, wd := range []float64{0, 1e-4, 1e-3, 1e-2} {
		p := decay[i]
		if d := p.Y - (mean - 10*wd); d > 1e-12 || d < -1e-12 || p.X != float64(i) {
			t.Errorf("weight decay %g: %g at %g, want %g", wd, p.Y, p.X, mean-10*wd)
		}
		if d := p.SE - 0.05; d > 1e-12 || d < -1e-12 { // of 0 and .1, not over counts
			t.Errorf("weight decay %g: standard error %g, want .05", wd, p.SE)
		}
	}
}

// A table has a row per method and a column per metric, each from the measure
// that has it, and an accuracy that is gone is said under a score.
func TestScoreboard(t *testing.T) {
	p := plan(t, "deletion", "quick")
	pic, err := p.Draw(records(p.Steps()))
	if err != nil {
		t.Fatal(err)
	}
	for _, panel := range pic.Figure.Panels {
		table := panel.(*figure.Table)
		if len(table.Header) != 7 || len(table.Rows) < 8 {
			t.Fatalf("%q: %d rows under %q", table.Title, len(table.Rows), table.Header)
		}
		for _, row := range table.Rows {
			if len(row) != 7 || slices.Contains(row, "") {
				t.Errorf("%q: row %q lacks a value", table.Title, row)
			}
		}
	}
	p = plan(t, "fig18", "quick")
	steps := p.Steps()
	rs := records(steps)
	for i, s := range steps {
		rs[i].Values["clean_accuracy"], rs[i].Values["spurious_score"] = 0.97, 0.9
		if s.From[0].Train != nil && s.From[0].Train.Poison.Drop {
			rs[i].Values["spurious_score"] = 0
		}
		if d := s.From[0].Delete; d != nil && d.Method == "newton" {
			rs[i].Values["clean_accuracy"] = 0.1
		}
	}
	if pic, err = p.Draw(rs); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(pic.Figure.Subtitle, "the score means nothing: MNIST, Newton, 10 examples: 0.10") || strings.Contains(pic.Figure.Subtitle, "MNIST, scratch") {
		t.Errorf("subtitle %q does not say which models were destroyed", pic.Figure.Subtitle)
	}
	if !strings.Contains(pic.Figure.Subtitle, "On the line of original lie influence, influence (LiSSA), influence (upstream), Newton.") {
		t.Errorf("subtitle %q does not say which lines hide one another", pic.Figure.Subtitle)
	}
}
