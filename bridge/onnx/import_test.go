package onnx_test

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"rarespurious/bridge/onnx"
	"rarespurious/bridge/onnx/onnxpb"
	"rarespurious/nn"
)

// A foreign is a model as others may write it, from input x (n, in...) to y.
type foreign struct{ *onnxpb.ModelProto }

func newForeign(in ...int64) foreign {
	shape := &onnxpb.TensorShapeProto{Dim: []*onnxpb.TensorShapeProto_Dimension{{}}}
	for _, d := range in {
		shape.Dim = append(shape.Dim, &onnxpb.TensorShapeProto_Dimension{Value: &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: d}})
	}
	x := &onnxpb.ValueInfoProto{Name: proto.String("x"), Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{
		TensorType: &onnxpb.TypeProto_Tensor{ElemType: proto.Int32(1), Shape: shape},
	}}}
	return foreign{&onnxpb.ModelProto{
		IrVersion: proto.Int64(8), OpsetImport: []*onnxpb.OperatorSetIdProto{{Version: proto.Int64(17)}},
		Graph: &onnxpb.GraphProto{
			Name: proto.String("foreign"), Input: []*onnxpb.ValueInfoProto{x}, Output: []*onnxpb.ValueInfoProto{{Name: proto.String("y")}},
		},
	}}
}

// node adds "out = op(in...)", written "y = Gemm(x, w, b)".
func (f foreign) node(text string, attributes ...*onnxpb.AttributeProto) foreign {
	out, call, _ := strings.Cut(text, " = ")
	op, args, _ := strings.Cut(strings.TrimSuffix(call, ")"), "(")
	var in []string
	if args != "" {
		in = strings.Split(args, ", ")
	}
	f.Graph.Node = append(f.Graph.Node, &onnxpb.NodeProto{
		OpType: &op, Name: proto.String(op + " to " + out), Input: in, Output: []string{out}, Attribute: attributes,
	})
	return f
}

func attr(name string, v ...int64) *onnxpb.AttributeProto {
	if len(v) == 1 {
		return &onnxpb.AttributeProto{Name: &name, Type: onnxpb.AttributeProto_INT.Enum(), I: &v[0]}
	}
	return &onnxpb.AttributeProto{Name: &name, Type: onnxpb.AttributeProto_INTS.Enum(), Ints: v}
}

func floats(name string, v []float32, dims ...int64) *onnxpb.TensorProto {
	return &onnxpb.TensorProto{Name: &name, DataType: proto.Int32(1), Dims: dims, FloatData: v}
}

func ints(name string, v ...int64) *onnxpb.TensorProto {
	return &onnxpb.TensorProto{Name: &name, DataType: proto.Int32(7), Dims: []int64{int64(len(v))}, Int64Data: v}
}

func (f foreign) weights(ts ...*onnxpb.TensorProto) foreign {
	f.Graph.Initializer = append(f.Graph.Initializer, ts...)
	return f
}

