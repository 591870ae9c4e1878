package onnx

import (
	"math/rand/v2"
	"testing"
)

// The jumps find what a walk through all dominators finds, in random trees
// with two inputs.
func TestDominator(t *testing.T) {
	walk := func(a, b *activation) *activation {
		above := map[*activation]bool{}
		for ; a != nil; a = a.dom {
			above[a] = true
		}
		for b != nil && !above[b] {
			b = b.dom
		}
		return b
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		tree := []*activation{{}, {}}
		near := 1 + rng.IntN(100) // small: long chains; large: bushes
		for range 300 {
			parent := tree[max(0, len(tree)-1-rng.IntN(near))]
			tree = append(tree, under(parent, tensor{}))
		}
		for range 1000 {
			a, b := tree[rng.IntN(len(tree))], tree[rng.IntN(len(tree))]
			if got, want := dominator(a, b), walk(a, b); got != want {
				t.Fatalf("depths %d and %d: another dominator than by walking", a.depth, b.depth)
			}
		}
	}
}
