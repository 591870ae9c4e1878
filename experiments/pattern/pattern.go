// Package pattern defines the spurious patterns that are put on images.
//
// A pattern is a perturbation δ of one image shape: P(x) = clip(x + δ, 0, 1).
// [Table] lists them under the paper's names; a new one is one row there.
// Images live in [0, 1] and are stored (C, H, W) row-major. Random patterns
// are drawn from numpy's generator in the published order (H, W, C) and moved
// to ours, so that every value lands on the published pixel and channel.
package pattern

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"rarespurious/nn"
)

// A Kind is one row of the [Table].
type Kind struct {
	Name string
	// Delta returns δ, (C, H, W) row-major, for images of shape s. Only
	// random patterns use the seed. It fails if the pattern does not fit s.
	Delta func(s nn.Shape, seed uint32) ([]float64, error)
}

// Table lists the patterns in the paper's order.
//
// Reference: "Understanding Rare Spurious Correlations in Neural Networks",
// arXiv 2202.05189, section 3.
var Table = []Kind{
	{"S1", rectangle(0, 0, 1, 1)},
	{"S2", rectangle(0, 0, 3, 3)},
	{"S3", rectangle(0, 0, 5, 5)},
	{"R1", uniform(0.25)},
	{"R2", uniform(0.5)},
	{"R3", uniform(1)},
	{"Inv", rectangle(3, 13, 25, 16)},
}

// Names returns the names in the [Table], in its order.
func Names() []string {
	names := make([]string, len(Table))
	for i, k := range Table {
		names[i] = k.Name
	}
	return names
}

// A Pattern is a [Kind] drawn for one image shape and one seed. The zero value
// is not usable; see [New].
type Pattern struct {
	Name  string
	Shape nn.Shape
	Seed  uint32
	delta []float64
	where []int // the elements at which delta is not 0, ascending
}

// New draws the pattern called name for images of shape s. R1, R2 and R3 of
// one seed and shape are multiples of the same draw. The error for an unknown
// name lists the known ones.
func New(name string, s nn.Shape, seed uint32) (Pattern, error) {
	i := slices.IndexFunc(Table, func(k Kind) bool { return k.Name == name })
	if i < 0 {
		return Pattern{}, fmt.Errorf("pattern: unknown pattern %q (known: %s)", name, strings.Join(Names(), ", "))
	}
	delta, err := Table[i].Delta(s, seed)
	if err != nil {
		return Pattern{}, fmt.Errorf("pattern: %s: %w", name, err)
	}
	p := Pattern{Name: name, Shape: s, Seed: seed, delta: delta}
	for j, d := range delta {
		if d != 0 {
			p.where = append(p.where, j)
		}
	}
	return p, nil
}

// Delta returns a copy of δ, (C, H, W) row-major, before clipping.
func (p Pattern) Delta() []float64 { return slices.Clone(p.delta) }

// Apply writes clip(x + δ, 0, 1), computed in float64, into dst. dst and x
// hold one image each and may be the same slice. It panics unless both have
// the shape's length.
func (p Pattern) Apply(dst, x []float32) {
	if len(dst) != len(p.delta) || len(x) != len(p.delta) {
		panic("pattern: image of the wrong length")
	}
	copy(dst, x)
	for _, j := range p.where {
		dst[j] = add(dst[j], p.delta[j])
	}
}

// Overlay returns P(x) for the images at idx: (len(idx), C, H, W) in [0, 1],
// where x is the byte divided by 255 in float32. It panics if images is not a
// whole number of images or idx leaves it.
func (p Pattern) Overlay(images []uint8, idx []int) []float32 {
	rows := make([]float32, len(idx)*p.Shape.Len())
	p.overlay(rows, images, slices.Values(idx))
	return rows
}

// OverlayAll is [Pattern.Overlay] for every image.
func (p Pattern) OverlayAll(images []uint8) []float32 {
	rows := make([]float32, len(images))
	p.overlay(rows, images, func(yield func(int) bool) {
		for i := range len(images) / p.Shape.Len() {
			if !yield(i) {
				return
			}
		}
	})
	return rows
}

func (p Pattern) overlay(rows []float32, images []uint8, idx iter.Seq[int]) {
	d := p.Shape.Len()
	if len(images)%d != 0 {
		panic("pattern: images of the wrong length")
	}
	for i := range idx {
		row := rows[:d]
		for j, b := range images[i*d : (i+1)*d] {
			row[j] = unit[b]
		}
		p.Apply(row, row)
		rows = rows[d:]
	}
}

// unit maps a byte to [0, 1].
var unit = func() (u [256]float32) {
	for b := range u {
		u[b] = float32(b) / 255
	}
	return u
}()

func add(x float32, d float64) float32 { return float32(min(max(float64(x)+d, 0), 1)) }

// Quantize rounds x, in [0, 1], down to multiples of 1/255 in place, as
// storing images in eight bits does. The published code does so to CIFAR-10's
// training images before it augments them, and not to its test images; here it
// is the `upstream` way. Images read from bytes stay as they are.
func Quantize(x []float32) {
	for i, v := range x {
		x[i] = unit[uint8(v*255)]
	}
}
