package deletion_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"rarespurious/analysis/deletion"
)

var ctx = context.Background()

// (H + λI)x = v, whatever the scale.
func TestLiSSAFixedPoint(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	h := withSpectrum(rng, 0, 0.5, 1, 4)
	v := newVec(normals(rng, 4)...)
	want := solve(h, 0.3, v.x)
	for _, scale := range []float64{2.2, 4, 10, 40} { // above half of 4.3
		x := newVec(0, 0, 0, 0)
		o := deletion.LiSSA{Depth: 200 * int(1+scale), Repeats: 1, Damping: 0.3, Scale: scale}
		if err := deletion.SolveLiSSA(ctx, x, v, always(times(h)), o); err != nil {
			t.Fatal(err)
		}
		near(t, "x", x.x, want, 1e-9)
	}
}

// The average of ten equal runs equals one; of different ones it is their mean.
func TestLiSSAAverages(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	v := newVec(normals(rng, 3)...)
	var ops []deletion.Operator[*vec]
	for range 10 {
		ops = append(ops, times(withSpectrum(rng, rng.Float64(), 1, 2)))
	}
	const depth = 7
	run := func(repeats int, batches func(int) deletion.Operator[*vec]) []float64 {
		x := newVec(0, 0, 0)
		if err := deletion.SolveLiSSA(ctx, x, v, batches, deletion.LiSSA{Depth: depth, Repeats: repeats, Damping: 0.1, Scale: 2}); err != nil {
			t.Fatal(err)
		}
		return x.x
	}
	near(t, "ten equal runs", run(10, always(ops[0])), run(1, always(ops[0])), 1e-15)

	mean := make([]float64, 3)
	for r := range 10 {
		for i, x := range run(1, always(ops[r])) {
			mean[i] += x / 10
		}
	}
	near(t, "ten different runs", run(10, func(step int) deletion.Operator[*vec] { return ops[step/depth] }), mean, 1e-14)
}

// Mini-batches whose mean is H solve for H, up to the variance of the last steps.
func TestLiSSAOnBatches(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const batches = 20
	var ops []deletion.Operator[*vec]
	h := mat.NewSymDense(3, nil)
	for range batches {
		a := withSpectrum(rng, 0.5, 1, 1+rng.Float64())
		ops = append(ops, times(a))
		share := mat.NewSymDense(3, nil)
		share.ScaleSym(1./batches, a)
		h.AddSym(h, share)
	}
	v := newVec(normals(rng, 3)...)
	largest, err := deletion.LargestEigenvalue(ctx, v, 1e-3, ops...)
	if err != nil {
		t.Fatal(err)
	}
	x := newVec(0, 0, 0)
	o := deletion.LiSSA{Depth: 2000, Repeats: 20, Damping: 0.1, Scale: 10 * largest}
	if err := deletion.SolveLiSSA(ctx, x, v, func(int) deletion.Operator[*vec] { return ops[rng.IntN(batches)] }, o); err != nil {
		t.Fatal(err)
	}
	near(t, "x", x.x, solve(h, 0.1, v.x), 0.03*mat.Norm(mat.NewVecDense(3, v.x), 2))
}

// What the authors' recursion does not look for it survives: a growth that LiSSA
// refuses, as long as it is finite.
func TestUpstreamGrows(t *testing.T) {
	double := always(times(mat.NewSymDense(1, []float64{-10}))) // h ← v + .9h + 2h
	x := newVec(0)
	if err := deletion.SolveUpstream(ctx, x, newVec(1), double, deletion.Upstream{Depth: 2, Repeats: 1, Damp: 0.1, Scale: 5}); err != nil {
		t.Fatal(err)
	}
	near(t, "h", x.x, []float64{1 + 2.9*(1+2.9)}, 1e-12)
	if err := deletion.SolveUpstream(ctx, x, newVec(1), double, deletion.Upstream{Depth: 1000, Repeats: 1, Damp: 0.1, Scale: 5}); !errors.Is(err, deletion.ErrDiverged) {
		t.Errorf("error %v after 1e462, want ErrDiverged", err)
	}
}

