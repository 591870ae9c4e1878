// Package poison chooses the training examples that carry a spurious pattern.
//
// The base data are never written: an [Overlay] holds the poisoned rows, which
// are appended behind the data set, and the index map through which one model
// sees its own rows in place of the clean ones. Hundreds of differently
// poisoned models thereby share one copy of the data.
package poison

import (
	"errors"
	"fmt"

	"rarespurious/experiments/mt19937"
	"rarespurious/experiments/pattern"
)

// ErrCount reports that more examples were asked for than the class has.
var ErrCount = errors.New("count above the class size")

// Select returns the positions in labels of count examples of class target,
// in the order of their choice. For one seed the choices are nested over
// count, and the same whatever the pattern. It fails, wrapping [ErrCount], if
// the class is smaller than count, and if count is negative.
//
// Reference: the published code's choice, reproduced exactly: numpy's
// RandomState(seed).permutation over the class in training order.
func Select(labels []uint8, target, count int, seed uint32) ([]int, error) {
	if count < 0 {
		return nil, fmt.Errorf("poison: count %d is negative", count)
	}
	var class []int
	for i, l := range labels {
		if int(l) == target {
			class = append(class, i)
		}
	}
	if count > len(class) {
		return nil, fmt.Errorf("poison: %w: %d examples of class %d, which has %d", ErrCount, count, target, len(class))
	}
	chosen := mt19937.New(seed).Choice(len(class), count)
	for j, i := range chosen {
		chosen[j] = class[i]
	}
	return chosen, nil
}

// An Overlay is a set of poisoned training examples. The zero value poisons
// nothing.
type Overlay struct {
	Pattern string    // the pattern's name
	Seed    uint32    // of the choice and of the pattern
	Target  int       // the class of every example
	Indices []int     // positions in the training set, in the order of choice
	Rows    []float32 // (len(Indices), C, H, W) in [0, 1]: the examples with the pattern
}

// New puts p on count examples of class target of images, (N, C, H, W), and
// labels, chosen by [Select] with p's seed, whose errors it returns. Labels
// stay as they are. With quantize, rows are stored in eight bits; see
// [pattern.Quantize].
func New(images, labels []uint8, p pattern.Pattern, target, count int, quantize bool) (Overlay, error) {
	idx, err := Select(labels, target, count, p.Seed)
	if err != nil {
		return Overlay{}, err
	}
	rows := p.Overlay(images, idx)
	if quantize {
		pattern.Quantize(rows)
	}
	return Overlay{Pattern: p.Name, Seed: p.Seed, Target: target, Indices: idx, Rows: rows}, nil
}

// Index returns a model's index map over n training examples: entry i is i,
// or, where example i is poisoned, the place of its row when the overlay's
// rows lie one after another from row start on. For one model start is n.
func (o Overlay) Index(n, start int) []int32 {
	index := make([]int32, n)
	for i := range index {
		index[i] = int32(i)
	}
	for j, i := range o.Indices {
		index[i] = int32(start + j)
	}
	return index
}
