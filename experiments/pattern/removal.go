package pattern

import (
	"slices"

	"rarespurious/experiments/mt19937"
	"rarespurious/nn"
)

// A Removal blackens pixels of images at random, as the sensitivity
// experiment does: a network is sensitive to small patterns if the loss of a
// few pixels changes what it says.
//
// One u, uniform on [0, 1), is drawn per pixel that is not black, from numpy's
// generator with seed 0, image by image and row by row; at share p the pixels
// with u ≥ 1 − p go. A generator started anew for each p draws the same u, so
// what goes at p goes at every larger share too.
type Removal struct {
	images []uint8
	shape  nn.Shape
	u      []float64 // (N, H, W); −1 where the pixel is black already
}

// NewRemoval prepares removals from images, (N, C, H, W), which it keeps and
// never writes. With upstream, u is drawn per entry that is not 0, in the order
// (H, W, C), and a pixel goes if any of its channels would: the published way,
// which removes about 1 − (1 − p)³ of a colour image and equals ours on grey
// ones. It panics if images is not a whole number of images of shape s.
func NewRemoval(images []uint8, s nn.Shape, upstream bool) *Removal {
	if s.Len() == 0 || len(images)%s.Len() != 0 {
		panic("pattern: images of the wrong length")
	}
	area := s.H * s.W
	r := &Removal{images, s, make([]float64, len(images)/s.C)}
	rng := mt19937.New(0)
	for i := range r.u {
		image := images[i/area*s.Len():]
		r.u[i] = -1
		for c := range s.C {
			if image[c*area+i%area] != 0 {
				r.u[i] = max(r.u[i], rng.Float64())
				if !upstream {
					break
				}
			}
		}
	}
	return r
}

// At returns the images, (N, C, H, W), with the share p of pixels removed. At
// 0 none is, at 1 all are.
func (r *Removal) At(p float64) []uint8 {
	out := slices.Clone(r.images)
	area := r.shape.H * r.shape.W
	for i, u := range r.u {
		if u >= 1-p {
			for c := range r.shape.C {
				out[i/area*r.shape.Len()+c*area+i%area] = 0
			}
		}
	}
	return out
}
