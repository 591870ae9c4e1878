package ort_test

import (
	"math"

	"rarespurious/nn"
)

// A reference computes an Arch's logits for one example in 64-bit floats, by
// the definition of each layer.
type reference struct {
	tensors map[string][]float32
}

type image struct {
	shape nn.Shape
	v     []float64
}

func newImage(s nn.Shape) image { return image{s, make([]float64, s.Len())} }

func (m image) at(c, y, x int) *float64 { return &m.v[(c*m.shape.H+y)*m.shape.W+x] }

func forward(a nn.Arch, theta, buffers, x []float32) []float64 {
	r := reference{map[string][]float32{}}
	for _, p := range a.Params() {
		r.tensors[p.Name] = theta[p.Offset : p.Offset+p.Len]
	}
	for _, p := range a.Buffers() {
		r.tensors[p.Name] = buffers[p.Offset : p.Offset+p.Len]
	}
	in := newImage(a.In)
	for i := range x {
		in.v[i] = float64(x[i])
		if len(a.Mean) > 0 {
			c := i / (a.In.H * a.In.W)
			in.v[i] = (in.v[i] - float64(a.Mean[c])) / float64(a.Std[c])
		}
	}
	return r.apply(a.Layers, in).v
}

func (r reference) apply(ls []nn.Layer, x image) image {
	for _, l := range ls {
		if l.Op == nn.Residual {
			body, skip := r.apply(l.Body, x), r.apply(l.Skip, x)
			x = newImage(body.shape)
			for i := range x.v {
				x.v[i] = body.v[i] + skip.v[i]
			}
			continue
		}
		x = r.layer(l, x)
	}
	return x
}

func (r reference) layer(l nn.Layer, x image) image {
	shape, err := l.OutShape(x.shape)
	if err != nil {
		panic(err)
	}
	out := newImage(shape)
	tensor := func(suffix string) []float32 { return r.tensors[l.Name+"."+suffix] }
	// each sets every element of out from its position
	each := func(f func(c, y, x int) float64) image {
		for c := range shape.C {
			for i := range shape.H {
				for j := range shape.W {
					*out.at(c, i, j) = f(c, i, j)
				}
			}
		}
		return out
	}
	switch l.Op {
	case nn.Dropout, nn.Flatten:
		return image{shape, x.v}
	case nn.ReLU:
		return each(func(c, i, j int) float64 { return max(*x.at(c, i, j), 0) })
	case nn.Linear:
		w, b := tensor("weight"), tensor("bias")
		return each(func(c, _, _ int) float64 {
			sum := float64(b[c])
			for k, v := range x.v {
				sum += float64(w[c*len(x.v)+k]) * v
			}
			return sum
		})
	case nn.BatchNorm:
		w, b, mean, variance := tensor("weight"), tensor("bias"), tensor("running_mean"), tensor("running_var")
		return each(func(c, i, j int) float64 {
			return (*x.at(c, i, j)-float64(mean[c]))/math.Sqrt(float64(variance[c])+nn.BatchNormEps)*float64(w[c]) + float64(b[c])
		})
	case nn.Conv:
		w, b := tensor("weight"), tensor("bias")
		return each(func(o, i, j int) float64 {
			sum := 0.
			if l.Bias {
				sum = float64(b[o])
			}
			window(l, x.shape, i, j, func(y, z, k int) {
				for c := range x.shape.C {
					sum += float64(w[(o*x.shape.C+c)*l.K*l.K+k]) * *x.at(c, y, z)
				}
			})
			return sum
		})
	case nn.MaxPool:
		return each(func(c, i, j int) float64 {
			top := math.Inf(-1)
			window(l, x.shape, i, j, func(y, z, _ int) { top = max(top, *x.at(c, y, z)) })
			return top
		})
	case nn.AdaptiveAvg:
		bounds := func(i, in int) (int, int) { return i * in / l.Out, ((i+1)*in + l.Out - 1) / l.Out }
		return each(func(c, i, j int) float64 {
			top, bottom := bounds(i, x.shape.H)
			left, right := bounds(j, x.shape.W)
			sum := 0.
			for y := top; y < bottom; y++ {
				for z := left; z < right; z++ {
					sum += *x.at(c, y, z)
				}
			}
			return sum / float64((bottom-top)*(right-left))
		})
	case nn.Subsample:
		pad := (l.Out - x.shape.C) / 2
		return each(func(c, i, j int) float64 {
			if c < pad || c >= pad+x.shape.C {
				return 0
			}
			return *x.at(c-pad, i*l.Stride, j*l.Stride)
		})
	}
	panic("no reference for " + string(l.Op))
}

// window calls f for the positions inside an image of shape s that the window
// at output position (i, j) covers, with their place k in it.
func window(l nn.Layer, s nn.Shape, i, j int, f func(y, x, k int)) {
	for k := range l.K * l.K {
		y, x := i*l.Stride-l.Pad+k/l.K, j*l.Stride-l.Pad+k%l.K
		if y >= 0 && y < s.H && x >= 0 && x < s.W {
			f(y, x, k)
		}
	}
}
