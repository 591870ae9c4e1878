package deletion

import (
	"context"
	"errors"
	"math"
)

// A Vec is a vector of V's kind, as long as every other in a computation. Its
// methods fail where its device does.
type Vec[V any] interface {
	NewLike() (V, error)           // zeros; the caller closes them
	Copy(w V) error                // v = w
	Axpy(alpha float64, w V) error // v = v + alpha·w
	Scal(alpha float64) error      // v = alpha·v
	Dot(w V) (inner float64, err error)
	Close() error
}

// An Operator sets dst to Av for a symmetric matrix A: a Hessian or a
// Gauss–Newton matrix, on all data or on a batch. dst is not v.
type Operator[V any] func(dst, v V) error

// A work owns the vectors of one computation and keeps its first error, after
// which every operation does nothing: equations stay legible.
type work[V Vec[V]] struct {
	ctx   context.Context
	like  V
	owned []V
	err   error
}

func newWork[V Vec[V]](ctx context.Context, like V) *work[V] {
	return &work[V]{ctx: ctx, like: like}
}

// close frees the vectors and adds the errors of that to *err.
func (w *work[V]) close(err *error) {
	for _, v := range w.owned {
		*err = errors.Join(*err, v.Close())
	}
}

// do runs f unless an error came before or the context has ended.
func (w *work[V]) do(f func() error) {
	if w.err == nil {
		w.err = w.ctx.Err()
	}
	if w.err == nil {
		w.err = f()
	}
}

func (w *work[V]) zeros() (v V) {
	w.do(func() (err error) {
		if v, err = w.like.NewLike(); err == nil {
			w.owned = append(w.owned, v)
		}
		return err
	})
	return v
}

func (w *work[V]) clone(v V) V {
	c := w.zeros()
	w.copy(c, v)
	return c
}

func (w *work[V]) copy(dst, v V) { w.do(func() error { return dst.Copy(v) }) }

func (w *work[V]) axpy(dst V, alpha float64, v V) { w.do(func() error { return dst.Axpy(alpha, v) }) }

func (w *work[V]) scal(alpha float64, v V) { w.do(func() error { return v.Scal(alpha) }) }

func (w *work[V]) dot(a, b V) (inner float64) {
	w.do(func() (err error) {
		inner, err = a.Dot(b)
		return err
	})
	return inner
}

func (w *work[V]) norm(v V) float64 { return math.Sqrt(w.dot(v, v)) }

// apply sets dst to (A + damping·I)v.
func (w *work[V]) apply(dst V, a Operator[V], damping float64, v V) {
	w.do(func() error { return a(dst, v) })
	if damping != 0 {
		w.axpy(dst, damping, v)
	}
}
