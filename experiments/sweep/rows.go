package sweep

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"rarespurious/analysis/metric"
	"rarespurious/analysis/table"
	"rarespurious/experiments/config"
	"rarespurious/experiments/run"
)

// A measured is what is known of one value of a Record.
type measured struct {
	name  string // in Record.Values
	label string // in pictures
	test  table.Alternative
}

// measuredValues lists the values that package train computes, in the order in
// which a figure's CSV has them. A new one is a line.
var measuredValues = slices.Concat([]measured{
	{"spurious_score", "spurious score", table.Greater},
	{"spurious_score_05", "spurious score, ε = .05", table.Greater},
	{"spurious_score_20", "spurious score, ε = .2", table.Greater},
	{"spurious_score_50", "spurious score, ε = .5", table.Greater},
	{"spurious_score_other", "spurious score, other classes", table.Greater},
	{"spurious_score_other_05", "spurious score, other classes, ε = .05", table.Greater},
	{"spurious_score_other_20", "spurious score, other classes, ε = .2", table.Greater},
	{"spurious_score_other_50", "spurious score, other classes, ε = .5", table.Greater},
	{"normalised_score", "normalised spurious score", table.Greater},
	{"normalised_score_b", "relative spurious score", table.Greater},
	{"clean_accuracy", "clean test accuracy", table.Less},
	{"spurious_accuracy", "spurious test accuracy", table.Less},
	{"ceiling", "largest possible score", table.Untested},
	{"pattern_norm", "empirical norm", table.Untested},
	{trialShare, "share of others called the class", table.Greater},
	{"context_accuracy", "accuracy in the context", table.Untested},
	{"other_accuracy", "accuracy in other contexts", table.Less},
	{sensitivityMean, "true-class probability, mean over shares", table.Untested},
	{importanceUnder, "mean importance under the pattern", table.Greater},
	{importanceElsewhere, "mean importance elsewhere", table.Untested},
	{"importance_min", "least importance", table.Untested},
	{"importance_max", "greatest importance", table.Untested},
	{"membership_accuracy", "accuracy, all examples", table.Untested},
	{"membership_tpr", "TPR, spurious examples (the paper's accuracy)", table.Untested},
	{"membership_fpr", "FPR, non-members with the pattern", table.Untested},
	{"membership_balanced", "balanced accuracy with the pattern", table.Untested},
	{"membership_auc", "AUC, all examples", table.Untested},
	{"membership_auc_spurious", "AUC, spurious", table.Untested},
	{"membership_tpr_at_01", "TPR at 1 % FPR, clean non-members", table.Untested},
	{"membership_tpr_at_001", "TPR at .1 % FPR, clean non-members", table.Untested},
	{"membership_tpr_at_01_control", "TPR at 1 % FPR, non-members with the pattern", table.Untested},
	{"membership_tpr_all_at_01", "TPR of all members at 1 % FPR", table.Untested},
	{"membership_upstream", "all examples, as the authors computed it", table.Untested},
	{"distance_theta", "distance of the parameters", table.Untested},
	{"distance_theta_relative", "relative distance of the parameters", table.Untested},
	{"distance_probability", "distance of the probabilities", table.Untested},
	{"agreement", "share of equal predictions", table.Untested},
	{"parameters", "parameters", table.Untested},
	{"deleted_auc", "AUC on the deleted examples", table.Untested},
	{"linear_u", "weight of the invariant feature", table.Untested},
	{"linear_v", "weight of the spurious feature", table.Untested},
	{"linear_b", "bias", table.Untested},
	{"linear_clean_accuracy", "clean accuracy", table.Untested},
	{"linear_spurious_accuracy", "spurious accuracy", table.Untested},
	{"linear_difference", "prediction difference", table.Untested},
	{"moved", "distance of the parameters moved", table.Untested},
	{seconds, "seconds", table.Untested},
	{shareProbability, "probability of the true class", table.Untested},
}, likelihoodRatioValues())

// Values that are computed here from those of Records.
const (
	seconds             = "seconds"                // of a Step that is no Score
	sensitivityMean     = "sensitivity"            // mean of sensitivity_00 …
	shareProbability    = "true_class_probability" // one of them
	trialShare          = "trial_share"            // as package train's measure has it
	importanceUnder     = "importance_under"
	importanceElsewhere = "importance_elsewhere"
)

func findMetric(name string) (measured, bool) {
	i := slices.IndexFunc(measuredValues, func(m measured) bool { return m.name == name })
	if i < 0 {
		return measured{}, false
	}
	return measuredValues[i], true
}

func metricNames() []string {
	names := make([]string, len(measuredValues))
	for i, m := range measuredValues {
		names[i] = m.name
	}
	return names
}

// metricsOf returns the metrics that v draws, the first one first.
func metricsOf(v config.View) []string {
	names := slices.Clone(v.Metrics)
	if v.Metric != "" {
		names = append([]string{v.Metric}, names...)
	}
	return names
}

// theirs names what the authors' code computes in place of a metric, where the
// measure gives both.
var theirs = map[string]string{"membership_accuracy": "membership_upstream"}

