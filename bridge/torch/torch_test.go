package torch_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"rarespurious/bridge/torch"
	"rarespurious/nn"
)

// onCPU runs f on a device thread; f reports what it finds with t.Error.
func onCPU(t *testing.T, f func(d *torch.Device) error) {
	t.Helper()
	if err := torch.Run("cpu", torch.Options{}, f); err != nil {
		t.Fatal(err)
	}
}

var tiny = nn.Shape{C: 1, H: 4, W: 4}

func mlp(widths ...int) nn.Arch {
	a := nn.Arch{Name: "test", In: tiny, Classes: widths[len(widths)-1], Layers: []nn.Layer{{Op: nn.Flatten}}}
	for i, w := range widths {
		if i > 0 {
			a.Layers = append(a.Layers, nn.Layer{Op: nn.ReLU})
		}
		a.Layers = append(a.Layers, nn.Layer{Op: nn.Linear, Name: "fc" + strconv.Itoa(i), Out: w})
	}
	return a
}

// images returns n random images of shape in with labels below classes.
func images(n int, in nn.Shape, classes int) (pixels, labels []uint8) {
	rng := rand.New(rand.NewPCG(7, 7))
	pixels, labels = make([]uint8, n*in.Len()), make([]uint8, n)
	for i := range pixels {
		pixels[i] = uint8(rng.IntN(256))
	}
	for i := range labels {
		labels[i] = uint8(rng.IntN(classes))
	}
	return pixels, labels
}

func data(d *torch.Device, n int, in nn.Shape, classes int) *torch.Data {
	pixels, labels := images(n, in, classes)
	t, err := torch.NewData(d, in, pixels, labels)
	if err != nil {
		panic(err)
	}
	return t
}

// stack returns m models with seeds first, first+1, …
func stack(d *torch.Device, a nn.Arch, m, first int, o torch.StackOptions) *torch.Stack {
	s, err := torch.NewStack(d, a, m, o)
	if err != nil {
		panic(err)
	}
	var theta, buffers []float32
	for i := range m {
		th, bu := a.Init(rand.New(rand.NewPCG(uint64(first+i), 1)))
		theta, buffers = append(theta, th...), append(buffers, bu...)
	}
	if err := s.Load(theta, buffers); err != nil {
		panic(err)
	}
	return s
}

func order(n int, seed uint64) []int64 {
	o := make([]int64, n)
	for i := range o {
		o[i] = int64(i)
	}
	rand.New(rand.NewPCG(seed, 3)).Shuffle(n, func(i, j int) { o[i], o[j] = o[j], o[i] })
	return o
}

// distance is the largest difference between two vectors.
func distance(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	var top float64
	for i := range a {
		top = max(top, math.Abs(float64(a[i])-float64(b[i])))
	}
	return top
}

// The gradient, the Hessian's and the Gauss–Newton matrix's products agree with
// finite differences of the loss, the gradient and the logits.
func TestDerivatives(t *testing.T) {
	a := mlp(6, 5, 3)
	onCPU(t, func(d *torch.Device) error {
		const n = 12
		x := data(d, n, tiny, 3)
		s := stack(d, a, 1, 1, torch.StackOptions{})
		b := torch.Batch{Data: x, Rows: [][]int64{order(n, 1)}}
		theta, _, _ := s.Save()
		p := len(theta)
		grad, _ := s.NewVec()
		if _, err := s.Grad(grad, b); err != nil {
			return err
		}
		g, _ := grad.Get()
		dir := make([]float32, p)
		rng := rand.New(rand.NewPCG(2, 2))
		for i := range dir {
			dir[i] = float32(rng.NormFloat64())
		}
		at := func(h float64) {
			moved := make([]float32, p)
			for i := range moved {
				moved[i] = theta[i] + float32(h)*dir[i]
			}
			if err := s.Load(moved, nil); err != nil {
				t.Fatal(err)
			}
		}
		const h = 1e-3
		lossAt := func(h float64) float64 {
			at(h)
			l, err := s.Grad(nil, b)
			if err != nil {
				t.Fatal(err)
			}
			return l[0]
		}
		want := (lossAt(h) - lossAt(-h)) / (2 * h)
		var got float64
		for i := range g {
			got += float64(g[i]) * float64(dir[i])
		}
		if math.Abs(got-want) > 2e-3*(1+math.Abs(want)) {
			t.Errorf("gradient along a direction: %g, finite difference %g", got, want)
		}

		gradAt := func(h float64) []float32 {
			at(h)
			s.Grad(grad, b)
			v, _ := grad.Get()
			return v
		}
		up, down := gradAt(h), gradAt(-h)
		at(0)
		v, _ := s.NewVec()
		hv, _ := s.NewVec()
		v.Set(dir)
		if err := s.HVP(hv, v, b); err != nil {
			return err
		}
		product, _ := hv.Get()
		var diff, norm float64
		for i := range product {
			fd := (float64(up[i]) - float64(down[i])) / (2 * h)
			diff += (fd - float64(product[i])) * (fd - float64(product[i]))
			norm += fd * fd
		}
		if math.Sqrt(diff/norm) > 0.02 {
			t.Errorf("Hessian-vector product is off by %g of its norm", math.Sqrt(diff/norm))
		}

		// vᵀGv = mean over images of the softmax variance of Jv.
		logitsAt := func(h float64) []float32 {
			at(h)
			z, err := s.Logits(x, b.Rows[0], torch.Forward{})
			if err != nil {
				t.Fatal(err)
			}
			return z[0]
		}
		zu, zd, z := logitsAt(h), logitsAt(-h), logitsAt(0)
		var quad float64
		for i := range n {
			var sum, m1, m2 float64
			for k := range 3 {
				e := math.Exp(float64(z[i*3+k]))
				jv := (float64(zu[i*3+k]) - float64(zd[i*3+k])) / (2 * h)
				sum, m1, m2 = sum+e, m1+e*jv, m2+e*jv*jv
			}
			quad += (m2/sum - m1/sum*m1/sum) / n
		}
		if err := s.GNVP(hv, v, b); err != nil {
			return err
		}
		dot, _ := hv.Dot(v)
		if math.Abs(dot-quad) > 0.01*quad {
			t.Errorf("vᵀGv = %g, want %g", dot, quad)
		}
		return nil
	})
}

