package torch

import (
	"errors"
	"fmt"
	"slices"

	"github.com/sugarme/gotch/libtch"

	"rarespurious/nn"
)

// A Stack is M models of one architecture: parameters θ of shape (M, P) and
// batch norm's statistics of shape (M, B), on one device.
type Stack struct {
	dev     *Device
	plan    *plan
	m       int
	theta   *Vec
	buffers *Vec // nil if the architecture has none
	// mean and std are what images are standardised with, (1, C, 1, 1), or nil.
	mean, std tensor
	bf16      bool
	holds     bool // a part in how the process rounds; see hold
	squared   bool
	// stepwise makes perceptrons train by autograd, as other networks do.
	stepwise bool
}

// StackOptions change how a Stack computes, and so what it computes in the
// last digits.
type StackOptions struct {
	// BF16 rounds the operands of matrix products and convolutions, and what
	// lies between layers, to bfloat16; the last layer, θ, its gradient and the
	// optimizer stay float32.
	BF16 bool
	// TF32 rounds the operands of products and convolutions on a GPU to 10 bits
	// behind the point, which its tensor cores multiply several times as fast.
	TF32 bool
	// Squared takes the squared distance of the logits from the label's unit
	// vector in place of the cross entropy. The difference of two classes' logits
	// of a linear network is then the regression on labels of -1 and +1.
	Squared bool
	// Autograd makes perceptrons on a CPU train by autograd, as all other
	// networks do, instead of by the step that is written out for them.
	Autograd bool
}

// NewStack returns m models of architecture a with θ and buffers zero.
func NewStack(d *Device, a nn.Arch, m int, o StackOptions) (_ *Stack, err error) {
	if m < 1 {
		panic("torch: a Stack of no models")
	}
	p, err := newPlan(a)
	if err != nil {
		return nil, err
	}
	s := &Stack{dev: d, plan: p, m: m, bf16: o.BF16, squared: o.Squared, stepwise: o.Autograd || o.Squared}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	defer catch(&err)
	if err := s.hold(o.TF32); err != nil {
		return nil, err
	}
	if s.theta, err = NewVec(d, m, a.NumParams()); err != nil {
		return nil, err
	}
	if n := a.NumBuffers(); n > 0 {
		if s.buffers, err = NewVec(d, m, n); err != nil {
			return nil, err
		}
	}
	if len(a.Mean) > 0 {
		sc := new(scope)
		defer sc.end()
		each := func(v []float32) tensor { return sc.keep(upload(sc, d, v, 1, int64(len(v)), 1, 1)) }
		s.mean, s.std = each(a.Mean), each(a.Std)
	}
	return s, nil
}

// Models reports M.
func (s *Stack) Models() int { return s.m }

// Arch returns the architecture of the models.
func (s *Stack) Arch() nn.Arch { return s.plan.arch }

// Theta is the Stack's own θ; writing to it changes the models.
func (s *Stack) Theta() *Vec { return s.theta }

// Buffers is the Stack's own vector of batch norm's statistics, of shape
// (M, B), or nil if the architecture has none.
func (s *Stack) Buffers() *Vec { return s.buffers }

// NewVec returns zeros of θ's shape.
func (s *Stack) NewVec() (*Vec, error) { return s.theta.NewLike() }

// Load sets all models: theta has M·P elements, buffers M·B (nil for none).
func (s *Stack) Load(theta, buffers []float32) error {
	if err := s.theta.Set(theta); err != nil {
		return fmt.Errorf("%s: θ: %w", s.plan.arch.Name, err)
	}
	if s.buffers == nil {
		if len(buffers) != 0 {
			return fmt.Errorf("torch: %s has no buffers, got %d elements", s.plan.arch.Name, len(buffers))
		}
		return nil
	}
	if err := s.buffers.Set(buffers); err != nil {
		return fmt.Errorf("%s: buffers: %w", s.plan.arch.Name, err)
	}
	return nil
}

// Save returns copies of θ and of the buffers (nil if there are none), model
// after model.
func (s *Stack) Save() (theta, buffers []float32, err error) {
	if theta, err = s.theta.Get(); err != nil || s.buffers == nil {
		return theta, nil, err
	}
	buffers, err = s.buffers.Get()
	return theta, buffers, err
}

// Close frees the models. It is safe to call twice.
func (s *Stack) Close() error {
	s.release()
	s.theta.Close()
	s.buffers.Close()
	for _, t := range []*tensor{&s.mean, &s.std} {
		if *t != nil {
			libtch.AtFree(*t)
			*t = nil
		}
	}
	return nil
}

// pass starts a forward computation of model m with parameters theta (P), or
// of all models with parameters (M, P) if m is negative.
func (s *Stack) pass(sc *scope, theta tensor, m int, train bool, g *generator) *pass {
	f := &pass{scope: sc, dev: s.dev, plan: s.plan, models: 1, mean: s.mean, std: s.std, train: train, bf16: s.bf16, noise: g}
	if m < 0 {
		f.models = int64(s.m)
		f.prepare(theta, nil)
		return f
	}
	var stats tensor
	if s.buffers != nil {
		stats = sc.selectRow(s.buffers.t, int64(m))
	}
	f.prepare(theta, stats)
	return f
}

