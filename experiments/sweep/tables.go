package sweep

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"rarespurious/analysis/figure"
	"rarespurious/analysis/metric"
	"rarespurious/analysis/table"
	"rarespurious/experiments/config"
	"rarespurious/experiments/dataset"
	"rarespurious/experiments/pattern"
)

// norms tabulates the mean over test images of ‖P(x) − x‖: each seed's pattern,
// and the mean over seeds.
func norms(d *drawing) error {
	d.legend = figure.NoLegend
	var rows []table.Row
	var order []string // of x
	for _, panel := range d.Panels {
		known := map[string]float64{}
		for _, w := range panel.Wants {
			set, err := d.lab.Open(w.Point.Dataset)
			if err != nil {
				return err
			}
			norm, err := normOf(set, w.Point, known)
			if err != nil {
				return err
			}
			seed := fmt.Sprintf("seed %d", w.Point.Seed)
			if !slices.Contains(order, seed) {
				order = append(order, seed)
			}
			for _, x := range []string{seed, "mean"} {
				r := table.Row{Fields: d.fields(panel.Title, w.Point), Values: map[string]float64{"pattern_norm": norm}}
				r.Fields[xField], r.Fields[seriesField] = x, w.Point.Pattern
				rows = append(rows, r)
			}
		}
	}
	var err error
	order = append(order, "mean")
	d.cells, err = table.Build(rows, table.View{Figure: d.Figure.Name, Panel: panelField, Series: seriesField, X: xField,
		Over: []string{"seed"}, Metrics: []table.Metric{{Name: "pattern_norm"}}, Order: order})
	if err != nil {
		return err
	}
	t := &figure.Table{Header: []string{"", ""}}
	for _, panel := range d.Panels {
		if panel.Missing != "" {
			t.Rows = append(t.Rows, []string{panel.Title, panel.Missing})
		}
		for _, x := range order {
			line := []string{panel.Title, x}
			for _, c := range d.cells {
				if c.Panel != panel.Title || c.X != x {
					continue
				}
				if !slices.Contains(t.Header, c.Series) {
					t.Header = append(t.Header, c.Series)
				}
				line = append(line, fmt.Sprintf("%.2f", c.Mean))
			}
			if len(line) > 2 {
				t.Rows = append(t.Rows, line)
			}
		}
	}
	d.panels = append(d.panels, t)
	return nil
}

// normOf returns the empirical norm of p's pattern on the test images of set,
// which [metric.PatternNorm] defines. known remembers those that do not depend
// on the seed.
func normOf(set *dataset.Set, p config.Point, known map[string]float64) (float64, error) {
	pat, err := pattern.New(p.Pattern, set.Shape, uint32(p.Seed))
	if err != nil {
		return 0, err
	}
	key := fmt.Sprint(p.Pattern, pat.Delta())
	if v, ok := known[key]; ok {
		return v, nil
	}
	// Images are bytes, so a pixel changes in one of 256 ways: squares[v·n + i]
	// is the squared change of pixel i if it is v.
	n := set.Shape.Len()
	squares := make([]float64, 256*n)
	clean, with := make([]uint8, n), make([]float32, n)
	for v := range 256 {
		for i := range clean {
			clean[i] = uint8(v)
		}
		x := toFloat(clean)
		pat.Apply(with, x)
		for i := range x {
			change := float64(with[i]) - float64(x[i])
			squares[v*n+i] = change * change
		}
	}
	var sum float64
	for image := range slices.Chunk(set.Test.Images, n) {
		var square float64
		for i, v := range image {
			square += squares[int(v)*n+i]
		}
		sum += math.Sqrt(square)
	}
	known[key] = sum / float64(set.Test.Len())
	return known[key], nil
}

// parameters tabulates how many parameters the networks have.
func parameters(d *drawing) error {
	d.legend = figure.NoLegend
	t := &figure.Table{Header: []string{"network", "data", "parameters"}}
	for _, panel := range d.Panels {
		for _, w := range panel.Wants {
			n, err := d.count(w.Point)
			if err != nil {
				return err
			}
			name := d.Figure.View.Label(w.Point.Model)
			d.cells = append(d.cells, computed(d.Figure.Name, panel.Title, name, "", "parameters", float64(n), 1, nil))
			t.Rows = append(t.Rows, []string{name, panel.Title, thousands(n)})
		}
	}
	d.panels = append(d.panels, t)
	return nil
}

// count returns the number of parameters of p's network.
func (d *drawing) count(p config.Point) (int, error) {
	set, err := shapeOf(p.Dataset)
	if err != nil {
		return 0, err
	}
	return arch(p.Model, set).NumParams(), nil
}

