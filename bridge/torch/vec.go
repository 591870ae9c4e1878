package torch

// #include "shim.h"
import "C"

import (
	"fmt"
	"unsafe"

	"github.com/sugarme/gotch/libtch"
)

// A Vec is a vector of the shape of a Stack's θ, (M, P) float32, on its device.
type Vec struct {
	dev  *Device
	m, p int
	t    tensor
}

// NewVec returns zeros of shape (m, p).
func NewVec(d *Device, m, p int) (v *Vec, err error) {
	defer catch(&err)
	s := new(scope)
	defer s.end()
	libtch.AtgZeros(s.out(), []int64{int64(m), int64(p)}, 2, kindFloat, d.index)
	return &Vec{d, m, p, s.keep(s.take())}, nil
}

// Len reports the number of elements, M·P.
func (v *Vec) Len() int { return v.m * v.p }

// NewLike returns zeros of v's shape.
func (v *Vec) NewLike() (*Vec, error) { return NewVec(v.dev, v.m, v.p) }

// Close frees v. It is safe to call twice, and on nil.
func (v *Vec) Close() error {
	if v != nil && v.t != nil {
		libtch.AtFree(v.t)
		v.t = nil
	}
	return nil
}

// Set copies src, of Len elements, into v.
func (v *Vec) Set(src []float32) (err error) {
	defer catch(&err)
	if len(src) != v.Len() {
		return fmt.Errorf("torch: set of %d elements from %d", v.Len(), len(src))
	}
	s := new(scope)
	defer s.end()
	must(C.rs_axpby(shimTensor(v.t), 1, shimTensor(upload(s, v.dev, src, int64(v.m), int64(v.p))), 0))
	return nil
}

// Get copies v's elements, model after model, to the host.
func (v *Vec) Get() (dst []float32, err error) {
	defer catch(&err)
	dst = make([]float32, v.Len())
	new(scope).floats(v.t, dst)
	return dst, nil
}

// Copy sets v to w.
func (v *Vec) Copy(w *Vec) error { return v.combine(1, w, 0) }

// Axpy adds alpha·w to v.
func (v *Vec) Axpy(alpha float64, w *Vec) error { return v.combine(alpha, w, 1) }

// Scal multiplies v by alpha.
func (v *Vec) Scal(alpha float64) error { return v.combine(0, v, alpha) }

// combine sets v to a·w + b·v.
func (v *Vec) combine(a float64, w *Vec, b float64) (err error) {
	defer catch(&err)
	v.mustMatch(w)
	must(C.rs_axpby(shimTensor(v.t), C.double(a), shimTensor(w.t), C.double(b)))
	return nil
}

// Dot returns the inner product of v and w over all models, accumulated in
// float64.
func (v *Vec) Dot(w *Vec) (dot float64, err error) {
	defer catch(&err)
	v.mustMatch(w)
	var out C.double
	must(C.rs_dot(&out, shimTensor(v.t), shimTensor(w.t)))
	return float64(out), nil
}

func (v *Vec) mustMatch(w *Vec) {
	if v.m != w.m || v.p != w.p {
		panic(fmt.Sprintf("torch: vectors of shapes (%d, %d) and (%d, %d)", v.m, v.p, w.m, w.p))
	}
}

func shimTensor(t tensor) C.rs_tensor { return C.rs_tensor(unsafe.Pointer(t)) }

// assign copies a tensor of v's shape into v.
func (v *Vec) assign(t tensor) (err error) {
	defer catch(&err)
	must(C.rs_axpby(shimTensor(v.t), 1, shimTensor(t), 0))
	return nil
}
