package dataset

import (
	"slices"

	"rarespurious/experiments/seed"
)

// Split pools the training and test images of s, shuffles them with the seed,
// and cuts four equal parts for membership inference: the target's training
// and test set and the shadow's. Up to three images are left over.
//
// Reference: R. Shokri et al., "Membership Inference Attacks Against Machine
// Learning Models", 2017, section V, with one shadow model.
func Split(s *Set, seedValue uint64) (target, shadow *Set) {
	pool := Part{slices.Concat(s.Train.Images, s.Test.Images), slices.Concat(s.Train.Labels, s.Test.Labels)}
	order := seed.Rand(seedValue, "split").Perm(pool.Len())
	q := len(order) / 4
	part := func(i int) Part { return pool.Gather(order[i*q:(i+1)*q], s.Shape.Len()) }
	return s.with(part(0), part(1)), s.with(part(2), part(3))
}
