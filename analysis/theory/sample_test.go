package theory

import (
	"math"
	"testing"
)

// The least-squares fit of a sample, evaluated, is near the closed form.
func TestSampleHasTheModelsMoments(t *testing.T) {
	m := with(base(), 0.2, 0)
	const n, dim = 40_000, 2
	x, labels := m.Sample(Training, n, dim, 3)
	again, _ := m.Sample(Training, n, dim, 3)
	var spurious, sum, square float64
	for i, y := range labels {
		if x[4*i] != again[4*i] {
			t.Fatal("a second sample of one seed differs")
		}
		q := float64(x[4*i+2]+x[4*i+3]) / math.Sqrt(2*m.Norm2Sp) // coordinate along q, in units of its norm
		if q > 0.5 {
			spurious++
		}
		at := float64(x[4*i]) - float64(y)*math.Sqrt(m.Norm2Inv/2)
		sum, square = sum+at, square+at*at
	}
	if got, want := spurious/n, 0.1; math.Abs(got-want) > 0.002 { // a few cross the middle
		t.Errorf("a share of %g has the spurious feature, want %g", got, want)
	}
	if mean, variance := sum/n, square/n; math.Abs(mean) > 0.02 || math.Abs(variance-m.VarInv) > 0.02 {
		t.Errorf("the invariant part has mean %g and variance %g about its centre, want 0 and %g", mean, variance, m.VarInv)
	}
	if test, _ := m.Sample(SpuriousTest, 10, dim, 3); len(test) != 40 {
		t.Errorf("%d numbers for 10 examples in 4 dimensions", len(test))
	}
}

// Evaluating the optimal classifier gives the solution that it comes from.
func TestEvaluate(t *testing.T) {
	for _, m := range models() {
		want, err := m.Solve()
		if err != nil {
			continue
		}
		for _, dim := range []int{1, 3} {
			w := m.mean(dim)
			for j := range w {
				w[j] *= pick(j < dim, want.U, want.V)
			}
			expect(t, m, m.Evaluate(w, want.B), want, 1e-12)
		}
	}
}

func TestFitPhase(t *testing.T) {
	gammas := []float64{1e-4, 1e-3, 3e-3, 0.01, 0.1}
	y := make([]float64, len(gammas))
	for i, g := range gammas {
		y[i] = 0.8 * g / (g + 2e-3)
	}
	p, g := FitPhase(gammas, y)
	if math.Abs(p-0.8) > 0.01 || math.Abs(g/2e-3-1) > 0.02 {
		t.Errorf("plateau %g, half-rise %g, want .8 and .002", p, g)
	}
}
