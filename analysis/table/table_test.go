package table_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rarespurious/analysis/metric"
	"rarespurious/analysis/table"
)

var regen = flag.Bool("regen", false, "write the golden files")

var view = table.View{
	Figure: "fig2", Panel: "dataset", Series: "pattern", X: "count", Over: []string{"seed"},
	Metrics:  []table.Metric{{Name: "score", Test: table.Greater}, {Name: "accuracy"}},
	Baseline: "0",
}

// row is a run with the fields of view and two values.
func row(id, pattern, count, seed string, score, accuracy float64) table.Row {
	return table.Row{
		ID:     id,
		Fields: map[string]string{"dataset": "mnist", "pattern": pattern, "count": count, "seed": seed, "lr": "0.01"},
		Values: map[string]float64{"score": score, "accuracy": accuracy},
	}
}

// sweep is three seeds of two patterns. Both share the runs of count 0, and
// one run of S1 diverged.
func sweep() []table.Row {
	var rows []table.Row
	for seed, s := range []float64{.01, .02, .03} {
		name := fmt.Sprint(seed)
		for i, pattern := range []string{"S1", "R3"} {
			rows = append(rows,
				row("clean-"+name, pattern, "0", name, s, .98),
				row("ten-"+pattern+name, pattern, "10", name, s+.5*float64(i)+s*s, .97),
				row("three-"+pattern+name, pattern, "3", name, s+.25*float64(i), .975))
		}
	}
	rows[1].Diverged, rows[1].Values = true, nil
	return rows
}

