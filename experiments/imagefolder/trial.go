package imagefolder

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"rarespurious/experiments/seed"
)

// ErrTooFew reports a trial that wants more images than its cell holds.
var ErrTooFew = errors.New("too few images")

// A Split divides a Folder's images, as ascending indices into Entries.
type Split struct{ Train, Test []int }

// NewSplit divides the images of f. If f has split files, they say what is for
// training and what for testing; validation images and images they do not list
// are in neither. Otherwise each (class, context) cell of n images gives
// ⌊7n/10⌋ to training and the rest to testing, drawn from seed; a cell's draw
// depends on no other cell.
func NewSplit(f *Folder, from uint64) Split {
	var s Split
	if f.Listed {
		for i, e := range f.Entries {
			switch e.Part {
			case PartTrain:
				s.Train = append(s.Train, i)
			case PartTest:
				s.Test = append(s.Test, i)
			}
		}
		return s
	}
	for first, e := range f.Entries { // cells are contiguous
		if first > 0 && sameCell(e, f.Entries[first-1]) {
			continue
		}
		n := 1
		for first+n < len(f.Entries) && sameCell(e, f.Entries[first+n]) {
			n++
		}
		order := seed.Rand(from, "split/"+f.Contexts[e.Context]+"/"+f.Classes[e.Class]).Perm(n)
		for k, j := range order {
			if k < 7*n/10 {
				s.Train = append(s.Train, first+j)
			} else {
				s.Test = append(s.Test, first+j)
			}
		}
	}
	slices.Sort(s.Train)
	slices.Sort(s.Test)
	return s
}

func sameCell(a, b Entry) bool { return a.Class == b.Class && a.Context == b.Context }

// A Trial asks what a few training images of one class in one context do to
// the test images of the other classes in that context. The zero Count is the
// model that never saw the context.
type Trial struct {
	Context string
	Class   string // the target
	Count   int    // training images of Class in Context that are put back
	Seed    uint64 // of the choice of these images
}

// A Selection is a Trial's images as indices into Entries.
type Selection struct {
	// Train begins with all training images outside the context, ascending,
	// which depend on neither Class, Count nor Seed; the images put back come
	// after them. Of two trials that differ in Count, the one's Train begins the
	// other's.
	Train []int
	Added int   // how many of Train, its last ones, were put back
	Test  []int // test images of the context whose class is not Class, ascending
}

// Select returns the images of the trial. The error wraps [ErrTooFew] with both
// numbers, or names the class or context f does not have.
func (t Trial) Select(f *Folder, s Split) (Selection, error) {
	sel, err := t.choose(f, s)
	if err != nil {
		return Selection{}, fmt.Errorf("imagefolder: trial %s/%s: %w", t.Context, t.Class, err)
	}
	return sel, nil
}

func (t Trial) choose(f *Folder, s Split) (sel Selection, err error) {
	context, errContext := index(f.Contexts, "context", t.Context)
	class, errClass := index(f.Classes, "class", t.Class)
	if err := cmp.Or(errContext, errClass); err != nil {
		return sel, err
	}
	if t.Count < 0 {
		return sel, fmt.Errorf("count %d is negative", t.Count)
	}
	var cell []int
	for _, i := range s.Train {
		switch e := f.Entries[i]; {
		case e.Context != context:
			sel.Train = append(sel.Train, i)
		case e.Class == class:
			cell = append(cell, i)
		}
	}
	if t.Count > len(cell) {
		return sel, fmt.Errorf("%w: %d training images are asked for, the cell holds %d", ErrTooFew, t.Count, len(cell))
	}
	order := seed.Rand(t.Seed, "trial/"+t.Context+"/"+t.Class).Perm(len(cell))
	for _, j := range order[:t.Count] {
		sel.Train = append(sel.Train, cell[j])
	}
	sel.Added = t.Count
	for _, i := range s.Test {
		if e := f.Entries[i]; e.Context == context && e.Class != class {
			sel.Test = append(sel.Test, i)
		}
	}
	return sel, nil
}
