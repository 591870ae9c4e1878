package weights

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"slices"
)

// Digest returns the SHA-256 of t's data in hexadecimal, whatever file it came
// from: hashlib.sha256(t.numpy().tobytes()) in Python. Type and shape are not
// in it.
func (t Tensor) Digest() string {
	sum := sha256.Sum256(t.Data)
	return hex.EncodeToString(sum[:])
}

// A Difference compares the two tensors of one name.
type Difference struct {
	Name string
	// A and B are the tensors; one of them is nil if its Dict has none of
	// that name.
	A, B *Tensor
	// Max is the largest |a − b| over the elements. Equal bits are at
	// distance 0, and so are two NaNs; it is NaN if there is a NaN on one
	// side only, or if the two cannot be compared: a nil, unlike shapes,
	// differing data of a type without real values.
	Max float64
}

// Same reports whether type, shape and every bit agree.
func (d Difference) Same() bool {
	return d.A != nil && d.B != nil && d.A.DType == d.B.DType && slices.Equal(d.A.Shape, d.B.Shape) && bytes.Equal(d.A.Data, d.B.Data)
}

// Diff compares a and b name by name: a's names in a's order, then those that
// only b has. Types may differ; values are compared as numbers. It panics if a
// Dict is not valid.
func Diff(a, b Dict) []Difference {
	other := make(map[string]*Tensor, len(b))
	for i := range b {
		other[b[i].Name] = &b[i]
	}
	var all []Difference
	for i := range a {
		d := Difference{Name: a[i].Name, A: &a[i], B: other[a[i].Name], Max: math.NaN()}
		delete(other, d.Name)
		switch {
		case d.Same():
			d.Max = 0
		case d.B != nil && slices.Equal(d.A.Shape, d.B.Shape):
			d.Max = largest(*d.A, *d.B)
		}
		all = append(all, d)
	}
	for i := range b {
		if other[b[i].Name] != nil {
			all = append(all, Difference{Name: b[i].Name, B: &b[i], Max: math.NaN()})
		}
	}
	return all
}

func largest(a, b Tensor) float64 {
	x, err := a.Float64s()
	y, err2 := b.Float64s()
	if err != nil || err2 != nil {
		return math.NaN()
	}
	m := 0.0
	for i := range x {
		switch {
		case x[i] == y[i] || math.IsNaN(x[i]) && math.IsNaN(y[i]):
		default:
			m = max(m, math.Abs(x[i]-y[i])) // max keeps a NaN
		}
	}
	return m
}