func (f foreign) bytes(t testing.TB) []byte {
	b, err := proto.Marshal(f.ModelProto)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var (
	matrix = []float32{1, 2, 3, 4, 5, 6} // (2, 3), or its transpose (3, 2)
	turned = []float32{1, 3, 5, 2, 4, 6}
)

// Other exporters' spellings of the same network.
func TestImportForeign(t *testing.T) {
	linear := func(name string) nn.Layer { return nn.Layer{Op: nn.Linear, Name: name, Out: 2} }
	flatten := nn.Layer{Op: nn.Flatten}
	fc := floats("fc.weight", matrix, 2, 3)
	constantFC := &onnxpb.AttributeProto{Name: proto.String("value"), Type: onnxpb.AttributeProto_TENSOR.Enum(), T: floats("", matrix, 2, 3)}
	subsample := nn.Layer{Op: nn.Subsample, Out: 3, Stride: 2}
	most := int64(math.MaxInt64)
	norm := func(f foreign, name string, epsilon float32) foreign {
		one := func(n string) *onnxpb.TensorProto { return floats(name+n, []float32{1, 1, 1}, 3) }
		return f.weights(one(".weight"), one(".bias"), one(".running_mean"), one(".running_var")).
			node("n = BatchNormalization(x, "+name+".weight, "+name+".bias, "+name+".running_mean, "+name+".running_var)",
				&onnxpb.AttributeProto{Name: proto.String("epsilon"), Type: onnxpb.AttributeProto_FLOAT.Enum(), F: &epsilon})
	}
	for name, tt := range map[string]struct {
		model   foreign
		layers  []nn.Layer
		theta   []float32
		buffers []float32
	}{
		"Gemm, transposed": {newForeign(3).weights(fc).node("y = Gemm(x, fc.weight)", attr("transB", 1)),
			[]nn.Layer{linear("fc")}, append(slices.Clone(matrix), 0, 0), nil},
		"Gemm, not transposed": {newForeign(3).weights(floats("fc.weight", matrix, 3, 2), floats("fc.bias", []float32{7, 8}, 1, 2)).node("y = Gemm(x, fc.weight, fc.bias)"),
			[]nn.Layer{linear("fc")}, append(slices.Clone(turned), 7, 8), nil},
		"MatMul and Add": {newForeign(3).weights(floats("w", matrix, 3, 2), floats("b", []float32{7, 8}, 2)).node("m = MatMul(x, w)").node("y = Add(b, m)"),
			[]nn.Layer{linear("MatMul to m")}, append(slices.Clone(turned), 7, 8), nil},
		"weights in a Constant": {newForeign(3).node("w = Constant()", constantFC).node("v = Identity(w)").node("y = Gemm(x, v)", attr("transB", 1)),
			[]nn.Layer{linear("Gemm to y")}, append(slices.Clone(matrix), 0, 0), nil},
		"Reshape by the shape": {newForeign(3, 1, 1).weights(fc, ints("zero", 0), ints("rest", -1)).
			node("s = Shape(x)").node("n = Gather(s, zero)").node("u = Unsqueeze(n)", attr("axes", 0)).node("to = Concat(u, rest)", attr("axis", 0)).
			node("r = Reshape(x, to)").node("y = Gemm(r, fc.weight)", attr("transB", 1)),
			[]nn.Layer{flatten, linear("fc")}, append(slices.Clone(matrix), 0, 0), nil},
		"Dropout and Identity": {newForeign(3).weights(fc).node("d = Dropout(x)").node("i = Identity(d)").node("y = Gemm(i, fc.weight)", attr("transB", 1)),
			[]nn.Layer{linear("fc")}, append(slices.Clone(matrix), 0, 0), nil},
		"Squeeze": {newForeign(3, 4, 4).weights(fc).node("g = GlobalAveragePool(x)").node("s = Squeeze(g)", attr("axes", -1, -2)).node("y = Gemm(s, fc.weight)", attr("transB", 1)),
			[]nn.Layer{{Op: nn.AdaptiveAvg, Out: 1}, flatten, linear("fc")}, append(slices.Clone(matrix), 0, 0), nil},
		"ReduceMean": {newForeign(3, 4, 4).weights(fc).node("m = ReduceMean(x)", attr("axes", 2, 3), attr("keepdims", 0)).node("y = Gemm(m, fc.weight)", attr("transB", 1)),
			[]nn.Layer{{Op: nn.AdaptiveAvg, Out: 1}, flatten, linear("fc")}, append(slices.Clone(matrix), 0, 0), nil},
		"rows, then columns": {newForeign(3, 2, 2).weights(fc, ints("0", 0), ints("end", most), ints("2", 2), ints("3", 3)).
			node("r = Slice(x, 0, end, 2, 2)").node("c = Slice(r, 0, end, 3, 2)").node("f = Flatten(c)").node("y = Gemm(f, fc.weight)", attr("transB", 1)),
			[]nn.Layer{subsample, flatten, linear("fc")}, append(slices.Clone(matrix), 0, 0), nil},
		"x + f(x)": {newForeign(3).weights(fc).node("r = Relu(x)").node("a = Add(x, r)").node("y = Gemm(a, fc.weight)", attr("transB", 1)),
			[]nn.Layer{{Op: nn.Residual, Body: []nn.Layer{{Op: nn.ReLU}}}, linear("fc")}, append(slices.Clone(matrix), 0, 0), nil},
		"weights shared by value": {norm(newForeign(3), "bn", nn.BatchNormEps).weights(fc).
			node("again = BatchNormalization(n, bn.weight, bn.bias, bn.running_mean, bn.running_var)").node("y = Gemm(again, fc.weight)", attr("transB", 1)),
			[]nn.Layer{{Op: nn.BatchNorm, Name: "bn"}, {Op: nn.BatchNorm, Name: "BatchNormalization to again"}, linear("fc")},
			append([]float32{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, append(slices.Clone(matrix), 0, 0)...), []float32{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
		"another epsilon": {norm(newForeign(3), "bn", 0.25).weights(fc).node("y = Gemm(n, fc.weight)", attr("transB", 1)),
			[]nn.Layer{{Op: nn.BatchNorm, Name: "bn"}, linear("fc")},
			append([]float32{1, 1, 1, 1, 1, 1}, append(slices.Clone(matrix), 0, 0)...), []float32{1, 1, 1, 1.24999, 1.24999, 1.24999}},
		"nodes that nothing needs": {newForeign(3).weights(fc).node("s = Softmax(x)").node("y = Gemm(x, fc.weight)", attr("transB", 1)),
			[]nn.Layer{linear("fc")}, append(slices.Clone(matrix), 0, 0), nil},
	} {
		t.Run(name, func(t *testing.T) {
			a, theta, buffers, err := onnx.Import(tt.model.bytes(t))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.layers, a.Layers); diff != "" {
				t.Errorf("layers (-want +got):\n%s", diff)
			}
			if !slices.Equal(theta, tt.theta) || !slices.Equal(buffers, tt.buffers) {
				t.Errorf("θ %v and buffers %v, want %v and %v", theta, buffers, tt.theta, tt.buffers)
			}
		})
	}
}

// Standardisation by one number, and by a division alone.
func TestImportStandardisation(t *testing.T) {
	for _, tt := range []struct {
		nodes     []string
		mean, std []float32
	}{
		{[]string{"a = Sub(x, m)", "b = Div(a, s)"}, []float32{0.5, 0.5}, []float32{2, 4}},
		{[]string{"b = Div(x, s)"}, []float32{0, 0}, []float32{2, 4}},
		{[]string{"b = Sub(x, m)"}, []float32{0.5, 0.5}, []float32{1, 1}},
	} {
		f := newForeign(2, 1, 1).weights(floats("m", []float32{0.5}), floats("s", []float32{2, 4}, 2, 1, 1), floats("w", matrix[:4], 2, 2))
		for _, n := range tt.nodes {
			f.node(n)
		}
		f.node("f = Flatten(b)").node("y = Gemm(f, w)")
		a, _, _, err := onnx.Import(f.bytes(t))
		if err != nil || !slices.Equal(a.Mean, tt.mean) || !slices.Equal(a.Std, tt.std) {
			t.Errorf("%v: mean %v and std %v, %v; want %v and %v", tt.nodes, a.Mean, a.Std, err, tt.mean, tt.std)
		}
	}
}

// The one error lists every node that stands in the way, and why.
func TestUnsupportedLists(t *testing.T) {
	f := newForeign(3, 8, 8).weights(floats("w", make([]float32, 27), 3, 1, 3, 3), floats("k", make([]float32, 81), 3, 3, 3, 3), floats("v", make([]float32, 6), 2, 3)).
		node("a = Conv(x, w)", attr("group", 3)).
		node("b = Sigmoid(a)").
		node("c = Conv(x, k)", attr("pads", 0, 0, 1, 1)).
		node("d = MaxPool(x)", attr("kernel_shape", 2, 2), attr("ceil_mode", 1)).
		node("e = Relu(x)", attr("alpha", 1)).
		node("f = Sum(b, c, d, e)").
		node("g = GlobalAveragePool(f)").node("h = Flatten(g)").node("i = Gemm(h, v)", attr("transB", 1)).node("y = Softmax(i)")
	f.Graph.Node[1].Domain = proto.String("com.example")
	_, _, _, err := onnx.Import(f.bytes(t))
	var unsupported *onnx.UnsupportedError
	if !errors.As(err, &unsupported) {
		t.Fatalf("Import = %v, want an UnsupportedError", err)
	}
	want := []onnx.Unsupported{
		{Node: "Conv to a", Op: "Conv", Why: `weight "w" of shape [3 1 3 3] on 3 channels; want (out, 3, k, k)`},
		{Node: "Sigmoid to b", Op: "Sigmoid", Why: `an operator of domain "com.example"`},
		{Node: "Conv to c", Op: "Conv", Why: "pads are [0 0 1 1], want 4 equal ones"},
		{Node: "MaxPool to d", Op: "MaxPool", Why: "ceil_mode is 1, want 0"},
		{Node: "Relu to e", Op: "Relu", Why: `attribute "alpha" is not supported`},
		{Node: "Sum to f", Op: "Sum", Why: "no layer kind covers this operator"},
		{Node: "Softmax to y", Op: "Softmax", Why: "no layer kind covers this operator"},
	}
	if diff := cmp.Diff(want, unsupported.Nodes); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
	for _, u := range want {
		if !strings.Contains(err.Error(), u.Node) {
			t.Errorf("%q does not name %s", err, u.Node)
		}
	}
}

// Graphs and nodes that would be understood wrongly are refused.
func TestUnsupported(t *testing.T) {
	base := func() foreign {
		return newForeign(3, 4, 4).weights(
			floats("m", []float32{1, 2, 3}, 3, 1, 1), floats("v", matrix, 2, 3), floats("b", []float32{1}, 1), floats("w", make([]float32, 96), 2, 48),
			ints("two", 2), ints("zero", 0), ints("end", math.MaxInt64), ints("four", 4), ints("to", 0, 48), ints("wrong", 0, 47), ints("flat", -1, -1),
			ints("sides", 0, 1, 0, 0, 0, 2, 0, 0), ints("edges", 0, 0, 1, 1, 0, 0, 1, 1))
	}
	tail := func(f foreign, x string) foreign {
		return f.node("f = Flatten("+x+")").node("y = Gemm(f, w)", attr("transB", 1))
	}
	half := &onnxpb.TensorProto{Name: proto.String("h"), DataType: proto.Int32(10), Dims: []int64{2, 48}, RawData: make([]byte, 192)}
	alpha := &onnxpb.AttributeProto{Name: proto.String("alpha"), Type: onnxpb.AttributeProto_FLOAT.Enum(), F: proto.Float32(2)}
	for name, f := range map[string]foreign{
		"a constant added to the input":    tail(base().node("a = Add(x, m)"), "a"),
		"Div before Sub":                   tail(base().node("a = Div(x, m)").node("b1 = Sub(a, m)"), "b1"),
		"Div twice":                        tail(base().node("a = Div(x, m)").node("b1 = Div(a, m)"), "b1"),
		"Sub in the middle":                tail(base().node("a = Relu(x)").node("b1 = Sub(a, m)"), "b1"),
		"the input, standardised and not":  tail(base().node("a = Sub(x, m)").node("b1 = Add(a, x)"), "b1"),
		"rows only":                        tail(base().node("a = Slice(x, zero, end, two, two)"), "a"),
		"a part of the image":              tail(base().node("a = Slice(x, zero, two, two, two)"), "a"),
		"uneven padding":                   tail(base().node("a = Pad(x, sides)"), "a"),
		"padding of the edges":             tail(base().node("a = Pad(x, edges)"), "a"),
		"a Reshape to another size":        base().node("f = Reshape(x, wrong)").node("y = Gemm(f, w)", attr("transB", 1)),
		"a Reshape with two open sizes":    base().node("f = Reshape(x, flat)").node("y = Gemm(f, w)", attr("transB", 1)),
		"Flatten of another axis":          base().node("f = Flatten(x)", attr("axis", 2)).node("y = Gemm(f, w)", attr("transB", 1)),
		"a linear layer on an image":       base().node("y = Gemm(x, v)"),
		"a weight of another width":        base().node("f = Flatten(x)").node("y = Gemm(f, v)", attr("transB", 1)),
		"half precision":                   base().weights(half).node("f = Flatten(x)").node("y = Gemm(f, h)", attr("transB", 1)),
		"a scaled product":                 base().node("f = Flatten(x)").node("y = Gemm(f, w)", attr("transB", 1), alpha),
		"logits that are not a vector":     base().node("y = Relu(x)"),
		"an unknown input":                 tail(base().node("a = Relu(z)"), "a"),
		"an output that nothing gives":     base().node("z = Relu(x)"),
		"an output that is constant":       base().node("y = Identity(m)"),
		"an average of a part":             tail(base().node("a = AveragePool(x)", attr("kernel_shape", 3, 3), attr("strides", 3, 3)), "a"),
		"overlapping averages":             tail(base().node("a = AveragePool(x)", attr("kernel_shape", 2, 2)), "a"),
		"a mean over channels":             tail(base().node("a = ReduceMean(x)", attr("axes", 1, 2)), "a"),
		"an attribute of another type":     tail(base().node("a = MaxPool(x)", attr("kernel_shape", 2)), "a"),
		"branches that are no blocks":      tail(base().node("p = Relu(x)").node("q = Relu(p)").node("a = Add(p, q)").node("b1 = Add(q, x)").node("c = Add(a, b1)"), "c"),
		"an image divided by its own mean": tail(base().node("g = GlobalAveragePool(x)").node("a = Div(x, g)"), "a"),
	} {
		var unsupported *onnx.UnsupportedError
		if a, _, _, err := onnx.Import(f.bytes(t)); !errors.As(err, &unsupported) {
			t.Errorf("%s: %+v, %v; want an UnsupportedError", name, a.Layers, err)
		}
	}
	for name, change := range map[string]func(foreign){
		"an old operator set": func(f foreign) { f.OpsetImport[0].Version = proto.Int64(6) },
		"two inputs": func(f foreign) {
			f.Graph.Input = append(f.Graph.Input, &onnxpb.ValueInfoProto{Name: proto.String("z")})
		},
		"two outputs": func(f foreign) { f.Graph.Output = append(f.Graph.Output, f.Graph.Output[0]) },
		"an open height": func(f foreign) {
			f.Graph.Input[0].Type.GetTensorType().Shape.Dim[2] = &onnxpb.TensorShapeProto_Dimension{}
		},
		"a vast height": func(f foreign) {
			f.Graph.Input[0].Type.GetTensorType().Shape.Dim[2].Value.(*onnxpb.TensorShapeProto_Dimension_DimValue).DimValue = math.MaxInt64
		},
		"an input of integers": func(f foreign) { f.Graph.Input[0].Type.GetTensorType().ElemType = proto.Int32(7) },
	} {
		f := tail(base(), "x")
		change(f)
		var unsupported *onnx.UnsupportedError
		if _, _, _, err := onnx.Import(f.bytes(t)); !errors.As(err, &unsupported) {
			t.Errorf("%s: %v, want an UnsupportedError", name, err)
		}
	}
}

// A small file that shares one weight between many layers does not become a
// large network.
func TestSharedWeightsAreBounded(t *testing.T) {
	const wide = 300
	// A shape alone is no stored number.
	f := newForeign(wide).weights(floats("w", make([]float32, wide*wide), wide, wide), floats("unused", nil, 1<<30))
	last := "x"
	for range 50 {
		f.node("v"+last+" = Gemm("+last+", w)", attr("transB", 1))
		last = "v" + last
	}
	f.node("y = Identity(" + last + ")")
	if _, _, _, err := onnx.Import(f.bytes(t)); err == nil || !strings.Contains(err.Error(), "share") {
		t.Errorf("Import = %v, want an error about shared weights", err)
	}
}

// Lies about tensors give ErrFormat.
func TestMalformed(t *testing.T) {
	model := func(w *onnxpb.TensorProto) []byte {
		return newForeign(3).weights(w).node("y = Gemm(x, w)", attr("transB", 1)).bytes(t)
	}
	both := floats("w", matrix, 2, 3)
	both.RawData = make([]byte, 24)
	raw := func(n int) *onnxpb.TensorProto {
		return &onnxpb.TensorProto{Name: proto.String("w"), DataType: proto.Int32(1), Dims: []int64{2, 3}, RawData: make([]byte, n)}
	}
	outside := floats("w", nil, 2, 3)
	outside.DataLocation = onnxpb.TensorProto_EXTERNAL.Enum()
	whole := model(raw(24))
	if _, _, _, err := onnx.Import(whole); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"nothing":            nil,
		"no graph":           {8, 8},
		"text":               []byte("this is not a model"),
		"a model cut short":  whole[:len(whole)-1],
		"too few elements":   model(floats("w", matrix[:5], 2, 3)),
		"too few bytes":      model(raw(20)),
		"a part of a number": model(raw(23)),
		"raw and typed data": model(both),
		"a negative size":    model(floats("w", matrix, -2, -3)),
		"an overflow":        model(floats("w", matrix, math.MaxInt64, 2)),
		"a vast size":        model(floats("w", nil, 1<<20, 1<<20, 0)),
		"data elsewhere":     model(outside),
		"a flood of nodes":   append(whole, flood(1<<21)...),
		"a deep nest":        nest(100),
	} {
		if _, _, _, err := onnx.Import(b); !errors.Is(err, onnx.ErrFormat) {
			t.Errorf("%s: %v, want ErrFormat", name, err)
		}
	}
}

// flood returns a graph field of n bytes that are all empty nodes.
func flood(n int) []byte {
	var b []byte
	b = append(b, 7<<3|2)
	for v := n; ; v >>= 7 {
		if v < 0x80 {
			b = append(b, byte(v))
			break
		}
		b = append(b, byte(v)|0x80)
	}
	for range n / 2 {
		b = append(b, 1<<3|2, 0)
	}
	return b
}

// nest returns a graph in an attribute of a node of a graph, and so on.
func nest(levels int) []byte {
	g := &onnxpb.GraphProto{}
	for range levels {
		g = &onnxpb.GraphProto{Node: []*onnxpb.NodeProto{{Attribute: []*onnxpb.AttributeProto{{G: g}}}}}
	}
	b, err := proto.Marshal(&onnxpb.ModelProto{Graph: g})
	if err != nil {
		panic(err)
	}
	return b
}

// External data is read from below the model's folder and from nowhere else.
func TestImportFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "model", "sub"), 0o777); err != nil {
		t.Fatal(err)
	}
	data := []byte{0, 0, 0, 0, 0, 0, 128, 63, 0, 0, 0, 64, 0, 0, 64, 64, 0, 0, 128, 64, 0, 0, 160, 64, 0, 0, 192, 64} // 0 to 6
	for _, name := range []string{"model/weights", "model/sub/weights", "secret"} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "secret"), filepath.Join(dir, "model", "link")); err != nil {
		t.Fatal(err)
	}
	read := func(entries ...string) ([]float32, error) {
		w := floats("w", nil, 2, 3)
		w.DataLocation = onnxpb.TensorProto_EXTERNAL.Enum()
		for i := 0; i < len(entries); i += 2 {
			w.ExternalData = append(w.ExternalData, &onnxpb.StringStringEntryProto{Key: &entries[i], Value: &entries[i+1]})
		}
		path := filepath.Join(dir, "model", "model.onnx")
		if err := os.WriteFile(path, newForeign(3).weights(w).node("y = Gemm(x, w)", attr("transB", 1)).bytes(t), 0o666); err != nil {
			t.Fatal(err)
		}
		_, theta, _, err := onnx.ImportFile(path)
		return theta, err
	}
	for _, location := range []string{"weights", "sub/weights", "sub/../weights"} {
		theta, err := read("location", location, "offset", "4", "length", "24")
		if want := append(slices.Clone(matrix), 0, 0); err != nil || !slices.Equal(theta, want) {
			t.Errorf("%s: %v, %v; want %v", location, theta, err, want)
		}
	}
	for _, entries := range [][]string{
		{"location", "../secret", "offset", "4"},
		{"location", filepath.Join(dir, "secret"), "offset", "4"},
		{"location", "link", "offset", "4"},
		{"location", "sub", "offset", "0"},
		{"location", "none", "offset", "4"},
		{"location", ""},
		{"offset", "4"},
		{"location", "weights"},
		{"location", "weights", "offset", "8"},
		{"location", "weights", "offset", "-4"},
		{"location", "weights", "offset", "4", "length", "100"},
		{"location", "weights", "offset", "9223372036854775807", "length", "9223372036854775807"},
		{"location", "weights", "offset", "four"},
	} {
		if theta, err := read(entries...); err == nil {
			t.Errorf("%q gives %v, want an error", entries, theta)
		}
	}
	if _, _, _, err := onnx.ImportFile(filepath.Join(dir, "none.onnx")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v, want ErrNotExist", err)
	}
}

