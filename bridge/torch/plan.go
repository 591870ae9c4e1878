package torch

import (
	"slices"

	"github.com/sugarme/gotch/libtch"

	"rarespurious/nn"
)

// A plan is an Arch made ready to run: its layers with the positions of their
// parameters and buffers, and the lists that libtorch's functions take.
type plan struct {
	arch         nn.Arch
	params       []nn.Param
	buffers      []nn.Param
	paramSizes   []int64
	bufferSizes  []int64
	nodes        []node
	channelsLast bool
	// widths are the layers' widths, input first, if the network is nothing but
	// linear layers with ReLU between them; else nil.
	widths []int64
	// pointwise names a batch norm that sees one value per channel and image,
	// or is "".
	pointwise string
}

// A node is one layer. param and buffer are the positions of its first
// parameter and buffer among the plan's.
type node struct {
	nn.Layer
	in, out       nn.Shape
	param, buffer int
	body, skip    []node
}

func newPlan(a nn.Arch) (*plan, error) {
	if err := a.Validate(); err != nil {
		return nil, err
	}
	p := &plan{arch: a, params: a.Params(), buffers: a.Buffers()}
	sizes := func(ps []nn.Param) (out []int64) {
		for _, q := range ps {
			out = append(out, int64(q.Len))
		}
		return out
	}
	p.paramSizes, p.bufferSizes = sizes(p.params), sizes(p.buffers)
	var param, buffer int
	p.nodes, _ = p.compile(a.In, a.Layers, &param, &buffer)
	p.widths = perceptron(a)
	return p, nil
}

func (p *plan) compile(in nn.Shape, layers []nn.Layer, param, buffer *int) ([]node, nn.Shape) {
	var nodes []node
	for _, l := range layers {
		n := node{Layer: l, in: in, param: *param, buffer: *buffer}
		switch l.Op {
		case nn.Residual:
			n.body, n.out = p.compile(in, l.Body, param, buffer)
			n.skip, _ = p.compile(in, l.Skip, param, buffer)
			nodes, in = append(nodes, n), n.out
			continue
		case nn.Linear:
			*param += 2
		case nn.Conv:
			p.channelsLast = true
			*param++
			if l.Bias {
				*param++
			}
		case nn.BatchNorm:
			*param += 2
			*buffer += 2
			if in.H*in.W == 1 {
				p.pointwise = l.Name
			}
		}
		n.out, _ = l.OutShape(in)
		nodes, in = append(nodes, n), n.out
	}
	poolFirst(nodes)
	return nodes, in
}

// poolFirst exchanges ReLUs and the max pools behind them: the result and its
// gradient are the same bits, and ReLU has a fourth of the work. After a batch
// norm ReLU costs nothing and stays.
func poolFirst(nodes []node) {
	for i := 1; i+1 < len(nodes); i++ {
		relu, pool := &nodes[i], &nodes[i+1]
		if relu.Op == nn.ReLU && pool.Op == nn.MaxPool && nodes[i-1].Op != nn.BatchNorm {
			relu.in, relu.out = pool.out, pool.out
			*relu, *pool = *pool, *relu
		}
	}
}

func perceptron(a nn.Arch) []int64 {
	if len(a.Mean) > 0 || len(a.Layers)%2 != 0 || a.Layers[0].Op != nn.Flatten {
		return nil
	}
	widths := []int64{int64(a.In.Len())}
	for i, l := range a.Layers[1:] {
		want := nn.Linear
		if i%2 == 1 {
			want = nn.ReLU
		}
		if l.Op != want {
			return nil
		}
		if l.Op == nn.Linear {
			widths = append(widths, int64(l.Out))
		}
	}
	return widths
}

// A pass is one forward computation of one model, or of all models of a
// Stack of perceptrons at once.
type pass struct {
	*scope
	dev       *Device
	plan      *plan
	models    int64    // 1, or M for a batched pass
	mean, std tensor   // (1, C, 1, 1), what images are standardised with, or nil
	params    []tensor // per parameter: its shape, or (M, its shape) in a batched pass
	stats     []tensor // per buffer: (C)
	train     bool
	bf16      bool
	noise     *generator // dropout in training
}

// prepare cuts θ, (P) or (M, P), and one model's buffers into layers.
func (f *pass) prepare(theta, buffers tensor) {
	dim := int64(0)
	if f.models > 1 {
		dim = 1
	}
	f.params = f.split(theta, f.plan.paramSizes, dim)
	for i, p := range f.plan.params {
		shape := make([]int64, 0, 5)
		if f.models > 1 {
			shape = append(shape, f.models)
		}
		for _, n := range p.Shape {
			shape = append(shape, int64(n))
		}
		f.params[i] = f.view(f.params[i], shape)
	}
	if len(f.plan.buffers) > 0 {
		f.stats = f.split(buffers, f.plan.bufferSizes, 0)
	}
}