// What an epoch's settings can be, for the tests that range over them.
var hypers = map[string]torch.Hyper{
	"adam":         {LR: 0.01},
	"weight decay": {LR: 0.01, WeightDecay: 0.01},
	"sgd":          {SGD: true, LR: 0.1, Momentum: 0.9, WeightDecay: 1e-3},
	"clip value":   {SGD: true, LR: 0.1, ClipValue: 0.01},
	"clip norm":    {SGD: true, LR: 0.1, ClipNorm: 0.1},
	"noise":        {LR: 0.01, Noise: 0.2},
}

func train(t *testing.T, s *torch.Stack, x *torch.Data, epochs int, hyper torch.Hyper) (theta []float32, loss []float64) {
	t.Helper()
	o, err := s.NewOptimizer()
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	e := torch.Epoch{Data: x, Batch: 8}
	for m := range s.Models() {
		e.Hyper = append(e.Hyper, hyper)
		e.Order = append(e.Order, order(x.Rows(), uint64(m)))
		e.Seeds = append(e.Seeds, uint64(100+m))
	}
	for range epochs {
		if loss, err = s.Train(context.Background(), o, e); err != nil {
			t.Fatal(err)
		}
	}
	theta, _, err = s.Save()
	if err != nil {
		t.Fatal(err)
	}
	return theta, loss
}

// darkData returns n images of shape in with one pixel in six lit, and behind
// them two whose pixels are no multiples of 1/255.
func darkData(d *torch.Device, n int, in nn.Shape, classes int) *torch.Data {
	pixels, labels := images(n, in, classes)
	rng := rand.New(rand.NewPCG(8, 8))
	for i := range pixels {
		if rng.IntN(6) > 0 {
			pixels[i] = 0
		}
	}
	t, err := torch.NewData(d, in, pixels, labels)
	if err != nil {
		panic(err)
	}
	more := make([]float32, 2*in.Len())
	for i := range more {
		more[i] = max(0, rng.Float32()-0.5)
	}
	if t, err = t.Overlay(d, more, []uint8{0, 1}); err != nil {
		panic(err)
	}
	return t
}

// A perceptron is a network of the tests with images for it. Each makes the
// written-out step take other products.
type perceptron struct {
	name string
	arch nn.Arch
	data *torch.Data
	bias float32 // is added to the first layer's
}

func perceptrons(d *torch.Device) []perceptron {
	odd, even := nn.Shape{C: 1, H: 5, W: 7}, nn.Shape{C: 1, H: 4, W: 8}
	of := func(in nn.Shape, a nn.Arch) nn.Arch {
		a.In = in
		return a
	}
	return []perceptron{
		{"all units on", mlp(6, 5, 3), data(d, 20, tiny, 3), 0}, // a last batch of 4
		// Parts of sums of all lengths; pixels no multiple of the eight that are
		// skipped at once.
		{"dark images", of(odd, mlp(384, 32, 3)), darkData(d, 20, odd, 3), 0},
		{"few units on", of(even, mlp(96, 64, 3)), data(d, 20, even, 3), -0.6},
		{"dark images, few units on", of(even, mlp(64, 32, 3)), darkData(d, 20, even, 3), -0.1},
	}
}

