package metric_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"rarespurious/analysis/metric"
)

// Four images, two classes, target 1: image 0 rises by .7, image 1 by exactly
// .25, image 2 falls, image 3 is given to the target already.
var (
	labels  = []uint8{0, 0, 0, 1}
	clean   = metric.Probs{K: 2, P: []float32{.875, .125, .75, .25, .5, .5, 0, 1}}
	pattern = metric.Probs{K: 2, P: []float32{.125, .875, .5, .5, .75, .25, 0, 1}}
)

func ExampleSpuriousScore() {
	fmt.Println(metric.SpuriousScore(clean, pattern, 1, .1))
	rises := metric.Rises(clean, pattern, 1, .1, metric.Absolute)
	fmt.Println(rises)
	fmt.Printf("%.3f\n", metric.Mean(metric.Except(rises, labels, 1)))
	// Output:
	// 0.5
	// [1 1 0 0]
	// 0.667
}

func TestAccuracies(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"clean", metric.Accuracy(clean, labels), 1}, // a tie goes to the first class
		{"spurious", metric.SpuriousAccuracy(pattern, labels, 1), 2. / 3},
		{"spurious, all of the target", metric.SpuriousAccuracy(pattern, []int{1, 1, 1, 1}, 1), math.NaN()},
		{"true class", metric.TrueClass(clean, labels), (.875 + .75 + .5 + 1) / 4},
		{"no images", metric.Accuracy(metric.Probs{K: 2}, []int{}), math.NaN()},
	} {
		if !same(c.got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
}

func TestArgmaxOfNaN(t *testing.T) {
	nan := float32(math.NaN())
	for _, row := range [][]float32{{}, {nan, nan}, {1, nan}} {
		if got := metric.Argmax(row); got != -1 {
			t.Errorf("Argmax(%v) = %d, want -1", row, got)
		}
	}
	if got := metric.Argmax([]float32{.1, .7, .2}); got != 1 {
		t.Errorf("Argmax = %d, want 1", got)
	}
}

func TestGains(t *testing.T) {
	for _, c := range []struct {
		name string
		gain metric.Gain
		eps  float64
		want []float64
	}{
		{"the inequality is strict", metric.Absolute, .25, []float64{1, 0, 0, 0}},
		{"head-room of image 1 is 1/3", metric.Headroom, .33, []float64{1, 1, 0, 0}},
		{"head-room of image 1 is 1/3", metric.Headroom, .34, []float64{1, 0, 0, 0}},
		{"image 1 doubles", metric.Relative, .99, []float64{1, 1, 0, 0}},
		{"image 1 doubles", metric.Relative, 1, []float64{1, 0, 0, 0}},
		{"a fall is a gain above -1", metric.Absolute, -1, []float64{1, 1, 1, 1}},
		{"full images never count", metric.Headroom, -9, []float64{1, 1, 1, 0}},
	} {
		if got := metric.Rises(clean, pattern, 1, c.eps, c.gain); !slices.Equal(got, c.want) {
			t.Errorf("%s: Rises(ε=%v) = %v, want %v", c.name, c.eps, got, c.want)
		}
	}
	if g := metric.Relative(0, .5); !math.IsInf(g, 1) {
		t.Errorf("Relative(0, .5) = %v, want +Inf", g)
	}
	if got := metric.NormalisedScore(clean, pattern, 1, .34); got != .25 {
		t.Errorf("NormalisedScore = %v, want .25", got)
	}
}

func TestPatternNorm(t *testing.T) {
	// Two images of two values: distances 5 and 1.
	got := metric.PatternNorm([]float32{0, 0, 1, 1}, []float32{3, 4, 1, 0}, 2)
	if got != 3 {
		t.Errorf("PatternNorm = %v, want 3", got)
	}
}

func TestMismatchesPanic(t *testing.T) {
	for name, f := range map[string]func(){
		"labels":   func() { metric.Accuracy(clean, labels[:3]) },
		"rows":     func() { metric.Probs{K: 3, P: make([]float32, 4)}.Len() },
		"class":    func() { clean.Column(2) },
		"images":   func() { metric.PatternNorm(make([]float32, 3), make([]float32, 3), 2) },
		"subset":   func() { metric.Except([]float64{1}, labels, 0) },
		"patterns": func() { metric.SpuriousScore(clean, metric.Probs{K: 2}, 1, .1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

// same reports equality up to rounding, with NaN equal to NaN.
func same(a, b float64) bool {
	return a == b || math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) <= 1e-12*math.Max(math.Abs(a), math.Abs(b))
}
