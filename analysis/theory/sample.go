package theory

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/floats"
)

// Sample draws n examples of d in 2·dim dimensions, the first half of which are
// the invariant subspace's: x is (n, 2·dim) row-major, labels are +1 and −1.
// The mean of a feature has equal coordinates. The branches get their expected
// shares of n, rounded, one after the other. The noise of m is added where its
// placement has it in the data themselves, in the test's: that of training is
// the trainer's to add. It panics unless m is valid and n and dim are positive.
func (m Model) Sample(d Distribution, n, dim int, seed uint64) (x []float32, labels []int) {
	if err := m.Validate(); err != nil || n < 1 || dim < 1 {
		panic(fmt.Sprintf("theory: a sample of %d examples in 2·%d dimensions: %v", n, dim, err))
	}
	inv, sp := m.VarInv, m.VarSp
	if d != Training {
		inv, sp = m.variances(d)
	}
	mean := m.mean(dim)
	rng := stream(seed, fmt.Sprintf("theory/sample/%v/%v", m, d))
	branches := m.branches(d)
	for i, count := range counts(branches, n) {
		b := branches[i]
		for range count {
			for j, at := range mean {
				at *= pick(j < dim, float64(b.class), b.sp())
				x = append(x, float32(at+math.Sqrt(pick(j < dim, inv, sp))*rng.NormFloat64()))
			}
			labels = append(labels, b.class)
		}
	}
	return x, labels
}

// mean returns (m, q) in 2·dim dimensions.
func (m Model) mean(dim int) []float64 {
	mean := make([]float64, 2*dim)
	for j := range mean {
		mean[j] = math.Sqrt(pick(j < dim, m.Norm2Inv, m.Norm2Sp) / float64(dim))
	}
	return mean
}

// Evaluate returns what the classifier sign(w·x + b) is and does under m, in
// closed form: its U and V are the projections of w on the features, in their
// units. w is of the dimensions of [Model.Sample].
func (m Model) Evaluate(w []float64, b float64) Solution {
	f := classifier{w: w, b: b, mean: m.mean(len(w) / 2)}
	return Solution{
		U: f.inv() / m.Norm2Inv, V: f.sp() / m.Norm2Sp, B: f.b,
		CleanAccuracy:    f.accuracy(m, CleanTest),
		SpuriousAccuracy: f.accuracy(m, SpuriousTest),
		Difference:       f.sp(),
	}
}

// FitPhase fits y ≈ plateau·γ/(γ + halfRise), the shape of the phase transition,
// by least squares; halfRise is found within a percent between a tenth of the
// least and ten times the greatest γ. All γ are positive.
func FitPhase(gammas, y []float64) (plateau, halfRise float64) {
	if len(gammas) == 0 || len(gammas) != len(y) || floats.Min(gammas) <= 0 {
		panic("theory: a fit of a phase transition to no points")
	}
	best := math.Inf(1)
	shape := make([]float64, len(y))
	for g := floats.Min(gammas) / 10; g <= 10*floats.Max(gammas); g *= 1.01 {
		for i, gamma := range gammas {
			shape[i] = gamma / (gamma + g)
		}
		p := floats.Dot(shape, y) / floats.Dot(shape, shape)
		floats.Scale(p, shape)
		if d := floats.Distance(shape, y, 2); d < best {
			best, plateau, halfRise = d, p, g
		}
	}
	return plateau, halfRise
}
