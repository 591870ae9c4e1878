package onnx

import (
	"fmt"
	"io"
	"math"
	"strings"

	"google.golang.org/protobuf/proto"

	"rarespurious/bridge/onnx/onnxpb"
	"rarespurious/nn"
)

// Export writes a with the parameters theta and buffers, which it only reads,
// as an ONNX model in inference mode: input (batch, C, H, W) in [0, 1],
// standardised inside the graph, and output logits (batch, classes). Weights
// keep their names in a state dict. The same arguments always give the same
// bytes. Nothing is written if the file would pass the format's limit
// ([ErrTooLarge]).
//
// Export panics if theta or buffers do not have a's lengths.
func Export(w io.Writer, a nn.Arch, theta, buffers []float32, m Meta) error {
	if err := a.Validate(); err != nil {
		return fmt.Errorf("onnx: %w", err)
	}
	if len(m.Classes) != 0 && len(m.Classes) != a.Classes {
		return fmt.Errorf("onnx: %s: %d class names for %d classes", a.Name, len(m.Classes), a.Classes)
	}
	props, err := properties(a, m)
	if err != nil {
		return fmt.Errorf("onnx: %s: metadata: %w", a.Name, err)
	}
	g := newGraph(a)
	g.tensors(a.Params(), theta)
	g.tensors(a.Buffers(), buffers)
	x := g.apply(a.Layers, g.standardise(a, tensor{name: InputName, shape: a.In}))
	g.vector(x)
	// Every layer's result is the newest node's, and the logits are flat, so
	// there is a last node and it gives them.
	g.proto.Node[len(g.proto.Node)-1].Output[0] = OutputName
	err = writeModel(w, &onnxpb.ModelProto{
		IrVersion:     proto.Int64(IRVersion),
		ProducerName:  proto.String("rarespurious"),
		OpsetImport:   []*onnxpb.OperatorSetIdProto{{Domain: proto.String(""), Version: proto.Int64(Opset)}},
		MetadataProps: props,
	}, g.proto, g.weights)
	if err != nil {
		return fmt.Errorf("onnx: writing %s: %w", a.Name, err)
	}
	return nil
}

// A graph is an ONNX graph under construction. Its weights are not in proto
// but views of the caller's vectors, so that θ exists once.
type graph struct {
	proto   *onnxpb.GraphProto
	weights []weight
}

type weight struct {
	name string
	dims []int64
	data []float32
}

// A tensor is a value of the graph: (batch, C, H, W), or (batch, C) if flat.
type tensor struct {
	name  string
	shape nn.Shape // of one example
	flat  bool
}

func newGraph(a nn.Arch) *graph {
	return &graph{proto: &onnxpb.GraphProto{
		Name:   proto.String(a.Name),
		Input:  []*onnxpb.ValueInfoProto{valueInfo(InputName, a.In.C, a.In.H, a.In.W)},
		Output: []*onnxpb.ValueInfoProto{valueInfo(OutputName, a.Classes)},
	}}
}

func valueInfo(name string, dims ...int) *onnxpb.ValueInfoProto {
	shape := &onnxpb.TensorShapeProto{Dim: []*onnxpb.TensorShapeProto_Dimension{
		{Value: &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: "batch"}},
	}}
	for _, d := range dims {
		shape.Dim = append(shape.Dim, &onnxpb.TensorShapeProto_Dimension{
			Value: &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: int64(d)},
		})
	}
	return &onnxpb.ValueInfoProto{Name: &name, Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{
		TensorType: &onnxpb.TypeProto_Tensor{ElemType: proto.Int32(int32(onnxpb.TensorProto_FLOAT)), Shape: shape},
	}}}
}

// tensors makes v's parts weights under their state-dict names.
func (g *graph) tensors(ps []nn.Param, v []float32) {
	n := 0
	for _, p := range ps {
		n = p.Offset + p.Len
	}
	if len(v) != n {
		panic(fmt.Sprintf("onnx: %d parameters or buffers, want %d", len(v), n))
	}
	for _, p := range ps {
		g.weight(p.Name, v[p.Offset:p.Offset+p.Len], p.Shape...)
	}
}

