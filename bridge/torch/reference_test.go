package torch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"rarespurious/bridge/torch"
	"rarespurious/nn"
)

// A reference is what PyTorch computes with one network in float64; see
// scripts/reference/networks.py, whose formulas for weights, statistics,
// images and labels the functions below repeat bit for bit.
type reference struct {
	Name    string
	Model   string // in nn.Zoo
	In      [3]int
	Classes int
	Batch   int // there are twice as many images
	Hyper   struct {
		SGD         bool
		LR          float64
		Momentum    float64
		WeightDecay float64 `json:"weight_decay"`
	}
	Mean, Std []float32
	Params    []string // name and dimensions

	// In eval mode, over all images.
	Logits          []float64
	Loss            float64
	GradNorms       []float64 `json:"grad_norms"` // per parameter tensor
	GradProjections []float64 `json:"grad_projections"`
	// In train mode, over the first batch, for networks with batch norm.
	TrainLogits       []float64 `json:"train_logits"`
	BufferNorm        float64   `json:"buffer_norm"`
	BufferProjections []float64 `json:"buffer_projections"`
	// Of training steps, each before its update.
	Losses []float64
}

const (
	bufferStream     = (iota + 1) << 16
	projectionStream // inner products are taken with
	imageStream
	labelStream
)

func mix(stream, i int) uint32 {
	x := uint32(i)*0x9E3779B1 + uint32(stream)*0x85EBCA77
	x = (x ^ x>>16) * 0x21F0AAAD
	x = (x ^ x>>15) * 0x735A2D97
	return x ^ x>>15
}

// uniform is in [-1/2, 1/2).
func uniform(stream, i int) float32 { return float32(mix(stream, i)>>8)/(1<<24) - 0.5 }

// formula returns the values of tensors that follow each other in one vector.
func formula(ps []nn.Param, stream int) []float32 {
	var v []float32
	if n := len(ps); n > 0 {
		v = make([]float32, ps[n-1].Offset+ps[n-1].Len)
	}
	for t, p := range ps {
		offset, scale := float32(0), float32(0.2)
		switch {
		case len(p.Shape) > 1:
			scale = float32(math.Sqrt(24 / float64(p.Len/p.Shape[0])))
		case strings.HasSuffix(p.Name, ".running_var"):
			offset, scale = 1, 0.5
		case strings.HasSuffix(p.Name, ".weight"):
			offset = 0.5
		}
		for i := range p.Len {
			v[p.Offset+i] = float32(uniform(stream+t, i)*scale) + offset
		}
	}
	return v
}

func (r reference) arch() (nn.Arch, error) {
	a, err := nn.New(r.Model, nn.Shape{C: r.In[0], H: r.In[1], W: r.In[2]}, r.Classes)
	a.Mean, a.Std = r.Mean, r.Std
	for i := range a.Layers {
		a.Layers[i].Rate = 0 // PyTorch's dropout cannot be repeated
	}
	return a, err
}

func (r reference) data(d *torch.Device, in nn.Shape) (*torch.Data, error) {
	n := 2 * r.Batch
	pixels, labels := make([]uint8, n*in.Len()), make([]uint8, n)
	for i := range n {
		for j := range in.Len() {
			pixels[i*in.Len()+j] = uint8(int(mix(imageStream+i, j)%256) * (i + 2) / (n + 1))
		}
		labels[i] = uint8(mix(labelStream, i) % uint32(r.Classes))
	}
	return torch.NewData(d, in, pixels, labels)
}

// rows are those of training step i.
func (r reference) rows(i int) []int64 {
	rows := make([]int64, r.Batch)
	for j := range rows {
		rows[j] = int64((i*r.Batch + j) % (2 * r.Batch))
	}
	return rows
}

func project(v []float32) []float64 {
	out := make([]float64, 4)
	for k := range out {
		for i, x := range v {
			out[k] += float64(x) * float64(uniform(projectionStream+k, i))
		}
	}
	return out
}

func norm(v []float32) float64 {
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	return math.Sqrt(sum)
}

// Every architecture computes what PyTorch's own modules compute.
func TestNetworksEqualPyTorch(t *testing.T) {
	file, err := os.ReadFile("testdata/networks.json")
	if err != nil {
		t.Fatal(err)
	}
	var refs []reference
	dec := json.NewDecoder(bytes.NewReader(file))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&refs); err != nil {
		t.Fatal(err)
	}
	missing := map[string]bool{}
	for name := range nn.Zoo {
		missing[name] = true
	}
	for _, r := range refs {
		delete(missing, r.Model)
		t.Run(r.Name, func(t *testing.T) {
			onCPU(t, func(d *torch.Device) error { return r.compare(t, d) })
		})
	}
	if len(missing) > 0 {
		t.Errorf("no reference for %v; add it to scripts/reference/networks.py", missing)
	}
}