// No input makes Import or Inspect panic, and what Import accepts is a valid
// architecture that can be exported again.
func FuzzImport(f *testing.F) {
	for _, name := range []string{"linear", "resnet8"} {
		a := nn.Zoo[name](nn.Shape{C: 1, H: 4, W: 4}, 2)
		last := len(a.Layers) - 1
		a.Layers = append(narrow(a.Layers[:last], 8), a.Layers[last])
		for i, l := range a.Layers { // the widths of the shortcuts follow
			for j := range l.Skip {
				a.Layers[i].Skip[j].Out /= 8
			}
		}
		theta, buffers := random(a)
		f.Add(export(f, a, theta, buffers, onnx.Meta{RunID: "1", Classes: []string{"a", "b"}}))
	}
	f.Add(newForeign(3, 2, 2).weights(ints("z", 0), ints("r", -1), ints("e", math.MaxInt64), ints("two", 2), floats("w", matrix, 2, 3)).
		node("a = Slice(x, z, e, two, two)").node("s = Shape(a)").node("n = Gather(s, z)").node("t = Concat(n, r)").
		node("f = Reshape(a, t)").node("m = MatMul(f, w)").node("y = Add(m, r)").bytes(f))
	f.Add(flood(100))
	f.Add(nest(5))
	f.Fuzz(func(t *testing.T, b []byte) {
		onnx.Inspect(b)
		a, theta, buffers, err := onnx.Import(b)
		if err != nil {
			return
		}
		if err := a.Validate(); err != nil {
			t.Fatal(err)
		}
		if err := onnx.Export(new(counter), a, theta, buffers, onnx.Meta{}); err != nil && !strings.Contains(err.Error(), "metadata") {
			t.Fatal(err)
		}
	})
}
