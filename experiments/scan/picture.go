package scan

import (
	"fmt"
	"slices"

	"rarespurious/analysis/figure"
)

// Figure draws a report: the statistic of every class by pattern, beside the
// clean models' highest, a suspicious one marked "!"; the scores, and the
// sensitivity curve.
func (r *Report) Figure() *figure.Figure {
	f := &figure.Figure{
		Title:    "Scan of " + r.Model,
		Subtitle: fmt.Sprintf("%s, clean accuracy %.4f. %s", r.Images, r.Accuracy, r.Verdict()),
		Legend:   figure.Below, Cols: 3,
	}
	for rows := r.Rows; len(rows) > 0; {
		n := slices.IndexFunc(rows, func(row Row) bool { return row.Pattern != rows[0].Pattern })
		if n < 0 {
			n = len(rows)
		}
		f.Panels = append(f.Panels, r.bars(rows[:n]))
		rows = rows[n:]
	}
	f.Panels = append(f.Panels, r.scores(), r.sensitivityPanel())
	return f
}

// bars is the panel of one pattern.
func (r *Report) bars(rows []Row) figure.Panel {
	p := &figure.Bars{Title: "Pattern " + rows[0].Pattern, XLabel: "class", YLabel: "pull"}
	own := figure.Series{Name: "this model; of random patterns the lowest draw"}
	clean := figure.Series{Name: "highest of the clean models", Colour: figure.Grey}
	for i, row := range rows {
		p.Groups = append(p.Groups, row.Name)
		mark := ""
		if row.Suspicious {
			mark = "!"
		}
		own.Points = append(own.Points, figure.Point{X: float64(i), Y: row.Statistic, Note: mark})
		clean.Points = append(clean.Points, figure.Point{X: float64(i), Y: row.CleanHigh})
	}
	p.Series = append(p.Series, own)
	if r.Judged {
		p.Series = append(p.Series, clean)
	}
	return p
}

// scores is the panel of all spurious scores.
func (r *Report) scores() figure.Panel {
	p := &figure.Curves{Title: "Scores", XLabel: "pattern", YLabel: "spurious score", X: figure.Category, YLim: [2]float64{-.03, 1.03}}
	series := map[int]*figure.Series{}
	var order []int
	for _, row := range r.Rows {
		if n := len(p.Categories); n == 0 || p.Categories[n-1] != row.Pattern {
			p.Categories = append(p.Categories, row.Pattern)
		}
		if series[row.Class] == nil {
			series[row.Class] = &figure.Series{Name: "class " + row.Name, Mark: figure.Dots}
			order = append(order, row.Class)
		}
		s := series[row.Class]
		s.Points = append(s.Points, figure.Point{X: float64(len(p.Categories) - 1), Y: row.Score.Mean, SE: (row.Score.To - row.Score.From) / 2})
	}
	for _, class := range order {
		p.Series = append(p.Series, *series[class])
	}
	return p
}

func (r *Report) sensitivityPanel() figure.Panel {
	s := figure.Series{Name: "true class", Mark: figure.Line}
	for i, v := range r.Sensitivity {
		s.Points = append(s.Points, figure.Point{X: float64(i) / removals, Y: v})
	}
	return &figure.Curves{Title: "Sensitivity", XLabel: "share of pixels removed", YLabel: "probability of the true class",
		YLim: [2]float64{-.03, 1.03}, Series: []figure.Series{s}}
}

// Verdict returns the verdict in one sentence.
func (r *Report) Verdict() string {
	switch n := len(r.Suspicious()); {
	case !r.Judged:
		return "No verdict: there is no calibration for these images."
	case n == 0:
		return fmt.Sprintf("Nothing suspicious (p = %.3f against %s, level %g).", r.P, r.Calibration, r.Level)
	default:
		s := "Suspicious:"
		for _, row := range r.Suspicious() {
			s += fmt.Sprintf(" %s → class %s;", row.Pattern, row.Name)
		}
		return fmt.Sprintf("%s p = %.3f against %s, level %g.", s, r.P, r.Calibration, r.Level)
	}
}
