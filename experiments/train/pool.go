package train

import (
	"fmt"
	"slices"

	"rarespurious/experiments/dataset"
	"rarespurious/experiments/poison"
	"rarespurious/experiments/run"
	"rarespurious/experiments/seed"
)

// candidates are the examples that the models of one likelihood-ratio attack
// were trained with or without. They are the same for all of these models.
type candidates struct {
	spurious poison.Overlay // of the target class, with the pattern
	clean    []int          // positions in the training set
}

// newCandidates draws the candidates of t's Pool. The spurious ones begin with
// those that a model without a Pool would have.
func newCandidates(set *dataset.Set, t *run.Train) (c candidates, err error) {
	p := t.Poison
	p.Count *= 2
	if p.Count == 0 || p.Drop {
		return c, fmt.Errorf("train: a pool of candidates for %d poisoned examples (drop: %t)", t.Poison.Count, p.Drop)
	}
	if c.spurious, err = overlay(set, p); err != nil {
		return c, err
	}
	if n := set.Train.Len() - p.Count; t.Pool.Clean > n {
		return c, fmt.Errorf("train: %d clean candidates among %d images", t.Pool.Clean, n)
	}
	for _, i := range seed.Rand(uint64(p.Seed), "candidates").Perm(set.Train.Len()) {
		if len(c.clean) < t.Pool.Clean && !slices.Contains(c.spurious.Indices, i) {
			c.clean = append(c.clean, i)
		}
	}
	slices.Sort(c.clean)
	return c, nil
}

// members draws which candidates t's model has: half of each kind. Models draw
// independently. Were each candidate in exactly half of the models, the others
// would tell whether the last one has it.
func (c candidates) members(t *run.Train) (spurious, clean []bool) {
	rng := seed.Rand(uint64(t.Poison.Seed), fmt.Sprintf("members/%d", t.Pool.Model))
	half := func(n int) []bool {
		in := make([]bool, n)
		for _, i := range rng.Perm(n)[:n/2] {
			in[i] = true
		}
		return in
	}
	return half(len(c.spurious.Indices)), half(len(c.clean))
}

// seen returns those of rows that t's model trains on, its images with the
// pattern as rows from start on, and these images.
func (c candidates) seen(t *run.Train, rows []int64, start int) (kept []int64, own patterned) {
	spurious, clean := c.members(t)
	var out []int
	n := len(c.spurious.Rows) / len(spurious)
	for j, i := range c.spurious.Indices {
		if !spurious[j] {
			out = append(out, i)
			continue
		}
		rows[i] = int64(start + len(own.labels))
		own.pixels = append(own.pixels, c.spurious.Rows[j*n:(j+1)*n]...)
		own.labels = append(own.labels, uint8(c.spurious.Target))
	}
	for j, i := range c.clean {
		if !clean[j] {
			out = append(out, i)
		}
	}
	return without(rows, out), own
}