// metrics returns the metrics that are drawn: the view's, and behind each one
// the authors' in its place if the Points ask for it.
func (d *drawing) metrics() (names []string) {
	upstream := slices.ContainsFunc(d.Panels, func(p Panel) bool {
		return slices.ContainsFunc(p.Wants, func(w Want) bool { return w.Point.Upstream })
	})
	for _, name := range metricsOf(d.Figure.View) {
		names = append(names, name)
		if other, ok := theirs[name]; ok && upstream {
			names = append(names, other)
		}
	}
	return names
}

// Fields of rows that no Point has: what the View projects onto.
const (
	panelField  = "panel"
	seriesField = "series"
	xField      = "x"
)

// Rows returns one row per Point and Record, in the figure's order; records are
// those of Steps, in order. A Record without a Status is of a run that failed:
// it has no row and is counted.
func (p *Plan) Rows(records []run.Record) (rows []table.Row, failed int) {
	byID := map[run.ID]run.Record{}
	i := 0 // of records, which are of Wants as they first appear
	for _, panel := range p.Panels {
		for _, w := range panel.Wants {
			if _, seen := byID[w.ID]; !seen && w.Step.Kind() != "empty" && i < len(records) {
				byID[w.ID] = records[i]
				i++
			}
		}
	}
	for _, panel := range p.Panels {
		for _, w := range panel.Wants {
			if w.Step.Kind() == "empty" {
				continue
			}
			r := byID[w.ID]
			if r.Status == "" {
				failed++
				continue
			}
			rows = append(rows, p.row(panel.Title, w, r))
		}
	}
	return rows, failed
}

func (p *Plan) row(panel string, w Want, r run.Record) table.Row {
	row := table.Row{ID: w.ID.Full(), Fields: p.fields(panel, w.Point),
		Values: maps.Clone(r.Values), Diverged: r.Status == run.Diverged}
	if row.Values == nil {
		row.Values = map[string]float64{}
	}
	if w.Step.Score == nil {
		row.Values[seconds] = r.Seconds
	}
	if shares := sensitivities(r.Values); len(shares) > 0 {
		row.Values[sensitivityMean] = metric.Mean(shares)
	}
	return row
}

// fields returns a Point's fields and its panel, series and x.
func (p *Plan) fields(panel string, point config.Point) map[string]string {
	v, f := p.Figure.View, point.Fields()
	f[panelField] = panel
	f[seriesField] = v.Label(joined(f, strings.TrimSpace(strings.ReplaceAll(v.Series, "metric", ""))))
	f[xField] = v.Label(joined(f, v.X))
	return f
}

// joined returns the values of fields, named in one text.
func joined(f map[string]string, names string) string {
	var values []string
	for _, name := range strings.Fields(names) {
		values = append(values, f[name])
	}
	return strings.Join(values, " ")
}

// build builds the figure's table from rows: the metrics drawn, and all others.
func (d *drawing) build(rows []table.Row, drawn ...string) ([]table.Cell, error) {
	v := d.Figure.View
	if v.Collapse != "" && len(rows) > 0 {
		var err error
		if rows, err = d.collapse(rows, v.Collapse); err != nil {
			return nil, err
		}
	}
	view := table.View{Figure: d.Figure.Name, Panel: panelField, Series: seriesField, X: xField,
		Over: []string{"seed"}, Metrics: present(rows, drawn)}
	if v.X == "count" {
		view.Baseline = v.Label("0")
	}
	return table.Build(rows, view)
}

// collapse averages over field panel by panel, since panels may have different
// values of it. A mean that would lack the result of a failed run is left out.
func (d *drawing) collapse(rows []table.Row, field string) (out []table.Row, err error) {
	for _, panel := range d.Panels {
		var some []table.Row
		for _, r := range rows {
			if r.Fields[panelField] == panel.Title {
				some = append(some, r)
			}
		}
		if d.failed > 0 {
			some = complete(some, field)
		}
		if some, err = table.Collapse(some, field); err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}

// complete drops rows that agree in all fields but one and do not have all
// values of that one, as happens when runs have failed.
func complete(rows []table.Row, field string) []table.Row {
	rest := func(r table.Row) string {
		f := maps.Clone(r.Fields)
		delete(f, field)
		return fmt.Sprintf("%q", f) // sorted by key
	}
	all := map[string]bool{}
	has := map[string]int{}
	for _, r := range rows {
		all[r.Fields[field]] = true
		has[rest(r)]++
	}
	return slices.DeleteFunc(slices.Clone(rows), func(r table.Row) bool { return has[rest(r)] < len(all) })
}

// present returns the metrics of a CSV: the drawn ones, which every row must
// have, and all others that every row has.
func present(rows []table.Row, drawn []string) []table.Metric {
	var out []table.Metric
	for _, name := range drawn {
		m, _ := findMetric(name)
		out = append(out, table.Metric{Name: name, Test: m.test})
	}
	for _, m := range measuredValues {
		everywhere := !slices.ContainsFunc(rows, func(r table.Row) bool {
			_, ok := r.Values[m.name]
			return !ok && !r.Diverged
		})
		if len(rows) > 0 && everywhere && !slices.Contains(drawn, m.name) {
			out = append(out, table.Metric{Name: m.name, Test: m.test})
		}
	}
	return out
}

// label returns what a metric is called in v's picture.
func label(v config.View, name string) string {
	m, _ := findMetric(name)
	if l := v.Label(name); l != name {
		return l
	}
	return cmp.Or(m.label, name)
}
