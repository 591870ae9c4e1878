package sweep

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"rarespurious/analysis/figure"
	"rarespurious/analysis/metric"
	"rarespurious/analysis/table"
	"rarespurious/experiments/config"
)

// measureNorm is of no Step: a pattern's norm is computed from its images. Only
// a kind that says so has Points of it.
const measureNorm = "norm"

// What importanceUnder and importanceElsewhere are of the largest signed weight of
// a pixel, these are of the largest magnitude.
const (
	magnitudeUnder     = "magnitude_under"
	magnitudeElsewhere = "magnitude_elsewhere"
)

// testImages is how many images a row's shares are of.
const testImages = "images"

// The two sides of a contrast, as CSVs and tables name them.
const (
	ourWay   = "ours"
	theirWay = "the authors' code"
)

// discrepancies tabulates, item by item, numbers our way and the authors'.
func discrepancies(d *drawing) error {
	d.legend = figure.NoLegend
	t := &figure.Table{Header: []string{"item", "what differs: ours / theirs", ourWay, theirWay, "setting"}}
	for _, panel := range d.Panels {
		item := itemOf(panel.Title)
		s, err := d.sample(panel)
		if err != nil {
			return err
		}
		if why := missing(panel, s); why != "" {
			t.Rows = append(t.Rows, []string{item, why, "", "", ""})
			continue
		}
		for _, pattern := range s.texts("pattern") {
			for _, c := range items[item](s.where("pattern", pattern)) {
				t.Rows = append(t.Rows, []string{item, c.what, c.write(c.ours), c.write(c.theirs), c.of.setting(d.Figure.View)})
				for i, cell := range []table.Cell{c.ours, c.theirs} {
					cell.Figure, cell.Panel, cell.X, cell.Metric = d.Figure.Name, panel.Title, pattern, c.metric
					cell.Series = []string{ourWay, theirWay}[i]
					d.cells = append(d.cells, cell)
				}
			}
		}
	}
	d.notes = append(d.notes, "What follows ± is a standard error: over seeds, unless the line says otherwise.")
	d.panels = append(d.panels, t)
	d.markdown = markdown(t)
	return nil
}

func itemOf(title string) string {
	item, _, _ := strings.Cut(title, " ")
	return item
}

// items checks that the panels are of items.
func (c *checker) items(f config.Figure) {
	if f.Kind != "discrepancies" {
		return
	}
	for i, p := range f.Panels {
		if items[itemOf(p.Title)] == nil {
			c.bad(fmt.Sprintf("panels[%d].title", i), "%q does not begin with an item (known: %s)", p.Title,
				strings.Join(slices.SortedFunc(maps.Keys(items), func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) }), ", "))
		}
	}
}

// missing says why a panel has no numbers, "" if it has.
func missing(panel Panel, s sample) string {
	switch {
	case panel.Missing != "":
		return panel.Missing
	case len(s) < len(panel.Wants):
		return "no number: runs failed"
	case slices.ContainsFunc(s, func(r table.Row) bool { return r.Diverged }):
		return "no number: runs diverged"
	}
	return ""
}

// sample returns a panel's results with what no Record has: norms, importances
// and the number of images.
func (d *drawing) sample(panel Panel) (s sample, err error) {
	for _, r := range d.rows {
		if r.Fields[panelField] == panel.Title {
			s = append(s, r)
		}
	}
	known := map[string]float64{}
	i := 0 // of s, which lacks failed runs
	for _, w := range panel.Wants {
		set, err := d.lab.Open(w.Point.Dataset)
		if err != nil {
			return nil, err
		}
		if w.Step.Kind() == "empty" {
			norm, err := normOf(set, w.Point, known)
			if err != nil {
				return nil, err
			}
			s = append(s, table.Row{Fields: d.fields(panel.Title, w.Point), Values: map[string]float64{"pattern_norm": norm}})
			continue
		}
		if i == len(s) || s[i].ID != w.ID.Full() {
			continue
		}
		r := s[i]
		i++
		n := set.Test.Len()
		if w.Point.Size > 0 {
			n = min(n, w.Point.Size)
		}
		r.Values[testImages] = float64(n)
		if w.Point.Measure == "importance" && !r.Diverged {
			if err := d.importance(w, r); err != nil {
				return nil, err
			}
		}
	}
	return s, nil
}

// importance adds the importances under the pattern and elsewhere to r.
func (d *drawing) importance(w Want, r table.Row) error {
	set, err := d.lab.Open(w.Point.Dataset)
	if err != nil {
		return err
	}
	signed, magnitude, err := d.importances(w, set.Shape)
	if err != nil {
		return err
	}
	for _, m := range []struct {
		values           []float64
		under, elsewhere string
	}{{signed, importanceUnder, importanceElsewhere}, {magnitude, magnitudeUnder, magnitudeElsewhere}} {
		under, elsewhere, err := parted(m.values, w.Point, set.Shape)
		if err != nil {
			return err
		}
		r.Values[m.under], r.Values[m.elsewhere] = metric.Mean(under), metric.Mean(elsewhere)
	}
	return nil
}

// markdown writes a table as Markdown.
func markdown(t *figure.Table) string {
	var b strings.Builder
	line := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	line(t.Header)
	line(slices.Repeat([]string{"---"}, len(t.Header)))
	for _, r := range t.Rows {
		line(r)
	}
	return b.String()
}
