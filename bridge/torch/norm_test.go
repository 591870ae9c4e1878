package torch

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sugarme/gotch/libtch"

	"rarespurious/nn"
)

// Batch norm with what follows it is what libtorch's own operations make of it
// in float32, one after the other, with their gradients and running statistics:
// for images and for vectors (h = 0), few channels and many, numbers of values
// that are no multiple of an instruction's, and means far from 0.
func TestNorm(t *testing.T) {
	for _, c := range []struct{ n, c, h, w int }{{5, 16, 3, 7}, {3, 64, 4, 4}, {70, 3, 5, 1}, {4, 130, 1, 1}, {6, 20, 0, 0}} {
		for i := range 8 {
			bf16, relu, rest := i&1 > 0, i&2 > 0, i&4 > 0
			t.Run(fmt.Sprintf("%v/bf16=%v,relu=%v,rest=%v", c, bf16, relu, rest), func(t *testing.T) {
				err := Run("cpu", Options{}, func(d *Device) error {
					ours := norm(d, c.n, c.c, c.h, c.w, bf16, relu, rest, true)
					theirs := norm(d, c.n, c.c, c.h, c.w, bf16, relu, rest, false)
					tolerance := 2e-5
					if bf16 {
						tolerance = 1. / 128 // the last bit
					}
					compare(t, ours, theirs, tolerance)
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

// What is not a number must stay so, or a run that diverged would look well.
func TestNormKeepsNaN(t *testing.T) {
	err := Run("cpu", Options{}, func(d *Device) error {
		for _, kind := range []int32{kindFloat, kindBF16} {
			sc := new(scope)
			defer sc.end()
			f := normPass(sc, d, 2)
			x := sc.cast(upload(sc, d, []float32{1, 2, float32(math.NaN()), 3}, 2, 2, 1, 1), kind)
			y := make([]float32, 4)
			sc.floats(sc.cast(f.norm(new(node), x, nil, true), kindFloat), y)
			if !math.IsNaN(float64(y[0])) || !math.IsNaN(float64(y[2])) || math.IsNaN(float64(y[1])) {
				t.Errorf("channels with and without a number that is none: %v", y)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// normPass is a pass of one batch norm over channels.
func normPass(sc *scope, d *Device, channels int) *pass {
	rng := rand.New(rand.NewPCG(3, 4))
	draw := func(offset float32) tensor {
		v := make([]float32, channels)
		for i := range v {
			v[i] = offset + rng.Float32()
		}
		return upload(sc, d, v, int64(channels))
	}
	return &pass{scope: sc, dev: d, plan: &plan{}, models: 1, train: true,
		params: []tensor{sc.leaf(draw(0.5)), sc.leaf(draw(-0.5))}, stats: []tensor{draw(0), draw(1)}}
}

// norm returns the output of a batch norm, its gradients of a weighted sum, and
// the running statistics.
func norm(d *Device, n, c, h, w int, bf16, relu, rest, fused bool) map[string][]float32 {
	sc := new(scope)
	defer sc.end()
	f := normPass(sc, d, c)
	rng := rand.New(rand.NewPCG(1, 2))
	dims, pixels := []int64{int64(n), int64(c), int64(h), int64(w)}, h*w
	if h == 0 {
		dims, pixels = dims[:2], 1
	}
	size := n * c * pixels
	draw := func(offset func(i int) float64) tensor {
		v := make([]float32, size)
		for i := range v {
			v[i] = float32(offset(i) + rng.NormFloat64())
		}
		t := upload(sc, d, v, dims...)
		return sc.cast(sc.cast(t, kindBF16), kindFloat) // both ways see the same numbers
	}
	zero := func(int) float64 { return 0 }
	x := sc.leaf(draw(func(i int) float64 { return float64(i / pixels % c % 9) }))
	more, weight := sc.leaf(draw(zero)), draw(zero)
	low := func(t tensor) tensor {
		if bf16 && fused {
			return sc.cast(t, kindBF16)
		}
		return t
	}
	var y tensor
	if fused {
		var add tensor
		if rest {
			add = low(more)
		}
		y = sc.cast(f.norm(new(node), low(x), add, relu), kindFloat)
	} else {
		libtch.AtgBatchNorm(sc.out(), x, f.params[0], f.params[1], f.stats[0], f.stats[1], 1, nn.BatchNormMomentum, nn.BatchNormEps, 1)
		y = sc.take()
		if rest {
			y = sc.add(y, more)
		}
		if relu {
			y = sc.relu(y)
		}
	}
	out := map[string][]float32{}
	read := func(name string, t tensor, n int) {
		out[name] = make([]float32, n)
		libtch.AtgContiguous(sc.out(), sc.detach(t))
		sc.floats(sc.take(), out[name])
	}
	read("output", y, size)
	read("running mean", f.stats[0], c)
	read("running variance", f.stats[1], c)
	loss := sc.sum(sc.mul(y, weight))
	read("gradient of the images", sc.backward(loss, x, true, false), size)
	read("gradient of the scale", sc.backward(loss, f.params[0], true, false), c)
	read("gradient of the shift", sc.backward(loss, f.params[1], true, false), c)
	if rest {
		read("gradient of what is added", sc.backward(loss, more, true, false), size)
	}
	return out
}

// compare reports every result that is not near the one of the same name that
// is wanted.
func compare(t *testing.T, results, wanted map[string][]float32, share float64) {
	t.Helper()
	for name, want := range wanted {
		if got := results[name]; !near(got, want, share) {
			t.Errorf("%s is %.5g, want %.5g", name, got[:min(9, len(got))], want[:min(9, len(want))])
		}
	}
}

// near reports whether a and b are equal up to a share of b's largest number.
func near(a, b []float32, share float64) bool {
	var largest, worst float64
	for i := range b {
		largest = max(largest, math.Abs(float64(b[i])))
		worst = max(worst, math.Abs(float64(a[i])-float64(b[i])))
	}
	return len(a) == len(b) && worst <= share*max(largest, 1)
}
