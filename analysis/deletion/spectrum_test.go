package deletion_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"rarespurious/analysis/deletion"
)

func TestLargestEigenvalue(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	start := newVec(normals(rng, 4)...)
	small, large := times(withSpectrum(rng, 0, 1, 2, 3)), times(withSpectrum(rng, -7, 1, 2, 6))
	for _, tt := range []struct {
		ops  []deletion.Operator[*vec]
		want float64
	}{
		{[]deletion.Operator[*vec]{small}, 3},
		{[]deletion.Operator[*vec]{small, large, small}, 7},
		{[]deletion.Operator[*vec]{times(mat.NewSymDense(4, nil))}, 0},
		// Eigenvectors of one batch are in the null space of another.
		{[]deletion.Operator[*vec]{
			times(mat.NewSymDense(4, []float64{1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})),
			times(mat.NewSymDense(4, []float64{0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})),
		}, 5},
	} {
		got, err := deletion.LargestEigenvalue(ctx, start, 1e-6, tt.ops...)
		if err != nil || !(math.Abs(got-tt.want) <= 1e-4) || got > tt.want+1e-12 {
			t.Errorf("largest eigenvalue = %v, %v; want %g or a little less", got, err, tt.want)
		}
	}
	for name, f := range map[string]func() (float64, error){
		"zero start": func() (float64, error) {
			return deletion.LargestEigenvalue(ctx, newVec(0, 0, 0, 0), 0.1, small)
		},
		"not a number": func() (float64, error) {
			return deletion.LargestEigenvalue(ctx, start, 0.1, func(dst, v *vec) error { return dst.Axpy(math.NaN(), v) })
		},
	} {
		if _, err := f(); !errors.Is(err, deletion.ErrDiverged) {
			t.Errorf("%s: error %v, want ErrDiverged", name, err)
		}
	}
}

// With as many steps as eigenvalues Lanczos's method is exact; with fewer it
// stays inside the spectrum and its ends come first.
func TestExtremes(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	eigenvalues := []float64{-0.5}
	for range 58 {
		eigenvalues = append(eigenvalues, rng.Float64())
	}
	a := times(withSpectrum(rng, append(eigenvalues, 20)...))
	start := newVec(normals(rng, 60)...)
	for _, tt := range []struct {
		steps int
		tol   float64
	}{{12, 1e-2}, {30, 1e-6}, {100, 1e-12}} {
		least, largest, err := deletion.Extremes(ctx, start, a, tt.steps)
		if err != nil {
			t.Fatal(err)
		}
		if !(math.Abs(least+0.5) <= tt.tol && math.Abs(largest-20) <= tt.tol) || least < -0.5-1e-12 || largest > 20+1e-12 {
			t.Errorf("%d steps: [%v, %v], want [-0.5, 20] within %g and not beyond", tt.steps, least, largest, tt.tol)
		}
	}
	// A start in an invariant space shows only that space.
	least, largest, err := deletion.Extremes(ctx, newVec(2, 0), times(mat.NewSymDense(2, []float64{3, 0, 0, 8})), 5)
	if err != nil || least != 3 || largest != 3 {
		t.Errorf("[%v, %v], %v; want [3, 3]", least, largest, err)
	}
	if _, _, err := deletion.Extremes(ctx, newVec(0, 0), times(mat.NewSymDense(2, nil)), 5); !errors.Is(err, deletion.ErrDiverged) {
		t.Errorf("error %v on a zero start, want ErrDiverged", err)
	}
}

func TestRequirePositive(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	a := times(withSpectrum(rng, -0.25, 1, 2, 3))
	start := newVec(normals(rng, 4)...)
	err := deletion.RequirePositive(ctx, start, a, 0.2, 10)
	if !errors.Is(err, deletion.ErrIndefinite) || !strings.Contains(err.Error(), "-0.25") {
		t.Errorf("error %v, want ErrIndefinite with the eigenvalue -0.25", err)
	}
	if err := deletion.RequirePositive(ctx, start, a, 0.3, 10); err != nil {
		t.Errorf("with a damping of .3: %v", err)
	}
}
