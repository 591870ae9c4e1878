package figure

import (
	"fmt"

	"rarespurious/analysis/table"
)

// FromCells returns the series of one panel and metric of a table, in the
// cells' order. If every x is a number, categories is nil and X is that
// number; else categories lists the x values as they first appear, and X is an
// index into it. With named set, numbers are names too, as [Bars] wants them.
//
// A cell with diverged runs has the note "3 of 5": what its mean is over.
func FromCells(cells []table.Cell, panel, metric string, named bool) (series []Series, categories []string) {
	index := map[string]int{}
	for _, c := range cells {
		if c.Panel != panel || c.Metric != metric {
			continue
		}
		if _, ok := index[c.X]; !ok {
			index[c.X] = len(index)
			categories = append(categories, c.X)
		}
		if _, ok := table.Number(c.X); !ok {
			named = true
		}
	}
	at := map[string]int{}
	for _, c := range cells {
		if c.Panel != panel || c.Metric != metric {
			continue
		}
		i, ok := at[c.Series]
		if !ok {
			i = len(series)
			at[c.Series], series = i, append(series, Series{Name: c.Series})
		}
		x := float64(index[c.X])
		if !named {
			x, _ = table.Number(c.X)
		}
		pt := Point{X: x, Y: c.Mean, SE: c.SE, Star: c.Significant()}
		if c.Diverged > 0 {
			pt.Note = fmt.Sprintf("%d of %d", c.N, c.N+c.Diverged)
		}
		series[i].Points = append(series[i].Points, pt)
	}
	if !named {
		categories = nil
	}
	return series, categories
}