func TestBuild(t *testing.T) {
	cells, err := table.Build(sweep(), view)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range cells {
		got = append(got, fmt.Sprintf("%s %s %s n=%d diverged=%d %.4f", c.Series, c.X, c.Metric, c.N, c.Diverged, c.Mean))
	}
	want := []string{
		"S1 0 score n=3 diverged=0 0.0200", "S1 0 accuracy n=3 diverged=0 0.9800",
		"S1 3 score n=3 diverged=0 0.0200", "S1 3 accuracy n=3 diverged=0 0.9750",
		"S1 10 score n=2 diverged=1 0.0256", "S1 10 accuracy n=2 diverged=1 0.9700",
		"R3 0 score n=3 diverged=0 0.0200", "R3 0 accuracy n=3 diverged=0 0.9800",
		"R3 3 score n=3 diverged=0 0.2700", "R3 3 accuracy n=3 diverged=0 0.9750",
		"R3 10 score n=3 diverged=0 0.5205", "R3 10 accuracy n=3 diverged=0 0.9700",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// The tests are those of package metric on the seeds' values, adjusted over
// the three cells of the figure that have one.
func TestSignificance(t *testing.T) {
	cells, err := table.Build(sweep(), view)
	if err != nil {
		t.Fatal(err)
	}
	nan, base := math.NaN(), []float64{.01, .02, .03}
	three, ten := []float64{.26, .27, .28}, []float64{.01 + .5 + .0001, .02 + .5 + .0004, .03 + .5 + .0009}
	welch := metric.Holm([]float64{metric.Welch(base, base).P, metric.Welch(three, base).P, metric.Welch(ten, base).P})
	want := map[string][2]float64{
		"S1 0": {nan, nan}, "R3 0": {nan, nan}, // the baseline itself
		"S1 3":  {welch[0], nan}, // no seed differs: the paired test has no variance
		"S1 10": {nan, nan},      // two seeds are left
		"R3 3":  {welch[1], nan}, // every seed differs by .25
		"R3 10": {welch[2], metric.PairedT(ten, base).P},
	}
	for _, c := range cells {
		w := want[c.Series+" "+c.X]
		if c.Metric == "accuracy" {
			w = [2]float64{nan, nan} // Untested
		}
		if d := cmp.Diff(w, [2]float64{c.P, c.PTest}, cmpopts.EquateNaNs(), cmpopts.EquateApprox(1e-9, 0)); d != "" {
			t.Errorf("%s %s %s: %s", c.Series, c.X, c.Metric, d)
		}
		if want := c.Series == "R3" && c.X != "0" && c.Metric == "score"; c.Significant() != want {
			t.Errorf("%s %s %s: Significant = %v", c.Series, c.X, c.Metric, c.Significant())
		}
	}
}

// A fall tested as Less has the p-value of the mirrored rise.
func TestLess(t *testing.T) {
	rows := sweep()
	for _, r := range rows {
		for name, y := range r.Values {
			r.Values[name] = -y
		}
	}
	v := view
	v.Metrics = []table.Metric{{Name: "score", Test: table.Less}}
	down, err := table.Build(rows, v)
	if err != nil {
		t.Fatal(err)
	}
	v.Metrics[0].Test = table.Greater
	up, err := table.Build(sweep(), v)
	if err != nil {
		t.Fatal(err)
	}
	for i := range up {
		if d := cmp.Diff(up[i].P, down[i].P, cmpopts.EquateNaNs()); d != "" {
			t.Error(d)
		}
	}
}

func TestBuildRefuses(t *testing.T) {
	unlike := row("b", "R3", "3", "1", 0, 0)
	unlike.Fields["lr"] = "0.1"
	extra := row("b", "R3", "3", "1", 0, 0)
	extra.Fields["noise"] = "0.2"
	noX := row("b", "R3", "3", "1", 0, 0)
	delete(noX.Fields, "count")
	noMetric := row("b", "R3", "3", "1", 0, 0)
	delete(noMetric.Values, "accuracy")
	for _, c := range []struct {
		name string
		row  table.Row
		want error
		says string
	}{
		{"unlike runs", unlike, table.ErrResidue, "lr"},
		{"a field that only one has", extra, table.ErrResidue, "noise"},
		{"one seed twice", row("b", "R3", "3", "0", 0, 0), table.ErrDuplicate, "runs a and b"},
		{"no x", noX, table.ErrMissing, `"count"`},
		{"no metric", noMetric, table.ErrMissing, `"accuracy"`},
	} {
		_, err := table.Build([]table.Row{row("a", "R3", "3", "0", 0, 0), c.row}, view)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %v naming %s", c.name, err, c.want, c.says)
		}
	}
}

func TestBuildOfNothing(t *testing.T) {
	if cells, err := table.Build(nil, view); err != nil || len(cells) != 0 {
		t.Errorf("Build(nil) = %v, %v", cells, err)
	}
}

func TestOrderOfX(t *testing.T) {
	for _, c := range []struct {
		order    []string
		in, want string
	}{
		{nil, "100 3 20 0 1e3", "0 3 20 100 1e3"},
		{[]string{"inf", "none"}, "0.1 none 0.01 inf", "inf none 0.01 0.1"},
		{nil, "b 2 a inf 1", "1 2 b a inf"},
	} {
		var rows []table.Row
		for _, x := range strings.Fields(c.in) {
			rows = append(rows, row(x, "R3", x, "0", 0, 0))
		}
		v := view
		v.Order, v.Metrics = c.order, v.Metrics[:1]
		cells, err := table.Build(rows, v)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, cell := range cells {
			got = append(got, cell.X)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("order %v: %v, want %v", c.order, got, c.want)
		}
	}
}

func TestCollapse(t *testing.T) {
	rows, err := table.Collapse([]table.Row{
		row("a", "R3", "3", "0", .25, 1), row("b", "R3", "10", "0", .75, 1),
		row("c", "R3", "10", "1", .5, 1), row("d", "R3", "3", "1", .5, 1),
	}, "count")
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2 || rows[0].ID != "a b" || rows[0].Values["score"] != .5 || rows[1].Values["score"] != .5 {
		t.Fatalf("Collapse = %+v", rows)
	}
	v := view
	v.X = ""
	cells, err := table.Build(rows, v)
	if err != nil {
		t.Fatal(err)
	}
	if c := cells[0]; c.N != 2 || c.SE != 0 || strings.Join(c.Runs, " ") != "a b c d" {
		t.Errorf("cell = %+v, want an error over 2 seeds and 4 runs", c)
	}

	bad := row("c", "R3", "10", "1", .5, 1)
	bad.Diverged, bad.Values = true, nil
	rows, err = table.Collapse([]table.Row{row("d", "R3", "3", "1", .5, 1), bad}, "count")
	if err != nil || !rows[0].Diverged {
		t.Errorf("a group with a diverged member: %+v, %v", rows, err)
	}
	for _, c := range []struct {
		rows []table.Row
		want error
	}{
		{[]table.Row{row("a", "R3", "3", "0", 0, 0), row("b", "R3", "10", "0", 0, 0), row("c", "R3", "3", "1", 0, 0)}, table.ErrMissing},
		{[]table.Row{row("a", "R3", "3", "0", 0, 0), row("b", "R3", "3", "0", 0, 0)}, table.ErrDuplicate},
		{[]table.Row{{ID: "a"}}, table.ErrMissing},
	} {
		if _, err := table.Collapse(c.rows, "count"); !errors.Is(err, c.want) {
			t.Errorf("Collapse = %v, want %v", err, c.want)
		}
	}
}

// The golden file is written with: go test ./analysis/table -regen
func TestCSV(t *testing.T) {
	cells, err := table.Build(sweep(), view)
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := table.WriteCSV(&got, cells); err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/fig2.csv"
	if *regen {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	// Compared as cells: the last bits of a p-value are the processor's.
	wantCells, err := table.ReadCSV(bytes.NewReader(want))
	if err != nil {
		t.Fatal(err)
	}
	gotCells, err := table.ReadCSV(bytes.NewReader(got.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(wantCells, gotCells, cmpopts.EquateNaNs(), cmpopts.EquateApprox(1e-9, 0)); d != "" {
		t.Errorf("golden file: %s", d)
	}
	// What is read is what was written, but for the length of the IDs.
	for i, c := range cells {
		for j, id := range c.Runs {
			cells[i].Runs[j] = id[:min(len(id), table.ShortID)]
		}
	}
	if d := cmp.Diff(cells, gotCells, cmpopts.EquateNaNs()); d != "" {
		t.Errorf("round trip: %s", d)
	}
	if first, _, _ := strings.Cut(got.String(), "\n"); first != "figure,panel,series,x,metric,mean,se,n,diverged,p,p_test,runs" {
		t.Errorf("header %q", first)
	}
}

func TestReadCSVRefuses(t *testing.T) {
	const head = "figure,panel,series,x,metric,mean,se,n,diverged,p,p_test,runs\n"
	for _, c := range []struct{ text, says string }{
		{"", "EOF"},
		{"a,b\n", "line 1"},
		{strings.Replace(head, "mean", "average", 1), "line 1"},
		{head + "f,,s,0,m,high,,1,0,,,a\n", `line 2: mean: "high"`},
		{head + "f,,s,0,m,1,,-1,0,,,a\n", `line 2: n: "-1"`},
		{head + "f,,s,0,m,1,,1,0,,,a\nf\n", "line 3"},
	} {
		if _, err := table.ReadCSV(strings.NewReader(c.text)); !errors.Is(err, table.ErrFormat) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("ReadCSV(%q) = %v, want it to say %q", c.text, err, c.says)
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestWriteCSVReportsTheWriter(t *testing.T) {
	if err := table.WriteCSV(full{}, nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("WriteCSV = %v, want the writer's error", err)
	}
}
