package theory

import (
	"crypto/sha256"
	"fmt"
	"math"
	"math/rand/v2"
)

// A Distribution is one of the three that a [Model] speaks of.
type Distribution int

// The training distribution and the two of the test.
const (
	Training Distribution = iota
	CleanTest
	SpuriousTest
)

func (d Distribution) String() string {
	switch d {
	case Training:
		return "training"
	case CleanTest:
		return "clean test"
	case SpuriousTest:
		return "spurious test"
	}
	return fmt.Sprintf("Distribution(%d)", int(d))
}

// A branch is one Gaussian component: its mean is (class·m, 0), or (class·m, q)
// if it is spurious.
type branch struct {
	class    int // the label, +1 or −1
	spurious bool
	share    float64 // of all examples; the shares of a distribution add up to 1
}

// sp returns the branch's mean along q: 1 if it is spurious, else 0.
func (b branch) sp() float64 {
	if b.spurious {
		return 1
	}
	return 0
}

// branches returns the components of d; one with the share 0 is kept.
func (m Model) branches(d Distribution) []branch {
	switch d {
	case Training:
		return []branch{
			{class: +1, share: (1 - m.Gamma) / 2},
			{class: +1, spurious: true, share: m.Gamma / 2},
			{class: -1, share: 0.5},
		}
	case CleanTest:
		return []branch{{class: +1, share: 0.5}, {class: -1, share: 0.5}}
	case SpuriousTest:
		return []branch{{class: -1, spurious: true, share: 1}}
	}
	panic("theory: unknown distribution " + d.String())
}

// counts divides n examples among the branches by their shares; cumulative
// rounding makes the counts add up to n.
func counts(branches []branch, n int) []int {
	out := make([]int, len(branches))
	var share float64
	var given int
	for i, b := range branches {
		share += b.share
		out[i] = int(math.Round(share*float64(n))) - given
		given += out[i]
	}
	return out
}

// stream returns the generator of one purpose under seed.
func stream(seed uint64, purpose string) *rand.Rand {
	return rand.New(rand.NewChaCha8(sha256.Sum256(fmt.Appendf(nil, "%d/%s", seed, purpose))))
}
