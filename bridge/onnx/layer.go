package onnx

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"rarespurious/nn"
)

// operators says what each operator is as a layer. A converter may return its
// input: then the operator does nothing here.
var operators = map[string]func(*importer, *node) (*activation, error){
	"Gemm":               (*importer).gemm,
	"MatMul":             (*importer).matMul,
	"Conv":               (*importer).conv,
	"BatchNormalization": (*importer).batchNorm,
	"Relu":               (*importer).relu,
	"MaxPool":            (*importer).maxPool,
	"Add":                (*importer).add,
	"Sub":                (*importer).subtract,
	"Div":                (*importer).divide,
	"Dropout":            (*importer).dropout,
	"Identity":           (*importer).identity,
	"GlobalAveragePool":  (*importer).globalAverage,
	"ReduceMean":         (*importer).reduceMean,
	"AveragePool":        (*importer).averagePool,
	"Expand":             (*importer).expand,
	"Einsum":             (*importer).einsum,
	"Flatten":            (*importer).flatten,
	"Reshape":            (*importer).reshape,
	"Squeeze":            (*importer).squeeze,
	"Unsqueeze":          (*importer).unsqueeze,
	"Slice":              (*importer).slice,
	"Pad":                (*importer).pad,
}

// name returns a layer name that no other layer has: the state-dict prefix
// that n's weights, inputs 1 and on, are called by, else n's own name.
func (im *importer) name(n *node) string {
	var candidates []string
	for i := 1; i < len(n.GetInput()); i++ {
		for _, suffix := range []string{".weight", ".bias", ".running_mean", ".running_var"} {
			if prefix, ok := strings.CutSuffix(n.in(i), suffix); ok && prefix != "" {
				candidates = append(candidates, prefix)
			}
		}
	}
	if n.GetName() != "" {
		candidates = append(candidates, n.GetName())
	}
	name := ""
	for _, c := range candidates {
		if !im.names[c] {
			name = c
			break
		}
	}
	for ; name == "" || im.names[name]; im.serial++ {
		name = fmt.Sprintf("%s_%d", strings.ToLower(n.GetOpType()), im.serial)
	}
	im.names[name] = true
	return name
}

// gemm is a linear layer: y = xW' + b.
func (im *importer) gemm(n *node) (*activation, error) {
	n.want("transA", 0)
	if alpha, beta := n.float("alpha", 1), n.float("beta", 1); alpha != 1 || beta != 1 {
		return nil, fmt.Errorf("alpha is %g and beta is %g, want 1", alpha, beta)
	}
	v, err := im.linear(n, n.int("transB", 0) != 0)
	if err != nil || n.in(2) == "" {
		return v, err
	}
	return im.bias(n, 2, v)
}

func (im *importer) matMul(n *node) (*activation, error) { return im.linear(n, false) }

// linear multiplies input 0 by the constant input 1, whose shape is (out, in)
// if rows is true, as in a state dict, else (in, out).
func (im *importer) linear(n *node, rows bool) (*activation, error) {
	v, err := im.activation(n, 0)
	if err != nil {
		return nil, err
	}
	c, err := im.tensor(n, 1)
	if err != nil {
		return nil, err
	}
	if !v.flat || len(c.dims) != 2 {
		return nil, fmt.Errorf("multiplies %v by a weight of shape %v; want a vector and a matrix", v.shape, trim(c.proto.GetDims()))
	}
	in, out := c.dims[0], c.dims[1]
	if rows {
		in, out = out, in
	}
	if in != v.shape.C {
		return nil, fmt.Errorf("weight %.80q takes %d features, its input has %d", n.in(1), in, v.shape.C)
	}
	at, err := c.at()
	if err != nil {
		return nil, err
	}
	weight := at
	if !rows {
		weight = func(i int) float32 { return at(i%in*out + i/in) }
	}
	l := nn.Layer{Op: nn.Linear, Name: im.name(n), Out: out}
	im.params[l.Name+".weight"] = weight
	return v.then(l, true)
}

