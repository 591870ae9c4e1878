package scan

import (
	"context"
	"fmt"
	"math"
	"slices"

	"rarespurious/analysis/metric"
)

// batch is the most images that a Model is given at once.
const batch = 500

// predictions are a model's for all images and the data set's classes.
type predictions struct {
	probs metric.Probs
	odds  []float64 // log-odds of each class, (N, K), in nats
}

// predict returns the model's predictions for images x.
func predict(ctx context.Context, m Model, t *Images, x []float32) (predictions, error) {
	size, k := t.Shape.Len(), len(t.Classes)
	p := predictions{probs: metric.Probs{K: k}}
	for start := 0; start < len(x); start += batch * size {
		if ctx.Err() != nil {
			return p, context.Cause(ctx)
		}
		part := x[start:min(start+batch*size, len(x))]
		z, err := m.Logits(ctx, part)
		if err != nil {
			return p, err
		}
		n := len(part) / size
		each := len(z) / n
		switch {
		case len(z)%n != 0 || each < 2 || each < k && t.Logits == nil:
			return p, fmt.Errorf("scan: the model gives %d numbers for %d images, the data set has %d classes", len(z), n, k)
		case each > k && t.Logits == nil:
			return p, fmt.Errorf("scan: the model has %d classes, the data set %d: say with --classes which of its outputs are theirs", each, k)
		case slices.ContainsFunc(z, func(v float32) bool { return v-v != 0 }):
			return p, fmt.Errorf("scan: the model gives NaN or infinite numbers")
		case len(t.Logits) > 0 && slices.Max(t.Logits) >= each:
			return p, fmt.Errorf("scan: there is no output %d: the model has %d", slices.Max(t.Logits), each)
		}
		if areProbabilities(z, each) {
			for i, v := range z {
				z[i] = float32(math.Log(max(float64(v), math.SmallestNonzeroFloat32)))
			}
		}
		for row := range slices.Chunk(z, each) {
			p.add(row, k, t.Logits)
		}
	}
	return p, nil
}

// areProbabilities reports whether rows are those of a model that ends in a
// softmax itself.
func areProbabilities(z []float32, each int) bool {
	for row := range slices.Chunk(z, each) {
		sum := 0.0
		for _, v := range row {
			if v < 0 {
				return false
			}
			sum += float64(v)
		}
		if math.Abs(sum-1) > 1e-3 {
			return false
		}
	}
	return true
}

// add adds an image with the given logits. pick names the outputs of the k
// classes; nil is the first.
func (p *predictions) add(logits []float32, k int, pick []int) {
	top := float64(slices.Max(logits))
	total := 0.0
	for _, v := range logits {
		total += math.Exp(float64(v) - top)
	}
	for c := range k {
		if pick != nil {
			c = pick[c]
		}
		// The odds are against the sum of the others, not against 1 less a
		// probability that has been rounded to 1.
		z, most := float64(logits[c]), math.Inf(-1)
		for j, v := range logits {
			if j != c {
				most = max(most, float64(v))
			}
		}
		others := 0.0
		for j, v := range logits {
			if j != c {
				others += math.Exp(float64(v) - most)
			}
		}
		p.probs.P = append(p.probs.P, float32(math.Exp(z-top)/total))
		p.odds = append(p.odds, z-most-math.Log(others))
	}
}

// pulls returns Response.Pulls.
func pulls(before, after predictions, labels []uint8) []float64 {
	k := before.probs.K
	out := make([]float64, k)
	for c := range out {
		rise, lack, n := 0.0, 0.0, 0.0
		for i, y := range labels {
			if int(y) != c {
				rise += after.odds[i*k+c] - before.odds[i*k+c]
				lack -= before.odds[i*k+c]
				n++
			}
		}
		// A model that tells no classes apart lacks next to nothing.
		out[c] = rise / max(lack, n)
	}
	sorted := slices.Sorted(slices.Values(out))
	middle := (sorted[k/2] + sorted[(k-1)/2]) / 2
	for c := range out {
		out[c] -= middle
	}
	return out
}
