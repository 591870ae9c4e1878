// Package dataset opens the image data sets of the experiments.
//
// A [Set] is what a run trains and tests on, held in memory as bytes; where it
// came from does not matter, what it contains does: its digest is part of a
// run's identity. [Open] looks in the user's folder, then in the cache, then
// fetches into the cache. Everything cached or fetched must match the
// published checksums; a user's own folder only has to be well-formed, and the
// Set says so.
package dataset

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"rarespurious/nn"
)

// ErrMalformed reports that a file is not what its name promises.
var ErrMalformed = errors.New("malformed file")

// A Part is a list of labelled images.
type Part struct {
	Images []uint8 // (N, C, H, W) row-major; 0 is black, 255 full intensity
	Labels []uint8 // (N)
}

// Len returns the number of images.
func (p Part) Len() int { return len(p.Labels) }

// Counts returns the number of images of each class below classes.
func (p Part) Counts(classes int) []int {
	counts := make([]int, classes)
	for _, l := range p.Labels {
		counts[l]++
	}
	return counts
}

// Gather returns a copy of the images at idx, which are of d bytes each.
func (p Part) Gather(idx []int, d int) Part {
	out := Part{make([]uint8, 0, len(idx)*d), make([]uint8, 0, len(idx))}
	for _, i := range idx {
		out.Images = append(out.Images, p.Images[i*d:(i+1)*d]...)
		out.Labels = append(out.Labels, p.Labels[i])
	}
	return out
}

// A Set is a data set in memory. Runs share it and never write to it.
type Set struct {
	Name        string // of its [Source]
	Shape       nn.Shape
	Classes     []string // by label
	Train, Test Part
	// Digest is the SHA-256, in hex, of shape, images and labels.
	Digest string
	// Official tells whether every file has the published checksum. A [Set]
	// made from another inherits it.
	Official bool
	From     string // the folder or archive that was read
}

// with returns a Set that differs from s in its images.
func (s *Set) with(train, test Part) *Set {
	t := *s
	t.Train, t.Test = train, test
	h := sha256.New()
	fmt.Fprintln(h, t.Shape.C, t.Shape.H, t.Shape.W, len(t.Classes), train.Len(), test.Len())
	for _, p := range []Part{train, test} {
		h.Write(p.Images)
		h.Write(p.Labels)
	}
	t.Digest = hex.EncodeToString(h.Sum(nil))
	return &t
}

// Subset returns s with its first n training images only; the images are
// shared. It fails unless 1 ≤ n ≤ their number.
func (s *Set) Subset(n int) (*Set, error) {
	if n < 1 || n > s.Train.Len() {
		return nil, fmt.Errorf("dataset: %s: a subset of %d training images of %d", s.Name, n, s.Train.Len())
	}
	return s.with(Part{s.Train.Images[:n*s.Shape.Len()], s.Train.Labels[:n]}, s.Test), nil
}
