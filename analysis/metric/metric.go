// Package metric measures predictions.
//
// Its one idea: nearly every number of the paper is the mean, over some test
// images, of a question with the answer 0 or 1. So the questions are per-image
// indicator vectors ([Correct], [Rises]), the choice of images is a separate
// step ([Except]), and tests that need the answers image by image have them.
// All functions are pure; seed-level statistics are in stats.go.
package metric

import "math"

// A Label is a class index. Bytes do for the paper's data sets; networks of
// other people may have more than 256 classes.
type Label interface{ ~uint8 | ~int }

// Probs holds the softmax probabilities of N images over K classes, row-major:
// image i's are P[i*K : (i+1)*K], each in [0, 1].
type Probs struct {
	K int
	P []float32
}

// Len reports the number of images N. It panics if P is not N rows of K.
func (p Probs) Len() int {
	if p.K <= 0 || len(p.P)%p.K != 0 {
		panic("metric: probabilities are not rows of K")
	}
	return len(p.P) / p.K
}

// Row returns the K probabilities of image i, aliasing P.
func (p Probs) Row(i int) []float32 { return p.P[i*p.K : (i+1)*p.K] }

// Column returns f_c of every image, of length N.
func (p Probs) Column(c int) []float64 {
	if c < 0 || c >= p.K {
		panic("metric: class out of range")
	}
	col := make([]float64, p.Len())
	for i := range col {
		col[i] = float64(p.P[i*p.K+c])
	}
	return col
}

// Argmax returns the index of the largest entry, the first of equals. A row
// that is empty or holds a NaN predicts nothing: -1.
func Argmax(row []float32) int {
	best := -1
	for c, v := range row {
		if v != v {
			return -1
		}
		if best < 0 || v > row[best] {
			best = c
		}
	}
	return best
}

// Correct returns per image 1 where the largest probability is that of the
// label, else 0. It panics if the lengths differ.
func Correct[L Label](p Probs, labels []L) []float64 {
	mustLen(p.Len(), len(labels))
	hit := make([]float64, len(labels))
	for i, y := range labels {
		if Argmax(p.Row(i)) == int(y) {
			hit[i] = 1
		}
	}
	return hit
}

// Accuracy returns the share of images whose largest probability is that of
// the label, in [0, 1]; NaN without images.
func Accuracy[L Label](p Probs, labels []L) float64 { return Mean(Correct(p, labels)) }

// SpuriousAccuracy returns A_sp in [0, 1]: the accuracy on images that carry
// the pattern, over those whose label is not the target, since for the others
// the pattern is no lie. NaN if there are none.
func SpuriousAccuracy[L Label](pattern Probs, labels []L, target int) float64 {
	return Mean(Except(Correct(pattern, labels), labels, target))
}

// TrueClass returns the mean probability of the label, in [0, 1]; NaN without
// images.
func TrueClass[L Label](p Probs, labels []L) float64 {
	mustLen(p.Len(), len(labels))
	sum := 0.0
	for i, y := range labels {
		sum += float64(p.Row(i)[y])
	}
	return sum / float64(len(labels))
}

// Except returns the entries of v whose image has a label other than target,
// in order.
func Except[L Label](v []float64, labels []L, target int) []float64 {
	mustLen(len(v), len(labels))
	out := make([]float64, 0, len(v))
	for i, y := range labels {
		if int(y) != target {
			out = append(out, v[i])
		}
	}
	return out
}

// PatternNorm returns the empirical norm of a pattern: the mean over images of
// ‖P(x) − x‖₂, all channels flattened, in pixel values. clean and pattern hold
// N images of d values each, in the same order. NaN without images.
//
// Reference: Yang, Chou and Chaudhuri, "Understanding Rare Spurious
// Correlations in Neural Networks", Table 1, https://arxiv.org/abs/2202.05189.
func PatternNorm(clean, pattern []float32, d int) float64 {
	mustLen(len(clean), len(pattern))
	if d <= 0 || len(clean)%d != 0 {
		panic("metric: images are not rows of d")
	}
	sum := 0.0
	for i := 0; i < len(clean); i += d {
		sq := 0.0
		for j := i; j < i+d; j++ {
			v := float64(pattern[j]) - float64(clean[j])
			sq += v * v
		}
		sum += math.Sqrt(sq)
	}
	return sum / float64(len(clean)/d)
}

func mustLen(a, b int) {
	if a != b {
		panic("metric: lengths differ")
	}
}
