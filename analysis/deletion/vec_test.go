package deletion_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"rarespurious/analysis/deletion"
)

// A vec is a deletion.Vec of plain numbers. Vectors made from one another share
// a heap, which counts those that are open.
type vec struct {
	x    []float64
	heap *heap
}

// A heap fails the allocation or operation that brings left to 0; negative
// never does. With single, results are rounded to float32.
type heap struct {
	open, left int
	single     bool
}

var errHeap = errors.New("heap: out of luck")

func (h *heap) use() error {
	if h.left--; h.left == 0 {
		return errHeap
	}
	return nil
}

func newVec(x ...float64) *vec { return &vec{x, new(heap)} }

func (v *vec) NewLike() (*vec, error) {
	if err := v.heap.use(); err != nil {
		return nil, err
	}
	v.heap.open++
	return &vec{make([]float64, len(v.x)), v.heap}, nil
}

func (v *vec) Close() error { v.heap.open--; return nil }

func (v *vec) Copy(w *vec) error { copy(v.x, w.x); return v.heap.use() }

func (v *vec) Axpy(alpha float64, w *vec) error {
	floats.AddScaled(v.x, alpha, w.x)
	v.round()
	return v.heap.use()
}

func (v *vec) Scal(alpha float64) error {
	floats.Scale(alpha, v.x)
	v.round()
	return v.heap.use()
}

func (v *vec) round() {
	if v.heap.single {
		for i, x := range v.x {
			v.x[i] = float64(float32(x))
		}
	}
}

func (v *vec) Dot(w *vec) (float64, error) { return floats.Dot(v.x, w.x), v.heap.use() }

// times returns the operator of a.
func times(a mat.Symmetric) deletion.Operator[*vec] {
	n := a.SymmetricDim()
	return func(dst, v *vec) error {
		mat.NewVecDense(n, dst.x).MulVec(a, mat.NewVecDense(n, v.x))
		dst.round()
		return nil
	}
}

func always(op deletion.Operator[*vec]) func(int) deletion.Operator[*vec] {
	return func(int) deletion.Operator[*vec] { return op }
}

// withSpectrum returns a symmetric matrix of the given eigenvalues and random
// eigenvectors.
func withSpectrum(rng *rand.Rand, eigenvalues ...float64) *mat.SymDense {
	n := len(eigenvalues)
	var qr mat.QR
	qr.Factorize(mat.NewDense(n, n, normals(rng, n*n)))
	var q, scaled, a mat.Dense
	qr.QTo(&q)
	scaled.Mul(&q, mat.NewDiagDense(n, eigenvalues))
	a.Mul(&scaled, q.T())
	s := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			s.SetSym(i, j, (a.At(i, j)+a.At(j, i))/2)
		}
	}
	return s
}

// solve returns (a + damping·I)⁻¹v.
func solve(a mat.Symmetric, damping float64, v []float64) []float64 {
	n := a.SymmetricDim()
	damped := mat.NewSymDense(n, nil)
	damped.CopySym(a)
	for i := range n {
		damped.SetSym(i, i, damped.At(i, i)+damping)
	}
	var x mat.VecDense
	if err := x.SolveVec(damped, mat.NewVecDense(n, v)); err != nil {
		panic(err)
	}
	return x.RawVector().Data
}

func normals(rng *rand.Rand, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = rng.NormFloat64()
	}
	return x
}

func near(t *testing.T, what string, got, want []float64, tol float64) {
	t.Helper()
	if d := floats.Distance(got, want, math.Inf(1)); !(d <= tol) {
		t.Errorf("%s = %v, want %v within %g", what, got, want, tol)
	}
}

// Every function closes what it opened and hands on the first error, wherever
// that comes.
func TestFailuresLeakNothing(t *testing.T) {
	a := times(mat.NewSymDense(2, []float64{2, 1, 1, 3}))
	ctx := context.Background()
	for name, f := range map[string]func(dst, v *vec) error{
		"lissa": func(dst, v *vec) error {
			return deletion.SolveLiSSA(ctx, dst, v, always(a), deletion.LiSSA{Depth: 3, Repeats: 2, Damping: 0.1, Scale: 5})
		},
		"upstream": func(dst, v *vec) error {
			return deletion.SolveUpstream(ctx, dst, v, always(a), deletion.Upstream{Depth: 3, Repeats: 2, Damp: 0.1, Scale: 5})
		},
		"cg": func(dst, v *vec) error {
			_, err := deletion.SolveCG(ctx, dst, v, a, deletion.CG{Tol: 1e-9, MaxIter: 5})
			return err
		},
		"power":   func(_, v *vec) error { _, err := deletion.LargestEigenvalue(ctx, v, 0.1, a, a); return err },
		"lanczos": func(_, v *vec) error { _, _, err := deletion.Extremes(ctx, v, a, 2); return err },
		"newton": func(dst, v *vec) error {
			_, err := deletion.Newton(ctx, dst, v, a, 0.1, deletion.CG{Tol: 1e-9, MaxIter: 5})
			return err
		},
		"influence": func(dst, v *vec) error {
			return deletion.GroupInfluence(ctx, dst, v, 1, 3, func(_ context.Context, dst, v *vec) error { return a(dst, v) })
		},
	} {
		for at := 1; ; at++ {
			h := &heap{left: at}
			dst, v := &vec{[]float64{0, 0}, h}, &vec{[]float64{1, -2}, h}
			err := f(dst, v)
			if h.open != 0 {
				t.Errorf("%s, failure at use %d: %d vectors left open", name, at, h.open)
			}
			if h.left > 0 { // it never came to the failure
				if err != nil || at < 3 {
					t.Errorf("%s: error %v after %d uses", name, err, at)
				}
				break
			}
			if !errors.Is(err, errHeap) {
				t.Errorf("%s, failure at use %d: error %v", name, at, err)
			}
		}
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	steps := 0
	op := func(dst, v *vec) error {
		if steps++; steps == 3 {
			cancel()
		}
		return dst.Copy(v)
	}
	dst := newVec(7, 7)
	err := deletion.SolveLiSSA(ctx, dst, newVec(1, 2), always(op), deletion.LiSSA{Depth: 100, Repeats: 1, Scale: 2})
	if !errors.Is(err, context.Canceled) || steps != 3 {
		t.Errorf("error %v after %d steps, want cancelled after 3", err, steps)
	}
	near(t, "dst", dst.x, []float64{7, 7}, 0)
}
