package sweep

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rarespurious/analysis/figure"
	"rarespurious/analysis/metric"
	"rarespurious/analysis/table"
	"rarespurious/experiments/config"
	"rarespurious/experiments/dataset"
	"rarespurious/experiments/run"
)

// result is a row of two seeds' made-up runs; fields are "name=value".
func result(values map[string]float64, fields ...string) table.Row {
	r := table.Row{ID: fmt.Sprint(fields), Fields: map[string]string{panelField: "toy"}, Values: values}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, "=")
		r.Fields[name] = value
	}
	return r
}

// sides returns means and errors both ways, contrast by contrast.
func sides(all []contrast) (out [][4]float64) {
	for _, c := range all {
		out = append(out, [4]float64{c.ours.Mean, c.ours.SE, c.theirs.Mean, c.theirs.SE})
	}
	return out
}

func same(t *testing.T, got, want [][4]float64) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateNaNs(), cmpopts.EquateApprox(0, 1e-12)); diff != "" {
		t.Error(diff)
	}
}

// Half of four images against a quarter of four: variances 1/3 and 1/4, so t is
// 1/4 : √(1/12 + 1/16) with 5.88 degrees of freedom. p is Simpson's integral of
// Student's density.
func TestWelchFromShares(t *testing.T) {
	got := metric.Welch(answers(.5, 4), answers(.25, 4))
	want := metric.Test{T: .25 / math.Sqrt(1./12+1./16), DF: 5.88, P: 0.26872017221333}
	if diff := cmp.Diff(want, got, cmpopts.EquateApprox(0, 1e-9)); diff != "" {
		t.Error(diff)
	}
	var s sample
	for seed, shares := range [][2]float64{{.25, .5}, {0, .75}} {
		for i, count := range []string{"0", "10"} {
			s = append(s, result(map[string]float64{score: shares[i], testImages: 4}, fmt.Sprint("seed=", seed), "count="+count))
		}
	}
	c := welchOfWhat(s)[0]
	if over := metric.Welch([]float64{.5, .75}, []float64{.25, 0}).P; c.ours.Mean != over || math.Abs(c.theirs.Mean-want.P) > 1e-9 {
		t.Errorf("p over seeds %v and over images %v, want %v and %v", c.ours.Mean, c.theirs.Mean, over, want.P)
	}
	if len(c.ours.Runs) != 4 || len(c.theirs.Runs) != 2 || c.theirs.N != 1 {
		t.Errorf("%d and %d runs, want all four and the first seed's two", len(c.ours.Runs), len(c.theirs.Runs))
	}
}

// Five tenths spread over three seeds have the error .2/√3; a share of one half
// of four images has √(1/3)/2.
func TestSeedsOfWhat(t *testing.T) {
	var s sample
	for upstream, shown := range map[string][]float64{"false": {.1, .3, .5}, "true": {.3, .3, .6}} {
		for seed := range shown {
			at := []string{"upstream=" + upstream, fmt.Sprint("seed=", seed)}
			s = append(s, result(map[string]float64{score: shown[seed]}, append(at, "count=10")...),
				result(map[string]float64{score: .5 - .1*float64(seed), testImages: 4}, append(at, "count=0")...))
		}
	}
	same(t, sides(seedsOfWhat(s)), [][4]float64{
		{.3, .2 / math.Sqrt(3), .4, .1},
		{.4, .1 / math.Sqrt(3), .5, math.Sqrt(1./3) / 2},
	})
}

func TestRegularisedMean(t *testing.T) {
	var s sample
	add := func(decay, count string, scores, accuracies, clean [2]float64) {
		for seed := range 2 {
			s = append(s, result(map[string]float64{score: scores[seed], "spurious_accuracy": accuracies[seed], "clean_accuracy": clean[seed]},
				"weight_decay="+decay, "count="+count, fmt.Sprint("seed=", seed)))
		}
	}
	add("0", "0", [2]float64{0, .2}, [2]float64{.1, .1}, [2]float64{.9, 1})
	add("0", "10", [2]float64{1, 1}, [2]float64{0, 0}, [2]float64{1, 1})
	add("0.001", "0", [2]float64{.1, .3}, [2]float64{.8, .6}, [2]float64{1, 1})
	add("0.001", "10", [2]float64{.5, .9}, [2]float64{.2, .4}, [2]float64{1, 1})
	nan := math.NaN()
	// By seeds .3 and .6, by counts .1 and .7; accuracies by counts .7 and .3, or
	// .95 and .3.
	same(t, sides(regularisedMean(s)), [][4]float64{{.45, nan, .4, nan}, {.5, nan, .625, nan}, {.15, nan, .3, nan}})
}

