package sweep

import (
	"cmp"
	"fmt"
	"slices"

	"rarespurious/analysis/figure"
	"rarespurious/analysis/table"
	"rarespurious/experiments/config"
)

// A method holds a model back from learning the pattern, at a strength that is
// the value of its field; 0 is without it.
type method struct {
	label string
	// sign orders strengths: a lower bound clips more.
	sign float64
	of   func(config.Point) float64
}

var mitigations = []method{
	{"standard deviation of the noise", +1, func(p config.Point) float64 { return p.Noise }},
	{"weight decay", +1, func(p config.Point) float64 { return p.WeightDecay }},
	{"bound of each gradient component", -1, func(p config.Point) float64 { return p.Clip }},
}

// without is the x of a model that nothing holds back.
const without = "none"

// strength returns the x value of p; the zero method has none.
func (m method) strength(p config.Point) string {
	if m.of == nil || m.of(p) == 0 {
		return without
	}
	return fmt.Sprint(m.of(p))
}

// varied returns the method that the panel varies.
func varied(panel Panel) (method, bool) {
	for _, m := range mitigations {
		for _, w := range panel.Wants {
			if m.of(w.Point) != m.of(panel.Wants[0].Point) {
				return m, true
			}
		}
	}
	return method{}, false
}

// mitigation draws, for each panel, the score above the accuracies, over the
// strengths of the one method that the panel varies, from none to the
// strongest. The strengths are categories: none has no place on a log axis.
// Panels of one column share x, so a column is meant for one method.
//
// Two panels stand for the paper's two y axes: where lines of different units
// cross depends on the axes alone, and readers see meaning in it.
func mitigation(d *drawing) (err error) {
	v := d.Figure.View
	for i := range d.rows {
		r := &d.rows[i]
		r.Fields[xField] = strengthOf(d.Panels, *r)
	}
	if d.cells, err = d.build(d.rows, metricsOf(v)...); err != nil {
		return err
	}
	cols := cmp.Or(v.Cols, min(3, len(d.Panels)))
	d.cols, d.shareX = cols, true
	for start := 0; start < len(d.Panels); start += cols {
		row := d.Panels[start:min(start+cols, len(d.Panels))]
		for i, panel := range row {
			d.panels = append(d.panels, d.strengths(panel, i, v.Metric))
		}
		for i, panel := range row {
			below := d.strengths(panel, i, v.Metrics...)
			below.Title, below.YLabel = "", "accuracy"
			d.panels = append(d.panels, below)
		}
		for range cols - len(row) {
			d.panels = append(d.panels, &figure.Curves{Note: " "})
		}
	}
	d.notes = append(d.notes, d.averaged())
	return nil
}

// strengthOf returns the x of a row: the strength of what its panel varies.
func strengthOf(panels []Panel, r table.Row) string {
	for _, panel := range panels {
		if panel.Title != r.Fields[panelField] {
			continue
		}
		m, _ := varied(panel)
		for _, w := range panel.Wants {
			if w.ID.Full() == r.ID {
				return m.strength(w.Point)
			}
		}
	}
	panic("sweep: a row of no panel")
}

// averaged says over which counts each seed's values are means.
func (d *drawing) averaged() string {
	var lines []string
	for _, panel := range d.Panels {
		var counts []int
		for _, w := range panel.Wants {
			if !slices.Contains(counts, w.Point.Count) {
				counts = append(counts, w.Point.Count)
			}
		}
		if len(counts) > 0 {
			lines = append(lines, fmt.Sprintf("%s: each seed's value is its mean over %s examples", panel.Title, list(counts)))
		}
	}
	return grouped(lines)
}

// strengths draws metrics of one panel of a column.
func (d *drawing) strengths(panel Panel, column int, metrics ...string) *figure.Curves {
	v := d.Figure.View
	names, xlabel := d.scale(column)
	c := &figure.Curves{Title: panel.Title, XLabel: xlabel, YLabel: label(v, v.Metric), X: figure.Category,
		Categories: names, YLim: [2]float64{0, 1}, Note: panel.Missing}
	for i, name := range metrics {
		s := figure.Series{Name: label(v, name), Dashed: i > 0, Colour: figure.Vermilion}
		if name == v.Metric {
			s.Colour = figure.Blue
		}
		for _, cell := range d.cells {
			if x := slices.Index(names, cell.X); cell.Panel == panel.Title && cell.Metric == name && x >= 0 {
				p := figure.Point{X: float64(x), Y: cell.Mean, SE: cell.SE}
				if cell.Diverged > 0 {
					p.Note = fmt.Sprintf("%d of %d", cell.N, cell.N+cell.Diverged)
				}
				s.Points = append(s.Points, p)
			}
		}
		slices.SortFunc(s.Points, func(a, b figure.Point) int { return cmp.Compare(a.X, b.X) })
		c.Series = append(c.Series, s)
	}
	return c
}

// scale returns the strengths of all panels of a column, weakest first.
func (d *drawing) scale(column int) (names []string, xlabel string) {
	by := map[string]float64{}
	for i, panel := range d.Panels {
		m, ok := varied(panel)
		if i%d.cols != column || !ok {
			continue
		}
		xlabel = m.label
		for _, w := range panel.Wants {
			name := m.strength(w.Point)
			if name != without {
				by[name] = m.sign * m.of(w.Point)
			}
		}
	}
	for name := range by {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(by[a], by[b]) })
	return append([]string{without}, names...), xlabel
}
