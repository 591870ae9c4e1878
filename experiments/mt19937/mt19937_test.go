package mt19937

import (
	"math"
	"slices"
	"testing"
)

// The vectors below were made with numpy's RandomState.

func TestChoice(t *testing.T) {
	for _, c := range []struct {
		n    int
		seed uint32
		want []int
	}{
		{5923, 0, []int{1386, 5218, 4744, 1833, 737, 3689, 812, 2017, 1515, 2284}},
		{5923, 1, []int{301, 2600, 4104, 5295, 1499, 3021, 927, 416, 4140, 745}},
		{6742, 0, []int{2468, 5969, 3990, 558, 2240, 3471, 4606, 98, 2848, 4693}},
		{6742, 1, []int{6291, 2257, 2054, 2354, 1771, 1913, 4286, 6180, 2918, 1169}},
		{6000, 0, []int{4320, 2006, 5689, 472, 1370, 1457, 5783, 3484, 1145, 130}},
		{6000, 1, []int{1483, 2185, 2520, 3721, 3727, 4524, 234, 4735, 5839, 2939}},
		{5000, 0, []int{398, 3833, 4836, 4572, 636, 2545, 1161, 2230, 148, 2530}},
		{5000, 1, []int{2764, 4767, 3814, 3499, 2735, 3922, 2701, 1179, 932, 792}},
		{60000, 0, []int{3048, 19563, 58303, 8870, 40228}},
		{50000, 0, []int{11841, 19602, 45519, 25747, 42642}},
	} {
		if got := New(c.seed).Choice(c.n, len(c.want)); !slices.Equal(got, c.want) {
			t.Errorf("seed %d, %d of %d: %v, want %v", c.seed, len(c.want), c.n, got, c.want)
		}
	}
}

func TestFloat64(t *testing.T) {
	for seed, want := range map[uint32][]float64{
		0: {.5488135039273248, .7151893663724195, .6027633760716439},
		1: {.417022004702574, .7203244934421581, .00011437481734488664},
	} {
		r := New(seed)
		for i, w := range want {
			if got := r.Float64(); got != w {
				t.Errorf("seed %d, draw %d: %v, want %v", seed, i, got, w)
			}
		}
	}
	for n, want := range map[int][]float64{
		784:  {388.3641521833068, 395.48736651916624, 387.9696577187486, 388.75351299478933, 393.8996657041922},
		3072: {1548.7061813662835, 1538.963443753989, 1518.0636691101026, 1527.4320133452543, 1548.5142391412583},
	} {
		for seed, w := range want {
			r, sum := New(uint32(seed)), 0.0
			for range n {
				sum += r.Float64()
			}
			// The order of summation differs from numpy's pairwise one.
			if math.Abs(sum-w) > 1e-9 {
				t.Errorf("seed %d: sum of %d = %v, want %v", seed, n, sum, w)
			}
		}
	}
}

func TestBounded(t *testing.T) {
	r := New(7)
	first := New(7).Uint32()
	if r.Bounded(0) != 0 || r.Uint32() != first {
		t.Error("Bounded(0) must be 0 and draw nothing")
	}
	seen := map[uint32]bool{}
	for range 200 {
		v := r.Bounded(4)
		if v > 4 {
			t.Fatalf("Bounded(4) = %d", v)
		}
		seen[v] = true
	}
	if len(seen) != 5 {
		t.Errorf("Bounded(4) gave only %v", seen)
	}
	if a, b := New(7).Bounded(math.MaxUint32), first; a != b {
		t.Errorf("the widest bound must pass outputs through: %d, want %d", a, b)
	}
}

func TestPermutation(t *testing.T) {
	p := New(3).Permutation(1000)
	if slices.IsSorted(p) {
		t.Error("not shuffled")
	}
	slices.Sort(p)
	for i, v := range p {
		if i != v {
			t.Fatalf("not a permutation: %d at %d", v, i)
		}
	}
	if got := New(0).Permutation(0); len(got) != 0 {
		t.Errorf("permutation of nothing: %v", got)
	}
}

func TestChoiceOfTooMany(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	New(0).Choice(3, 4)
}
