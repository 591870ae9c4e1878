// Package onnx writes an nn.Arch and its parameters as an ONNX model, and reads
// ONNX models back into an Arch.
//
// The two directions share one dictionary: each layer kind has one way to be
// written as ONNX operators, in inference mode, and [Import] understands that
// way and the common ways of other exporters. So what leaves by [Export] comes
// back with the same θ, bit for bit, and a model that a stranger trained is as
// open to analysis as our own, if it is a chain of these layers and residual
// blocks. Package bridge/onnx/ort runs any ONNX model, expressible or not.
//
// Reference: the ONNX project, "Open Neural Network Exchange Intermediate
// Representation (ONNX IR) Specification" and "ONNX Operators".
package onnx

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"rarespurious/bridge/onnx/onnxpb"
	"rarespurious/nn"
)

// What [Export] writes: any runtime of 2022 or later reads it.
const (
	IRVersion = 8
	Opset     = 17
)

// The names of an exported model's input, (batch, C, H, W) with values in
// [0, 1], and of its output, (batch, classes).
const (
	InputName  = "input"
	OutputName = "logits"
)

// Errors that Export, Import and Inspect wrap, besides [UnsupportedError].
var (
	ErrFormat   = errors.New("onnx: not a valid model")
	ErrTooLarge = errors.New("onnx: larger than 2 GiB, the limit of one ONNX file")
)

// An UnsupportedError lists everything in a valid model that an nn.Arch
// cannot express.
type UnsupportedError struct{ Nodes []Unsupported }

// Unsupported is one obstacle. Node and Op are empty if it is not a node's.
type Unsupported struct{ Node, Op, Why string }

func (u Unsupported) String() string {
	if u.Op == "" {
		return u.Why
	}
	return fmt.Sprintf("%.60s %.80q: %s", u.Op, u.Node, u.Why)
}

func (e *UnsupportedError) Error() string {
	const most = 50
	var b strings.Builder
	b.WriteString("onnx: the graph cannot be read as an architecture")
	for i, u := range e.Nodes {
		if i == most {
			fmt.Fprintf(&b, "\n\tand %d more", len(e.Nodes)-most)
			break
		}
		b.WriteString("\n\t" + u.String())
	}
	return b.String()
}

// Meta says where a model comes from. [Export] stores it in the file.
type Meta struct {
	RunID   string   // ID of the stored run, "" if there is none
	Dataset string   // what it was trained on, "" if unknown
	Classes []string // names by logit, nil if unknown
}

// Keys of the model's metadata. The values of the last two are JSON.
const (
	keyRunID         = "run_id"
	keyDataset       = "dataset"
	keyClasses       = "class_names"
	keyNormalisation = "normalisation"
)

// Normalisation is the standardisation x' = (x − Mean)/Std per channel that an
// exported graph applies itself. Both are empty if there is none.
type Normalisation struct {
	InGraph bool      `json:"in_graph"`
	Mean    []float32 `json:"mean,omitempty"`
	Std     []float32 `json:"std,omitempty"`
}

// properties returns the metadata of a file in a fixed order.
func properties(a nn.Arch, m Meta) ([]*onnxpb.StringStringEntryProto, error) {
	classes, err := json.Marshal(m.Classes)
	if err != nil {
		return nil, err
	}
	normalisation, err := json.Marshal(Normalisation{InGraph: len(a.Mean) > 0, Mean: a.Mean, Std: a.Std})
	if err != nil { // a NaN or an infinity
		return nil, err
	}
	var props []*onnxpb.StringStringEntryProto
	for _, p := range []struct{ key, value string }{
		{keyRunID, m.RunID}, {keyDataset, m.Dataset},
		{keyClasses, string(classes)}, {keyNormalisation, string(normalisation)},
	} {
		if p.value != "" && p.value != "null" {
			props = append(props, &onnxpb.StringStringEntryProto{Key: &p.key, Value: &p.value})
		}
	}
	return props, nil
}

// An Info is what a file says about itself.
type Info struct {
	Name, Producer string
	IRVersion      int64
	Opset          int64 // of the standard operators, 0 if the file names none
	Inputs         []Value
	Outputs        []Value
	Meta           Meta
	Normalisation  Normalisation
	Properties     map[string]string // all metadata, ours included
}

// A Value is an input or output of a graph.
type Value struct {
	Name  string
	Float bool    // whether its elements are 32-bit floats
	Shape []int64 // -1 for a dimension that the file leaves open; nil if it states no shape
}

// Inspect reads what a model says about itself, without looking at its nodes.
// Its errors wrap [ErrFormat] or [ErrTooLarge].
func Inspect(model []byte) (Info, error) {
	m, err := decode(model)
	if err != nil {
		return Info{}, err
	}
	info := Info{
		Name: m.GetGraph().GetName(), Producer: strings.TrimSpace(m.GetProducerName() + " " + m.GetProducerVersion()),
		IRVersion: m.GetIrVersion(), Opset: opset(m), Properties: map[string]string{},
	}
	for _, p := range m.GetMetadataProps() {
		info.Properties[p.GetKey()] = p.GetValue()
	}
	info.Meta.RunID, info.Meta.Dataset = info.Properties[keyRunID], info.Properties[keyDataset]
	// Other programs may use the same keys for something else.
	if json.Unmarshal([]byte(info.Properties[keyClasses]), &info.Meta.Classes) != nil {
		info.Meta.Classes = nil
	}
	if json.Unmarshal([]byte(info.Properties[keyNormalisation]), &info.Normalisation) != nil {
		info.Normalisation = Normalisation{}
	}
	for _, v := range dataInputs(m.GetGraph()) {
		info.Inputs = append(info.Inputs, value(v))
	}
	for _, v := range m.GetGraph().GetOutput() {
		info.Outputs = append(info.Outputs, value(v))
	}
	return info, nil
}

// dataInputs leaves out the inputs that only give an initialiser its type, as
// files before IR version 4 do.
func dataInputs(g *onnxpb.GraphProto) []*onnxpb.ValueInfoProto {
	weights := map[string]bool{}
	for _, t := range g.GetInitializer() {
		weights[t.GetName()] = true
	}
	var in []*onnxpb.ValueInfoProto
	for _, v := range g.GetInput() {
		if !weights[v.GetName()] {
			in = append(in, v)
		}
	}
	return in
}

func value(v *onnxpb.ValueInfoProto) Value {
	t := v.GetType().GetTensorType()
	out := Value{Name: v.GetName(), Float: t.GetElemType() == int32(onnxpb.TensorProto_FLOAT)}
	if t.GetShape() == nil {
		return out
	}
	out.Shape = []int64{}
	for _, d := range t.GetShape().GetDim() {
		n := int64(-1)
		if _, fixed := d.GetValue().(*onnxpb.TensorShapeProto_Dimension_DimValue); fixed && d.GetDimValue() >= 0 {
			n = d.GetDimValue()
		}
		out.Shape = append(out.Shape, n)
	}
	return out
}

func opset(m *onnxpb.ModelProto) int64 {
	for _, o := range m.GetOpsetImport() {
		if standard(o.GetDomain()) {
			return o.GetVersion()
		}
	}
	return 0
}

// standard reports whether domain is that of ONNX's own operators.
func standard(domain string) bool { return domain == "" || domain == "ai.onnx" }
