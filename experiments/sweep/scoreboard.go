package sweep

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"rarespurious/analysis/figure"
	"rarespurious/analysis/table"
)

// measureCost is the measure that is none of package train's: the seconds, and
// what else is recorded, of the Step that made the model.
const measureCost = "cost"

// scoreboard tabulates metrics of several measures: a table per panel, a row
// per series, a column per metric.
func scoreboard(d *drawing) error {
	v := d.Figure.View
	d.legend = figure.NoLegend
	for _, panel := range d.Panels {
		var names []string
		for _, w := range panel.Wants {
			if name := d.fields(panel.Title, w.Point)[seriesField]; !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		t := &figure.Table{Title: panel.Title, Note: panel.Missing, Header: []string{v.XLabel}}
		for _, name := range names {
			t.Rows = append(t.Rows, []string{name})
		}
		for _, metric := range metricsOf(v) {
			cells, err := d.board(panel, metric)
			if err != nil {
				return err
			}
			d.cells = append(d.cells, cells...)
			t.Header = append(t.Header, label(v, metric))
			for i, name := range names {
				text := ""
				if j := slices.IndexFunc(cells, func(c table.Cell) bool { return c.Series == name }); j >= 0 {
					text = scored(cells[j])
				}
				t.Rows[i] = append(t.Rows[i], text)
			}
		}
		d.panels = append(d.panels, t)
	}
	return nil
}

// board returns a panel's cells of one metric, from the rows of the measure
// that gives it. A row that lacks it, like the damping of a method without one,
// has no cell; one that diverged has.
func (d *drawing) board(panel Panel, metric string) ([]table.Cell, error) {
	of := ""
	for _, r := range d.rows {
		if _, ok := r.Values[metric]; ok && r.Fields[panelField] == panel.Title {
			of = r.Fields["measure"]
			break
		}
	}
	var rows []table.Row
	for _, r := range d.rows {
		_, ok := r.Values[metric]
		if r.Fields[panelField] == panel.Title && r.Fields["measure"] == of && (ok || r.Diverged) {
			rows = append(rows, r)
		}
	}
	return table.Build(rows, table.View{Figure: d.Figure.Name, Panel: panelField, Series: seriesField,
		Over: []string{"seed"}, Metrics: []table.Metric{{Name: metric}}})
}

// scored writes a cell and its standard error: shares to three places, larger
// numbers to three digits.
func scored(c table.Cell) string {
	if math.IsNaN(c.Mean) {
		return "diverged"
	}
	places := 3
	if c.Mean != 0 {
		places = min(3, max(0, 2-int(math.Floor(math.Log10(math.Abs(c.Mean))))))
	}
	text := fmt.Sprintf("%.*f", places, c.Mean)
	if !math.IsNaN(c.SE) {
		text += fmt.Sprintf(" ± %.*f", places, c.SE)
	}
	if c.Diverged > 0 {
		text += fmt.Sprintf(" (%d of %d)", c.N, c.N+c.Diverged)
	}
	return text
}

// leastAccuracy is the clean accuracy below which a deletion has destroyed the
// model, whatever its score; the authors' code warns there too.
const leastAccuracy = 0.8

// destroyed says which of the drawn models are no longer of use: a score of 0 is
// no success then.
func (d *drawing) destroyed() {
	var lines []string
	for _, c := range d.cells {
		if c.Metric == "clean_accuracy" && c.Mean < leastAccuracy {
			lines = append(lines, fmt.Sprintf("%s, %s, %s examples: %.2f", c.Panel, c.Series, c.X, c.Mean))
		}
	}
	if len(lines) > 0 {
		d.notes = append(d.notes, fmt.Sprintf("Accuracy is below %g, so that the score means nothing: %s.", leastAccuracy, strings.Join(lines, "; ")))
	}
}

// hidden names the series that cannot be told from a panel's first one, on whose
// line they lie: no further apart than a marker is high.
func (d *drawing) hidden(metric string) {
	const marker = 0.01
	var lines []string
	for _, panel := range d.Panels {
		first := map[string]float64{} // by x
		apart := map[string]bool{}
		var names []string
		for _, c := range d.cells {
			if c.Panel != panel.Title || c.Metric != metric {
				continue
			}
			if !slices.Contains(names, c.Series) {
				names = append(names, c.Series)
			}
			if c.Series == names[0] {
				first[c.X] = c.Mean
			}
			apart[c.Series] = apart[c.Series] || !(math.Abs(c.Mean-first[c.X]) < marker)
		}
		if len(names) == 0 {
			continue
		}
		on := slices.DeleteFunc(names[1:], func(name string) bool { return apart[name] })
		if len(on) > 0 {
			lines = append(lines, fmt.Sprintf("%s: on the line of %s lie %s", panel.Title, names[0], strings.Join(on, ", ")))
		}
	}
	if len(lines) > 0 {
		d.notes = append(d.notes, grouped(lines))
	}
}