func (g *graph) weight(name string, data []float32, dims ...int) string {
	w := weight{name: name, data: data}
	for _, d := range dims {
		w.dims = append(w.dims, int64(d))
	}
	g.weights = append(g.weights, w)
	return name
}

// ints adds a constant vector: operators take axes, pads and shapes as inputs.
func (g *graph) ints(v ...int64) string {
	name := fmt.Sprintf("ints_%d", len(g.proto.Initializer))
	g.proto.Initializer = append(g.proto.Initializer, &onnxpb.TensorProto{
		Name: &name, Dims: []int64{int64(len(v))}, DataType: proto.Int32(int32(onnxpb.TensorProto_INT64)), Int64Data: v,
	})
	return name
}

// node adds an operator whose result has the given shape. Value names have no
// dot, so they differ from all weights' names.
func (g *graph) node(op, name string, out tensor, attributes []*onnxpb.AttributeProto, inputs ...string) tensor {
	out.name = fmt.Sprintf("%s_%d", strings.ToLower(op), len(g.proto.Node))
	if name == "" {
		name = out.name
	}
	g.proto.Node = append(g.proto.Node, &onnxpb.NodeProto{
		OpType: &op, Name: &name, Input: inputs, Output: []string{out.name}, Attribute: attributes,
	})
	return out
}

func intAttr(name string, v int) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: &name, Type: onnxpb.AttributeProto_INT.Enum(), I: proto.Int64(int64(v))}
}

func intsAttr(name string, v ...int64) *onnxpb.AttributeProto {
	return &onnxpb.AttributeProto{Name: &name, Type: onnxpb.AttributeProto_INTS.Enum(), Ints: v}
}

// standardise is the network's first operation, (x − Mean)/Std per channel.
func (g *graph) standardise(a nn.Arch, x tensor) tensor {
	if len(a.Mean) == 0 {
		return x
	}
	x = g.node("Sub", "", x, nil, x.name, g.weight(InputName+".mean", a.Mean, 1, a.In.C, 1, 1))
	return g.node("Div", "", x, nil, x.name, g.weight(InputName+".std", a.Std, 1, a.In.C, 1, 1))
}

// vector returns x as (batch, CHW).
func (g *graph) vector(x tensor) tensor {
	if x.flat {
		return x
	}
	out := tensor{shape: nn.Shape{C: x.shape.Len(), H: 1, W: 1}, flat: true}
	return g.node("Flatten", "", out, []*onnxpb.AttributeProto{intAttr("axis", 1)}, x.name)
}

// images returns x as (batch, C, H, W).
func (g *graph) images(x tensor) tensor {
	if !x.flat {
		return x
	}
	return g.node("Unsqueeze", "", tensor{shape: x.shape}, nil, x.name, g.ints(2, 3))
}

func (g *graph) apply(ls []nn.Layer, x tensor) tensor {
	for _, l := range ls {
		if l.Op == nn.Residual {
			x = g.residual(l, x)
		} else {
			x = g.layer(l, x)
		}
	}
	return x
}

func (g *graph) residual(l nn.Layer, x tensor) tensor {
	body, skip := g.apply(l.Body, x), g.apply(l.Skip, x)
	if body.flat != skip.flat { // C×1×1 both, in two guises
		body, skip = g.vector(body), g.vector(skip)
	}
	return g.node("Add", "", body, nil, body.name, skip.name)
}

