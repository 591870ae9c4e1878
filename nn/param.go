package nn

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// A Param is one named tensor inside the flat vector θ or inside the flat
// vector of buffers: elements [Offset, Offset+Len) in row-major order.
type Param struct {
	Name   string // as in a PyTorch state dict: "fc1.weight"
	Shape  []int  // (out, in) for linear, (out, in, K, K) for conv, (out) otherwise
	Offset int
	Len    int

	init          Init
	fanIn, fanOut int
}

// Params lists the trainable tensors in θ's order: the layers' order, bodies
// before skips, weight before bias. It panics if a is not valid.
func (a Arch) Params() []Param { return a.tensors(Layer.params) }

// Buffers lists batch norm's running means and variances in the order of the
// buffer vector. It panics if a is not valid.
func (a Arch) Buffers() []Param { return a.tensors(Layer.buffers) }

// NumParams reports the length of θ.
func (a Arch) NumParams() int { return total(a.Params()) }

// NumBuffers reports the length of the buffer vector.
func (a Arch) NumBuffers() int { return total(a.Buffers()) }

func total(ps []Param) int {
	if len(ps) == 0 {
		return 0
	}
	last := ps[len(ps)-1]
	return last.Offset + last.Len
}

func (a Arch) tensors(of func(Layer, Shape) []Param) []Param {
	var ps []Param
	offset := 0
	_, err := walk(a.In, a.Layers, func(l Layer, in, _ Shape) error {
		for _, p := range of(l, in) {
			p.Len = 1
			for _, n := range p.Shape {
				p.Len *= n
			}
			p.Offset = offset
			offset += p.Len
			ps = append(ps, p)
		}
		return nil
	})
	if err != nil {
		panic(fmt.Sprintf("nn: %s: %v", a.Name, err))
	}
	return ps
}

// params lists l's own trainable tensors for an input of shape in; offsets
// and lengths are the caller's to fill in.
func (l Layer) params(in Shape) []Param {
	switch l.Op {
	case Linear:
		return []Param{
			{Name: l.Name + ".weight", Shape: []int{l.Out, in.C}, init: l.Init, fanIn: in.C, fanOut: l.Out},
			{Name: l.Name + ".bias", Shape: []int{l.Out}, init: l.BiasInit, fanIn: in.C, fanOut: l.Out},
		}
	case Conv:
		fanIn, fanOut := in.C*l.K*l.K, l.Out*l.K*l.K
		ps := []Param{{Name: l.Name + ".weight", Shape: []int{l.Out, in.C, l.K, l.K}, init: l.Init, fanIn: fanIn, fanOut: fanOut}}
		if l.Bias {
			ps = append(ps, Param{Name: l.Name + ".bias", Shape: []int{l.Out}, init: l.BiasInit, fanIn: fanIn, fanOut: fanOut})
		}
		return ps
	case BatchNorm:
		return []Param{
			{Name: l.Name + ".weight", Shape: []int{in.C}, init: one},
			{Name: l.Name + ".bias", Shape: []int{in.C}, init: Zero},
		}
	}
	return nil
}

func (l Layer) buffers(in Shape) []Param {
	if l.Op != BatchNorm {
		return nil
	}
	return []Param{
		{Name: l.Name + ".running_mean", Shape: []int{in.C}, init: Zero},
		{Name: l.Name + ".running_var", Shape: []int{in.C}, init: one},
	}
}

// An Init names how a tensor starts.
type Init string

// The initialisations that the paper's networks use.
const (
	Uniform  Init = ""        // U(±1/√fan_in), PyTorch's default for linear layers and convolutions
	HeIn     Init = "he_in"   // N(0, 2/fan_in)
	HeOut    Init = "he_out"  // N(0, 2/fan_out)
	Normal01 Init = "normal1" // N(0, 0.01²)
	Zero     Init = "zero"

	one Init = "one"
)

// Init returns a fresh θ and a fresh buffer vector, drawn from rng in θ's
// order. It panics if a is not valid or names an unknown Init.
//
// Reference for HeIn, HeOut: He, Zhang, Ren and Sun, "Delving Deep into
// Rectifiers", ICCV 2015, section 2.2.
func (a Arch) Init(rng *rand.Rand) (theta, buffers []float32) {
	fill := func(ps []Param) []float32 {
		v := make([]float32, total(ps))
		for _, p := range ps {
			p.fill(v[p.Offset:p.Offset+p.Len], rng)
		}
		return v
	}
	return fill(a.Params()), fill(a.Buffers())
}

func (p Param) fill(v []float32, rng *rand.Rand) {
	normal := func(sd float64) {
		for i := range v {
			v[i] = float32(sd * rng.NormFloat64())
		}
	}
	switch p.init {
	case Uniform:
		bound := 1 / math.Sqrt(float64(p.fanIn))
		for i := range v {
			v[i] = float32(bound * (2*rng.Float64() - 1))
		}
	case HeIn:
		normal(math.Sqrt(2 / float64(p.fanIn)))
	case HeOut:
		normal(math.Sqrt(2 / float64(p.fanOut)))
	case Normal01:
		normal(0.01)
	case Zero:
	case one:
		for i := range v {
			v[i] = 1
		}
	default:
		panic(fmt.Sprintf("nn: %s: unknown init %q", p.Name, p.init))
	}
}