// The authors' recursion ends at scale·(H + scale·damp·I)⁻¹v over the number of runs.
func TestUpstreamFixedPoint(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	h := withSpectrum(rng, -0.05, 0.5, 4)
	v := newVec(normals(rng, 3)...)
	for _, scale := range []float64{5, 25} {
		x := newVec(0, 0, 0)
		o := deletion.Upstream{Depth: 8000, Repeats: 10, Damp: 0.02, Scale: scale}
		if err := deletion.SolveUpstream(ctx, x, v, always(times(h)), o); err != nil {
			t.Fatal(err)
		}
		want := solve(h, scale*0.02, v.x)
		for i := range want {
			want[i] *= scale / 10
		}
		near(t, "h", x.x, want, 1e-9)
	}
}

// A few steps by hand: H = 2, v = 1, damping .5, scale 5.
func TestRecursionsByHand(t *testing.T) {
	two := times(mat.NewSymDense(1, []float64{2}))
	x := newVec(0)
	// h: 1, 1 + 1 − 2.5/5 = 1.5, 1 + 1.5·.5 = 1.75.
	if err := deletion.SolveLiSSA(ctx, x, newVec(1), always(two), deletion.LiSSA{Depth: 2, Repeats: 3, Damping: 0.5, Scale: 5}); err != nil {
		t.Fatal(err)
	}
	near(t, "lissa", x.x, []float64{1.75 / 5}, 1e-15)
	// h: 1, 1 + .9 − .4 = 1.5, 1 + 1.5·.5 = 1.75.
	if err := deletion.SolveUpstream(ctx, x, newVec(1), always(two), deletion.Upstream{Depth: 2, Repeats: 10, Damp: 0.1, Scale: 5}); err != nil {
		t.Fatal(err)
	}
	near(t, "upstream", x.x, []float64{0.175}, 1e-15)
}

func TestLiSSADivergence(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	v := newVec(normals(rng, 3)...)
	nan := func(dst, v *vec) error { return dst.Scal(math.NaN()) }
	for name, tt := range map[string]struct {
		op    deletion.Operator[*vec]
		scale float64
	}{
		"scale too small": {times(withSpectrum(rng, 1, 2, 9)), 3},
		"indefinite":      {times(withSpectrum(rng, -1, 2, 9)), 10},
		"not a number":    {nan, 10},
	} {
		x := newVec(7, 7, 7)
		err := deletion.SolveLiSSA(ctx, x, v, always(tt.op), deletion.LiSSA{Depth: 500, Repeats: 2, Damping: 0.1, Scale: tt.scale})
		if !errors.Is(err, deletion.ErrDiverged) || !strings.Contains(err.Error(), "run 0: ") || !strings.Contains(err.Error(), "step") {
			t.Errorf("%s: error %v, want ErrDiverged with run and step", name, err)
		}
		near(t, name+": dst", x.x, []float64{7, 7, 7}, 0)
	}
}

// On the edge of its range the recursion grows, but never so fast as to be
// taken for divergence.
func TestLiSSAAtTheLimit(t *testing.T) {
	v := &vec{[]float64{1, 1. / 3}, &heap{single: true}}
	o := deletion.LiSSA{Depth: 3000, Repeats: 1, Scale: 2}
	// Eigenvalues 0, where h grows by v each step, and 2·scale, where it swings.
	if err := deletion.SolveLiSSA(ctx, newVec(0, 0), v, always(times(mat.NewSymDense(2, []float64{0, 0, 0, 4}))), o); err != nil {
		t.Error(err)
	}
}

func TestCG(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	a := withSpectrum(rng, 0, 0.1, 1, 1, 30)
	v := newVec(normals(rng, 5)...)
	want := solve(a, 0.01, v.x)
	x := newVec(v.x...) // dst may be v
	s, err := deletion.SolveCG(ctx, x, x, times(a), deletion.CG{Damping: 0.01, Tol: 1e-10, MaxIter: 50})
	if err != nil {
		t.Fatal(err)
	}
	if s.Residual > 1e-10 || s.Iterations > 10 {
		t.Errorf("%+v, want a residual of 1e-10 in as many steps as eigenvalues, or little more", s)
	}
	near(t, "x", x.x, want, 1e-6)
}

