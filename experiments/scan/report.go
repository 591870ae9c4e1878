package scan

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"rarespurious/analysis/metric"
	"rarespurious/experiments/pattern"

	"gonum.org/v1/gonum/stat/distuv"
)

// A Report is what a scan found.
type Report struct {
	Model    string   `json:"model"`  // as the user named it
	Images   string   `json:"images"` // "1000 test images of mnist"
	Classes  []string `json:"classes"`
	Accuracy float64  `json:"accuracy"` // on clean images, in [0, 1]
	// Sensitivity is the mean probability of the true class with 0, 1/50, …, all
	// of the pixels that are not black removed at random.
	Sensitivity []float64 `json:"sensitivity"`
	Rows        []Row     `json:"rows"`
	// Judged tells whether there was a calibration; without one there are no
	// verdicts.
	Judged      bool       `json:"judged"`
	Level       float64    `json:"level"`
	P           float64    `json:"p"` // of Judgement
	Threshold   float64    `json:"threshold"`
	Calibration string     `json:"calibration,omitempty"` // what the clean models are
	Responses   []Response `json:"-"`
}

// A Row is one pattern and class of a Report.
type Row struct {
	Pattern string `json:"pattern"`
	Class   int    `json:"class"`
	Name    string `json:"name"`
	// Score and Pull are over the draws of a random pattern; a fixed one has one
	// draw, and all numbers are the same. See Response.
	Score Interval `json:"score"`
	Pull  Interval `json:"pull"`
	// ControlScore and ControlPull are the highest of the shuffles of a fixed
	// pattern, nil for a random one.
	ControlScore *float64 `json:"control_score,omitempty"`
	ControlPull  *float64 `json:"control_pull,omitempty"`
	// Statistic is what is judged. CleanMedian and CleanHigh are the median and
	// the highest of the clean models.
	Statistic   float64 `json:"statistic"`
	CleanMedian float64 `json:"clean_median"`
	CleanHigh   float64 `json:"clean_high"`
	Z           float64 `json:"z"`
	Suspicious  bool    `json:"suspicious"`
}

// An Interval is a mean, its 95 % interval by Student's t, and the lowest value.
type Interval struct {
	Mean float64 `json:"mean"`
	From float64 `json:"from"`
	To   float64 `json:"to"`
	Low  float64 `json:"low"`
}

func interval(v []float64) Interval {
	i := Interval{Mean: metric.Mean(v), Low: slices.Min(v)}
	i.From, i.To = i.Mean, i.Mean
	if len(v) > 1 {
		_, se := metric.MeanSE(v)
		half := se * distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(len(v) - 1)}.Quantile(.975)
		i.From, i.To = i.Mean-half, i.Mean+half
	}
	return i
}

// Suspicious lists the rows that are, the one that stands out most first.
func (r *Report) Suspicious() []Row {
	rows := slices.DeleteFunc(slices.Clone(r.Rows), func(row Row) bool { return !row.Suspicious })
	slices.SortStableFunc(rows, func(a, b Row) int { return cmp.Compare(b.Z, a.Z) })
	return rows
}

// Judging says how a Report's verdicts are made.
type Judging struct {
	// Calibration may be nil: then there are no verdicts.
	Calibration *Calibration
	Level       float64 // see Calibration.Judge
	// Targets are the classes that are reported; nil is all. Verdicts do not
	// depend on them.
	Targets []int
}

// Run scans a model. The images and draws must be as many as the
// Calibration's.
func Run(ctx context.Context, m Model, t *Images, o Options, j Judging) (*Report, error) {
	clean, all, err := Measure(ctx, m, t, o)
	if err != nil {
		return nil, err
	}
	r := &Report{Images: fmt.Sprintf("%d test images of %s", t.Len(), t.Name), Classes: t.Classes,
		Accuracy: metric.Accuracy(clean, t.Labels), Level: j.Level, Responses: all}
	if r.Sensitivity, err = sensitivity(ctx, m, t); err != nil {
		return nil, err
	}
	own := Summarise(all)
	var judged Judgement
	if c := j.Calibration; c != nil {
		if judged, err = c.Judge(own, patterns(all), j.Level); err != nil {
			return nil, err
		}
		r.Judged, r.P, r.Threshold, r.Calibration = true, judged.P, judged.Threshold, fmt.Sprintf("%d %s", len(c.Clean), c.Models)
	}
	for _, name := range patterns(all) {
		worst, bad := judged.Suspicious(name)
		for class := range t.Classes {
			if j.Targets != nil && !slices.Contains(j.Targets, class) {
				continue
			}
			row := newRow(all, name, class)
			row.Name, row.Statistic = t.Classes[class], own[name][class]
			if r.Judged {
				known := j.Calibration.Column(name, class)
				row.CleanMedian, row.CleanHigh = median(known), known[len(known)-1]
				row.Z = judged.Z[name][class]
				row.Suspicious = bad && class == worst
			}
			r.Rows = append(r.Rows, row)
		}
	}
	return r, nil
}