// forward returns logits (B, K), or (M, B, K) in a batched pass, of images x
// (B, C, H, W), or (M·B, C, H, W) model after model.
func (f *pass) forward(x tensor) tensor {
	if f.mean != nil {
		x = f.div(f.sub(x, f.mean), f.std)
	}
	if !f.bf16 {
		return f.apply(f.plan.nodes, x)
	}
	// The last layer, a sliver of the work, stays float32: logits and what is
	// measured from them are not rounded.
	last := len(f.plan.nodes) - 1
	x = f.apply(f.plan.nodes[:last], f.cast(x, kindBF16))
	precise := *f
	precise.bf16 = false
	return precise.apply(f.plan.nodes[last:], f.cast(x, kindFloat))
}

// apply returns what nodes make of x. Activations are freed as soon as the next
// layer has them: what the gradient needs of them, autograd keeps.
func (f *pass) apply(nodes []node, x tensor) tensor {
	input, before := x, nn.Op("")
	for len(nodes) > 0 {
		n := &nodes[0]
		nodes = nodes[1:]
		relu := len(nodes) > 0 && nodes[0].Op == nn.ReLU
		used := []tensor{x}
		switch {
		case n.Op == nn.Conv && len(nodes) > 0 && nodes[0].Op == nn.MaxPool && f.poolsSparsely(n):
			x = f.convPool(n, &nodes[0], x)
			nodes, n = nodes[1:], &nodes[0]
		case n.Op == nn.BatchNorm && f.fuses():
			x = f.norm(n, x, nil, relu)
			if relu {
				nodes = nodes[1:]
			}
		case n.Op == nn.Residual && relu && f.fuses() && len(n.body) > 0 && n.body[len(n.body)-1].Op == nn.BatchNorm:
			last := len(n.body) - 1
			body, skip := f.apply(n.body[:last], x), f.apply(n.skip, x)
			x = f.norm(&n.body[last], body, skip, true)
			used = append(used, body, skip)
			nodes = nodes[1:]
		case n.Op == nn.Residual:
			body, skip := f.apply(n.body, x), f.apply(n.skip, x)
			x = f.add(body, skip)
			used = append(used, body, skip)
		case n.Op == nn.ReLU && x != input && (before == nn.Conv || before == nn.Linear || before == nn.MaxPool):
			x = f.reluInPlace(x) // nobody else needs what these made
		default:
			x = f.layer(n, x)
		}
		before = n.Op
		for i, t := range used {
			if t != input && t != x && !slices.Contains(used[:i], t) {
				f.free(t)
			}
		}
	}
	return x
}

// param returns a node's parameter i in the precision of the products.
func (f *pass) param(n *node, i int) tensor {
	t := f.params[n.param+i]
	if f.bf16 {
		t = f.cast(t, kindBF16)
	}
	return t
}

func (f *pass) layer(n *node, x tensor) tensor {
	k, stride, pad, one := []int64{int64(n.K), int64(n.K)}, []int64{int64(n.Stride), int64(n.Stride)}, []int64{int64(n.Pad), int64(n.Pad)}, []int64{1, 1}
	switch n.Op {
	case nn.Flatten:
		if f.models > 1 {
			return f.view(x, []int64{f.models, -1, int64(n.out.C)})
		}
		return f.view(x, []int64{-1, int64(n.out.C)})
	case nn.Linear:
		if f.models > 1 {
			return f.batchedLinear(x, f.param(n, 0), f.param(n, 1))
		}
		return f.linear(x, f.param(n, 0), f.param(n, 1))
	case nn.ReLU:
		return f.relu(x)
	case nn.Dropout:
		if !f.train || n.Rate == 0 {
			return x
		}
		return f.dropout(x, n.Rate, f.noise)
	case nn.Conv:
		w, bias := f.param(n, 0), tensor(nil)
		if n.Bias {
			bias = f.param(n, 1)
		}
		libtch.AtgConv2d(f.out(), x, w, bias, stride, 2, pad, 2, one, 2, 1)
		return f.take()
	case nn.BatchNorm:
		train := int32(0)
		if f.train {
			train = 1
		}
		libtch.AtgBatchNorm(f.out(), x, f.params[n.param], f.params[n.param+1], f.stats[n.buffer], f.stats[n.buffer+1],
			train, nn.BatchNormMomentum, nn.BatchNormEps, 1)
		return f.take()
	case nn.MaxPool:
		libtch.AtgMaxPool2d(f.out(), x, k, 2, stride, 2, pad, 2, one, 2, 0)
		return f.take()
	case nn.AdaptiveAvg:
		libtch.AtgAdaptiveAvgPool2d(f.out(), x, []int64{int64(n.Out), int64(n.Out)}, 2)
		return f.take()
	case nn.Subsample:
		for axis, length := range []int{n.in.H, n.in.W} {
			libtch.AtgSlice(f.out(), x, int64(2+axis), 0, 0, int64(length), 0, int64(n.Stride))
			x = f.take()
		}
		side := int64(n.Out-n.in.C) / 2
		libtch.AtgConstantPadNd(f.out(), x, []int64{0, 0, 0, 0, side, side}, 6)
		return f.take()
	}
	panic("torch: no interpretation of layer kind " + string(n.Op))
}
