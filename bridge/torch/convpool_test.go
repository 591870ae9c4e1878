package torch

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/sugarme/gotch/libtch"

	"rarespurious/nn"
)

// A convolution with its max pool is what libtorch's own operations make of it
// in float32, one after the other, with their gradients: for windows that
// overlap and that leave a rim out, padding, strides, and rows of windows of all
// the lengths that the products are cut into.
func TestConvPool(t *testing.T) {
	for _, c := range []struct {
		n, c, h, w, out int
		conv, pool      nn.Layer
	}{
		{3, 32, 9, 8, 5, nn.Layer{K: 3, Stride: 1}, nn.Layer{K: 2, Stride: 2}},
		{2, 32, 7, 7, 4, nn.Layer{K: 3, Stride: 2, Pad: 1}, nn.Layer{K: 3, Stride: 2, Pad: 1}},
		{1, 32, 6, 6, 3, nn.Layer{K: 1, Stride: 1}, nn.Layer{K: 2, Stride: 1}},
		{2, 64, 5, 6, 7, nn.Layer{K: 3, Stride: 1, Pad: 2}, nn.Layer{K: 2, Stride: 2}},
		{2, 16, 6, 5, 2, nn.Layer{K: 2, Stride: 1}, nn.Layer{K: 2, Stride: 2}},
		{2, 128, 5, 5, 2, nn.Layer{K: 3, Stride: 1}, nn.Layer{K: 3, Stride: 3}},
	} {
		for _, bf16 := range []bool{false, convPoolTakesBF16()} {
			t.Run(fmt.Sprintf("C=%d,k=%d,pool=%d,bf16=%v", c.c, c.conv.K, c.pool.K, bf16), func(t *testing.T) {
				err := Run("cpu", Options{}, func(d *Device) error {
					conv, pool := node{Layer: c.conv}, node{Layer: c.pool}
					conv.Op, conv.Out, conv.Bias, pool.Op = nn.Conv, c.out, true, nn.MaxPool
					conv.in = nn.Shape{C: c.c, H: c.h, W: c.w}
					ours := convPool(d, &conv, &pool, c.n, bf16, true)
					theirs := convPool(d, &conv, &pool, c.n, bf16, false)
					tolerance := 2e-5
					if bf16 {
						tolerance = 1. / 64 // two roundings
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

// convPool returns the output of a convolution and a max pool, behind which half
// the values get no gradient as behind a ReLU, and the gradients of a weighted
// sum. The weights are multiples of 1/4 and the images of 1/2, few enough for
// bfloat16 to hold them and float32 their products, so both ways see the same
// numbers and find the same largest one.
func convPool(d *Device, conv, pool *node, n int, bf16, fused bool) map[string][]float32 {
	sc := new(scope)
	defer sc.end()
	rng := rand.New(rand.NewPCG(5, 6))
	draw := func(unit, deviation float64, dims ...int) tensor {
		size, shape := 1, make([]int64, len(dims))
		for i, k := range dims {
			size, shape[i] = size*k, int64(k)
		}
		v := make([]float32, size)
		for i := range v {
			v[i] = float32(unit * math.Round(deviation*rng.NormFloat64()))
		}
		return upload(sc, d, v, shape...)
	}
	x := sc.leaf(draw(0.5, 2, n, conv.in.C, conv.in.H, conv.in.W))
	w, b := sc.leaf(draw(0.25, 0.5, conv.Out, conv.in.C, conv.K, conv.K)), sc.leaf(draw(0.125, 2, conv.Out))
	f := &pass{scope: sc, dev: d, plan: &plan{}, models: 1, train: true, params: []tensor{w, b}}
	var y tensor
	if fused {
		in := x
		if bf16 {
			in = sc.cast(x, kindBF16)
		}
		y = sc.cast(f.convPool(conv, pool, in), kindFloat)
	} else {
		y = f.layer(pool, f.layer(conv, x))
	}
	shape, _ := conv.OutShape(conv.in)
	shape, _ = pool.OutShape(shape)
	size := n * shape.Len()
	out := map[string][]float32{}
	read := func(name string, t tensor, n int) {
		out[name] = make([]float32, n)
		libtch.AtgContiguous(sc.out(), t)
		sc.floats(sc.take(), out[name])
	}
	read("output", sc.detach(y), size)
	weight := make([]float32, size)
	for i := range weight {
		weight[i] = float32(max(0, math.Round(2*rng.NormFloat64())))
	}
	loss := sc.sum(sc.mul(sc.view(y, []int64{-1}), upload(sc, d, weight, int64(size))))
	read("gradient of the images", sc.backward(loss, x, true, false), n*conv.in.Len())
	read("gradient of the weights", sc.backward(loss, w, true, false), conv.Out*conv.in.C*conv.K*conv.K)
	read("gradient of the bias", sc.backward(loss, b, true, false), conv.Out)
	return out
}
