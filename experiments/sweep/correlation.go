package sweep

import (
	"fmt"
	"math"
	"slices"

	"rarespurious/analysis/figure"
	"rarespurious/analysis/metric"
	"rarespurious/analysis/table"
)

// correlation draws the first metric against pattern_norm, a point per x, and
// computes Pearson's r and its two-sided p over the points of each panel.
func correlation(d *drawing) (err error) {
	v := d.Figure.View
	if d.cells, err = d.build(d.rows, v.Metric, "pattern_norm"); err != nil {
		return err
	}
	for _, panel := range d.Panels {
		c := &figure.Curves{Title: panel.Title, XLabel: v.XLabel, YLabel: d.yLabel(), YLim: d.yLim(), Note: panel.Missing}
		var xs, ys []float64
		var runs []string
		for _, score := range d.cells {
			i := slices.IndexFunc(d.cells, func(o table.Cell) bool {
				return o.Panel == score.Panel && o.Series == score.Series && o.X == score.X && o.Metric == "pattern_norm"
			})
			if score.Panel != panel.Title || score.Metric != v.Metric || math.IsNaN(score.Mean) || i < 0 {
				continue
			}
			norm := d.cells[i].Mean
			c.Series = append(c.Series, figure.Series{Name: score.X, Mark: figure.Dots,
				Points: []figure.Point{{X: norm, Y: score.Mean, SE: score.SE}}})
			xs, ys, runs = append(xs, norm), append(ys, score.Mean), append(runs, score.Runs...)
		}
		r, p := metric.Pearson(xs, ys)
		if !math.IsNaN(r) {
			c.Title = fmt.Sprintf("%s: r = %.2f, p = %.2g", panel.Title, r, p)
		}
		slices.Sort(runs)
		for _, m := range []struct {
			name  string
			value float64
		}{{"pearson_r", r}, {"pearson_p", p}} {
			if len(xs) > 0 {
				d.cells = append(d.cells, computed(d.Figure.Name, panel.Title, "", "", m.name, m.value, len(xs), slices.Compact(runs)))
			}
		}
		d.panels = append(d.panels, c)
	}
	return nil
}

// computed is a cell that no mean over runs is.
func computed(fig, panel, series, x, metric string, value float64, n int, runs []string) table.Cell {
	return table.Cell{Figure: fig, Panel: panel, Series: series, X: x, Metric: metric, Mean: value,
		SE: math.NaN(), N: n, P: math.NaN(), PTest: math.NaN(), Runs: runs}
}