// Forward says what Logits computes.
type Forward struct {
	// Delta, if not nil, has Shape().Len() elements (C, H, W) and is added to
	// every image in float64; the sum is clipped to [0, 1].
	Delta []float64
	// Batch is the number of images in one operation; 0 means 500.
	Batch int
}

// Logits returns, for each model, logits (N, K) row-major in eval mode: batch
// norm with its running statistics, no dropout. rows selects images of data
// and their order; nil means all.
func (s *Stack) Logits(data *Data, rows []int64, o Forward) (logits [][]float32, err error) {
	defer catch(&err)
	if data.shape != s.plan.arch.In {
		return nil, fmt.Errorf("torch: images of %v for %s, which wants %v", data.shape, s.plan.arch.Name, s.plan.arch.In)
	}
	if rows == nil {
		rows = make([]int64, data.Rows())
		for i := range rows {
			rows[i] = int64(i)
		}
	}
	batch := o.Batch
	if batch == 0 {
		batch = 500
	}
	classes := s.plan.arch.Classes
	logits = make([][]float32, s.m)
	for m := range logits {
		logits[m] = make([]float32, len(rows)*classes)
	}
	held, step := new(scope), new(scope)
	defer held.end()
	defer step.end()
	var delta tensor
	if o.Delta != nil {
		in := s.plan.arch.In
		delta = upload(held, s.dev, o.Delta, int64(in.C), int64(in.H), int64(in.W))
	}
	passes := make([]*pass, s.m)
	for m, theta := range held.unbind(s.theta.t, s.m) {
		passes[m] = s.pass(held, theta, m, false, nil)
	}
	for start := 0; start < len(rows); start += batch {
		end := min(start+batch, len(rows))
		x := step.gather(data, rows[start:end], nil, s.plan.channelsLast)
		if delta != nil {
			x = step.overlay(x, delta)
		}
		for m, f := range passes {
			f.scope = step
			step.floats(f.forward(x), logits[m][start*classes:end*classes])
		}
		step.end()
	}
	return logits, nil
}

// A Batch names the images of one computation of a loss.
type Batch struct {
	Data *Data
	Rows [][]int64 // per model, all of one length
	// Shifts are nil or hold an augmentation code per image; see Shift.
	Shifts [][]uint8
	// Windows are nil or hold what is seen of each photo of a Data that
	// [NewPhotoData] made; nil is its view.
	Windows [][]Window
}

func (s *Stack) check(b Batch) error {
	if len(b.Rows) != s.m || b.Shifts != nil && len(b.Shifts) != s.m || b.Windows != nil && len(b.Windows) != s.m {
		return fmt.Errorf("torch: a batch for %d models, the Stack has %d", len(b.Rows), s.m)
	}
	for m, r := range b.Rows {
		if len(r) == 0 || len(r) != len(b.Rows[0]) || b.Shifts != nil && len(b.Shifts[m]) != len(r) ||
			b.Windows != nil && len(b.Windows[m]) != len(r) {
			return fmt.Errorf("torch: models need batches of one positive length, model %d has %d images", m, len(r))
		}
	}
	if b.Shifts != nil && b.Data.photos != nil || b.Windows != nil && b.Data.photos == nil {
		return errors.New("torch: shifts are for images of one size, windows for photos")
	}
	if b.Data.shape != s.plan.arch.In {
		return fmt.Errorf("torch: images of %v for %s, which wants %v", b.Data.shape, s.plan.arch.Name, s.plan.arch.In)
	}
	if y := slices.Max(b.Data.labels); y >= int64(s.plan.arch.Classes) {
		return fmt.Errorf("torch: label %d for %s, which has %d classes", y, s.plan.arch.Name, s.plan.arch.Classes)
	}
	return nil
}

// images gathers the batch of model m.
func (b Batch) images(sc *scope, m int, channelsLast bool) tensor {
	if b.Windows != nil {
		return sc.crop(b.Data.photos, b.Rows[m], b.Windows[m], channelsLast)
	}
	var shifts []uint8
	if b.Shifts != nil {
		shifts = b.Shifts[m]
	}
	return sc.gather(b.Data, b.Rows[m], shifts, channelsLast)
}

// logits returns each model's logits (B, K) for its own batch.
func (s *Stack) logits(sc *scope, theta tensor, b Batch, train bool, hyper []Hyper, gens []*generator) []tensor {
	input := func(m int) tensor {
		x := b.images(sc, m, s.plan.channelsLast)
		if hyper != nil && hyper[m].Noise > 0 {
			x = sc.addNoise(x, hyper[m].Noise, gens[m])
		}
		return x
	}
	out := make([]tensor, s.m)
	if s.m > 1 && s.plan.widths != nil {
		xs := make([]tensor, s.m)
		for m := range xs {
			xs[m] = input(m)
		}
		libtch.AtgCat(sc.out(), xs, len(xs), 0)
		x := sc.take()
		all := s.pass(sc, theta, -1, train, nil).forward(x)
		for m := range out {
			out[m] = sc.selectRow(all, int64(m))
		}
		return out
	}
	for m, theta := range sc.unbind(theta, s.m) {
		var g *generator
		if gens != nil {
			g = gens[m]
		}
		out[m] = s.pass(sc, theta, m, train, g).forward(input(m))
	}
	return out
}

