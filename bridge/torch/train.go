package torch

// #include "shim.h"
import "C"

import (
	"cmp"
	"context"
	"fmt"
	"math"

	"github.com/sugarme/gotch/libtch"
)

// Hyper says how one model is updated. The zero value of a field switches off
// what it controls.
type Hyper struct {
	SGD         bool    // else Adam, with betas .9 and .999 and ε = 1e-8
	LR          float64 // learning rate
	Momentum    float64 // of SGD; without dampening or Nesterov's variant
	WeightDecay float64 // coupled: added to the gradient, as wd·θ
	ClipValue   float64 // each component of the gradient is clipped to ±ClipValue
	ClipNorm    float64 // the gradient is scaled down to this Euclidean norm
	Noise       float64 // standard deviation of the noise added to every pixel
}

func (h Hyper) shim() C.rs_hyper {
	c := C.rs_hyper{lr: C.double(h.LR), weight_decay: C.double(h.WeightDecay), beta1: 0.9, beta2: 0.999, eps: 1e-8,
		momentum: C.double(h.Momentum), clip_value: C.double(h.ClipValue), clip_norm: C.double(h.ClipNorm), noise: C.double(h.Noise)}
	if h.SGD {
		c.sgd = 1
	}
	return c
}

// An Optimizer holds what training keeps between steps, as vectors of θ's
// shape that can be saved: Adam's two moments, or SGD's momentum in the first.
type Optimizer struct {
	First, Second *Vec
	Step          int64 // updates done
}

// NewOptimizer returns the state before the first step.
func (s *Stack) NewOptimizer() (*Optimizer, error) {
	first, err := s.NewVec()
	if err != nil {
		return nil, err
	}
	second, err := s.NewVec()
	if err != nil {
		first.Close()
		return nil, err
	}
	return &Optimizer{First: first, Second: second}, nil
}

// Close frees the state.
func (o *Optimizer) Close() error {
	o.First.Close()
	return o.Second.Close()
}

// An Epoch is one pass over each model's training examples.
type Epoch struct {
	Data *Data
	// Order lists each model's examples, in the order in which it sees them;
	// all have one length. Order[m][i] is a row of Data.
	Order  [][]int64
	Shifts [][]uint8 // nil, or an augmentation code per example; see Shift
	// Windows are nil, or what is seen of each example of a Data that
	// [NewPhotoData] made.
	Windows [][]Window
	Batch   int // examples per step; the last step takes what is left
	// Micro, unless 0, is how many examples pass through the network at once: a
	// step adds up the gradients of its parts, in less memory. Batch norm takes
	// the statistics of each part, so it changes numbers.
	Micro int
	Hyper []Hyper // per model
	// Seeds start each model's generator of noise and dropout.
	Seeds []uint64
}

// Train runs one epoch in train mode and returns each model's mean loss in
// nats over the epoch's examples, each before its update. A loss that is not
// finite is not an error: the caller decides what a diverged run is. ctx is
// looked at between steps; after an error the models are in an undefined state.
func (s *Stack) Train(ctx context.Context, o *Optimizer, e Epoch) (loss []float64, err error) {
	defer catch(&err)
	whole := Batch{e.Data, e.Order, e.Shifts, e.Windows}
	if err := s.check(whole); err != nil {
		return nil, err
	}
	if len(e.Hyper) != s.m || len(e.Seeds) != s.m || e.Batch < 1 || e.Micro < 0 {
		return nil, fmt.Errorf("torch: an epoch for %d models with %d settings and %d seeds, batch %d", s.m, len(e.Hyper), len(e.Seeds), e.Batch)
	}
	if s.plan.pointwise != "" && e.isolates() {
		return nil, fmt.Errorf("torch: a batch, or a part of one, of a single image leaves %q of %s no variance to normalise by; take another batch size for these %d images",
			s.plan.pointwise, s.plan.arch.Name, len(e.Order[0]))
	}
	if s.plan.widths != nil && s.dev.CPU() && !s.stepwise && e.Shifts == nil && e.Micro == 0 && e.Data.photos == nil {
		return s.trainPerceptrons(ctx, o, e)
	}
	return s.trainByAutograd(ctx, o, e, whole)
}

// isolates reports whether an image passes through the network alone.
func (e Epoch) isolates() bool {
	n := len(e.Order[0])
	for _, size := range []int{min(e.Batch, n), n % e.Batch} {
		if micro := cmp.Or(e.Micro, size); size > 0 && (micro == 1 || size%micro == 1) {
			return true
		}
	}
	return false
}

