// Package table projects runs onto the cells of a figure.
//
// Its one idea is golang.org/x/perf/benchproc's: a run has fields; a [View]
// names those that become panel, series and x, and those averaged over. A
// field that is none of these and still differs within a cell is residue: the
// cell would silently mix unlike runs, and [Build] refuses it. So a cell is a
// mean over seeds and over nothing else, and it lists its runs.
package table

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"rarespurious/analysis/metric"
)

// Errors that Build and Collapse wrap, with the cell or the run.
var (
	// ErrResidue: a cell mixes runs that differ in a field the View does not name.
	ErrResidue = errors.New("table: cell mixes unlike runs")
	// ErrDuplicate: a cell holds two runs with the same values of Over.
	ErrDuplicate = errors.New("table: run counted twice")
	// ErrMissing: a run lacks a metric or a field that the View names, or a
	// member of a collapsed group.
	ErrMissing = errors.New("table: value missing")
)

// MinSeeds is the least number of values, on either side, that is tested for
// significance; Level is the level of the tests.
const (
	MinSeeds = 3
	Level    = .05
)

// A Row is what a table needs of one run.
//
// A run that several series share (count 0, trained once for all patterns and
// targets) is passed once per series: the same ID and Values, with the Fields
// of that series.
type Row struct {
	ID       string             // the run's ID; several, separated by spaces, after [Collapse]
	Fields   map[string]string  // what was run: "pattern" → "R3"
	Values   map[string]float64 // what was measured; not read if Diverged
	Diverged bool               // ended in NaN: counted, never averaged
}

// An Alternative says which way a metric is tested against the baseline.
type Alternative int

const (
	Untested Alternative = iota
	Greater              // the cell's mean is greater than the baseline's
	Less                 // the cell's mean is less than the baseline's
)

// A Metric names one of a Row's Values and its test.
type Metric struct {
	Name string
	Test Alternative
}

// A View says how rows become cells. Panel and Series may be "": all rows then
// share one panel, one series, named "".
type View struct {
	Figure           string
	Panel, Series, X string   // names of fields
	Over             []string // fields averaged over, which also pair runs for the paired test: "seed"
	Metrics          []Metric
	Baseline         string   // the x whose cell the others of its series are tested against: "0"; "" for no tests
	Order            []string // x values that are categories, in their order; they come before all others
}

// A Cell summarises one metric of the rows that share panel, series and x.
type Cell struct {
	Figure, Panel, Series, X, Metric string

	Mean     float64  // over the N runs that did not diverge; NaN if N = 0
	SE       float64  // standard error of Mean; NaN if N < 2
	N        int      // runs averaged
	Diverged int      // runs that diverged, not in N
	P        float64  // Welch's one-sided test against the baseline, Holm-adjusted; NaN where no test applies
	PTest    float64  // the paired one-sided test, over runs equal in Over, Holm-adjusted; NaN likewise
	Runs     []string // IDs of all N + Diverged runs, sorted
}

// Significant reports whether P is below Level.
func (c Cell) Significant() bool { return c.P < Level }

// group is the rows of one cell, in the order given.
type group struct {
	panel, series, x string
	rows             []Row
}

// Build groups rows into cells. Panels and series keep the order in which rows
// first name them; within a series x runs over v.Order, then over numbers by
// value, then over other text as it first appears; metrics are in v's order.
//
// No p-value is given for the baseline itself, below MinSeeds values (or
// pairs), where the variances are 0, or for an Untested metric. Holm's family
// is all tests of one metric in the whole view.
//
// Its errors wrap ErrResidue, ErrDuplicate or ErrMissing.
func Build(rows []Row, v View) ([]Cell, error) {
	groups, err := project(rows, v)
	if err != nil {
		return nil, err
	}
	base := map[[2]string]*group{}
	for i, g := range groups {
		if err := check(g, v); err != nil {
			return nil, fmt.Errorf("panel %q, series %q, %s=%s: %w", g.panel, g.series, v.X, g.x, err)
		}
		if v.Baseline != "" && g.x == v.Baseline {
			base[[2]string{g.panel, g.series}] = &groups[i]
		}
	}
	var cells []Cell
	for _, g := range groups {
		for _, m := range v.Metrics {
			c := summarise(g, v, m)
			if b := base[[2]string{g.panel, g.series}]; b != nil && b.x != g.x {
				c.P, c.PTest = test(g.rows, b.rows, v.Over, m)
			}
			cells = append(cells, c)
		}
	}
	for i := range v.Metrics {
		adjust(cells, i, len(v.Metrics))
	}
	return cells, nil
}

