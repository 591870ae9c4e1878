package torch

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	"rarespurious/nn"
)

// Photos are RGB images of any sizes on the host, mapped from a file perhaps.
// They do not change and are safe for concurrent use.
type Photos interface {
	Len() int
	// Image returns image i, of shape (3, h, w), byte b standing for b/255.
	Image(i int) (pixels []byte, h, w int)
	Label(i int) int // in [0, 256)
}

// A Window is what a network sees of a photo: H rows from Top and W columns
// from Left, scaled to the network's input, mirrored if Flip.
type Window struct {
	Top, Left, H, W int
	Flip            bool
}

// photos is what a Data has instead of pixels on the device.
type photos struct {
	Photos
	side   int
	view   func(h, w int) Window
	device int32
}

// NewPhotoData returns a Data of photos, seen as side by side pixels. The
// photos stay where they are: of each image of a batch its window alone is read,
// moved to the device and scaled there by antialiased bilinear interpolation,
// without rounding to bytes. view is the window of an h by w photo where a Batch
// has none of its own.
func NewPhotoData(d *Device, p Photos, side int, view func(h, w int) Window) (*Data, error) {
	n := p.Len()
	if n == 0 || side < 1 {
		return nil, fmt.Errorf("torch: %d photos as %d by %d pixels", n, side, side)
	}
	t := &Data{shape: nn.Shape{C: 3, H: side, W: side}, n: n, labels: make([]int64, n),
		photos: &photos{p, side, view, d.index}}
	for i := range t.labels {
		t.labels[i] = int64(p.Label(i))
	}
	return t, nil
}

// crop returns the windows of the given photos as float32 (n, 3, side, side);
// windows may be nil.
func (s *scope) crop(p *photos, rows []int64, windows []Window, channelsLast bool) tensor {
	if p == nil {
		panic("torch: use of a closed Data")
	}
	var pixels []byte
	shapes := make([]C.rs_photo, len(rows))
	for i, row := range rows {
		if row < 0 || row >= int64(p.Len()) {
			panic(thrown{fmt.Errorf("torch: image %d of %d", row, p.Len())})
		}
		image, h, w := p.Image(int(row))
		v := Window{}
		if windows == nil {
			v = p.view(h, w)
		} else {
			v = windows[i]
		}
		if v.Top < 0 || v.Left < 0 || v.H < 1 || v.W < 1 || v.Top+v.H > h || v.Left+v.W > w {
			panic(thrown{fmt.Errorf("torch: window %+v of image %d, which is %d by %d", v, row, h, w)})
		}
		if pixels == nil {
			pixels = make([]byte, 0, len(rows)*3*v.H*v.W)
		}
		for line := range 3 * v.H {
			start := (line/v.H*h+v.Top+line%v.H)*w + v.Left
			pixels = append(pixels, image[start:start+v.W]...)
		}
		shapes[i] = C.rs_photo{h: C.int32_t(v.H), w: C.int32_t(v.W)}
		if v.Flip {
			shapes[i].flip = 1
		}
	}
	if len(rows) == 0 {
		panic(thrown{errors.New("torch: a batch of no images")})
	}
	last := C.int(0)
	if channelsLast {
		last = 1
	}
	var out C.rs_tensor
	must(C.rs_scale(&out, (*C.uint8_t)(&pixels[0]), &shapes[0], C.int64_t(len(rows)), C.int64_t(p.side), C.int(p.device), last))
	return s.own(tensor(unsafe.Pointer(out)))
}
