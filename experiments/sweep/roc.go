package sweep

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"rarespurious/analysis/figure"
	"rarespurious/analysis/membership"
	"rarespurious/analysis/metric"
	"rarespurious/analysis/table"
	"rarespurious/experiments/run"
)

// rocFile is package train's artifact: ROC curves by name, as JSON.
const rocFile = "roc.json"

// shadowAttack draws three panels of each: ROC curves, one per count, of spurious
// members against clean non-members and against non-members with the pattern,
// and the true-positive rates at low false-positive rates.
func shadowAttack(d *drawing) error {
	d.cols = 3
	for _, panel := range d.Panels {
		rows := d.of(panel)
		cells, err := d.build(rows)
		if err != nil {
			return err
		}
		d.cells = append(d.cells, cells...)
		for _, c := range []struct{ curve, title string }{
			{"spurious_vs_clean", "%s, clean non-members"},
			{"spurious", "%s, patterned non-members"},
		} {
			p := newROC(fmt.Sprintf(c.title, panel.Title), panel.Missing)
			for _, count := range counts(rows) {
				s, err := d.meanROC(rows, count, c.curve)
				if err != nil {
					return err
				}
				s.Name = count + " spurious"
				p.Series = append(p.Series, s)
			}
			d.panels = append(d.panels, withChance(p))
		}
		d.panels = append(d.panels, d.lowRates(panel, cells))
	}
	return nil
}

// lowRates draws the true-positive rates against the count.
func (d *drawing) lowRates(panel Panel, cells []table.Cell) *figure.Curves {
	c := &figure.Curves{Title: panel.Title + ", few false positives", XLabel: d.xLabel(), YLabel: "true-positive rate", X: figure.Symlog, YLim: [2]float64{0, 1}, Note: panel.Missing}
	for _, name := range []string{"membership_tpr_at_01", "membership_tpr_at_001", "membership_tpr_at_01_control", "membership_tpr_all_at_01"} {
		series, _ := figure.FromCells(cells, panel.Title, name, false)
		for _, s := range series {
			s.Name = label(d.Figure.View, name)
			c.Series = append(c.Series, s)
		}
	}
	if len(c.Series) == 0 && c.Note == "" {
		c.Note = fmt.Sprintf("1 %% of the non-members are fewer than %d", membership.MinFalsePositives)
	}
	return c
}

// likelihoodRatios draws one panel per count: ROC curves of spurious and of
// clean examples, online and offline.
func likelihoodRatios(d *drawing) error {
	for _, panel := range d.Panels {
		rows := d.of(panel)
		for _, count := range counts(rows) {
			// Each count by itself: rates that mean something at one have too few
			// examples at another.
			cells, err := d.build(with(rows, count))
			if err != nil {
				return err
			}
			d.cells = append(d.cells, cells...)
			p := newROC(fmt.Sprintf("%s, %s spurious", panel.Title, count), "")
			for _, c := range []struct {
				curve, name, like string
				colour            figure.Colour
			}{
				{"spurious_online", "spurious, online", "", figure.Vermilion},
				{"spurious_offline", "spurious, offline", "spurious, online", 0},
				{"clean_online", "clean, online", "", figure.Blue},
				{"clean_offline", "clean, offline", "clean, online", 0},
			} {
				s, err := d.meanROC(rows, count, c.curve)
				if err != nil {
					return err
				}
				s.Name, s.Like, s.Dashed, s.Colour = c.name, c.like, c.like != "", c.colour
				p.Series = append(p.Series, s)
			}
			d.panels = append(d.panels, withChance(p))
		}
		if panel.Missing != "" {
			d.panels = append(d.panels, newROC(panel.Title, panel.Missing))
		}
	}
	return nil
}

// of returns a panel's rows.
func (d *drawing) of(panel Panel) []table.Row {
	return slices.DeleteFunc(slices.Clone(d.rows), func(r table.Row) bool { return r.Fields[panelField] != panel.Title })
}

// counts returns the counts of rows, each once, in their order.
func counts(rows []table.Row) (all []string) {
	for _, r := range rows {
		if c := r.Fields["count"]; !slices.Contains(all, c) {
			all = append(all, c)
		}
	}
	return all
}

// with returns the rows of one count.
func with(rows []table.Row, count string) []table.Row {
	return slices.DeleteFunc(slices.Clone(rows), func(r table.Row) bool { return r.Fields["count"] != count })
}

// lowest is where the axes of ROC curves begin: a figure's non-members are some
// thousands.
const lowest = 1e-3

func newROC(title, note string) *figure.Curves {
	return &figure.Curves{Title: title, XLabel: "false-positive rate", YLabel: "true-positive rate", Note: note,
		X: figure.Log, Y: figure.Log, XLim: [2]float64{lowest, 1}, YLim: [2]float64{lowest, 1}}
}

// withChance adds the diagonal, unless there is nothing beside it.
func withChance(p *figure.Curves) *figure.Curves {
	if len(p.Series) > 0 {
		p.Series = append(p.Series, figure.Series{Name: "chance", Mark: figure.Line, Dashed: true, Colour: figure.Grey,
			Points: []figure.Point{{X: lowest, Y: lowest}, {X: 1, Y: 1}}})
	}
	return p
}

// meanROC returns the mean over seeds of the true-positive rates at each
// false-positive rate.
func (d *drawing) meanROC(rows []table.Row, count, curve string) (s figure.Series, err error) {
	var rocs []membership.ROC
	for _, r := range with(rows, count) {
		if r.Diverged {
			continue
		}
		roc, err := d.roc(r.ID, curve)
		if err != nil {
			return s, err
		}
		rocs = append(rocs, roc)
	}
	const decade = 24 // points in a factor of ten
	s.Mark = figure.Line
	for i := -3 * decade; i <= 0 && len(rocs) > 0; i++ {
		x := math.Pow(10, float64(i)/decade)
		var ys []float64
		for _, roc := range rocs {
			ys = append(ys, roc.Curve(x))
		}
		y := metric.Mean(ys)
		if y == 0 {
			y = math.NaN() // a logarithmic axis has no place for it
		}
		s.Points = append(s.Points, figure.Point{X: x, Y: y})
	}
	return s, nil
}

// roc reads a run's curve.
func (d *drawing) roc(of, curve string) (roc membership.ROC, err error) {
	var id run.ID
	if err := id.UnmarshalText([]byte(of)); err != nil {
		return roc, err
	}
	f, err := d.lab.File(id, rocFile)
	if err != nil {
		return roc, err
	}
	b, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return roc, err
	}
	var all map[string]membership.ROC
	if err := json.Unmarshal(b, &all); err != nil {
		return roc, fmt.Errorf("run %s: %s: %w", of, rocFile, err)
	}
	roc, ok := all[curve]
	if !ok {
		return roc, fmt.Errorf("run %s: %s has no curve %q", of, rocFile, curve)
	}
	return roc, nil
}
