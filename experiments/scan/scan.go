// Package scan looks for spurious patterns that a model has learnt, whoever
// trained it.
//
// One idea carries it: what a score means is known only beside the same score
// of models that are known to be clean. Clean models answer strong noise with
// one class as well, so no threshold can be set by reflection. A scan probes a
// model with patterns that it cannot have seen (fresh draws of the random ones, which
// a model that has learnt one draw answers alike), reduces the answers to one
// number per pattern and class, and ranks those among the numbers of a
// [Calibration]: some twenty clean models of the same data set. The rank is the
// verdict, and says how often a clean model would be accused.
package scan

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"rarespurious/analysis/metric"
	"rarespurious/experiments/pattern"
	"rarespurious/experiments/seed"
	"rarespurious/nn"
)

// A Model gives logits for images.
type Model interface {
	// Logits returns (N, K) logits for N images, (N, C, H, W) in [0, 1].
	Logits(ctx context.Context, images []float32) ([]float32, error)
	Close() error
}

// Random lists the patterns that are drawn: one draw at three amplitudes. The
// others are fixed.
var Random = []string{"R1", "R2", "R3"}

// Epsilon is the rise of a probability that a score counts, the paper's.
const Epsilon = 0.1

// Options say what is looked for. Numbers of another choice cannot be compared.
type Options struct {
	Patterns []string // of pattern.Names(); nil is all
	Draws    int      // of a random pattern, and of shuffles of a fixed one; 0 is 10
	// Progress is told the share that is done, in [0, 1]; may be nil.
	Progress func(float64)
}

// firstDraw keeps a scan's draws apart from the patterns of the experiments,
// whose seeds are small.
const firstDraw = 1 << 20

// A Response is what a model makes of one pattern.
type Response struct {
	Pattern string
	// Draw counts the draws of a random pattern, or the shuffles of a fixed one
	// if Control, from 0. A shuffle has the same pixels in other places.
	Draw    int
	Control bool
	// Scores holds, for each class, the share of test images of other classes
	// whose probability of the class rises by more than Epsilon.
	Scores []float64
	// Pulls holds, for each class, how far the pattern moves images of other
	// classes towards it: the mean rise of its log-odds as a share of what they
	// lack on average, less the median of the classes. 0 is as far as towards
	// other classes, and 1 all the way. It shows what a score does not, the
	// moves that flip no image yet, and it depends neither on the scale of the
	// logits nor on the confidence that any pattern takes from a model.
	Pulls []float64
}

// Measure returns the model's clean predictions for the images and its
// responses to the chosen patterns, in a fixed order.
func Measure(ctx context.Context, m Model, t *Images, o Options) (clean metric.Probs, all []Response, err error) {
	names, draws := o.Patterns, o.Draws
	if names == nil {
		names = pattern.Names()
	}
	if draws == 0 {
		draws = 10
	}
	x := floats(t.Images)
	before, err := predict(ctx, m, t, x)
	if err != nil {
		return clean, nil, err
	}
	probes, err := probes(names, t.Shape, draws)
	if err != nil {
		return clean, nil, err
	}
	buffer := make([]float32, len(x))
	for i, p := range probes {
		overlay(buffer, x, p.delta)
		after, err := predict(ctx, m, t, buffer)
		if err != nil {
			return clean, nil, err
		}
		for c := range t.Classes {
			p.Scores = append(p.Scores, metric.Mean(metric.Except(metric.Rises(before.probs, after.probs, c, Epsilon, metric.Absolute), t.Labels, c)))
		}
		p.Pulls = pulls(before, after, t.Labels)
		all = append(all, p.Response)
		if o.Progress != nil {
			o.Progress(float64(i+1) / float64(len(probes)))
		}
	}
	return before.probs, all, nil
}

// A probe is a pattern to put on images.
type probe struct {
	Response
	delta []float64
}

func probes(names []string, s nn.Shape, draws int) ([]probe, error) {
	var out []probe
	for _, name := range names {
		random := slices.Contains(Random, name)
		for d := range draws {
			p, err := pattern.New(name, s, uint32(firstDraw+d))
			if err != nil {
				return nil, fmt.Errorf("scan: %w", err)
			}
			if random || d == 0 {
				out = append(out, probe{Response{Pattern: name, Draw: d}, p.Delta()})
			}
			if !random {
				out = append(out, probe{Response{Pattern: name, Draw: d, Control: true}, shuffled(p.Delta(), s, seed.Rand(uint64(d), "shuffle"))})
			}
		}
	}
	return out, nil
}

// shuffled moves the pixels of a pattern, all channels together, to random
// places.
func shuffled(delta []float64, s nn.Shape, rng *rand.Rand) []float64 {
	area := s.H * s.W
	out := make([]float64, len(delta))
	for i, j := range rng.Perm(area) {
		for c := range s.C {
			out[c*area+j] = delta[c*area+i]
		}
	}
	return out
}

func floats(b []uint8) []float32 {
	x := make([]float32, len(b))
	for i, v := range b {
		x[i] = float32(v) / 255
	}
	return x
}

// overlay sets dst to clip(x + δ, 0, 1) for each image of x.
func overlay(dst, x []float32, delta []float64) {
	for start := 0; start < len(x); start += len(delta) {
		for j, d := range delta {
			v := x[start+j]
			if d != 0 {
				v = float32(min(max(float64(v)+d, 0), 1))
			}
			dst[start+j] = v
		}
	}
}