func (im *importer) conv(n *node) (*activation, error) {
	v, err := im.images(n, 0)
	if err != nil {
		return nil, err
	}
	c, err := im.tensor(n, 1)
	if err != nil {
		return nil, err
	}
	if len(c.dims) != 4 || c.dims[1] != v.shape.C || c.dims[2] != c.dims[3] {
		return nil, fmt.Errorf("weight %.80q of shape %v on %d channels; want (out, %[3]d, k, k)", n.in(1), trim(c.proto.GetDims()), v.shape.C)
	}
	n.want("group", 1)
	l, err := window(n, nn.Layer{Op: nn.Conv, Out: c.dims[0], K: c.dims[2]})
	if err != nil {
		return nil, err
	}
	l.Name = im.name(n)
	if im.params[l.Name+".weight"], err = c.at(); err != nil {
		return nil, err
	}
	if v, err = v.then(l, false); err != nil || n.in(2) == "" {
		return v, err
	}
	return im.bias(n, 2, v)
}

// window reads the attributes of a sliding K×K window into l; K = 0 takes it
// from the attribute.
func window(n *node, l nn.Layer) (nn.Layer, error) {
	kernel, strides, pads, dilations := n.ints("kernel_shape"), n.ints("strides"), n.ints("pads"), n.ints("dilations")
	switch auto := n.string("auto_pad", "NOTSET"); {
	case auto == "VALID":
		pads = nil
	case auto != "NOTSET":
		return l, fmt.Errorf("auto_pad is %.80q, want NOTSET or VALID", auto)
	}
	same := func(name string, v []int64, count int, absent, least int64) int {
		if v == nil {
			return int(absent)
		}
		for _, x := range v {
			if x != v[0] || len(v) != count || x < least || x > maxSide {
				n.err = errors.Join(n.err, fmt.Errorf("%s are %v, want %d equal ones", name, trim(v), count))
				return int(absent)
			}
		}
		return int(v[0])
	}
	k := same("kernel_shape", kernel, 2, int64(l.K), 1)
	l.Stride = same("strides", strides, 2, 1, 1)
	l.Pad = same("pads", pads, 4, 0, 0)
	if d := same("dilations", dilations, 2, 1, 1); d != 1 {
		return l, fmt.Errorf("dilations are %d, want 1", d)
	}
	if l.K != 0 && l.K != k {
		return l, fmt.Errorf("kernel_shape is %d for a weight of %d", k, l.K)
	}
	l.K = k
	return l, n.err
}

// bias adds the constant input i of n to v's layer, which is linear or a
// convolution and has no bias yet.
func (im *importer) bias(n *node, i int, v *activation) (*activation, error) {
	c, err := im.tensor(n, i)
	if err != nil {
		return nil, err
	}
	l := v.layers[0]
	if !perChannel(c.dims, l.Out, v.flat || n.GetOpType() == "Conv") {
		return nil, fmt.Errorf("adds a constant of shape %v to %v; want one number per channel", trim(c.proto.GetDims()), v.shape)
	}
	if im.params[l.Name+".bias"], err = c.at(); err != nil {
		return nil, err
	}
	sum := *v
	l.Bias = l.Op == nn.Conv
	sum.layers = []nn.Layer{l}
	return &sum, nil
}

// perChannel reports whether a constant of shape dims, broadcast against a
// value, holds one number for each of n channels. The channels are the
// value's last axis, or the third last.
func perChannel(dims []int, n int, last bool) bool {
	axis := len(dims) - 1
	if !last {
		axis = len(dims) - 3
	}
	for i, d := range dims {
		if i != axis && d != 1 {
			return false
		}
	}
	return axis >= 0 && dims[axis] == n && len(dims) <= 4
}

// lacksBias reports whether v is the direct result of a linear layer or a
// convolution to which nothing was added.
func (im *importer) lacksBias(v *activation) bool {
	if len(v.layers) != 1 {
		return false
	}
	l := v.layers[0]
	return (l.Op == nn.Linear || l.Op == nn.Conv) && im.params[l.Name+".bias"] == nil
}

// add is the end of a residual block, or the bias of the layer before it.
func (im *importer) add(n *node) (*activation, error) {
	for i := range 2 {
		if im.constants[n.in(i)] == nil {
			continue
		}
		v, err := im.activation(n, 1-i)
		if err != nil {
			return nil, err
		}
		if !im.lacksBias(v) {
			return nil, errors.New("adds a constant to what is not a layer that lacks its bias")
		}
		return im.bias(n, i, v)
	}
	a, err := im.activation(n, 0)
	if err != nil {
		return nil, err
	}
	b, err := im.activation(n, 1)
	if err != nil {
		return nil, err
	}
	return sum(a, b)
}