// stack returns a Stack of the network.
func (p perceptron) stack(d *torch.Device, o torch.StackOptions) *torch.Stack {
	s := stack(d, p.arch, 1, 1, o)
	theta, _, err := s.Save()
	if err != nil {
		panic(err)
	}
	out := p.arch.Layers[1].Out
	for i := range out {
		theta[out*p.arch.In.Len()+i] += p.bias
	}
	if err := s.Load(theta, nil); err != nil {
		panic(err)
	}
	return s
}

// The written-out step of a perceptron is autograd's step, also where it skips
// pixels that are dark and units that are off.
func TestWrittenOutStepEqualsAutograd(t *testing.T) {
	for name, h := range hypers {
		onCPU(t, func(d *torch.Device) error {
			for _, p := range perceptrons(d) {
				fast, fastLoss := train(t, p.stack(d, torch.StackOptions{}), p.data, 3, h)
				slow, slowLoss := train(t, p.stack(d, torch.StackOptions{Autograd: true}), p.data, 3, h)
				if dist := distance(fast, slow); dist > 2e-5 || math.Abs(fastLoss[0]-slowLoss[0]) > 1e-5 {
					t.Errorf("%s, %s: θ differs by %g, loss %g and %g", p.name, name, dist, fastLoss[0], slowLoss[0])
				}
			}
			return nil
		})
	}
}

// A Stack of M models trains as M models do alone, each with its own settings,
// order and seed; by the written-out step even to the last bit.
func TestStackEqualsSingles(t *testing.T) {
	conv := nn.Arch{Name: "conv", In: tiny, Classes: 3, Layers: []nn.Layer{
		{Op: nn.Conv, Name: "c", Out: 4, K: 3, Stride: 1, Pad: 1}, {Op: nn.BatchNorm, Name: "b"}, {Op: nn.ReLU},
		{Op: nn.Dropout, Rate: 0.3}, {Op: nn.AdaptiveAvg, Out: 1}, {Op: nn.Flatten}, {Op: nn.Linear, Name: "l", Out: 3},
	}}
	for _, tt := range []struct {
		arch nn.Arch
		o    torch.StackOptions
		tol  float64
	}{
		{mlp(6, 5, 3), torch.StackOptions{}, 0},
		{mlp(6, 5, 3), torch.StackOptions{Autograd: true}, 1e-5},
		{conv, torch.StackOptions{}, 1e-6},
	} {
		onCPU(t, func(d *torch.Device) error {
			x := data(d, 20, tiny, 3)
			const m = 3
			settings := []torch.Hyper{{LR: 0.01}, {LR: 0.003, WeightDecay: 0.1}, {LR: 0.01, Noise: 0.1, ClipValue: 0.5}}
			run := func(s *torch.Stack, first int) []float32 {
				o, _ := s.NewOptimizer()
				e := torch.Epoch{Data: x, Batch: 8}
				for i := range s.Models() {
					e.Hyper = append(e.Hyper, settings[first+i])
					e.Order = append(e.Order, order(20, uint64(first+i)))
					e.Seeds = append(e.Seeds, uint64(first+i))
				}
				if _, err := s.Train(context.Background(), o, e); err != nil {
					t.Fatal(err)
				}
				theta, buffers, _ := s.Save()
				return append(theta, buffers...)
			}
			together := run(stack(d, tt.arch, m, 0, tt.o), 0)
			p, b := tt.arch.NumParams(), tt.arch.NumBuffers()
			for i := range m {
				alone := run(stack(d, tt.arch, 1, i, tt.o), i)
				mine := append(append([]float32(nil), together[i*p:(i+1)*p]...), together[m*p+i*b:m*p+(i+1)*b]...)
				if dist := distance(alone, mine); dist > tt.tol {
					t.Errorf("%s: model %d of a stack differs by %g from itself alone", tt.arch.Name, i, dist)
				}
			}
			return nil
		})
	}
}

// The same seed gives the same bits, another seed other ones.
func TestDeterministic(t *testing.T) {
	onCPU(t, func(d *torch.Device) error {
		x := data(d, 40, tiny, 3)
		a, _ := train(t, stack(d, mlp(6, 3), 1, 1, torch.StackOptions{}), x, 2, hypers["noise"])
		b, _ := train(t, stack(d, mlp(6, 3), 1, 1, torch.StackOptions{}), x, 2, hypers["noise"])
		c, _ := train(t, stack(d, mlp(6, 3), 1, 2, torch.StackOptions{}), x, 2, hypers["noise"])
		if distance(a, b) != 0 || distance(a, c) == 0 {
			t.Errorf("same seed differs by %g, another by %g", distance(a, b), distance(a, c))
		}
		return nil
	})
}

