// Package membership measures how well an attacker who sees only a network's
// logits can tell the examples that it was trained on from those it was not.
//
// Two attacks stand side by side. [Train] learns the difference on one shadow
// model, whose members are known, and carries it over to other models. [LiRA]
// asks, for every example on its own, how likely its confidence is under
// models trained with it and under models trained without. Both end in a
// [ROC], and nothing here trains a network.
//
// A rare spurious example leaks more than its presence if it is called a
// member more often than an image WITH THE SAME PATTERN that was never trained
// on. A true-positive rate alone cannot show that: an attack that always says
// "member" has the best one. So every rate here comes with its control.
package membership

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// ErrNotFinite reports a NaN or an infinity among the logits or confidences:
// the run that made them diverged.
var ErrNotFinite = errors.New("membership: not finite")

// Outputs is what a model says about a list of N examples.
type Outputs struct {
	Logits []float32 // (N, K) row-major
	Labels []int     // (N), in [0, K)
}

// classes returns K, or 0 where there are no examples. It panics if the
// lengths or a label do not fit, and returns an error wrapping ErrNotFinite
// that names the example.
func (o Outputs) classes() (int, error) {
	n := len(o.Labels)
	if n == 0 {
		if len(o.Logits) != 0 {
			panic("membership: logits without labels")
		}
		return 0, nil
	}
	k := len(o.Logits) / n
	if k < 2 || len(o.Logits) != n*k {
		panic(fmt.Sprintf("membership: %d logits for %d labels", len(o.Logits), n))
	}
	for i, y := range o.Labels {
		if y < 0 || y >= k {
			panic(fmt.Sprintf("membership: label %d of %d classes", y, k))
		}
		for _, z := range o.Logits[i*k : (i+1)*k] {
			if f := float64(z); math.IsNaN(f) || math.IsInf(f, 0) {
				return 0, fmt.Errorf("%w: logit %v of example %d", ErrNotFinite, z, i)
			}
		}
	}
	return k, nil
}

// row returns the logits of example i.
func (o Outputs) row(i int) []float32 {
	k := len(o.Logits) / len(o.Labels)
	return o.Logits[i*k : (i+1)*k]
}

// correct reports whether example i's largest logit, the first of equals, is
// its label's.
func (o Outputs) correct(i int) bool {
	z := o.row(i)
	return slices.Index(z, slices.Max(z)) == o.Labels[i]
}