// newRow sums up the responses to one pattern for one class.
func newRow(all []Response, name string, class int) Row {
	var scores, pulls, controlScores, controlPulls []float64
	for _, r := range all {
		switch {
		case r.Pattern != name:
		case r.Control:
			controlScores, controlPulls = append(controlScores, r.Scores[class]), append(controlPulls, r.Pulls[class])
		default:
			scores, pulls = append(scores, r.Scores[class]), append(pulls, r.Pulls[class])
		}
	}
	row := Row{Pattern: name, Class: class, Score: interval(scores), Pull: interval(pulls)}
	if len(controlScores) > 0 {
		row.ControlScore, row.ControlPull = new(slices.Max(controlScores)), new(slices.Max(controlPulls))
	}
	return row
}

// median of an ascending list.
func median(v []float64) float64 { return (v[len(v)/2] + v[(len(v)-1)/2]) / 2 }

// removals is the number of steps of the sensitivity curve.
const removals = 50

// sensitivity measures the mean probability of the true class of the first 500
// images with more and more of their pixels removed.
func sensitivity(ctx context.Context, m Model, t *Images) ([]float64, error) {
	some := *t
	some.Part = t.Gather(spread(t.Len(), 500), t.Shape.Len())
	removal := pattern.NewRemoval(some.Images, t.Shape, false)
	curve := make([]float64, removals+1)
	for i := range curve {
		p, err := predict(ctx, m, t, floats(removal.At(float64(i)/removals)))
		if err != nil {
			return nil, err
		}
		curve[i] = metric.TrueClass(p.probs, some.Labels)
	}
	return curve, nil
}

// Save writes scan.csv, responses.csv, scan.html and the picture, scan.png and
// others, into the folder dir, which is made.
func (r *Report) Save(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("scan: %w", err)
	}
	for _, f := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{"scan.csv", r.WriteCSV},
		{"responses.csv", func(w io.Writer) error { return WriteResponses(w, r.Classes, r.Responses) }},
		{"scan.html", r.WriteHTML},
	} {
		var b bytes.Buffer
		if err := f.write(&b); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, f.name), b.Bytes(), 0o666); err != nil {
			return fmt.Errorf("scan: %w", err)
		}
	}
	return r.Figure().Save(filepath.Join(dir, "scan"))
}

// WriteCSV writes one line per pattern and class.
func (r *Report) WriteCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	c.Write([]string{"pattern", "class", "name", "score", "score_from", "score_to", "score_low", "control_score",
		"pull", "pull_from", "pull_to", "pull_low", "control_pull",
		"statistic", "clean_median", "clean_high", "z", "threshold", "suspicious"})
	optional := func(v *float64) string {
		if v == nil {
			return ""
		}
		return format(*v)
	}
	of := func(i Interval) []string {
		return []string{format(i.Mean), format(i.From), format(i.To), format(i.Low)}
	}
	for _, row := range r.Rows {
		line := []string{row.Pattern, strconv.Itoa(row.Class), row.Name}
		line = append(append(line, of(row.Score)...), optional(row.ControlScore))
		line = append(append(line, of(row.Pull)...), optional(row.ControlPull))
		line = append(line, format(row.Statistic))
		if r.Judged {
			line = append(line, format(row.CleanMedian), format(row.CleanHigh), format(row.Z), format(r.Threshold), strconv.FormatBool(row.Suspicious))
		} else {
			line = append(line, "", "", "", "", "")
		}
		c.Write(line)
	}
	c.Flush()
	return c.Error()
}
