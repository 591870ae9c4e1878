package deletion

import (
	"context"
	"fmt"
)

// LiSSA holds the settings of [SolveLiSSA].
type LiSSA struct {
	Depth   int     // steps of a run; positive
	Repeats int     // runs that are averaged; positive
	Damping float64 // λ ≥ 0, added to every eigenvalue
	Scale   float64 // above the largest eigenvalue of every batch's curvature, see LargestEigenvalue
}

// SolveLiSSA sets dst to an estimate of (H + λI)⁻¹v, where H is the mean of the
// curvatures that batches returns: the average over o.Repeats runs of h/scale
// after o.Depth steps of
//
//	h ← v + h − (Hᵢh + λh)/scale,   from h = v.
//
// Its fixed point is the solution whatever the scale, which only sets how fast
// it is reached: in a direction of eigenvalue μ, after some scale/(μ + λ)
// steps. Step i of run r uses batches(r·Depth + i).
//
// It returns an error wrapping ErrDiverged that names the run, the step and the
// scale, or the first error of an operator; dst, which may be v, is then
// untouched. It panics on settings out of range.
//
// Reference: Agarwal, Bullins and Hazan, "Second-Order Stochastic Optimization
// for Machine Learning in Linear Time", JMLR 2017; with a scale as Koh and
// Liang, "Understanding Black-box Predictions via Influence Functions", ICML
// 2017, but a damping that does not depend on it.
func SolveLiSSA[V Vec[V]](ctx context.Context, dst, v V, batches func(step int) Operator[V], o LiSSA) (err error) {
	checkLiSSA(o.Depth, o.Repeats, o.Damping, o.Scale)
	w := newWork(ctx, v)
	defer w.close(&err)
	sum, h, hv := w.zeros(), w.zeros(), w.zeros()
	for r := range o.Repeats {
		err := recurse(w, h, hv, v, 1-o.Damping/o.Scale, o.Scale, o.Depth, contraction, func(i int) Operator[V] {
			return batches(r*o.Depth + i)
		})
		if err != nil {
			return fmt.Errorf("lissa run %d: %w", r, err)
		}
		w.axpy(sum, 1/(o.Scale*float64(o.Repeats)), h)
	}
	w.copy(dst, sum)
	return w.err
}

// Upstream holds the settings of [SolveUpstream], the paper's authors' own.
type Upstream struct {
	Depth   int
	Repeats int     // runs; only the first counts, see SolveUpstream
	Damp    float64 // in [0, 1)
	Scale   float64
}

// SolveUpstream sets dst to what the authors' code takes for H⁻¹v: h/Repeats
// after Depth steps of
//
//	h ← v + (1 − damp)h − Hᵢh/scale,   from h = v.
//
// The fixed point is h = scale·(H + scale·damp·I)⁻¹v, so that the damping grows
// with the scale. They do not divide by the scale; and of their runs they take
// the first and divide it by the number of runs, so only that one is made here.
// The result is scale/Repeats times too long. Compare [SolveLiSSA], which it
// fails and panics like, but for growth: a single example's Hessian often has an
// eigenvalue out of range, which they do not look for, so only a vector that is
// no longer finite has diverged.
func SolveUpstream[V Vec[V]](ctx context.Context, dst, v V, batches func(step int) Operator[V], o Upstream) (err error) {
	checkLiSSA(o.Depth, o.Repeats, o.Damp, o.Scale)
	w := newWork(ctx, v)
	defer w.close(&err)
	h, hv := w.zeros(), w.zeros()
	if err := recurse(w, h, hv, v, 1-o.Damp, o.Scale, o.Depth, anyFinite, batches); err != nil {
		return fmt.Errorf("upstream lissa: %w", err)
	}
	w.scal(1/float64(o.Repeats), h)
	w.copy(dst, h)
	return w.err
}

// Limits of ‖h‖ in recurse, as multiples of (step + 2)‖v‖.
//
// Where keep·I − Hᵢ/scale shortens every vector, ‖h‖ ≤ (i + 2)‖v‖ after step i:
// a longer h proves that some batch has an eigenvalue out of range, long before
// it overflows. A thousandth is more than rounding adds in float32.
const (
	contraction = 1.001
	anyFinite   = 1e100 // float32 overflows long before
)

// recurse runs h ← v + keep·h − Hᵢh/scale, depth times from h = v; hv is scratch.
func recurse[V Vec[V]](w *work[V], h, hv, v V, keep, scale float64, depth int, limit float64, batches func(step int) Operator[V]) error {
	w.copy(h, v)
	size := w.norm(v)
	for i := range depth {
		w.apply(hv, batches(i), 0, h)
		w.scal(keep, h)
		w.axpy(h, -1/scale, hv)
		w.axpy(h, 1, v)
		if got, most := w.norm(h), float64(i+2)*size; w.err == nil && !(got <= limit*most) {
			return fmt.Errorf("%w at step %d: ‖h‖ = %.3g, where damped eigenvalues within [0, 2·scale] allow %.3g; scale is %.3g",
				ErrDiverged, i, got, most, scale)
		}
		if w.err != nil {
			return fmt.Errorf("step %d: %w", i, w.err)
		}
	}
	return w.err
}

func checkLiSSA(depth, repeats int, damping, scale float64) {
	if depth <= 0 || repeats <= 0 || !(damping >= 0) || !(scale > 0) {
		panic(fmt.Sprintf("deletion: lissa of depth %d, %d repeats, damping %g, scale %g", depth, repeats, damping, scale))
	}
}
