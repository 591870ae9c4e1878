package metric_test

import (
	"math"
	"testing"

	"rarespurious/analysis/metric"
)

var nan = math.NaN()

func near(a, b float64) bool {
	return a == b || math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) <= 1e-9*math.Abs(b)
}

func TestMeanSE(t *testing.T) {
	for _, c := range []struct {
		x        []float64
		mean, se float64
	}{
		{nil, nan, nan},
		{[]float64{3}, 3, nan},
		{[]float64{1, 3}, 2, 1},
		{[]float64{.1, .1, .1}, .1, 0},
		{[]float64{1, 2, 3, 4}, 2.5, math.Sqrt(5. / 3 / 4)},
	} {
		if mean, se := metric.MeanSE(c.x); !near(mean, c.mean) || !near(se, c.se) {
			t.Errorf("MeanSE(%v) = %v, %v, want %v, %v", c.x, mean, se, c.mean, c.se)
		}
	}
}

func TestSummarise(t *testing.T) {
	if got, want := metric.Summarise([]float64{4, 1, 1, 2}), (metric.Summary{N: 4, Min: 1, Max: 4, Mean: 2, Std: math.Sqrt(1.5)}); got != want {
		t.Errorf("Summarise = %+v, want %+v", got, want)
	}
	if got := metric.Summarise(nil); got.N != 0 || !math.IsNaN(got.Min) || !math.IsNaN(got.Std) {
		t.Errorf("Summarise(nil) = %+v", got)
	}
}

// The frozen numbers are those of scipy 1.17.1: ttest_ind with
// equal_var=False, ttest_rel (both alternative='greater') and pearsonr.
func TestWelch(t *testing.T) {
	small := []float64{.02, .01, .05, .00, .03}
	for _, c := range []struct {
		a, b []float64
		want metric.Test
	}{
		{[]float64{.81, .79, .85, .90, .77}, small, metric.Test{T: 32.47203084017453, DF: 5.083819490934927, P: 2.152088395214628e-07}},
		{[]float64{.12, .02, .30, .05, .07}, small, metric.Test{T: 1.782964916438237, DF: 4.239074707907998, P: 0.07255651481694898}},
		{[]float64{1, 2, 3, 4}, []float64{2, 2.5, 2.2}, metric.Test{T: 0.4030341774879026, DF: 3.298997991733165, P: 0.3558197572244198}},
		{[]float64{.1, .1, .1}, []float64{0, 0, 0}, metric.Test{T: nan, DF: nan, P: nan}},
		{[]float64{1}, small, metric.Test{T: nan, DF: nan, P: nan}},
	} {
		got := metric.Welch(c.a, c.b)
		if !near(got.T, c.want.T) || !near(got.DF, c.want.DF) || !near(got.P, c.want.P) {
			t.Errorf("Welch(%v, %v) = %+v, want %+v", c.a, c.b, got, c.want)
		}
		if back := metric.Welch(c.b, c.a); !math.IsNaN(got.P) && math.Abs(got.P+back.P-1) > 1e-12 {
			t.Errorf("the two sides' p add up to %v", got.P+back.P)
		}
	}
}

func TestPairedT(t *testing.T) {
	a, b := []float64{.12, .02, .30, .05, .07}, []float64{.02, .01, .05, .00, .03}
	if got := metric.PairedT(a, b); !near(got.T, 2.115452226250208) || got.DF != 4 || !near(got.P, 0.05093127778899038) {
		t.Errorf("PairedT = %+v", got)
	}
	// Differences of .1 that are equal but for rounding are no test.
	if got := metric.PairedT([]float64{.2, .3, .4}, []float64{.1, .2, .3}); !math.IsNaN(got.P) {
		t.Errorf("PairedT of equal differences = %+v, want NaN", got)
	}
}

func TestHolm(t *testing.T) {
	// By hand: sorted .01 .03 .04 are multiplied by 3, 2, 1 and made monotone.
	got := metric.Holm([]float64{.04, nan, .01, .03})
	for i, want := range []float64{.06, nan, .03, .06} {
		if !near(got[i], want) {
			t.Errorf("Holm = %v at %d, want %v", got[i], i, want)
		}
	}
	if got := metric.Holm([]float64{.9, .8}); got[0] != 1 || got[1] != 1 {
		t.Errorf("Holm = %v, want 1, 1", got)
	}
	if got := metric.Holm(nil); len(got) != 0 {
		t.Errorf("Holm(nil) = %v", got)
	}
}

func TestPearson(t *testing.T) {
	for _, c := range []struct {
		x, y []float64
		r, p float64
	}{
		{[]float64{1, 3, 5, 3.88, 7.70, 15.19, 5.98}, []float64{.001, .05, .31, .2, .62, .8, .15}, 0.919902841287272, 0.003338890653774777},
		{[]float64{1, 2, 3}, []float64{3, 1, 2}, -.5, 2. / 3},
		{[]float64{1, 2, 3}, []float64{2, 4, 6}, 1, 0},
		{[]float64{1, 2}, []float64{2, 4}, nan, nan},
		{[]float64{1, 1, 1}, []float64{2, 4, 5}, nan, nan},
	} {
		if r, p := metric.Pearson(c.x, c.y); !near(r, c.r) || math.Abs(p-c.p) > 1e-7 || math.IsNaN(p) != math.IsNaN(c.p) {
			t.Errorf("Pearson(%v, %v) = %v, %v, want %v, %v", c.x, c.y, r, p, c.r, c.p)
		}
	}
}
