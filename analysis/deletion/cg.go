package deletion

import (
	"context"
	"fmt"
	"math"
)

// CG holds the settings of [SolveCG].
type CG struct {
	Damping float64 // λ ≥ 0, added to every eigenvalue
	Tol     float64 // the residual to reach, as a share of ‖v‖; positive
	MaxIter int     // products with the operator, but for one at each check; positive
	Inexact bool    // where MaxIter comes first, the last iterate is the solution, as in a truncated Newton method
}

// A Solution says how far an iteration came.
type Solution struct {
	Iterations int
	Residual   float64 // ‖v − (A + λI)x‖/‖v‖; 0 where v is 0
}

// SolveCG sets dst to the solution x of (A + λI)x = v by conjugate gradients.
//
// It returns an error wrapping ErrIndefinite, with the curvature that it met,
// where A + λI is not positive, and ErrDiverged on a NaN; dst, which may be v,
// is then untouched. Where o.MaxIter comes first, dst is the last iterate, and
// the error wraps ErrNoConvergence unless o.Inexact. It panics on settings out
// of range.
//
// Reference: Hestenes and Stiefel, "Methods of Conjugate Gradients for Solving
// Linear Systems", 1952. Short precision makes the residual that is carried
// along drift from the true one, which is therefore computed before it is
// believed; where it is larger, the iteration starts again from there.
func SolveCG[V Vec[V]](ctx context.Context, dst, v V, a Operator[V], o CG) (s Solution, err error) {
	if !(o.Damping >= 0) || !(o.Tol > 0) || o.MaxIter <= 0 {
		panic(fmt.Sprintf("deletion: conjugate gradients with %+v", o))
	}
	w := newWork(ctx, v)
	defer w.close(&err)
	// The solution for a v of norm ½ to 1, scaled back: the gradient of fitted
	// examples is so small that products with it would underflow. Powers of two
	// round nothing.
	_, exponent := math.Frexp(w.norm(v))
	unit := w.clone(v)
	w.scal(math.Ldexp(1, -exponent), unit)
	x, r := w.zeros(), w.clone(unit)
	p, ap := w.clone(unit), w.zeros()
	size := w.norm(unit)
	rr, goal := size*size, o.Tol*size
	for math.Sqrt(rr) > goal && s.Iterations < o.MaxIter {
		w.apply(ap, a, o.Damping, p)
		curvature := w.dot(p, ap)
		if w.err == nil && curvature <= 0 {
			return s, fmt.Errorf("%w: %.3g along a direction of conjugate gradients, with damping %g",
				ErrIndefinite, curvature/w.dot(p, p), o.Damping)
		}
		w.axpy(x, rr/curvature, p)
		w.axpy(r, -rr/curvature, ap)
		s.Iterations++
		next := w.dot(r, r)
		beta := next / rr
		if math.Sqrt(next) <= goal || s.Iterations == o.MaxIter {
			w.apply(ap, a, o.Damping, x)
			w.copy(r, unit)
			w.axpy(r, -1, ap)
			next, beta = w.dot(r, r), 0
		}
		w.scal(beta, p)
		w.axpy(p, 1, r)
		rr = next
		if w.err != nil {
			return s, fmt.Errorf("conjugate gradients, iteration %d: %w", s.Iterations, w.err)
		}
		if math.IsNaN(rr) || math.IsInf(rr, 0) {
			return s, fmt.Errorf("%w: conjugate gradients, iteration %d: residual %g", ErrDiverged, s.Iterations, rr)
		}
	}
	if size > 0 {
		s.Residual = math.Sqrt(rr) / size
	}
	w.scal(math.Ldexp(1, exponent), x)
	w.copy(dst, x)
	if w.err == nil && s.Residual > o.Tol && !o.Inexact {
		return s, fmt.Errorf("%w: residual %.3g after %d iterations of conjugate gradients, want %.3g",
			ErrNoConvergence, s.Residual, s.Iterations, o.Tol)
	}
	return s, w.err
}
