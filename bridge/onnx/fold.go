package onnx

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"rarespurious/bridge/onnx/onnxpb"
)

// A table is a small constant of integers: a vector, or a matrix of more than
// one column. Scalars are vectors of length 1.
type table struct {
	v       []int64 // row-major
	columns int
}

func vectorOf(v []int64) *table { return &table{v, 1} }

// maxTable bounds tables: no shape, padding or slice needs more numbers.
const maxTable = 64

// fold handles nodes that compute a constant, and reports whether n is one.
// Exporters write "flatten all but the batch" as arithmetic on the shape, and
// paddings as a matrix that is turned about; in the vectors of sizes here, 0
// stands for a batch size that is open, as it does for Reshape.
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
		im.tables[out] = vectorOf(sizes[start:max(start, end)])
		return true, n.unread()
	case "Identity":
		if c := im.constants[n.in(0)]; c != nil {
			im.constants[out] = c
			return true, nil
		}
	case "Gather", "Concat", "Unsqueeze", "Squeeze", "Cast", "ConstantOfShape", "Reshape", "Slice", "Transpose":
		if v, known := im.values[n.in(0)]; known && v == nil {
			return true, errBehind
		}
		if !im.isConstant(n.in(0)) {
			return false, nil
		}
		t, err := im.evaluate(n)
		if err != nil {
			return true, err
		}
		im.tables[out] = t
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

// table returns input i of n, integers that are known.
func (im *importer) table(n *node, i int) (*table, error) {
	if t := im.tables[n.in(i)]; t != nil {
		return t, nil
	}
	c, err := im.tensor(n, i)
	if err != nil {
		return nil, err
	}
	v, err := c.ints()
	return vectorOf(v), err
}

// vector is table for a vector.
func (im *importer) vector(n *node, i int) ([]int64, error) {
	t, err := im.table(n, i)
	if err == nil && t.columns != 1 {
		return nil, fmt.Errorf("input %d, %.80q, is a matrix, want a vector", i, n.in(i))
	}
	if err != nil {
		return nil, err
	}
	return t.v, nil
}

// evaluate computes an operator on tables.
func (im *importer) evaluate(n *node) (*table, error) {
	t, err := im.table(n, 0)
	if err != nil {
		return nil, err
	}
	switch n.GetOpType() {
	case "Transpose":
		return t.transpose(), nil
	case "Slice":
		return im.tableSlice(n, t)
	case "Reshape":
		to, err := im.vector(n, 1)
		if err != nil {
			return nil, err
		}
		switch {
		case len(to) == 1:
			return vectorOf(t.v), nil
		case len(to) == 2 && to[1] > 0 && to[1] <= maxTable && (to[0] == -1 || to[0]*to[1] == int64(len(t.v))) && int64(len(t.v))%to[1] == 0:
			return &table{t.v, int(to[1])}, nil
		}
		return nil, fmt.Errorf("%d numbers to shape %v", len(t.v), trim(to))
	case "Unsqueeze", "Squeeze", "Cast":
		return t, nil // the same numbers
	}
	v, err := im.vector(n, 0)
	if err != nil {
		return nil, err
	}
	switch n.GetOpType() {
	case "ConstantOfShape":
		fill := []int64{0}
		if a := n.left["value"]; a.GetT() != nil {
			c, err := newConstant(a.GetT())
			if err != nil {
				return nil, err
			}
			if fill, err = c.ints(); err != nil {
				return nil, err
			}
		}
		if len(v) != 1 || v[0] < 0 || v[0] > maxTable || len(fill) != 1 {
			return nil, fmt.Errorf("%v of shape %v; want a short vector", trim(fill), trim(v))
		}
		return vectorOf(slices.Repeat(fill, int(v[0]))), nil
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
		return vectorOf(picked), nil
	}
	v = slices.Clone(v) // Concat
	for i := 1; i < len(n.GetInput()); i++ {
		more, err := im.vector(n, i)
		if err != nil {
			return nil, err
		}
		if v = append(v, more...); len(v) > maxTable {
			return nil, fmt.Errorf("more than %d numbers", maxTable)
		}
	}
	return vectorOf(v), nil
}

func (t *table) transpose() *table {
	if t.columns == 1 {
		return t
	}
	rows := len(t.v) / t.columns
	out := &table{make([]int64, 0, len(t.v)), max(rows, 1)}
	for c := range t.columns {
		for r := range rows {
			out.v = append(out.v, t.v[r*t.columns+c])
		}
	}
	return out
}

// tableSlice takes rows of t by a step of 1, or all of them backwards.
func (im *importer) tableSlice(n *node, t *table) (*table, error) {
	var option [4][]int64
	for i := range option {
		var err error
		if n.in(i+1) == "" {
			continue
		}
		if option[i], err = im.vector(n, i+1); err != nil {
			return nil, err
		}
	}
	starts, ends, axes, steps := option[0], option[1], option[2], option[3]
	rows := int64(len(t.v) / t.columns)
	bound := func(i int64) int64 { // negative from the end, clamped
		if i < 0 {
			i += rows
		}
		return min(max(i, 0), rows)
	}
	switch {
	case len(starts) != 1 || len(ends) != 1 || len(axes) > 0 && axes[0] != 0:
	case len(steps) == 0 || steps[0] == 1:
		lo, hi := bound(starts[0]), bound(ends[0])
		return &table{t.v[lo*int64(t.columns) : max(lo, hi)*int64(t.columns)], t.columns}, nil
	case steps[0] == -1 && bound(starts[0]) >= rows-1 && ends[0] < -rows:
		out := &table{columns: t.columns}
		for r := rows - 1; r >= 0; r-- {
			out.v = append(out.v, t.v[r*int64(t.columns):(r+1)*int64(t.columns)]...)
		}
		return out, nil
	}
	return nil, fmt.Errorf("from %v to %v by %v of a constant", trim(starts), trim(ends), trim(steps))
}
