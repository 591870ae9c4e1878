package metric

import "math"

// A Gain says by how much a probability rose, from before to after, both in
// [0, 1]. It is what a spurious score compares with ε; NaN never exceeds it.
type Gain func(before, after float64) float64

// Absolute is Eq. 1's gain: f_t(P(x)) − f_t(x).
func Absolute(before, after float64) float64 { return after - before }

// Headroom is the share gained of what was left to gain, (after − before) /
// (1 − before). An image with f_t(x) = 1 has nothing left and never counts.
//
// The paper's Eq. 5 (normalised score) is lost, and the authors' code does not
// have it: this is our reconstruction, [Relative] the other candidate.
func Headroom(before, after float64) float64 {
	if before >= 1 {
		return math.NaN()
	}
	return (after - before) / (1 - before)
}

// Relative is the gain in units of where it started, (after − before) /
// before. From 0 every rise is infinite; no rise never counts.
func Relative(before, after float64) float64 { return (after - before) / before }

// Rises returns per image 1 where the target's probability rises by strictly
// more than eps when the pattern is put on, else 0. clean and pattern are the
// predictions for the same images without and with it. The comparison is in
// float64.
func Rises(clean, pattern Probs, target int, eps float64, gain Gain) []float64 {
	before, after := clean.Column(target), pattern.Column(target)
	mustLen(len(before), len(after))
	rise := make([]float64, len(before))
	for i := range rise {
		if gain(before[i], after[i]) > eps {
			rise[i] = 1
		}
	}
	return rise
}

// SpuriousScore returns the ε-spurious score over ALL images, in [0, 1]; NaN
// without images. Images that the clean input already gives to the target with
// more than 1 − eps can never count, so that the score stays below 1: about
// .90 on MNIST at ε = .1. For the score over images of other classes use
// Mean(Except(Rises(…), labels, target)).
//
// Reference: Yang, Chou and Chaudhuri, "Understanding Rare Spurious
// Correlations in Neural Networks", Eq. 1, https://arxiv.org/abs/2202.05189.
func SpuriousScore(clean, pattern Probs, target int, eps float64) float64 {
	return Mean(Rises(clean, pattern, target, eps, Absolute))
}

// NormalisedScore is [SpuriousScore] with [Headroom]: Eq. 5 as we read it.
func NormalisedScore(clean, pattern Probs, target int, eps float64) float64 {
	return Mean(Rises(clean, pattern, target, eps, Headroom))
}