// project sorts rows into the groups of v, ordered as Build says.
func project(rows []Row, v View) ([]group, error) {
	type key struct{ panel, series, x string }
	at := map[key]int{}
	var groups []group
	for _, r := range rows {
		var k key
		for _, f := range []struct {
			name string
			to   *string
		}{{v.Panel, &k.panel}, {v.Series, &k.series}, {v.X, &k.x}} {
			value, ok := r.Fields[f.name]
			if f.name != "" && !ok {
				return nil, fmt.Errorf("run %s: field %q: %w", r.ID, f.name, ErrMissing)
			}
			*f.to = value
		}
		i, ok := at[k]
		if !ok {
			i = len(groups)
			at[k], groups = i, append(groups, group{panel: k.panel, series: k.series, x: k.x})
		}
		groups[i].rows = append(groups[i].rows, r)
	}
	order(groups, v.Order)
	return groups, nil
}

// check refuses a group that would mix unlike runs, count one twice, or lacks
// a value.
func check(g group, v View) error {
	known := append([]string{v.Panel, v.Series, v.X}, v.Over...)
	if bad := residue(g.rows, known); len(bad) > 0 {
		return fmt.Errorf("%w: they differ in %s", ErrResidue, strings.Join(bad, ", "))
	}
	seen := map[string]string{}
	for _, r := range g.rows {
		k := keyOf(r, v.Over)
		if other, ok := seen[k]; ok {
			return fmt.Errorf("%w: runs %s and %s agree in %s", ErrDuplicate, other, r.ID, strings.Join(v.Over, ", "))
		}
		seen[k] = r.ID
		for _, m := range v.Metrics {
			if _, ok := r.Values[m.Name]; !ok && !r.Diverged {
				return fmt.Errorf("run %s: metric %q: %w", r.ID, m.Name, ErrMissing)
			}
		}
	}
	return nil
}

// residue returns the sorted fields outside known that differ between rows; a
// field that a row lacks differs from one that it has.
func residue(rows []Row, known []string) []string {
	bad := map[string]bool{}
	for _, r := range rows[1:] {
		for _, pair := range [][2]Row{{rows[0], r}, {r, rows[0]}} {
			for f, a := range pair[0].Fields {
				if b, ok := pair[1].Fields[f]; (!ok || a != b) && !slices.Contains(known, f) {
					bad[f] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(bad))
}

// keyOf returns the values of fields as one key.
func keyOf(r Row, fields []string) string {
	values := make([]string, len(fields))
	for i, f := range fields {
		values[i] = r.Fields[f]
	}
	return strings.Join(values, "\x00")
}

func summarise(g group, v View, m Metric) Cell {
	c := Cell{Figure: v.Figure, Panel: g.panel, Series: g.series, X: g.x, Metric: m.Name, P: math.NaN(), PTest: math.NaN()}
	var ys []float64
	for _, r := range g.rows {
		c.Runs = append(c.Runs, strings.Fields(r.ID)...)
		if r.Diverged {
			c.Diverged++
		} else {
			ys = append(ys, r.Values[m.Name])
		}
	}
	slices.Sort(c.Runs)
	c.N = len(ys)
	c.Mean, c.SE = metric.MeanSE(ys)
	return c
}
