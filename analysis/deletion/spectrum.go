package deletion

import (
	"context"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

// powerSteps bounds a power iteration. What it has not found by then is so near
// to what it has that the estimate is good all the same.
const powerSteps = 200

// LargestEigenvalue returns the largest absolute eigenvalue of all ops, each by
// power iteration from start until a step adds less than the share tol. It is
// a lower bound, which suits [SolveLiSSA]: with one batch per operator and this
// for a scale, it diverges only if the bound is under half the truth.
//
// It returns an error wrapping ErrDiverged on a NaN or where start is zero, and
// panics without operators or a positive tol.
func LargestEigenvalue[V Vec[V]](ctx context.Context, start V, tol float64, ops ...Operator[V]) (largest float64, err error) {
	if len(ops) == 0 || !(tol > 0) {
		panic(fmt.Sprintf("deletion: largest eigenvalue of %d operators within %g", len(ops), tol))
	}
	w := newWork(ctx, start)
	defer w.close(&err)
	x, ax := w.zeros(), w.zeros()
	for i, op := range ops {
		w.unit(x, start)
		var estimate float64
		for range powerSteps {
			w.apply(ax, op, 0, x)
			// ‖Ax‖ of a unit x never falls from one step to the next.
			last := estimate
			estimate = w.norm(ax)
			if estimate <= last*(1+tol) || w.err != nil {
				break
			}
			w.unit(x, ax)
		}
		if w.err != nil {
			return 0, fmt.Errorf("operator %d: %w", i, w.err)
		}
		largest = max(largest, estimate)
	}
	return largest, nil
}

// Extremes returns estimates of the smallest and largest eigenvalue of op by so
// many steps of Lanczos's method, within the true range but for rounding. They
// are exact where start lies in a space of that many eigenvectors, and find the
// ends of a spectrum first. start must have a part along the eigenvectors sought;
// a random one has.
//
// It fails as [LargestEigenvalue] does, and panics if steps is not positive.
//
// Reference: Paige, "The Computation of Eigenvalues and Eigenvectors of Very
// Large Sparse Matrices", 1971: without reorthogonalisation, rounding repeats
// the extreme eigenvalues but does not move them.
func Extremes[V Vec[V]](ctx context.Context, start V, op Operator[V], steps int) (least, largest float64, err error) {
	if steps <= 0 {
		panic(fmt.Sprintf("deletion: %d Lanczos steps", steps))
	}
	w := newWork(ctx, start)
	defer w.close(&err)
	q, last, next := w.zeros(), w.zeros(), w.zeros()
	w.unit(q, start)
	var diag, off []float64
	var beta float64
	for range steps {
		w.apply(next, op, 0, q)
		alpha := w.dot(q, next)
		w.axpy(next, -alpha, q)
		w.axpy(next, -beta, last)
		beta = w.norm(next)
		if w.err == nil && (math.IsNaN(beta) || math.IsInf(beta, 0)) {
			w.err = fmt.Errorf("%w: ‖Ax‖ = %g", ErrDiverged, beta)
		}
		if w.err != nil {
			return 0, 0, fmt.Errorf("lanczos step %d: %w", len(diag), w.err)
		}
		diag, off = append(diag, alpha), append(off, beta)
		if beta <= 1e-12*math.Abs(alpha) {
			break // start's invariant space is exhausted
		}
		q, last, next = next, q, last
		w.scal(1/beta, q)
	}
	if w.err != nil {
		return 0, 0, w.err
	}

	k := len(diag)
	t := mat.NewSymDense(k, nil)
	for i := range k {
		t.SetSym(i, i, diag[i])
		if i+1 < k {
			t.SetSym(i, i+1, off[i])
		}
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(t, false) {
		return 0, 0, fmt.Errorf("%w: eigenvalues of the %d×%d Lanczos matrix", ErrNoConvergence, k, k)
	}
	values := eigen.Values(nil) // ascending
	return values[0], values[k-1], nil
}

// RequirePositive returns an error wrapping ErrIndefinite, with the number,
// where [Extremes] finds an eigenvalue of op below −damping: the inverse of
// op + damping·I is then no limit of [SolveLiSSA], and no use.
func RequirePositive[V Vec[V]](ctx context.Context, start V, op Operator[V], damping float64, steps int) error {
	least, _, err := Extremes(ctx, start, op, steps)
	if err != nil {
		return err
	}
	if least < -damping {
		return fmt.Errorf("%w: smallest eigenvalue %.3g, with damping %.3g", ErrIndefinite, least, damping)
	}
	return nil
}

// unit sets dst to v/‖v‖.
func (w *work[V]) unit(dst, v V) {
	size := w.norm(v)
	if w.err == nil && !(size > 0 && !math.IsInf(size, 0)) {
		w.err = fmt.Errorf("%w: a vector of length %g", ErrDiverged, size)
	}
	w.copy(dst, v)
	w.scal(1/size, dst)
}