// loss returns the mean over a batch of the loss of logits z (B, K).
func (s *Stack) loss(sc *scope, z, labels tensor) tensor {
	if !s.squared {
		libtch.AtgCrossEntropyLoss(sc.out(), z, labels, nil, 1, -100, 0)
		return sc.take()
	}
	libtch.AtgOneHot(sc.out(), labels, int64(s.plan.arch.Classes))
	d := sc.sub(z, sc.cast(sc.take(), kindFloat))
	libtch.AtgSumDimIntlist(sc.out(), sc.mul(d, d), []int64{1}, 1, 0, kindFloat)
	square := sc.take()
	libtch.AtgMean(sc.out(), square, kindFloat)
	return sc.take()
}

// losses returns each model's mean loss and their sum, whose gradient
// holds every model's own.
func (s *Stack) losses(sc *scope, theta tensor, b Batch, train bool, hyper []Hyper, gens []*generator) (each []tensor, sum tensor) {
	for m, z := range s.logits(sc, theta, b, train, hyper, gens) {
		y := sc.targets(s.dev, b.Data, b.Rows[m])
		l := s.loss(sc, z, y)
		each = append(each, l)
		if sum == nil {
			sum = l
		} else {
			sum = sc.add(sum, l)
		}
	}
	return each, sum
}

// Grad sets dst to the gradient of each model's mean loss on its
// batch, in eval mode, and returns the losses, in nats unless Squared. dst may
// be nil.
func (s *Stack) Grad(dst *Vec, b Batch) (loss []float64, err error) {
	defer catch(&err)
	if err := s.check(b); err != nil {
		return nil, err
	}
	sc := new(scope)
	defer sc.end()
	theta := sc.leaf(s.theta.t)
	each, sum := s.losses(sc, theta, b, false, nil, nil)
	for _, l := range each {
		loss = append(loss, sc.scalar(l))
	}
	if dst == nil {
		return loss, nil
	}
	return loss, dst.assign(sc.backward(sum, theta, false, false))
}

// HVP sets dst to H·v, where H is the Hessian of the mean cross entropy on the
// batch in eval mode; each model has its own.
func (s *Stack) HVP(dst, v *Vec, b Batch) (err error) {
	defer catch(&err)
	if err := s.check(b); err != nil {
		return err
	}
	sc := new(scope)
	defer sc.end()
	theta := sc.leaf(s.theta.t)
	_, sum := s.losses(sc, theta, b, false, nil, nil)
	g := sc.backward(sum, theta, true, true)
	return dst.assign(sc.backward(sc.sum(sc.mul(g, v.t)), theta, false, false))
}

// GNVP sets dst to G·v, where G is the generalised Gauss–Newton matrix of the
// mean cross entropy on the batch in eval mode: Jᵀ(diag(p) − ppᵀ)J averaged
// over images, J the logits' Jacobian and p their softmax. It is positive
// semi-definite, which the Hessian of a trained network is not.
//
// Reference: Schraudolph, "Fast Curvature Matrix-Vector Products for
// Second-Order Gradient Descent", Neural Computation 2002. The product Jv is
// taken by differentiating Jᵀu twice, since libtorch's C++ has no forward mode.
func (s *Stack) GNVP(dst, v *Vec, b Batch) (err error) {
	defer catch(&err)
	if err := s.check(b); err != nil {
		return err
	}
	sc := new(scope)
	defer sc.end()
	theta := sc.leaf(s.theta.t)
	zs := s.logits(sc, theta, b, false, nil, nil)
	libtch.AtgStack(sc.out(), zs, len(zs), 0)
	z := sc.take() // (M, B, K)
	libtch.AtgOnesLike(sc.out(), z)
	u := sc.leaf(sc.take())
	jtu := sc.backward(sc.sum(sc.mul(z, u)), theta, true, true)
	jv := sc.backward(sc.sum(sc.mul(jtu, v.t)), u, true, false)
	libtch.AtgSoftmax(sc.out(), sc.detach(z), 2, kindFloat)
	p := sc.take()
	pjv := sc.mul(p, jv)
	libtch.AtgSumDimIntlist(sc.out(), pjv, []int64{2}, 1, 1, kindFloat)
	hjv := sc.sub(pjv, sc.mul(p, sc.take()))
	if s.squared {
		hjv = sc.add(jv, jv)
	}
	product := sc.backward(sc.sum(sc.mul(z, sc.detach(hjv))), theta, false, false)
	if err := dst.assign(product); err != nil {
		return err
	}
	return dst.Scal(1 / float64(len(b.Rows[0])))
}
