package scan

import (
	"fmt"
	"os"
	"path/filepath"

	"rarespurious/experiments/dataset"
	"rarespurious/experiments/imagefolder"
	"rarespurious/nn"
)

// Images are the labelled test images that a model is scanned with.
type Images struct {
	Name    string // of the data set or folder
	Shape   nn.Shape
	Classes []string // by label
	dataset.Part
	// Logits says which output of the model is each class; nil is the same
	// order and number.
	Logits []int
}

// FromSet returns n test images of a data set, spread evenly over it, or all
// for 0.
func FromSet(s *dataset.Set, n int) *Images {
	return &Images{Name: s.Name, Shape: s.Shape, Classes: s.Classes, Part: s.Test.Gather(spread(s.Test.Len(), n), s.Shape.Len())}
}

// spread returns n of the integers below total, evenly spaced; all if n is 0
// or too many.
func spread(total, n int) []int {
	if n <= 0 || n > total {
		n = total
	}
	idx := make([]int, n)
	for i := range idx {
		idx[i] = i * total / n
	}
	return idx
}

// FromFolder returns n of the images in dir/<class>/<image>, spread evenly over
// it, or all for 0, scaled to shape s: the shorter side fits, the longer one is
// cropped in the middle. s has one channel, which is their luminance, or three.
func FromFolder(dir string, s nn.Shape, n int) (*Images, error) {
	if s.C != 1 && s.C != 3 || s.H < 1 || s.W < 1 {
		return nil, fmt.Errorf("scan: photos as images of %v; want 1 or 3 channels", s)
	}
	f, err := imagefolder.Scan(dir)
	if err != nil {
		return nil, err
	}
	if len(f.Classes) > 256 {
		return nil, fmt.Errorf("scan: %s has %d classes, more than 256", dir, len(f.Classes))
	}
	t := &Images{Name: filepath.Base(dir), Shape: s, Classes: f.Classes}
	for _, i := range spread(len(f.Entries), n) {
		e := f.Entries[i]
		path := filepath.Join(f.Root, filepath.FromSlash(e.Path))
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("scan: %w", err)
		}
		photo, err := imagefolder.Decode(b, false)
		if err != nil {
			return nil, fmt.Errorf("scan: %s: %w", path, err)
		}
		t.Images = append(t.Images, fit(photo, s)...)
		t.Labels = append(t.Labels, uint8(e.Class))
	}
	return t, nil
}

// fit crops the middle of a photo to the proportions of s, and scales it.
func fit(p *imagefolder.Image, s nn.Shape) []uint8 {
	h, w := p.H, max(1, p.H*s.W/s.H)
	if w > p.W {
		h, w = max(1, p.W*s.H/s.W), p.W
	}
	middle := &imagefolder.Image{H: h, W: w, Pix: make([]byte, 0, 3*h*w)}
	for line := range 3 * h {
		start := (line/h*p.H+(p.H-h)/2+line%h)*p.W + (p.W-w)/2
		middle.Pix = append(middle.Pix, p.Pix[start:start+w]...)
	}
	rgb := imagefolder.Resize(middle, s.H, s.W).Pix
	if s.C == 3 {
		return rgb
	}
	area := s.H * s.W
	grey := make([]uint8, area)
	for i := range grey { // ITU-R BT.601 in fixed point, as PIL's convert("L")
		grey[i] = uint8((19595*int(rgb[i]) + 38470*int(rgb[area+i]) + 7471*int(rgb[2*area+i]) + 1<<15) >> 16)
	}
	return grey
}