// An overlay's rows stand behind the data set's, which stay as they are.
func TestOverlay(t *testing.T) {
	onCPU(t, func(d *torch.Device) error {
		x := data(d, 5, tiny, 3)
		rows := make([]float32, tiny.Len())
		for i := range rows {
			rows[i] = float32(i) / 16
		}
		o, err := x.Overlay(d, rows, []uint8{2})
		if err != nil {
			return err
		}
		// A linear layer that copies its input shows what it was given.
		a := mlp(16)
		s := stack(d, a, 1, 1, torch.StackOptions{})
		theta := make([]float32, a.NumParams())
		for i := range 16 {
			theta[i*16+i] = 1
		}
		s.Load(theta, nil)
		z, err := s.Logits(o, []int64{5, 0}, torch.Forward{})
		if err != nil {
			return err
		}
		if distance(z[0][:16], rows) != 0 {
			t.Errorf("overlay reads back as %v", z[0][:16])
		}
		pixels, _ := images(5, tiny, 3)
		for i := range 16 {
			if want := float32(pixels[i]) / 255; z[0][16+i] != want {
				t.Errorf("pixel %d of the data set is %g, want exactly %g", i, z[0][16+i], want)
			}
		}
		delta := make([]float64, 16)
		delta[3], delta[4] = 1, -2
		z, err = s.Logits(x, []int64{0}, torch.Forward{Delta: delta})
		if err != nil {
			return err
		}
		if z[0][3] != 1 || z[0][4] != 0 || z[0][5] != float32(pixels[5])/255 {
			t.Errorf("pattern gives %v", z[0][:6])
		}
		if o.Label(5) != 2 || o.Rows() != 6 || x.Rows() != 5 {
			t.Errorf("label %d, %d and %d rows", o.Label(5), o.Rows(), x.Rows())
		}
		if err := o.Close(); err != nil {
			return err
		}
		if _, err := s.Logits(x, nil, torch.Forward{}); err != nil {
			t.Errorf("closing an overlay took the data along: %v", err)
		}
		if _, err := s.Logits(x, []int64{5}, torch.Forward{}); err == nil {
			t.Error("a row behind the last gave no error")
		}
		return nil
	})
}

func TestErrors(t *testing.T) {
	for _, name := range []string{"gpu", "cuda:x", "cuda:-1", ""} {
		if err := torch.Run(name, torch.Options{}, nil); !errors.Is(err, torch.ErrNoDevice) {
			t.Errorf("device %q: %v, want ErrNoDevice", name, err)
		}
	}
	if err := torch.Run("cpu", torch.Options{}, func(*torch.Device) error { panic("broken") }); err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("a panic gave %v", err)
	}
	onCPU(t, func(d *torch.Device) error {
		x := data(d, 5, nn.Shape{C: 1, H: 5, W: 5}, 3)
		s := stack(d, mlp(3), 1, 1, torch.StackOptions{})
		if _, err := s.Logits(x, nil, torch.Forward{}); err == nil {
			t.Error("images of another shape gave no error")
		}
		if err := s.Load(make([]float32, 3), nil); err == nil {
			t.Error("a short θ gave no error")
		}
		if _, err := torch.NewData(d, tiny, make([]uint8, 15), make([]uint8, 1)); err == nil {
			t.Error("missing pixels gave no error")
		}
		return nil
	})
}

// Ten thousand steps by autograd, and as many gathers and losses, leave the
// resident memory where it was.
func TestMemoryIsSteady(t *testing.T) {
	onCPU(t, func(d *torch.Device) error {
		x := data(d, 80, tiny, 3)
		s := stack(d, mlp(6, 3), 1, 1, torch.StackOptions{Autograd: true})
		train(t, s, x, 100, hypers["noise"])
		before := resident(t)
		train(t, s, x, 1000, hypers["noise"]) // of 10 steps
		if grown := resident(t) - before; grown > 8<<20 {
			t.Errorf("10,000 steps left %d bytes", grown)
		}
		return nil
	})
}

func resident(t *testing.T) int {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(b))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// A label that the network has no logit for is refused, not read past the end.
func TestLabelsOfTooManyClasses(t *testing.T) {
	onCPU(t, func(d *torch.Device) error {
		x, err := torch.NewData(d, tiny, make([]uint8, 2*tiny.Len()), []uint8{0, 3})
		if err != nil {
			return err
		}
		s := stack(d, mlp(3), 1, 1, torch.StackOptions{})
		if _, err := s.Grad(nil, torch.Batch{Data: x, Rows: [][]int64{{0}}}); err == nil || !strings.Contains(err.Error(), "label 3") {
			t.Errorf("Grad = %v, want an error about label 3", err)
		}
		return nil
	})
}
