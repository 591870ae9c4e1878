package theory

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// With the expectation of the samples' moments in place of samples, ridge
// regression is the closed form, in any dimension.
func TestFitOfExpectedMomentsIsTheory(t *testing.T) {
	const n = 2_000_000
	for _, m := range models() {
		for _, dim := range []int{1, 3} {
			f, err := fit(m, n, dim, func(n int) *mat.SymDense {
				gram := mat.NewSymDense(2*dim+1, nil)
				for i := range 2*dim + 1 {
					gram.SetSym(i, i, float64(n))
				}
				return gram
			})
			if err != nil {
				t.Fatal(err)
			}
			want := solve(t, m)
			got := Solution{f.inv() / m.Norm2Inv, f.sp() / m.Norm2Sp, f.b, f.accuracy(m, CleanTest), f.accuracy(m, SpuriousTest), f.sp()}
			expect(t, m, got, want, 1e-12)
		}
	}
}

// Five standard errors at a small size; Check at full size has a tolerance.
func TestSimulate(t *testing.T) {
	m := with(base(), 0.1, 1)
	m.Noise = 0.3
	for _, in := range []Placement{TrainingOnly, TrainingAndTest} {
		for _, tests := range []int{0, 20_000} {
			m.NoiseIn = in
			rows, err := Simulate(t.Context(), m, Settings{Samples: 20_000, Moments: tests == 0, Repeats: 10, Dim: 2, Tests: tests, Seed: 1})
			if err != nil {
				t.Fatal(err)
			}
			if len(rows) != len(quantities) {
				t.Fatalf("%d rows, want one per quantity", len(rows))
			}
			for i, r := range rows {
				if r.Quantity != Quantity(i) || r.Model != m {
					t.Errorf("row %d is %v of %v", i, r.Quantity, r.Model)
				}
				if !(math.Abs(r.Error()) < 5*r.StdErr) || r.StdErr > 0.01 {
					t.Errorf("%v, %d tests: %v is %g ± %g, theory says %g", m, tests, r.Quantity, r.Simulated, r.StdErr, r.Theory)
				}
			}
		}
	}
}

// Both ways to draw the moments have the exact means of the first, second and
// mixed moments of n normal vectors, each within five standard errors. With few
// examples drawMoments falls back to drawGram.
func TestDrawnMoments(t *testing.T) {
	const d, draws = 2, 20_000
	for name, draw := range map[string]func(*rand.Rand, int, int) *mat.SymDense{"gram": drawGram, "moments": drawMoments} {
		for _, n := range []int{0, 1, 3, 20} {
			rng := stream(1, name)
			stats := make(map[string][]float64)
			wants := make(map[string]float64)
			for range draws {
				g := draw(rng, n, d)
				if g.At(d, d) != float64(n) {
					t.Fatalf("%s: %g examples, want %d", name, g.At(d, d), n)
				}
				add := func(of string, value, want float64) {
					stats[of] = append(stats[of], value)
					wants[of] = want
				}
				x, y, xx, xy, yy := g.At(0, d), g.At(1, d), g.At(0, 0), g.At(0, 1), g.At(1, 1)
				N := float64(n)
				add("Σx", x, 0)
				add("(Σx)²", x*x, N)
				add("ΣxΣy", x*y, 0)
				add("Σx²", xx, N)
				add("Σxy", xy, 0)
				add("(Σx²)²", xx*xx, N*(N+2))
				add("Σx²Σy²", xx*yy, N*N)
				add("(Σxy)²", xy*xy, N)
				add("(Σx)²Σx²", x*x*xx, N*(N+2))
				add("ΣxΣyΣxy", x*y*xy, N)
			}
			for of, values := range stats {
				mean, sd := stat.MeanStdDev(values, nil)
				if math.Abs(mean-wants[of]) > 5*sd/math.Sqrt(draws) {
					t.Errorf("%s, n = %d: the mean of %s is %g, want %g", name, n, of, mean, wants[of])
				}
			}
		}
	}
}

func TestSimulateIsSeeded(t *testing.T) {
	m := with(base(), 0.1, 0)
	run := func(seed uint64, workers int) []Row {
		rows, err := Simulate(t.Context(), m, Settings{Samples: 1000, Repeats: 5, Dim: 2, Tests: 100, Seed: seed, Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	one, many, other := run(1, 1), run(1, 4), run(2, 1)
	for i := range one {
		if one[i] != many[i] {
			t.Errorf("%v depends on the number of workers", one[i].Quantity)
		}
		if one[i].Simulated == other[i].Simulated {
			t.Errorf("%v does not depend on the seed", one[i].Quantity)
		}
	}
}

func TestSimulateRefuses(t *testing.T) {
	good := Settings{Samples: 100, Repeats: 1, Dim: 1}
	m := with(base(), 0.1, 0)
	for name, s := range map[string]Settings{
		"odd samples": {Samples: 101, Repeats: 1, Dim: 1},
		"no samples":  {Repeats: 1, Dim: 1},
		"no repeats":  {Samples: 100, Dim: 1},
		"no dim":      {Samples: 100, Repeats: 1},
		"tests":       {Samples: 100, Repeats: 1, Dim: 1, Tests: -1},
		"workers":     {Samples: 100, Repeats: 1, Dim: 1, Workers: -1},
	} {
		if _, err := Simulate(t.Context(), m, s); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := Simulate(t.Context(), Model{}, good); !errors.Is(err, ErrModel) {
		t.Errorf("error %v, want ErrModel", err)
	}
	few := good
	few.Samples, few.Dim = 4, 4 // 9 unknowns
	if _, err := Simulate(t.Context(), m, few); !errors.Is(err, ErrDegenerate) {
		t.Errorf("error %v, want ErrDegenerate", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Simulate(ctx, m, good); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want Canceled", err)
	}
}

func TestCounts(t *testing.T) {
	for _, gamma := range []float64{0, 0.001, 0.1, 1.0 / 3, 1} {
		m := with(base(), gamma, 0)
		got := counts(m.branches(Training), 1000)
		if got[0]+got[1] != 500 || got[2] != 500 || math.Abs(float64(got[1])-500*gamma) > 0.51 {
			t.Errorf("γ = %g: %v", gamma, got)
		}
	}
}

// The size of DefaultSettings without sampled tests, so that it takes
// milliseconds; the tolerance is the real one.
func TestCheck(t *testing.T) {
	s := DefaultSettings()
	s.Tests = 0
	rows, err := Check(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if want := len(CheckModels()) * len(quantities); len(rows) != want {
		t.Fatalf("%d rows, want %d", len(rows), want)
	}
	for _, r := range rows {
		if !r.OK() || r.StdErr > Tolerance/5 {
			t.Errorf("%v: %v is %g ± %g, theory says %g", r.Model, r.Quantity, r.Simulated, r.StdErr, r.Theory)
		}
	}
	far := Row{Theory: 1, Simulated: 1 + 2*Tolerance}
	near := Row{Theory: 1, Simulated: 1 - Tolerance/2}
	if far.OK() || !near.OK() || (Row{Simulated: math.NaN()}).OK() {
		t.Error("OK does not keep the tolerance")
	}
}

func BenchmarkSimulate(b *testing.B) {
	s := Settings{Samples: 1_000_000, Repeats: 1, Dim: 2}
	for b.Loop() {
		if _, err := Simulate(b.Context(), with(base(), 0.1, 0), s); err != nil {
			b.Fatal(err)
		}
	}
}