// layer applies l, which is not a Residual. What Arch.Validate accepts, ONNX
// can express.
func (g *graph) layer(l nn.Layer, x tensor) tensor {
	shape, err := l.OutShape(x.shape)
	if err != nil {
		panic(fmt.Sprintf("onnx: validated layer: %v", err))
	}
	param := func(suffix string) string { return l.Name + "." + suffix }
	window := func() []*onnxpb.AttributeProto {
		k, s, p := int64(l.K), int64(l.Stride), int64(l.Pad)
		return []*onnxpb.AttributeProto{
			intsAttr("kernel_shape", k, k), intsAttr("pads", p, p, p, p), intsAttr("strides", s, s),
		}
	}
	switch l.Op {
	case nn.Dropout:
		return x // the identity outside training
	case nn.Flatten:
		return g.vector(x)
	case nn.ReLU:
		return g.node("Relu", l.Name, x, nil, x.name)
	case nn.BatchNorm:
		epsilon := &onnxpb.AttributeProto{
			Name: proto.String("epsilon"), Type: onnxpb.AttributeProto_FLOAT.Enum(), F: proto.Float32(nn.BatchNormEps),
		}
		return g.node("BatchNormalization", l.Name, x, []*onnxpb.AttributeProto{epsilon},
			x.name, param("weight"), param("bias"), param("running_mean"), param("running_var"))
	case nn.Linear:
		x = g.vector(x)
		return g.node("Gemm", l.Name, tensor{shape: shape, flat: true}, []*onnxpb.AttributeProto{intAttr("transB", 1)},
			x.name, param("weight"), param("bias"))
	}
	x = g.images(x)
	out := tensor{shape: shape}
	switch l.Op {
	case nn.Conv:
		inputs := []string{x.name, param("weight")}
		if l.Bias {
			inputs = append(inputs, param("bias"))
		}
		return g.node("Conv", l.Name, out, window(), inputs...)
	case nn.MaxPool:
		return g.node("MaxPool", l.Name, out, window(), x.name)
	case nn.AdaptiveAvg:
		return g.adaptiveAvg(l, x, out)
	case nn.Subsample:
		return g.subsample(l, x, out)
	}
	panic(fmt.Sprintf("onnx: no operator for %q", l.Op))
}

// adaptiveAvg writes the simplest operator that is exact for the sizes at
// hand. In general, averaging rows and columns is a product with a constant
// matrix on each side.
func (g *graph) adaptiveAvg(l nn.Layer, x, out tensor) tensor {
	n, h, w := l.Out, x.shape.H, x.shape.W
	switch {
	case n == 1:
		return g.node("GlobalAveragePool", l.Name, out, nil, x.name)
	case h == 1 && w == 1:
		return g.node("Expand", l.Name, out, nil, x.name, g.ints(1, 1, int64(n), int64(n)))
	case h%n == 0 && w%n == 0:
		k := []int64{int64(h / n), int64(w / n)}
		return g.node("AveragePool", l.Name, out, []*onnxpb.AttributeProto{
			intsAttr("kernel_shape", k...), intsAttr("strides", k...),
		}, x.name)
	}
	matrix := func(in int) string {
		return g.weight(fmt.Sprintf("averages.%d", len(g.weights)), averaging(in, n), n, in)
	}
	equation := &onnxpb.AttributeProto{
		Name: proto.String("equation"), Type: onnxpb.AttributeProto_STRING.Enum(), S: []byte(averagingEquation),
	}
	return g.node("Einsum", l.Name, out, []*onnxpb.AttributeProto{equation}, matrix(h), x.name, matrix(w))
}

// averagingEquation sums over rows h and columns w of images n and channels c.
const averagingEquation = "ph,nchw,qw->ncpq"

// averaging returns the (out, in) matrix that averages in positions to out:
// window i covers ⌊i·in/out⌋ to ⌈(i+1)·in/out⌉, PyTorch's adaptive windows.
func averaging(in, out int) []float32 {
	m := make([]float32, out*in)
	for i := range out {
		lo, hi := i*in/out, ((i+1)*in+out-1)/out
		for j := lo; j < hi; j++ {
			m[i*in+j] = float32(1 / float64(hi-lo))
		}
	}
	return m
}

// subsample keeps every Stride-th row and column and adds zero channels on
// both sides.
func (g *graph) subsample(l nn.Layer, x, out tensor) tensor {
	if s := int64(l.Stride); s > 1 {
		sliced := tensor{shape: nn.Shape{C: x.shape.C, H: out.shape.H, W: out.shape.W}}
		x = g.node("Slice", l.Name, sliced, nil, x.name,
			g.ints(0, 0), g.ints(math.MaxInt64, math.MaxInt64), g.ints(2, 3), g.ints(s, s))
	}
	if p := int64(l.Out-x.shape.C) / 2; p > 0 {
		x = g.node("Pad", l.Name, out, nil, x.name, g.ints(0, p, 0, 0, 0, p, 0, 0))
	}
	return x
}
