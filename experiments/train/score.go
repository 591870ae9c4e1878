package train

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"

	"rarespurious/analysis/metric"
	"rarespurious/bridge/torch"
	"rarespurious/experiments/pattern"
	"rarespurious/experiments/run"
)

// A measuring is one Score Step at work.
type measuring struct {
	ctx   context.Context
	e     *Executor
	d     *torch.Device
	job   run.Job
	score *run.Score
	model *run.Train // of From[0]
	src   *source
	stack *torch.Stack
}

// A Measure computes values, and may leave files in the Job's folder.
type Measure func(m *measuring) (map[string]float64, error)

// Measures lists what a Score can measure. Adding one is a line and a function.
var Measures = map[string]Measure{
	"spurious":    spurious,
	"deleted":     remembered,
	"distance":    distance,
	"linear":      linear,
	"importance":  importance,
	"lira":        lira,
	"membership":  attack,
	"sensitivity": sensitivity,
	"trial":       trial,
}

// MeasureNames lists the keys of Measures in order.
func MeasureNames() []string { return slices.Sorted(maps.Keys(Measures)) }

func (e *Executor) measure(ctx context.Context, d *torch.Device, job run.Job, out *run.Outcome) error {
	score := job.Step.Score
	if score == nil {
		return fmt.Errorf("train: a step of kind %q", job.Step.Kind())
	}
	f, ok := Measures[score.Measure]
	if !ok {
		return fmt.Errorf("train: unknown measure %q (have %v)", score.Measure, MeasureNames())
	}
	m := &measuring{ctx: ctx, e: e, d: d, job: job, score: score, model: modelStep(job.Step)}
	if photos := m.model.Data.Short > 0; photos != (score.Measure == "trial") {
		return fmt.Errorf("train: measure %q of a model of %s: photographs have trials, and trials are of photographs", score.Measure, m.model.Data.Name)
	}
	var err error
	if m.model.Data.Short == 0 {
		var done func()
		if m.src, done, err = e.data.get(ctx, d, m.model.Data); err != nil {
			return err
		}
		defer done()
	}
	if m.stack, err = loadStack(d, job.From[0], m.model); err != nil {
		return err
	}
	defer m.stack.Close()
	values, err := f(m)
	if err != nil {
		return err
	}
	// A metric that does not apply is absent.
	maps.DeleteFunc(values, func(_ string, v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
	out.Values = values
	return nil
}

// probabilities returns the softmax of the model's logits for images of data,
// with the pattern whose delta is given, or without for nil.
func (m *measuring) probabilities(data *torch.Data, rows []int64, delta []float64) (metric.Probs, error) {
	logits, err := m.stack.Logits(data, rows, torch.Forward{Delta: delta})
	if err != nil {
		return metric.Probs{}, err
	}
	k := m.model.Arch.Classes
	softmax(logits[0], k)
	return metric.Probs{K: k, P: logits[0]}, nil
}

// softmax turns rows of k logits into probabilities, in place.
func softmax(z []float32, k int) {
	for i := 0; i < len(z); i += k {
		row := z[i : i+k]
		top := slices.Max(row)
		var sum float64
		for j, v := range row {
			e := math.Exp(float64(v) - float64(top))
			row[j] = float32(e)
			sum += e
		}
		for j := range row {
			row[j] = float32(float64(row[j]) / sum)
		}
	}
}

func accuracy(logits []float32, labels []uint8) float64 {
	return metric.Accuracy(metric.Probs{K: len(logits) / len(labels), P: logits}, labels)
}

// Epsilons are the thresholds of the spurious score, the paper's first.
var Epsilons = []float64{0.1, 0.05, 0.2, 0.5}

// tested returns the test images that are measured, the first Size of them or
// all, and their labels.
func (m *measuring) tested() (rows []int64, labels []uint8) {
	labels = m.src.set.Test.Labels
	if n := m.score.Size; n > 0 && n < len(labels) {
		labels = labels[:n]
	}
	rows = make([]int64, len(labels))
	for i := range rows {
		rows[i] = int64(i)
	}
	return rows, labels
}

// spurious measures what the model makes of the pattern on the test images:
// the scores, and the accuracies with and without.
func spurious(m *measuring) (map[string]float64, error) {
	set, t := m.src.set, m.score.Target
	p, err := pattern.New(m.score.Pattern, set.Shape, uint32(m.score.Seed))
	if err != nil {
		return nil, err
	}
	rows, labels := m.tested()
	clean, err := m.probabilities(m.src.test, rows, nil)
	if err != nil {
		return nil, err
	}
	with, err := m.probabilities(m.src.test, rows, p.Delta())
	if err != nil {
		return nil, err
	}
	v := map[string]float64{
		"clean_accuracy":     metric.Accuracy(clean, labels),
		"spurious_accuracy":  metric.SpuriousAccuracy(with, labels, t),
		"pattern_norm":       m.e.norms.of(m.model.Data, p, set.Test.Images[:len(labels)*set.Shape.Len()]),
		"normalised_score":   metric.Mean(metric.Rises(clean, with, t, Epsilons[0], metric.Headroom)),
		"normalised_score_b": metric.Mean(metric.Rises(clean, with, t, Epsilons[0], metric.Relative)),
		"ceiling":            ceiling(clean, t),
	}
	for _, eps := range Epsilons {
		rises := metric.Rises(clean, with, t, eps, metric.Absolute)
		suffix := ""
		if eps != Epsilons[0] {
			suffix = fmt.Sprintf("_%02.0f", 100*eps)
		}
		v["spurious_score"+suffix] = metric.Mean(rises)
		v["spurious_score_other"+suffix] = metric.Mean(metric.Except(rises, labels, t))
	}
	indicator := metric.Rises(clean, with, t, Epsilons[0], metric.Absolute)
	return v, writeBits(m.job.Dir, indicator)
}

// ceiling is the largest spurious score that is possible: images that are
// already given to the target with p > 1 − ε cannot rise by ε.
func ceiling(clean metric.Probs, target int) float64 {
	n := 0
	for i := range clean.Len() {
		if float64(clean.Row(i)[target]) <= 1-Epsilons[0] {
			n++
		}
	}
	return float64(n) / float64(clean.Len())
}

// norms remembers the mean norm of each pattern, which depends on no model.
type norms struct {
	mu    sync.Mutex
	known map[normKey]float64
}

type normKey struct {
	data    run.Data
	pattern string
	seed    uint32
	size    int
}

func (n *norms) of(d run.Data, p pattern.Pattern, images []uint8) float64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	key := normKey{d, p.Name, p.Seed, len(images)}
	if v, ok := n.known[key]; ok {
		return v
	}
	clean := make([]float32, len(images))
	for i, b := range images {
		clean[i] = float32(b) / 255
	}
	v := metric.PatternNorm(clean, p.OverlayAll(images), p.Shape.Len())
	if n.known == nil {
		n.known = map[normKey]float64{}
	}
	n.known[key] = v
	return v
}
