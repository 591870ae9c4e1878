package onnx

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"rarespurious/bridge/onnx/onnxpb"
)

// fold handles nodes that compute a constant, and reports whether n is one.
// Exporters write "flatten all but the batch" as arithmetic on the shape; in
// the vectors of sizes here, 0 stands for a batch size that is open, as it
// does for Reshape. Scalars are vectors of length 1.
func (im *importer) fold(n *node) (bool, error) {
	if len(n.GetOutput()) == 0 {
		return false, nil
	}
	out := n.GetOutput()[0]
	switch n.GetOpType() {
	case "Constant":
		t, err := constantNode(n)
		if err != nil {
			return true, err
		}
		return true, im.constant(out, t)
	case "Shape":
		v, err := im.activation(n, 0)
		if err != nil {
			return true, err
		}
		sizes := []int64{im.batch, int64(v.shape.C)}
		if !v.flat {
			sizes = append(sizes, int64(v.shape.H), int64(v.shape.W))
		}
		rank := int64(len(sizes))
		bound := func(i int64) int64 { // negative from the end, clamped
			if i < 0 {
				i += rank
			}
			return min(max(i, 0), rank)
		}
		start, end := bound(n.int("start", 0)), bound(n.int("end", rank))
		im.vectors[out] = sizes[start:max(start, end)]
		return true, n.unread()
	case "Identity":
		if c := im.constants[n.in(0)]; c != nil {
			im.constants[out] = c
			return true, nil
		}
	case "Gather", "Concat", "Unsqueeze", "Squeeze", "Cast":
		if !im.isConstant(n.in(0)) {
			return false, nil
		}
		v, err := im.sizes(n)
		if err != nil {
			return true, err
		}
		im.vectors[out] = v
		return true, nil
	}
	return false, nil
}

// constantNode returns the tensor that a Constant node gives.
func constantNode(n *node) (*onnxpb.TensorProto, error) {
	vector := func(kind onnxpb.TensorProto_DataType, dims ...int64) *onnxpb.TensorProto {
		return &onnxpb.TensorProto{Name: &n.GetOutput()[0], DataType: proto.Int32(int32(kind)), Dims: dims}
	}
	for _, a := range n.GetAttribute() {
		switch a.GetName() {
		case "value":
			if a.GetT() != nil {
				return a.GetT(), nil
			}
		case "value_float":
			t := vector(onnxpb.TensorProto_FLOAT)
			t.FloatData = []float32{a.GetF()}
			return t, nil
		case "value_floats":
			t := vector(onnxpb.TensorProto_FLOAT, int64(len(a.GetFloats())))
			t.FloatData = a.GetFloats()
			return t, nil
		case "value_int":
			t := vector(onnxpb.TensorProto_INT64)
			t.Int64Data = []int64{a.GetI()}
			return t, nil
		case "value_ints":
			t := vector(onnxpb.TensorProto_INT64, int64(len(a.GetInts())))
			t.Int64Data = a.GetInts()
			return t, nil
		}
	}
	return nil, errors.New("neither a tensor nor numbers")
}

// vector returns input i of n, a vector of integers that is known.
func (im *importer) vector(n *node, i int) ([]int64, error) {
	if v := im.vectors[n.in(i)]; v != nil {
		return v, nil
	}
	c, err := im.tensor(n, i)
	if err != nil {
		return nil, err
	}
	return c.ints()
}

// sizes evaluates an operator on vectors of sizes.
func (im *importer) sizes(n *node) ([]int64, error) {
	const most = 64
	v, err := im.vector(n, 0)
	if err != nil {
		return nil, err
	}
	switch n.GetOpType() {
	case "Gather":
		index, err := im.vector(n, 1)
		if err != nil {
			return nil, err
		}
		picked := []int64{}
		for _, i := range index {
			if i < 0 {
				i += int64(len(v))
			}
			if i < 0 || i >= int64(len(v)) {
				return nil, fmt.Errorf("element %d of %d", i, len(v))
			}
			picked = append(picked, v[i])
		}
		return picked, nil
	case "Concat":
		v = append([]int64{}, v...)
		for i := 1; i < len(n.GetInput()); i++ {
			more, err := im.vector(n, i)
			if err != nil {
				return nil, err
			}
			if v = append(v, more...); len(v) > most {
				return nil, fmt.Errorf("more than %d sizes", most)
			}
		}
	}
	return v, nil // Unsqueeze, Squeeze, Cast: the same numbers
}