// trainPerceptrons trains model after model: on a CPU each fits the cache
// alone, and its epoch is one call.
func (s *Stack) trainPerceptrons(ctx context.Context, o *Optimizer, e Epoch) ([]float64, error) {
	loss := make([]float64, s.m)
	widths := s.plan.widths
	var bf16 C.int
	if s.bf16 {
		bf16 = 1
	}
	var step C.int64_t
	sc := new(scope)
	defer sc.end()
	for m, order := range e.Order {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		step = C.int64_t(o.Step)
		row := func(v *Vec) C.rs_tensor { return shimTensor(sc.selectRow(v.t, int64(m))) }
		must(C.rs_mlp_epoch(row(s.theta), row(o.First), row(o.Second), &step,
			(*C.int64_t)(&widths[0]), C.int(len(widths)-1), e.Data.images(), (*C.int64_t)(&e.Data.labels[0]),
			(*C.int64_t)(&order[0]), C.int64_t(len(order)), C.int64_t(e.Batch), e.Hyper[m].shim(),
			C.uint64_t(e.Seeds[m]), bf16, (*C.double)(&loss[m])))
	}
	o.Step = int64(step)
	return loss, nil
}

func (s *Stack) trainByAutograd(ctx context.Context, o *Optimizer, e Epoch, whole Batch) ([]float64, error) {
	gens := make([]*generator, s.m)
	for m := range gens {
		gens[m] = newGenerator(s.theta.t, e.Seeds[m])
		defer gens[m].close()
	}
	held, sc := new(scope), new(scope)
	defer held.end()
	defer sc.end()
	libtch.AtgZeros(held.out(), []int64{int64(s.m)}, 1, kindFloat, s.dev.index)
	total := held.take() // stays on the device: a GPU is not waited for until the epoch's end
	n := len(e.Order[0])
	for start := 0; start < n; start += e.Batch {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b := whole.part(start, min(start+e.Batch, n))
		grad := s.gradient(sc, b, e, gens, total)
		o.Step++
		for m := range s.m {
			row := func(t tensor) C.rs_tensor { return shimTensor(sc.selectRow(t, int64(m))) }
			must(C.rs_update(row(s.theta.t), row(grad), row(o.First.t), row(o.Second.t), C.int64_t(o.Step), e.Hyper[m].shim()))
		}
		sc.end()
	}
	sums := make([]float32, s.m)
	held.floats(total, sums)
	loss := make([]float64, s.m)
	for m := range loss {
		loss[m] = float64(sums[m]) / float64(n)
	}
	return loss, nil
}

// gradient returns the gradient of each model's mean loss over b, part by part
// if e says so, and adds the sum of its examples' losses to total.
func (s *Stack) gradient(sc *scope, b Batch, e Epoch, gens []*generator, total tensor) (grad tensor) {
	n := len(b.Rows[0])
	micro := n
	if e.Micro > 0 {
		micro = min(e.Micro, n)
	}
	step := sc // what a part leaves behind
	if micro < n {
		libtch.AtgZerosLike(sc.out(), s.theta.t)
		grad = sc.take()
		step = new(scope)
		defer step.end()
	}
	for start := 0; start < n; start += micro {
		part := b.part(start, min(start+micro, n))
		size := len(part.Rows[0])
		theta := step.leaf(s.theta.t)
		each, sum := s.losses(step, theta, part, true, e.Hyper, gens)
		g := step.backward(sum, theta, false, false)
		for m, l := range each {
			must(C.rs_axpby(shimTensor(step.selectRow(total, int64(m))), C.double(size), shimTensor(step.detach(l)), 1))
		}
		if micro == n {
			return g
		}
		must(C.rs_axpby(shimTensor(grad), C.double(size)/C.double(n), shimTensor(g), 1))
		step.end()
	}
	return grad
}

// part is the batch of examples [start, end) of every model.
func (b Batch) part(start, end int) Batch {
	p := Batch{Data: b.Data, Rows: make([][]int64, len(b.Rows))}
	for m, r := range b.Rows {
		p.Rows[m] = r[start:end]
	}
	if b.Shifts != nil {
		p.Shifts = make([][]uint8, len(b.Shifts))
		for m, r := range b.Shifts {
			p.Shifts[m] = r[start:end]
		}
	}
	if b.Windows != nil {
		p.Windows = make([][]Window, len(b.Windows))
		for m, r := range b.Windows {
			p.Windows[m] = r[start:end]
		}
	}
	return p
}

// Finite reports, per model, whether θ holds only finite numbers.
func (s *Stack) Finite() (ok []bool, err error) {
	theta, err := s.theta.Get()
	if err != nil {
		return nil, err
	}
	ok = make([]bool, s.m)
	p := len(theta) / s.m
	for m := range ok {
		ok[m] = true
		for _, x := range theta[m*p : (m+1)*p] {
			if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
				ok[m] = false
				break
			}
		}
	}
	return ok, nil
}
