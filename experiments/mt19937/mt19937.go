// Package mt19937 reproduces numpy's legacy RandomState bit for bit.
//
// The published experiments chose their spurious examples and drew their
// random patterns with that generator, so the same seed gives the same
// poisoned data set here. Everything else draws from package seed.
//
// Reference: M. Matsumoto and T. Nishimura, "Mersenne Twister: A
// 623-dimensionally equidistributed uniform pseudo-random number generator",
// 1998. How integers and doubles are made from its outputs follows numpy.
package mt19937

import "math/bits"

// The parameters of MT19937, named as in the reference, table II.
const (
	n         = 624
	m         = 397
	matrixA   = 0x9908b0df
	upperMask = 0x80000000
	lowerMask = 0x7fffffff
)

// A RandomState is the generator numpy.random.RandomState(seed). It is not
// safe for concurrent use. The zero value is not usable; see [New].
type RandomState struct {
	state [n]uint32
	next  int
}

// New returns the generator that numpy.random.RandomState(seed) is.
func New(seed uint32) *RandomState {
	r := &RandomState{next: n}
	r.state[0] = seed
	for i := uint32(1); i < n; i++ {
		// Knuth's multiplier, as in the reference implementation of 2002.
		prev := r.state[i-1]
		r.state[i] = 1812433253*(prev^prev>>30) + i
	}
	return r
}

// Uint32 returns the next raw output, uniform on [0, 2³²).
func (r *RandomState) Uint32() uint32 {
	if r.next == n {
		r.twist()
	}
	y := r.state[r.next]
	r.next++
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}

func (r *RandomState) twist() {
	for i := range n {
		y := r.state[i]&upperMask | r.state[(i+1)%n]&lowerMask
		v := r.state[(i+m)%n] ^ y>>1
		if y&1 != 0 {
			v ^= matrixA
		}
		r.state[i] = v
	}
	r.next = 0
}

// Float64 returns a multiple of 2⁻⁵³, uniform on [0, 1), made of two outputs.
func (r *RandomState) Float64() float64 {
	a, b := r.Uint32()>>5, r.Uint32()>>6
	return (float64(a)*(1<<26) + float64(b)) / (1 << 53)
}

// Bounded returns a number uniform on [0, max], both ends included: outputs
// are masked to max's width and rejected while they exceed it. Bounded(0) is 0
// and draws nothing.
func (r *RandomState) Bounded(max uint32) uint32 {
	if max == 0 {
		return 0
	}
	mask := uint32(1)<<bits.Len32(max) - 1
	for {
		if v := r.Uint32() & mask; v <= max {
			return v
		}
	}
}

// Permutation returns a random order of 0 … n-1, for n below 2³².
func (r *RandomState) Permutation(n int) []int {
	p := make([]int, n)
	for i := range p {
		p[i] = i
	}
	for i := n - 1; i > 0; i-- {
		j := r.Bounded(uint32(i))
		p[i], p[j] = p[j], p[i]
	}
	return p
}

// Choice returns k of 0 … n-1 without replacement: the first k of a
// [RandomState.Permutation], so that choices from equal states are nested over
// k. It panics unless 0 ≤ k ≤ n.
func (r *RandomState) Choice(n, k int) []int {
	if k < 0 || k > n {
		panic("mt19937: choice of more than there is")
	}
	return r.Permutation(n)[:k:k]
}
