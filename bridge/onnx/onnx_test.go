package onnx_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"rarespurious/bridge/onnx"
	"rarespurious/bridge/onnx/onnxpb"
	"rarespurious/nn"
)

// random returns parameters without a zero, so that no two are alike, and
// buffers with positive variances.
func random(a nn.Arch) (theta, buffers []float32) {
	rng := rand.New(rand.NewPCG(1, 2))
	theta, buffers = make([]float32, a.NumParams()), make([]float32, a.NumBuffers())
	for _, v := range [][]float32{theta, buffers} {
		for i := range v {
			v[i] = rng.Float32() + 0.5
		}
	}
	return theta, buffers
}

func export(t testing.TB, a nn.Arch, theta, buffers []float32, m onnx.Meta) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := onnx.Export(&b, a, theta, buffers, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// inference is what a file can know of layers: no dropout, no initialisation.
func inference(ls []nn.Layer) []nn.Layer {
	var out []nn.Layer
	for _, l := range ls {
		if l.Op == nn.Dropout {
			continue
		}
		l.Init, l.BiasInit = "", ""
		l.Body, l.Skip = inference(l.Body), inference(l.Skip)
		out = append(out, l)
	}
	return out
}

func roundTrip(t *testing.T, a nn.Arch) {
	t.Helper()
	theta, buffers := random(a)
	model := export(t, a, theta, buffers, onnx.Meta{})
	back, theta2, buffers2, err := onnx.Import(model)
	if err != nil {
		t.Errorf("%s: %v", a.Name, err)
		return
	}
	a.Layers = inference(a.Layers)
	if diff := cmp.Diff(a, back); diff != "" {
		t.Errorf("%s comes back changed (-left +came):\n%s", a.Name, diff)
	}
	if !slices.Equal(theta, theta2) || !slices.Equal(buffers, buffers2) {
		t.Errorf("%s: the parameters come back changed", a.Name)
	}
	if !bytes.Equal(model, export(t, back, theta2, buffers2, onnx.Meta{})) {
		t.Errorf("%s: what came back is exported to other bytes", a.Name)
	}
}

// narrow divides all widths but the last by the factor by.
func narrow(ls []nn.Layer, by int) []nn.Layer {
	ls = slices.Clone(ls)
	for i, l := range ls {
		if l.Op == nn.Conv || l.Op == nn.Linear {
			ls[i].Out = l.Out / by
		}
		ls[i].Body, ls[i].Skip = narrow(l.Body, by), narrow(l.Skip, by)
	}
	return ls
}

// Every architecture of the zoo, the largest ones with narrower layers.
func TestRoundTripZoo(t *testing.T) {
	for name := range nn.Zoo {
		a, err := nn.New(name, nn.Shape{C: 3, H: 32, W: 32}, 4)
		if err != nil {
			t.Fatal(err)
		}
		if a.NumParams() > 1<<23 {
			last := len(a.Layers) - 1
			a.Layers = append(narrow(a.Layers[:last], 16), a.Layers[last])
		}
		a.Mean, a.Std = []float32{0.1, 0.2, 0.3}, []float32{0.4, 0.5, 0.7}
		roundTrip(t, a)
	}
}

// Layer kinds in the combinations that the zoo does not have.
func TestRoundTripLayers(t *testing.T) {
	conv := nn.Layer{Op: nn.Conv, Name: "c", Out: 4, K: 3, Stride: 2, Pad: 1}
	flatten, fc := nn.Layer{Op: nn.Flatten}, nn.Layer{Op: nn.Linear, Name: "fc", Out: 2}
	pool := func(out int) nn.Layer { return nn.Layer{Op: nn.AdaptiveAvg, Out: out} }
	inner := nn.Layer{Op: nn.Residual, Body: []nn.Layer{{Op: nn.ReLU}}, Skip: []nn.Layer{{Op: nn.BatchNorm, Name: "s"}}}
	deeper := nn.Layer{Op: nn.Residual, Body: []nn.Layer{{Op: nn.BatchNorm, Name: "s2"}}}
	for name, ls := range map[string][]nn.Layer{
		"expand":   {{Op: nn.Conv, Name: "c", Out: 4, K: 6, Stride: 1}, pool(3), flatten, fc},
		"divide":   {pool(2), flatten, fc},
		"same":     {pool(6), flatten, fc},
		"overlap":  {pool(4), flatten, fc},
		"enlarge":  {conv, pool(7), flatten, fc},
		"stride":   {{Op: nn.Subsample, Out: 2, Stride: 4}, flatten, fc},
		"channels": {{Op: nn.Subsample, Out: 6, Stride: 1}, flatten, fc},
		"both":     {{Op: nn.Subsample, Out: 4, Stride: 3}, flatten, fc},
		"maxpool":  {{Op: nn.MaxPool, K: 3, Stride: 2, Pad: 1}, flatten, fc},
		"norm":     {flatten, {Op: nn.BatchNorm, Name: "bn"}, {Op: nn.Dropout, Rate: 0.5}, fc},
		"nested":   {{Op: nn.Residual, Body: []nn.Layer{inner, {Op: nn.BatchNorm, Name: "b"}}, Skip: []nn.Layer{deeper}}, flatten, fc},
		"double":   {{Op: nn.Residual}, {Op: nn.Residual}, flatten, fc},
		"logits":   {flatten, {Op: nn.Residual, Body: []nn.Layer{{Op: nn.Linear, Name: "fc1", Out: 2}}, Skip: []nn.Layer{{Op: nn.Linear, Name: "fc2", Out: 2}}}},
	} {
		roundTrip(t, nn.Arch{Name: name, In: nn.Shape{C: 2, H: 6, W: 6}, Classes: 2, Layers: ls})
	}
	wide := nn.Arch{Name: "wide", In: nn.Shape{C: 2, H: 6, W: 4}, Classes: 2, Layers: []nn.Layer{pool(2), pool(1), flatten, fc}}
	roundTrip(t, wide)
	wide.Layers[0] = pool(3) // 6 rows and 4 columns: only one side divides
	roundTrip(t, wide)
}

// Layers that nn takes on C×1×1 in either guise are exported with the
// Flatten or Unsqueeze that ONNX needs.
func TestImplicitReshape(t *testing.T) {
	a := nn.Arch{Name: "implicit", In: nn.Shape{C: 2, H: 1, W: 1}, Classes: 2, Layers: []nn.Layer{
		{Op: nn.Linear, Name: "a", Out: 3},
		{Op: nn.Conv, Name: "b", Out: 2, K: 1, Stride: 1},
		{Op: nn.Residual, Skip: []nn.Layer{{Op: nn.Linear, Name: "c", Out: 2}}},
		{Op: nn.Conv, Name: "d", Out: 2, K: 1, Stride: 1},
	}}
	theta, buffers := random(a)
	model := export(t, a, theta, buffers, onnx.Meta{})
	back, theta2, _, err := onnx.Import(model)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(theta, theta2) {
		t.Error("the parameters come back changed")
	}
	var ops []string
	for _, n := range parse(t, model).Graph.Node {
		ops = append(ops, n.GetOpType())
	}
	if want := strings.Fields("Flatten Gemm Unsqueeze Conv Flatten Gemm Flatten Add Unsqueeze Conv Flatten"); !slices.Equal(ops, want) {
		t.Errorf("operators %v, want %v", ops, want)
	}
	if back.NumParams() != a.NumParams() {
		t.Errorf("%d parameters, want %d", back.NumParams(), a.NumParams())
	}
}

func parse(t *testing.T, model []byte) *onnxpb.ModelProto {
	t.Helper()
	m := new(onnxpb.ModelProto)
	if err := proto.Unmarshal(model, m); err != nil {
		t.Fatal(err)
	}
	return m
}

// describe writes a graph as text, one node a line, weights by their names.
func describe(m *onnxpb.ModelProto) string {
	ints := map[string]string{}
	for _, t := range m.Graph.Initializer {
		if t.GetDataType() == int32(onnxpb.TensorProto_INT64) {
			ints[t.GetName()] = fmt.Sprint(t.Int64Data)
		}
	}
	var b strings.Builder
	for _, n := range m.Graph.Node {
		fmt.Fprintf(&b, "%s = %s(", n.Output[0], n.GetOpType())
		for i, in := range n.Input {
			if v, ok := ints[in]; ok {
				in = v
			}
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(in)
		}
		for _, a := range n.Attribute {
			fmt.Fprintf(&b, "; %s=", a.GetName())
			switch a.GetType() {
			case onnxpb.AttributeProto_INT:
				fmt.Fprint(&b, a.GetI())
			case onnxpb.AttributeProto_INTS:
				fmt.Fprint(&b, a.GetInts())
			case onnxpb.AttributeProto_FLOAT:
				fmt.Fprint(&b, a.GetF())
			default:
				fmt.Fprintf(&b, "%s", a.GetS())
			}
		}
		b.WriteString(")\n")
	}
	return b.String()
}

func TestStructure(t *testing.T) {
	a := nn.Arch{Name: "small", In: nn.Shape{C: 1, H: 4, W: 4}, Classes: 2, Mean: []float32{0.5}, Std: []float32{2}, Layers: []nn.Layer{
		{Op: nn.Conv, Name: "conv1", Out: 2, K: 3, Stride: 1, Pad: 1, Bias: true},
		{Op: nn.Residual,
			Body: []nn.Layer{{Op: nn.Conv, Name: "conv2", Out: 4, K: 3, Stride: 2, Pad: 1}, {Op: nn.BatchNorm, Name: "bn"}},
			Skip: []nn.Layer{{Op: nn.Subsample, Out: 4, Stride: 2}}},
		{Op: nn.ReLU}, {Op: nn.Dropout, Rate: 0.5}, {Op: nn.MaxPool, K: 2, Stride: 1},
		{Op: nn.AdaptiveAvg, Out: 2}, {Op: nn.AdaptiveAvg, Out: 1}, {Op: nn.Flatten}, {Op: nn.Linear, Name: "fc", Out: 2},
	}}
	theta, buffers := random(a)
	meta := onnx.Meta{RunID: "0123abcd", Dataset: "mnist", Classes: []string{"nought", "één"}}
	model := export(t, a, theta, buffers, meta)
	m := parse(t, model)
	want := `sub_0 = Sub(input, input.mean)
div_1 = Div(sub_0, input.std)
conv_2 = Conv(div_1, conv1.weight, conv1.bias; kernel_shape=[3 3]; pads=[1 1 1 1]; strides=[1 1])
conv_3 = Conv(conv_2, conv2.weight; kernel_shape=[3 3]; pads=[1 1 1 1]; strides=[2 2])
batchnormalization_4 = BatchNormalization(conv_3, bn.weight, bn.bias, bn.running_mean, bn.running_var; epsilon=1e-05)
slice_5 = Slice(conv_2, [0 0], [9223372036854775807 9223372036854775807], [2 3], [2 2])
pad_6 = Pad(slice_5, [0 1 0 0 0 1 0 0])
add_7 = Add(batchnormalization_4, pad_6)
relu_8 = Relu(add_7)
maxpool_9 = MaxPool(relu_8; kernel_shape=[2 2]; pads=[0 0 0 0]; strides=[1 1])
expand_10 = Expand(maxpool_9, [1 1 2 2])
globalaveragepool_11 = GlobalAveragePool(expand_10)
flatten_12 = Flatten(globalaveragepool_11; axis=1)
logits = Gemm(flatten_12, fc.weight, fc.bias; transB=1)
`
	if diff := cmp.Diff(want, describe(m)); diff != "" {
		t.Errorf("graph (-want +got):\n%s", diff)
	}
	if m.GetIrVersion() != 8 || len(m.OpsetImport) != 1 || m.OpsetImport[0].GetVersion() != 17 || m.OpsetImport[0].GetDomain() != "" {
		t.Errorf("IR version %d, operator sets %v; want 8 and 17", m.GetIrVersion(), m.OpsetImport)
	}
	for i, p := range a.Params() {
		var w *onnxpb.TensorProto
		for _, t := range m.Graph.Initializer {
			if t.GetName() == p.Name {
				w = t
			}
		}
		if w == nil || len(w.Dims) != len(p.Shape) || len(w.RawData) != 4*p.Len {
			t.Fatalf("parameter %d, %s: %v", i, p.Name, w)
		}
		if got := math.Float32frombits(uint32(w.RawData[0]) | uint32(w.RawData[1])<<8 | uint32(w.RawData[2])<<16 | uint32(w.RawData[3])<<24); got != theta[p.Offset] {
			t.Errorf("%s starts with %g, want %g", p.Name, got, theta[p.Offset])
		}
	}
	if !bytes.Equal(model, export(t, a, theta, buffers, meta)) {
		t.Error("a second export gives other bytes")
	}

	info, err := onnx.Inspect(model)
	if err != nil {
		t.Fatal(err)
	}
	wantInfo := onnx.Info{
		Name: "small", Producer: "rarespurious", IRVersion: 8, Opset: 17, Meta: meta,
		Inputs:        []onnx.Value{{Name: "input", Float: true, Shape: []int64{-1, 1, 4, 4}}},
		Outputs:       []onnx.Value{{Name: "logits", Float: true, Shape: []int64{-1, 2}}},
		Normalisation: onnx.Normalisation{InGraph: true, Mean: []float32{0.5}, Std: []float32{2}},
		Properties: map[string]string{
			"run_id": "0123abcd", "dataset": "mnist", "class_names": `["nought","één"]`,
			"normalisation": `{"in_graph":true,"mean":[0.5],"std":[2]}`,
		},
	}
	if diff := cmp.Diff(wantInfo, info); diff != "" {
		t.Errorf("Inspect (-want +got):\n%s", diff)
	}
}

// A counter counts what is written to it.
type counter struct{ n int }

func (c *counter) Write(b []byte) (int, error) {
	c.n += len(b)
	return len(b), nil
}

// θ is streamed: an export allocates a small fraction of it.
func TestExportDoesNotCopy(t *testing.T) {
	a := nn.Zoo["mlp-large"](nn.Shape{C: 1, H: 28, W: 28}, 10)
	theta := make([]float32, a.NumParams())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	w := new(counter)
	if err := onnx.Export(w, a, theta, nil, onnx.Meta{}); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if w.n < 4*len(theta) {
		t.Errorf("%d bytes written for %d bytes of θ", w.n, 4*len(theta))
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > uint64(len(theta)) {
		t.Errorf("%d bytes allocated for %d bytes of θ", n, 4*len(theta))
	}
}

func TestExportRefuses(t *testing.T) {
	a := nn.Zoo["linear"](nn.Shape{C: 1, H: 2, W: 2}, 2)
	theta, _ := random(a)
	bad := a
	bad.Classes = 3
	if err := onnx.Export(new(counter), bad, theta, nil, onnx.Meta{}); !errors.Is(err, nn.ErrShape) {
		t.Errorf("Export = %v, want ErrShape", err)
	}
	if err := onnx.Export(new(counter), a, theta, nil, onnx.Meta{Classes: []string{"one"}}); err == nil {
		t.Error("one class name for two classes is accepted")
	}
	defer func() {
		if recover() == nil {
			t.Error("a θ of the wrong length does not panic")
		}
	}()
	onnx.Export(new(counter), a, theta[1:], nil, onnx.Meta{})
}