func TestContrasts(t *testing.T) {
	pair := func(field, a, b, name string, x, y float64) sample {
		return sample{result(map[string]float64{name: x}, field+"="+a, "seed=0"), result(map[string]float64{name: y}, field+"="+b, "seed=0")}
	}
	nan := math.NaN()
	base := pair("count", "0", "10", score, .01, .9)
	base[0].Values["spurious_score_other"] = .02
	same(t, sides(deletionBaseline(base)), [][4]float64{{.01, nan, .02, nan}, {.9, nan, .91, nan}})
	same(t, sides(clipping(pair("clip_by", "value", "norm", score, .1, .2))), [][4]float64{{.2, nan, .1, nan}})
	same(t, sides(leastNoise(pair("noise", "0", "0.05", score, .1, .2))), [][4]float64{{.2, nan, .1, nan}})
	same(t, sides(removedPixels(pair("upstream", "true", "false", sensitivityMean, .1, .2))), [][4]float64{{.2, nan, .1, nan}})
	same(t, sides(normSeeds(pair("seed", "3", "4", "pattern_norm", 1, 2)[:1])), [][4]float64{{1, nan, 1, nan}})
	norms := sample{result(map[string]float64{"pattern_norm": 1}, "seed=3"), result(map[string]float64{"pattern_norm": 2}, "seed=4")}
	same(t, sides(normSeeds(norms)), [][4]float64{{1.5, .5, 2, nan}})
	one := sample{result(map[string]float64{score: .1, "spurious_score_other": .2, importanceUnder: .3, magnitudeUnder: .4, importanceElsewhere: .5, magnitudeElsewhere: .6}, "seed=0")}
	same(t, sides(imagesOfScore(one)), [][4]float64{{.1, nan, .2, nan}})
	same(t, sides(signedImportance(one)), [][4]float64{{.4, nan, .3, nan}, {.6, nan, .5, nan}})
	for _, item := range items {
		for _, c := range item(nil) { // as after --set count=5: no number, and no panic
			if c.write(c.ours) != "-" || c.write(c.theirs) != "-" {
				t.Errorf("%s of nothing: %s and %s", c.what, c.write(c.ours), c.write(c.theirs))
			}
		}
	}
}

// Every item has its lines, in the picture and in Markdown, and every line two
// cells. A failed run takes its item's numbers away, a data set that is not there
// those of its panels.
func TestDiscrepancies(t *testing.T) {
	p := plan(t, "discrepancies", "quick")
	rs := records(p.Steps())
	draw := func(p *Plan, rs []run.Record) (Picture, *figure.Table) {
		pic, err := p.Draw(rs)
		if err != nil {
			t.Fatal(err)
		}
		return pic, pic.Figure.Panels[0].(*figure.Table)
	}
	pic, board := draw(p, rs)
	lines := map[string]int{}
	for _, r := range board.Rows {
		lines[r[0]]++
		if !strings.Contains(pic.Markdown, "| "+strings.Join(r, " | ")+" |\n") {
			t.Errorf("%q is not in the Markdown", r)
		}
	}
	if diff := cmp.Diff(map[string]int{"8": 2, "10": 2, "11": 3, "12": 1, "13": 4, "14": 2, "15": 2, "16": 3, "17": 1, "20": 2}, lines); diff != "" {
		t.Error(diff)
	}
	if len(pic.Cells) != 2*len(board.Rows) {
		t.Errorf("%d cells of %d lines", len(pic.Cells), len(board.Rows))
	}
	seen := map[string]bool{}
	for _, c := range pic.Cells {
		key := fmt.Sprint(c.Panel, c.Series, c.X, c.Metric)
		if seen[key] {
			t.Errorf("two cells are %s", key)
		}
		seen[key] = true
		if (len(c.Runs) == 0) != (c.Metric == "pattern_norm") {
			t.Errorf("%s has %d runs", key, len(c.Runs))
		}
	}
	files, err := pic.Save(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(files[len(files)-1]); err != nil || filepath.Base(files[len(files)-1]) != "discrepancies.md" || string(b) != pic.Markdown {
		t.Errorf("no Markdown among %v: %v", files, err)
	}

	rs[0].Status, rs[len(rs)-1].Status = "", run.Diverged // of item 8, and of 20
	_, board = draw(p, rs)
	for item, want := range map[string]string{"8": "no number: runs failed", "20": "no number: runs diverged"} {
		if !slices.ContainsFunc(board.Rows, func(r []string) bool { return r[0] == item && r[1] == want }) {
			t.Errorf("item %s is not %q", item, want)
		}
	}

	l := lab()
	open := l.Open
	l.Open = func(name string) (*dataset.Set, error) {
		if name == "cifar10" {
			return nil, fmt.Errorf("%w: put it there", dataset.ErrUnavailable)
		}
		return open(name)
	}
	if p, err = New(load(t, "discrepancies", "quick"), l); err != nil {
		t.Fatal(err)
	}
	_, board = draw(p, records(p.Steps()))
	left := 0
	for _, r := range board.Rows {
		if r[1] == "no data: cifar10" {
			left++
		}
	}
	if left != 2 {
		t.Errorf("%d lines are without data, want 16's and 17's", left)
	}
}

// Little is trained for discrepancies alone: in item 10 by norm 2 × 2 models, in
// 12 with noise 6, in 13 three more seeds of 3 and four of the authors' of 2.
func TestDiscrepanciesShare(t *testing.T) {
	have := map[run.ID]bool{}
	for _, name := range []string{"fig2", "fig3", "fig8", "fig15", "fig17", "fig18"} {
		for id := range ids(plan(t, name, "quick"), "") {
			have[id] = true
		}
	}
	own := 0
	for id := range ids(plan(t, "discrepancies", "quick"), "") {
		if !have[id] {
			own++
		}
	}
	if want := 4 + 6 + 3*3 + 4*2; own != want {
		t.Errorf("%d models are of no other figure, want %d", own, want)
	}
}

func TestDiscrepanciesRefused(t *testing.T) {
	f := load(t, "discrepancies", "quick")
	f.Panels = slices.Clone(f.Panels)
	f.Panels[0].Title = "9"
	_, err := New(f, lab())
	if want := `panels[0].title: "9" does not begin with an item (known: 8, 10, 11, 12, 13, 14, 15, 16, 17, 20)`; !errors.Is(err, config.ErrInvalid) || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want one with %q", err, want)
	}
	if _, err = New(load(t, "fig2", "quick", "measure=norm"), lab()); err == nil || !strings.Contains(err.Error(), `"norm" is not known`) {
		t.Errorf("curves of the measure norm: %v", err)
	}
}
