package sweep

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"rarespurious/analysis/figure"
	"rarespurious/analysis/table"
)

// curves draws a metric against x, or several, each a series.
func curves(d *drawing) (err error) {
	v := d.Figure.View
	if d.cells, err = d.build(d.rows, metricsOf(d.Figure.View)...); err != nil {
		return err
	}
	for _, panel := range d.Panels {
		c := &figure.Curves{Title: panel.Title, XLabel: d.xLabel(), YLabel: d.yLabel(), YLim: d.yLim(), Note: panel.Missing}
		c.Series, c.Categories = d.series(panel.Title, false)
		switch {
		case c.Categories != nil:
			c.X = figure.Category
		case v.Scale == "symlog" || v.Scale == "" && v.X == "count":
			c.X = figure.Symlog
		case v.Scale == "log":
			c.X = figure.Log
		}
		d.panels = append(d.panels, c)
	}
	if v.Series == "delete" {
		d.hidden(metricsOf(v)[0])
		d.destroyed()
	}
	d.stars()
	return nil
}

// bars draws a metric as groups of bars.
func bars(d *drawing) (err error) {
	if d.cells, err = d.build(d.rows, d.metrics()...); err != nil {
		return err
	}
	for _, panel := range d.Panels {
		b := &figure.Bars{Title: panel.Title, XLabel: d.xLabel(), YLabel: d.yLabel(), YLim: d.yLim(), Note: panel.Missing}
		b.Series, b.Groups = d.series(panel.Title, true)
		d.panels = append(d.panels, b)
	}
	return nil
}

// series returns a panel's series: one per value of the series' fields, and per
// metric if that is one of them.
func (d *drawing) series(panel string, named bool) (all []figure.Series, categories []string) {
	v := d.Figure.View
	for _, metric := range d.metrics() {
		series, cats := figure.FromCells(d.cells, panel, metric, named)
		if slices.Contains(strings.Fields(v.Series), "metric") {
			for i := range series {
				series[i].Name = strings.TrimSpace(series[i].Name + " " + label(v, metric))
			}
		} else if len(all) > 0 {
			break // further metrics are for the CSV
		}
		all, categories = append(all, series...), cats
	}
	return all, categories
}

// sensitivityCurves draws the mean probability of the true class against the
// share of pixels that is removed. Its table also has the mean over all shares,
// which orders the networks.
func sensitivityCurves(d *drawing) error {
	v := d.Figure.View
	var points []table.Row
	for _, r := range d.rows {
		shares := sensitivities(r.Values)
		for j, y := range shares {
			p := r
			p.Fields = maps.Clone(r.Fields)
			p.Fields[xField] = fmt.Sprint(float64(j) / float64(len(shares)-1))
			p.Values = map[string]float64{shareProbability: y}
			points = append(points, p)
		}
	}
	build := func(rows []table.Row, metric string) error {
		cells, err := table.Build(rows, table.View{Figure: d.Figure.Name, Panel: panelField, Series: seriesField, X: xField,
			Over: []string{"seed"}, Metrics: []table.Metric{{Name: metric}}})
		d.cells = append(d.cells, cells...)
		return err
	}
	if err := build(points, shareProbability); err != nil {
		return err
	}
	if err := build(d.rows, sensitivityMean); err != nil {
		return err
	}
	for _, panel := range d.Panels {
		c := &figure.Curves{Title: panel.Title, XLabel: v.XLabel, YLabel: v.YLabel, YLim: [2]float64{0, 1}, Note: panel.Missing}
		c.Series, _ = figure.FromCells(d.cells, panel.Title, shareProbability, false)
		for i := range c.Series {
			c.Series[i].Mark = figure.Line
		}
		d.panels = append(d.panels, c)
	}
	return nil
}

// sensitivities returns sensitivity_00, sensitivity_01, … as far as they go.
func sensitivities(values map[string]float64) (out []float64) {
	for {
		y, ok := values[fmt.Sprintf("sensitivity_%02d", len(out))]
		if !ok {
			return out
		}
		out = append(out, y)
	}
}

func (d *drawing) xLabel() string {
	v := d.Figure.View
	if v.XLabel == "" && v.X == "count" {
		return "spurious examples"
	}
	if v.XLabel == "" && !strings.Contains(v.X, " ") {
		return strings.ReplaceAll(v.X, "_", " ")
	}
	return v.XLabel
}

func (d *drawing) yLabel() string {
	v := d.Figure.View
	if v.YLabel != "" {
		return v.YLabel
	}
	return label(v, metricsOf(v)[0])
}

func (d *drawing) yLim() [2]float64 {
	if y := d.Figure.View.YLim; len(y) == 2 {
		return [2]float64{y[0], y[1]}
	}
	return [2]float64{}
}

// stars says which points were tested, if any were.
func (d *drawing) stars() {
	n := 0
	for _, c := range d.cells {
		if c.P == c.P {
			n++
		}
	}
	if n > 0 {
		d.notes = append(d.notes, fmt.Sprintf("Stars: Welch's one-sided test over seeds against 0 examples, p < %v after Holm.", table.Level))
	}
}
