package torch

// #include "shim.h"
import "C"

import (
	"bytes"
	"fmt"
	"unsafe"

	"github.com/sugarme/gotch/libtch"

	"rarespurious/nn"
)

// A Data is a set of labelled images on a device: N rows of a data set, behind
// which the rows of overlays may be appended. Its rows never change, so
// several goroutines may read one at a time each on its own Device.
type Data struct {
	shape  nn.Shape
	n      int
	base   tensor  // (N, C, H, W), uint8 or float32
	extra  tensor  // (K, C, H, W) float32, or nil
	labels []int64 // N + K, on the host: batches are small and losses need them there
	shared bool    // base belongs to another Data
	photos *photos // instead of base and extra: images of different sizes
	lit    float64 // share of base's pixels that are not 0
}

// NewData copies images to d. pixels has len(labels)·shape.Len() elements,
// row-major (N, C, H, W), byte b standing for b/255.
func NewData(d *Device, shape nn.Shape, pixels []uint8, labels []uint8) (*Data, error) {
	return newData(d, shape, pixels, labels)
}

// NewFloatData is NewData for images that are not multiples of 1/255.
func NewFloatData(d *Device, shape nn.Shape, pixels []float32, labels []uint8) (*Data, error) {
	return newData(d, shape, pixels, labels)
}

func newData[T uint8 | float32](d *Device, shape nn.Shape, pixels []T, labels []uint8) (data *Data, err error) {
	defer catch(&err)
	if len(labels) == 0 || len(pixels) != len(labels)*shape.Len() {
		return nil, fmt.Errorf("torch: %d pixels are not %d images of %v", len(pixels), len(labels), shape)
	}
	s := new(scope)
	defer s.end()
	n := len(labels)
	base := upload(s, d, pixels, int64(n), int64(shape.C), int64(shape.H), int64(shape.W))
	return &Data{shape: shape, n: n, base: s.keep(base), labels: widen(labels), lit: lit(pixels)}, nil
}

// lit reports the share of pixels that are not 0. Images that are not bytes are
// not of the kind that is mostly dark.
func lit[T uint8 | float32](pixels []T) float64 {
	b, ok := any(pixels).([]uint8)
	if !ok {
		return 1
	}
	return 1 - float64(bytes.Count(b, []byte{0}))/float64(len(b))
}

func widen(labels []uint8) []int64 {
	out := make([]int64, len(labels))
	for i, y := range labels {
		out[i] = int64(y)
	}
	return out
}

// Overlay returns a Data that shares t's rows and has more behind them: row
// t.Rows()+j is image j of pixels, in [0, 1], with label labels[j]. The new
// Data must be closed before t.
func (t *Data) Overlay(d *Device, pixels []float32, labels []uint8) (o *Data, err error) {
	defer catch(&err)
	if t.extra != nil || t.photos != nil {
		return nil, fmt.Errorf("torch: overlay of an overlay or of photos")
	}
	if len(pixels) != len(labels)*t.shape.Len() {
		return nil, fmt.Errorf("torch: %d pixels are not %d images of %v", len(pixels), len(labels), t.shape)
	}
	o = &Data{shape: t.shape, n: t.n, base: t.base, labels: t.labels, lit: t.lit, shared: true}
	if len(labels) == 0 {
		return o, nil
	}
	s := new(scope)
	defer s.end()
	extra := upload(s, d, pixels, int64(len(labels)), int64(t.shape.C), int64(t.shape.H), int64(t.shape.W))
	o.extra = s.keep(extra)
	o.labels = append(t.labels[:len(t.labels):len(t.labels)], widen(labels)...)
	return o, nil
}

// Rows reports the number of images, overlay included.
func (t *Data) Rows() int { return len(t.labels) }

// Shape is the shape of one image.
func (t *Data) Shape() nn.Shape { return t.shape }

// Label returns the class of a row.
func (t *Data) Label(row int) int { return int(t.labels[row]) }

// Close frees the images. It is safe to call twice.
func (t *Data) Close() error {
	if t.extra != nil {
		libtch.AtFree(t.extra)
		t.extra = nil
	}
	if t.base != nil && !t.shared {
		libtch.AtFree(t.base)
	}
	t.base, t.photos = nil, nil
	return nil
}

func (t *Data) images() C.rs_images {
	if t.base == nil {
		panic("torch: use of a closed Data")
	}
	return C.rs_images{base: C.rs_tensor(unsafe.Pointer(t.base)), extra: C.rs_tensor(unsafe.Pointer(t.extra)), lit: C.double(t.lit)}
}

// gather returns the images of the given rows as float32 (n, C, H, W). shifts
// is nil or holds one augmentation code per row; see Shift.
func (s *scope) gather(t *Data, rows []int64, shifts []uint8, channelsLast bool) tensor {
	if t.photos != nil {
		return s.crop(t.photos, rows, nil, channelsLast)
	}
	var codes *C.uint8_t
	if shifts != nil {
		codes = (*C.uint8_t)(&shifts[0])
	}
	last := C.int(0)
	if channelsLast {
		last = 1
	}
	var out C.rs_tensor
	must(C.rs_gather(&out, t.images(), (*C.int64_t)(&rows[0]), C.int64_t(len(rows)), codes, last))
	return s.own(tensor(unsafe.Pointer(out)))
}

// targets returns the labels of the given rows as int64 (n).
func (s *scope) targets(d *Device, t *Data, rows []int64) tensor {
	y := make([]int64, len(rows))
	for i, r := range rows {
		y[i] = t.labels[r]
	}
	return upload(s, d, y, int64(len(y)))
}

// Shift encodes one draw of the CIFAR augmentation: pad by 4 zeros, crop at
// row dy and column dx, each in [0, 8], then mirror if flip. Shift(4, 4, false)
// leaves an image as it is.
func Shift(dy, dx int, flip bool) uint8 {
	if dy < 0 || dy > 8 || dx < 0 || dx > 8 {
		panic("torch: shift outside [0, 8]")
	}
	code := uint8(18*dy + 2*dx)
	if flip {
		code++
	}
	return code
}