// subtract and divide standardise the graph's input.
func (im *importer) subtract(n *node) (*activation, error) {
	v, c, err := im.channelConstant(n)
	if err != nil {
		return nil, err
	}
	if v.std != nil {
		return nil, errors.New("subtracts from the input after dividing it")
	}
	v.mean, v.std = c, make([]float32, len(c))
	for i := range v.std {
		v.std[i] = 1
	}
	return v, nil
}

func (im *importer) divide(n *node) (*activation, error) {
	v, c, err := im.channelConstant(n)
	if err != nil {
		return nil, err
	}
	for i := range v.std {
		if v.std[i] != 1 {
			return nil, errors.New("divides the input twice")
		}
	}
	if v.mean == nil {
		v.mean = make([]float32, len(c))
	}
	v.std = c
	return v, nil
}

// channelConstant returns a copy of input 0, which must be the graph's, and
// the constant input 1 as one number per channel.
func (im *importer) channelConstant(n *node) (*activation, []float32, error) {
	v, err := im.activation(n, 0)
	if err != nil {
		return nil, nil, err
	}
	if v.dom != nil || v.flat {
		return nil, nil, errors.New("arithmetic on something else than the input's channels")
	}
	k, err := im.tensor(n, 1)
	if err != nil {
		return nil, nil, err
	}
	if k.len != 1 && !perChannel(k.dims, v.shape.C, false) {
		return nil, nil, fmt.Errorf("a constant of shape %v for %d channels; want one number or one per channel", trim(k.proto.GetDims()), v.shape.C)
	}
	c, err := k.floats(v.shape.C)
	if err != nil {
		return nil, nil, err
	}
	for len(c) < v.shape.C {
		c = append(c, c[0])
	}
	standardised := *v
	return &standardised, c, nil
}

func (im *importer) batchNorm(n *node) (*activation, error) {
	v, err := im.activation(n, 0)
	if err != nil {
		return nil, err
	}
	n.want("training_mode", 0)
	n.want("spatial", 1)
	n.float("momentum", 0) // of training
	epsilon := n.float("epsilon", 1e-5)
	if !(epsilon >= 0 && epsilon < 1) {
		return nil, fmt.Errorf("epsilon is %g, want 0 to 1", epsilon)
	}
	l := nn.Layer{Op: nn.BatchNorm, Name: im.name(n)}
	for i, suffix := range []string{".weight", ".bias", ".running_mean", ".running_var"} {
		if im.params[l.Name+suffix], err = im.weight(n, i+1, v.shape.C); err != nil {
			return nil, err
		}
	}
	if epsilon != nn.BatchNormEps {
		variance := im.params[l.Name+".running_var"]
		more := float64(epsilon) - nn.BatchNormEps
		im.params[l.Name+".running_var"] = func(i int) float32 { return float32(float64(variance(i)) + more) }
	}
	return v.then(l, v.flat)
}

func (im *importer) relu(n *node) (*activation, error) {
	v, err := im.activation(n, 0)
	if err != nil {
		return nil, err
	}
	return v.then(nn.Layer{Op: nn.ReLU}, v.flat)
}

func (im *importer) identity(n *node) (*activation, error) { return im.activation(n, 0) }

func (im *importer) dropout(n *node) (*activation, error) {
	n.float("ratio", 0)
	n.int("seed", 0)
	if n.in(2) != "" {
		c, err := im.tensor(n, 2)
		if err != nil {
			return nil, err
		}
		training := slices.ContainsFunc(c.proto.GetRawData(), func(b byte) bool { return b != 0 }) ||
			slices.ContainsFunc(c.proto.GetInt32Data(), func(b int32) bool { return b != 0 })
		if training {
			return nil, errors.New("is in training mode")
		}
	}
	return im.activation(n, 0)
}

func (im *importer) maxPool(n *node) (*activation, error) {
	v, err := im.images(n, 0)
	if err != nil {
		return nil, err
	}
	n.want("ceil_mode", 0)
	n.int("storage_order", 0) // of the indices, which nothing may read
	l, err := window(n, nn.Layer{Op: nn.MaxPool})
	if err != nil {
		return nil, err
	}
	return v.then(l, false)
}
