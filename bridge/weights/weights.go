// Package weights reads and writes state dicts: the named tensors of a model
// file, whoever made it.
//
// The one idea is that a file is bytes that somebody else wrote. Every format
// ends as the same plain value, a [Dict] of named tensors with little-endian
// row-major data, and is believed only as far as it can be checked: nothing in
// a file is ever executed, no length in it is trusted before it has been
// compared with what is there, and what a decoder allocates is bounded by a
// small multiple of the file's size. An error names the field that is wrong.
//
// Formats: PyTorch's .pth in its zip form (read, write) and its older pickle
// form (read), .safetensors (read, write), ONNX initialisers (read) and
// TensorFlow.js layers-models (read). [Flatten] and [FromFlat] go between a
// Dict and the flat vectors of package nn.
package weights

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// Errors that callers may test for.
var (
	// ErrFormat reports bytes in which no known format was recognised.
	ErrFormat = errors.New("weights: unknown format")
	// ErrInvalid reports a file that breaks the rules of its format, or a
	// Dict that cannot be written.
	ErrInvalid = errors.New("weights: invalid")
	// ErrUnsupported reports a file that is well formed, as far as it was
	// read, but uses what this package leaves out or refuses.
	ErrUnsupported = errors.New("weights: unsupported")
	// ErrMismatch reports that a Dict does not fit an architecture.
	ErrMismatch = errors.New("weights: state dict does not fit the architecture")
)

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrUnsupported}, args...)...)
}

// A Tensor is one named array. An empty Shape is a scalar; a 0 in Shape is an
// empty tensor, whose Data has length 0.
type Tensor struct {
	Name  string
	DType DType
	Shape []int
	// Data holds the elements in row-major order, little-endian, without
	// padding. It may alias the bytes of the file it was read from and the
	// Data of other tensors; treat it as read-only.
	Data []byte
}

// A Dict is a state dict: tensors in the order of their file, each name once.
type Dict []Tensor

// Get returns the tensor called name.
func (d Dict) Get(name string) (Tensor, bool) {
	for _, t := range d {
		if t.Name == name {
			return t, true
		}
	}
	return Tensor{}, false
}

// Len reports the number of t's elements. It panics if Shape is not valid.
func (t Tensor) Len() int {
	n, err := numel(t.Shape)
	if err != nil {
		panic(fmt.Sprintf("weights: Len: %v", err))
	}
	return n
}

// Validate reports an error that names the tensor, and wraps [ErrInvalid], if
// a name is repeated or not UTF-8, a data type is unknown, or the length of
// some Data is not what type and shape say.
func (d Dict) Validate() error {
	seen := make(map[string]bool, len(d))
	for _, t := range d {
		if !utf8.ValidString(t.Name) {
			return invalid("tensor name %.80q is not UTF-8", t.Name)
		}
		if seen[t.Name] {
			return invalid("two tensors are called %.80q", t.Name)
		}
		seen[t.Name] = true
		n, err := byteLen(t.DType, t.Shape)
		if err != nil {
			return fmt.Errorf("tensor %.80q: %w", t.Name, err)
		}
		if n != len(t.Data) {
			return invalid("tensor %.80q: %d bytes of data, want %d for %s%v", t.Name, len(t.Data), n, t.DType, t.Shape)
		}
	}
	return nil
}

// numel returns the product of shape, 1 if it is empty. The product of the
// axes that are not 0 must fit as well, since strides are made of it.
func numel(shape []int) (int, error) {
	n, empty := 1, false
	for _, d := range shape {
		if d < 0 {
			return 0, invalid("shape %v has a negative axis", brief(shape))
		}
		empty = empty || d == 0
		d = max(d, 1)
		if n > math.MaxInt/d {
			return 0, invalid("shape %v has more elements than fit in memory", brief(shape))
		}
		n *= d
	}
	if empty {
		return 0, nil
	}
	return n, nil
}

// byteLen returns the number of bytes of a tensor of that type and shape.
func byteLen(dt DType, shape []int) (int, error) {
	bits, ok := dtypeBits[dt]
	if !ok {
		return 0, invalid("dtype %.80q is unknown", string(dt))
	}
	n, err := numel(shape)
	if err != nil {
		return 0, err
	}
	if n > math.MaxInt/bits {
		return 0, invalid("shape %v has more elements than fit in memory", brief(shape))
	}
	if n*bits%8 != 0 {
		return 0, invalid("%d elements of %s do not fill whole bytes", n, dt)
	}
	return n * bits / 8, nil
}

// brief cuts what a hostile file may have made long, for an error message.
func brief[T any](s []T) []T { return s[:min(len(s), 16)] }