func TestCGOfNothing(t *testing.T) {
	x := newVec(7, 7)
	s, err := deletion.SolveCG(ctx, x, newVec(0, 0), times(mat.NewSymDense(2, []float64{1, 0, 0, 1})), deletion.CG{Tol: 1e-6, MaxIter: 5})
	if err != nil || s != (deletion.Solution{}) {
		t.Errorf("%+v, %v; want no iterations and no error", s, err)
	}
	near(t, "x", x.x, []float64{0, 0}, 0)
}

// The gradient of examples that are fitted well is so small that products with
// it underflow in float32. That is not an indefinite curvature.
func TestCGOfNextToNothing(t *testing.T) {
	v := newVec(1e-37, 4e-37)
	v.heap.single = true
	x, _ := v.NewLike()
	a := times(mat.NewSymDense(2, []float64{1e-9, 0, 0, 2e-9}))
	if _, err := deletion.SolveCG(ctx, x, v, a, deletion.CG{Tol: 1e-6, MaxIter: 5}); err != nil {
		t.Fatal(err)
	}
	near(t, "x·1e28", []float64{x.x[0] * 1e28, x.x[1] * 1e28}, []float64{1, 2}, 1e-5)
}

func TestCGIndefinite(t *testing.T) {
	a := times(mat.NewSymDense(2, []float64{-2, 0, 0, 1}))
	v, x := newVec(3, 0), newVec(7, 7)
	_, err := deletion.SolveCG(ctx, x, v, a, deletion.CG{Damping: 0.5, Tol: 1e-6, MaxIter: 50})
	if !errors.Is(err, deletion.ErrIndefinite) || !strings.Contains(err.Error(), "-1.5 ") {
		t.Errorf("error %v, want ErrIndefinite with the curvature -1.5", err)
	}
	near(t, "dst", x.x, []float64{7, 7}, 0)
	if _, err := deletion.SolveCG(ctx, x, v, a, deletion.CG{Damping: 2.1, Tol: 1e-6, MaxIter: 50}); err != nil {
		t.Errorf("with enough damping: %v", err)
	}
	nan := func(dst, v *vec) error { return dst.Axpy(math.NaN(), v) }
	if _, err := deletion.SolveCG(ctx, x, v, nan, deletion.CG{Tol: 1e-6, MaxIter: 50}); !errors.Is(err, deletion.ErrDiverged) {
		t.Errorf("error %v on NaN, want ErrDiverged", err)
	}
}

// The residual that is reported is the true one, in single precision as well,
// where the one carried along is far too small.
func TestCGReportsTrueResidual(t *testing.T) {
	rng := rand.New(rand.NewPCG(15, 16))
	a := withSpectrum(rng, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1)
	for _, tt := range []struct {
		single  bool
		maxIter int
	}{{true, 100}, {false, 3}} {
		h := &heap{single: tt.single}
		v, x := &vec{normals(rng, 6), h}, &vec{make([]float64, 6), h}
		s, err := deletion.SolveCG(ctx, x, v, times(a), deletion.CG{Tol: 1e-6, MaxIter: tt.maxIter})
		if !errors.Is(err, deletion.ErrNoConvergence) || s.Iterations != tt.maxIter {
			t.Errorf("%+v: %+v, %v; want ErrNoConvergence at the last iteration", tt, s, err)
		}
		last := slices.Clone(x.x)
		truncated, err := deletion.SolveCG(ctx, x, v, times(a), deletion.CG{Tol: 1e-6, MaxIter: tt.maxIter, Inexact: true})
		if err != nil || truncated != s || !slices.Equal(x.x, last) {
			t.Errorf("%+v: inexact gives %+v, %v, and not the iterate that the error came with", tt, truncated, err)
		}
		var r mat.VecDense
		r.MulVec(a, mat.NewVecDense(6, x.x))
		r.SubVec(mat.NewVecDense(6, v.x), &r)
		if want := mat.Norm(&r, 2) / mat.Norm(mat.NewVecDense(6, v.x), 2); !(math.Abs(s.Residual/want-1) < 0.2) {
			t.Errorf("%+v: residual %g, want %g", tt, s.Residual, want)
		}
	}
}
