package torch

// #include "shim.h"
import "C"

import (
	"slices"
	"unsafe"

	"github.com/sugarme/gotch/libtch"
)

// A scope owns the tensors made during one computation and frees them at its
// end. Its methods are the operations that the interpreter needs; each throws
// what libtorch throws.
type scope struct {
	owned []tensor
	// slot is where libtorch puts an operation's result. It is an allocation of
	// its own, as cgo demands of memory that C is handed, and made once.
	slot *tensor
}

// out returns where the next operation leaves its result. Operands come before
// it: making one uses the same place.
func (s *scope) out() *tensor {
	if s.slot == nil {
		s.slot = new(tensor)
	}
	*s.slot = nil
	return s.slot
}

// take adopts that result.
func (s *scope) take() tensor {
	if *s.slot == nil {
		throwLast()
		panic("torch: an operation gave neither a tensor nor an error")
	}
	t := *s.slot
	*s.slot = nil // a take without an operation before it must not succeed
	return s.own(t)
}

func (s *scope) own(t tensor) tensor {
	s.owned = append(s.owned, t)
	return t
}

// keep takes t out of the scope; the caller frees it.
func (s *scope) keep(t tensor) tensor {
	for i := len(s.owned) - 1; i >= 0; i-- {
		if s.owned[i] == t {
			s.owned = append(s.owned[:i], s.owned[i+1:]...)
			return t
		}
	}
	panic("torch: keep of a tensor that the scope does not own")
}

// free frees t before the scope's end.
func (s *scope) free(t tensor) { libtch.AtFree(s.keep(t)) }

// end frees everything that the scope still owns. The scope can be used again.
func (s *scope) end() {
	for _, t := range s.owned {
		libtch.AtFree(t)
	}
	s.owned = s.owned[:0]
}

func (s *scope) view(x tensor, shape []int64) tensor {
	libtch.AtgReshape(s.out(), x, shape, len(shape))
	return s.take()
}

func (s *scope) selectRow(x tensor, row int64) tensor {
	libtch.AtgSelect(s.out(), x, 0, row)
	return s.take()
}

func (s *scope) narrow(x tensor, dim, start, length int64) tensor {
	libtch.AtgNarrow(s.out(), x, dim, start, length)
	return s.take()
}

// split cuts x along dim. One call, so that its backward is one concatenation
// instead of a vector of zeros for each part.
func (s *scope) split(x tensor, sizes []int64, dim int64) []tensor {
	if len(sizes) == 0 {
		return nil
	}
	p := libtch.AtgSplitWithSizes(x, sizes, len(sizes), dim)
	if p == nil {
		throwLast()
	}
	parts := append([]tensor(nil), unsafe.Slice(p, len(sizes))...)
	freeArray(p)
	for _, t := range parts {
		s.own(t)
	}
	return parts
}

// unbind returns the rows of x: one call, whose backward is one stack instead
// of a matrix of zeros for each row. The only row of a matrix is a view of it.
func (s *scope) unbind(x tensor, rows int) []tensor {
	if rows == 1 {
		return []tensor{s.view(x, []int64{-1})}
	}
	parts := s.split(x, slices.Repeat([]int64{1}, rows), 0)
	for i := range parts {
		parts[i] = s.view(parts[i], []int64{-1})
	}
	return parts
}

func (s *scope) linear(x, w, b tensor) tensor {
	libtch.AtgLinear(s.out(), x, w, b)
	return s.take()
}

// batchedLinear is x (M, B, in), w (M, out, in), b (M, out) → (M, B, out).
func (s *scope) batchedLinear(x, w, b tensor) tensor {
	libtch.AtgTranspose(s.out(), w, 1, 2)
	wt := s.take()
	libtch.AtgUnsqueeze(s.out(), b, 1)
	row := s.take()
	libtch.AtgMatmul(s.out(), x, wt)
	product := s.take()
	libtch.AtgAdd(s.out(), product, row)
	return s.take()
}

func (s *scope) relu(x tensor) tensor {
	libtch.AtgRelu(s.out(), x)
	return s.take()
}

// reluInPlace changes x itself. Autograd must not need its values.
func (s *scope) reluInPlace(x tensor) tensor {
	libtch.AtgRelu_(s.out(), x)
	return s.take()
}

func (s *scope) add(a, b tensor) tensor {
	libtch.AtgAdd(s.out(), a, b)
	return s.take()
}

func (s *scope) sub(a, b tensor) tensor {
	libtch.AtgSub(s.out(), a, b)
	return s.take()
}

func (s *scope) mul(a, b tensor) tensor {
	libtch.AtgMul(s.out(), a, b)
	return s.take()
}

func (s *scope) div(a, b tensor) tensor {
	libtch.AtgDiv(s.out(), a, b)
	return s.take()
}

func (s *scope) sum(x tensor) tensor {
	libtch.AtgSum(s.out(), x, kindFloat)
	return s.take()
}

func (s *scope) detach(x tensor) tensor {
	libtch.AtgDetach(s.out(), x)
	return s.take()
}

// leaf returns an alias of x that gradients can be taken for.
func (s *scope) leaf(x tensor) tensor {
	d := s.detach(x)
	libtch.AtgSetRequiresGrad(s.out(), d, 1)
	return s.take()
}

// cast returns x as the given kind; x itself where it has it already.
func (s *scope) cast(x tensor, kind int32) tensor {
	libtch.AtgToDtype(s.out(), x, kind, 0, 0)
	return s.take()
}

// backward returns the gradient of the scalar y for x. keep leaves the graph
// usable for another call; create makes the gradient itself differentiable.
func (s *scope) backward(y, x tensor, keep, create bool) tensor {
	number := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	in := [1]tensor{x}
	from := [1]tensor{y}
	libtch.AtRunBackward(&from[0], 1, &in[0], 1, s.out(), number(keep), number(create))
	return s.take()
}

// floats copies x, of n float32 elements, to the host.
func (s *scope) floats(x tensor, dst []float32) {
	libtch.AtCopyData(x, unsafe.Pointer(&dst[0]), uint(len(dst)), 4)
	throwLast()
}

func (s *scope) scalar(x tensor) float64 {
	var v [1]float32
	s.floats(x, v[:])
	return float64(v[0])
}

// The kinds that libtorch calls uint8, int64, float32, float64 and bfloat16.
const (
	kindByte   = 0
	kindLong   = 4
	kindFloat  = 6
	kindDouble = 7
	kindBF16   = 15
)

// upload copies values to device.
func upload[T float32 | float64 | int64 | uint8](s *scope, d *Device, values []T, dims ...int64) tensor {
	if len(values) == 0 {
		libtch.AtgZeros(s.out(), dims, len(dims), int32(kindOf[T]()), d.index)
		return s.take()
	}
	var size T
	libtchTensor := libtch.AtTensorOfData(unsafe.Pointer(&values[0]), dims, uint(len(dims)), uint(unsafe.Sizeof(size)), kindOf[T]())
	if libtchTensor == nil {
		throwLast()
	}
	t := s.own(libtchTensor)
	if d.index < 0 {
		return t
	}
	var out C.rs_tensor
	must(C.rs_copy_to(&out, shimTensor(t), C.int(d.index)))
	return s.own(tensor(unsafe.Pointer(out)))
}

func kindOf[T float32 | float64 | int64 | uint8]() int {
	switch any(*new(T)).(type) {
	case uint8:
		return kindByte
	case int64:
		return kindLong
	case float64:
		return kindDouble
	}
	return kindFloat
}