// thousands writes 335114 as 335,114.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// means tabulates means: a row per series, a column per panel and, before them,
// the number of parameters if the series are networks. A panel shows the first
// of the view's metrics that its measure gives.
func means(d *drawing) error {
	v := d.Figure.View
	d.legend = figure.NoLegend
	t := &figure.Table{Header: []string{v.XLabel}}
	lines := map[string][]string{}
	var names []string
	networks := v.Series == "model"
	if networks {
		t.Header = append(t.Header, "parameters")
	}
	for column, panel := range d.Panels {
		t.Header = append(t.Header, panel.Title)
		for _, w := range panel.Wants {
			name := d.fields(panel.Title, w.Point)[seriesField]
			if lines[name] != nil {
				continue
			}
			lines[name] = []string{name}
			names = append(names, name)
			if networks {
				n, err := d.count(w.Point)
				if err != nil {
					return err
				}
				lines[name] = append(lines[name], thousands(n))
			}
		}
		cells, err := d.column(panel.Title)
		if err != nil {
			return err
		}
		d.cells = append(d.cells, cells...)
		for _, c := range cells {
			line := lines[c.Series]
			for len(line) < len(t.Header)-1 {
				line = append(line, "")
			}
			lines[c.Series] = append(line, withError(c))
		}
		if panel.Missing != "" {
			d.notes = append(d.notes, fmt.Sprintf("Column %d, %s: %s.", column+1, panel.Title, panel.Missing))
		}
	}
	for _, name := range names {
		t.Rows = append(t.Rows, lines[name])
	}
	d.panels = append(d.panels, t)
	return nil
}

// column returns one cell per series of a panel.
func (d *drawing) column(panel string) ([]table.Cell, error) {
	v := d.Figure.View
	var rows []table.Row
	for _, r := range d.rows {
		if r.Fields[panelField] == panel {
			rows = append(rows, r)
		}
	}
	if v.Collapse != "" && len(rows) > 0 {
		var err error
		if rows, err = d.collapse(rows, v.Collapse); err != nil {
			return nil, err
		}
	}
	for _, name := range metricsOf(v) {
		has := func(r table.Row) bool { _, ok := r.Values[name]; return ok }
		if slices.ContainsFunc(rows, has) {
			return table.Build(rows, table.View{Figure: d.Figure.Name, Panel: panelField, Series: seriesField,
				Over: []string{"seed"}, Metrics: []table.Metric{{Name: name}}})
		}
	}
	return nil, nil
}

// withError writes a cell's mean and, if it has one, its standard error.
func withError(c table.Cell) string {
	switch {
	case math.IsNaN(c.Mean):
		return "diverged"
	case math.IsNaN(c.SE):
		return fmt.Sprintf("%.3f", c.Mean)
	}
	return fmt.Sprintf("%.3f ± %.3f", c.Mean, c.SE)
}

// summary tabulates least, greatest, mean and spread of a metric over all
// models of a panel, each counted once.
func summary(d *drawing) error {
	v := d.Figure.View
	d.legend = figure.NoLegend
	t := &figure.Table{Header: []string{label(v, v.Metric), "models", "min", "max", "mean", "std"}}
	for _, panel := range d.Panels {
		values := map[string]float64{} // by model
		runs := map[string]bool{}
		i := 0
		for _, r := range d.rows {
			if r.Fields[panelField] != panel.Title || r.Diverged {
				continue
			}
			for panel.Wants[i].ID.Full() != r.ID {
				i++
			}
			values[panel.Wants[i].Step.From[0].ID().Full()] = r.Values[v.Metric]
			runs[r.ID] = true
		}
		if len(values) == 0 {
			t.Rows = append(t.Rows, []string{panel.Title, panel.Missing})
			continue
		}
		s := metric.Summarise(slices.Sorted(maps.Values(values))) // sorted: a sum must not depend on a map's order
		line := []string{panel.Title, strconv.Itoa(s.N)}
		for _, m := range []struct {
			name  string
			value float64
		}{{"min", s.Min}, {"max", s.Max}, {"mean", s.Mean}, {"std", s.Std}} {
			line = append(line, fmt.Sprintf("%.4f", m.value))
			d.cells = append(d.cells, computed(d.Figure.Name, panel.Title, m.name, "", v.Metric, m.value, s.N, slices.Sorted(maps.Keys(runs))))
		}
		t.Rows = append(t.Rows, line)
	}
	d.panels = append(d.panels, t)
	return nil
}