func (r reference) compare(t *testing.T, d *torch.Device) error {
	a, err := r.arch()
	if err != nil {
		return err
	}
	var params []string
	for _, p := range a.Params() {
		params = append(params, strings.Trim(fmt.Sprint(p.Name, p.Shape), "]"))
	}
	for i, p := range params {
		params[i] = strings.Replace(p, "[", " ", 1)
	}
	if !slices.Equal(params, r.Params) {
		t.Errorf("parameters %v,\nPyTorch's state dict has %v", params, r.Params)
	}
	x, err := r.data(d, a.In)
	if err != nil {
		return err
	}
	defer x.Close()
	s, err := torch.NewStack(d, a, 1, torch.StackOptions{})
	if err != nil {
		return err
	}
	defer s.Close()
	theta, buffers := formula(a.Params(), 0), formula(a.Buffers(), bufferStream)
	if err := s.Load(theta, buffers); err != nil {
		return err
	}
	if err := r.evaluate(t, s, x); err != nil {
		return err
	}
	if len(buffers) > 0 {
		if err := r.normalise(t, s, x); err != nil {
			return err
		}
	}
	return r.train(t, s, x)
}

// near reports elements of got that are further from want than tol times the
// size of the whole.
func near(t *testing.T, what string, got, want []float64, size, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d numbers, want %d", what, len(got), len(want))
		return
	}
	worst, at := 0.0, 0
	for i := range got {
		if off := math.Abs(got[i]-want[i]) / size; !(off <= worst) {
			worst, at = off, i
		}
	}
	if !(worst <= tol) {
		t.Errorf("%s: element %d is %.9g, PyTorch's %.9g; off by %.2g, tolerance %.2g", what, at, got[at], want[at], worst, tol)
	}
	t.Logf("%s: %.2g of %.2g", what, worst, tol)
}

func largest(v []float64) float64 {
	top := 0.0
	for _, x := range v {
		top = max(top, math.Abs(x))
	}
	return top
}

func widened(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

func (r reference) evaluate(t *testing.T, s *torch.Stack, x *torch.Data) error {
	z, err := s.Logits(x, nil, torch.Forward{})
	if err != nil {
		return err
	}
	near(t, "logits", widened(z[0]), r.Logits, largest(r.Logits), logitTol)

	g, err := s.NewVec()
	if err != nil {
		return err
	}
	defer g.Close()
	all := slices.Concat(r.rows(0), r.rows(1))
	loss, err := s.Grad(g, torch.Batch{Data: x, Rows: [][]int64{all}})
	if err != nil {
		return err
	}
	near(t, "loss", loss, []float64{r.Loss}, 1, lossTol)
	grad, err := g.Get()
	if err != nil {
		return err
	}
	var norms []float64
	for _, p := range s.Arch().Params() {
		norms = append(norms, norm(grad[p.Offset:p.Offset+p.Len]))
	}
	size := norm(grad)
	near(t, "norms of the gradient", norms, r.GradNorms, size, gradTol)
	near(t, "projections of the gradient", project(grad), r.GradProjections, size, gradTol)
	return nil
}

// normalise compares a forward pass in train mode, after which it restores
// the buffers.
func (r reference) normalise(t *testing.T, s *torch.Stack, x *torch.Data) error {
	theta, before, err := s.Save()
	if err != nil {
		return err
	}
	z, err := s.TrainLogits(torch.Batch{Data: x, Rows: [][]int64{r.rows(0)}}, 1)
	if err != nil {
		return err
	}
	near(t, "logits in train mode", widened(z[0]), r.TrainLogits, largest(r.TrainLogits), trainTol)
	_, after, err := s.Save()
	if err != nil {
		return err
	}
	near(t, "norm of the running statistics", []float64{norm(after)}, []float64{r.BufferNorm}, r.BufferNorm, logitTol)
	near(t, "running statistics", project(after), r.BufferProjections, r.BufferNorm, logitTol)
	return s.Load(theta, before)
}

func (r reference) train(t *testing.T, s *torch.Stack, x *torch.Data) error {
	o, err := s.NewOptimizer()
	if err != nil {
		return err
	}
	defer o.Close()
	e := torch.Epoch{Data: x, Batch: r.Batch, Seeds: []uint64{1}, Hyper: []torch.Hyper{{
		SGD: r.Hyper.SGD, LR: r.Hyper.LR, Momentum: r.Hyper.Momentum, WeightDecay: r.Hyper.WeightDecay,
	}}}
	var losses []float64
	for i := range r.Losses {
		e.Order = [][]int64{r.rows(i)}
		loss, err := s.Train(context.Background(), o, e)
		if err != nil {
			return err
		}
		losses = append(losses, loss[0])
	}
	near(t, "losses of training", losses, r.Losses, largest(r.Losses), lossTol)
	return nil
}

// The reference is in float64, so these bound the rounding of float32, 6e-8 at
// each operation, and what a network makes of it. Among the millions of units
// of a deep network some lie so near to ReLU's kink that their gradient is 0 in
// one precision and not in the other; batch norm over few values divides by
// small variances; and training amplifies both from step to step. A wrong
// stride, order or constant is off by more than a hundredth.
const (
	logitTol = 1e-5
	trainTol = 3e-4
	gradTol  = 3e-4
	lossTol  = 2e-4
)
