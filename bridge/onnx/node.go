package onnx

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"rarespurious/bridge/onnx/onnxpb"
)

// A node is a NodeProto whose attributes must all be read: one that a
// converter does not know may change what the operator computes.
type node struct {
	*onnxpb.NodeProto
	left map[string]*onnxpb.AttributeProto // attributes not read yet
	err  error                             // the first attribute of a wrong type
}

func newNode(p *onnxpb.NodeProto) *node {
	n := &node{NodeProto: p, left: map[string]*onnxpb.AttributeProto{}}
	for _, a := range p.GetAttribute() {
		n.left[a.GetName()] = a
	}
	return n
}

// in returns the name of input i, "" if it is left out.
func (n *node) in(i int) string {
	if i < len(n.GetInput()) {
		return n.GetInput()[i]
	}
	return ""
}

// take removes and returns an attribute, or nil if it is absent.
func (n *node) take(name string, kind onnxpb.AttributeProto_AttributeType) *onnxpb.AttributeProto {
	a := n.left[name]
	delete(n.left, name)
	if a != nil && a.GetType() != kind {
		n.err = cmp.Or(n.err, fmt.Errorf("attribute %s is %v, want %v", name, a.GetType(), kind))
		return nil
	}
	return a
}

func (n *node) int(name string, absent int64) int64 {
	if a := n.take(name, onnxpb.AttributeProto_INT); a != nil {
		return a.GetI()
	}
	return absent
}

func (n *node) float(name string, absent float32) float32 {
	if a := n.take(name, onnxpb.AttributeProto_FLOAT); a != nil {
		return a.GetF()
	}
	return absent
}

func (n *node) string(name, absent string) string {
	if a := n.take(name, onnxpb.AttributeProto_STRING); a != nil {
		return string(a.GetS())
	}
	return absent
}

// ints returns nil for an absent attribute.
func (n *node) ints(name string) []int64 {
	return n.take(name, onnxpb.AttributeProto_INTS).GetInts()
}

// want notes an error unless the integer attribute has its default value.
func (n *node) want(name string, value int64) {
	if v := n.int(name, value); v != value {
		n.err = cmp.Or(n.err, fmt.Errorf("%s is %d, want %d", name, v, value))
	}
}

// unread reports an error if an attribute was of a wrong type, or was not read.
func (n *node) unread() error {
	if n.err != nil {
		return n.err
	}
	for _, name := range slices.Sorted(maps.Keys(n.left)) {
		return fmt.Errorf("attribute %.80q is not supported", name)
	}
	return nil
}

// activation returns input i of n, which must depend on the graph's input.
func (im *importer) activation(n *node, i int) (*activation, error) {
	v, err := im.uneven(n, i)
	if err == nil && v.steps != [2]int{} {
		return nil, fmt.Errorf("reads every %d-th row and every %d-th column; want equal steps", v.steps[0], v.steps[1])
	}
	return v, err
}

// uneven is activation for an operator that can follow a one-sided slice.
func (im *importer) uneven(n *node, i int) (*activation, error) {
	name := n.in(i)
	v, known := im.values[name]
	switch {
	case v != nil:
		return v, nil
	case known:
		return nil, errBehind
	case im.isConstant(name):
		return nil, fmt.Errorf("input %d, %.80q, is constant", i, name)
	}
	return nil, fmt.Errorf("input %d, %.80q, is given by nothing before it", i, name)
}

// images is activation for an operator that needs (batch, C, H, W).
func (im *importer) images(n *node, i int) (*activation, error) {
	v, err := im.activation(n, i)
	if err == nil && v.flat {
		return nil, errors.New("its input has no height and width")
	}
	return v, err
}

func (im *importer) isConstant(name string) bool {
	return im.constants[name] != nil || im.tables[name] != nil
}

// weight returns input i of n, a constant of the given shape. Its errors name
// the input.
func (im *importer) weight(n *node, i int, dims ...int) (func(i int) float32, error) {
	c, err := im.tensor(n, i)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(c.dims, dims) {
		return nil, fmt.Errorf("weight %.80q has shape %v, want %v", n.in(i), trim(c.proto.GetDims()), dims)
	}
	return c.at()
}

func (im *importer) tensor(n *node, i int) (*constant, error) {
	if c := im.constants[n.in(i)]; c != nil {
		return c, nil
	}
	if v, known := im.values[n.in(i)]; known && v == nil {
		return nil, errBehind
	}
	return nil, fmt.Errorf("input %d, %.80q, is not a constant", i, n.in(i))
}

// option returns the integers of input i or, in earlier operator sets, of an
// attribute; nil if the file gives neither.
func (im *importer) option(n *node, i int, attribute string) ([]int64, error) {
	if v := n.ints(attribute); v != nil {
		return v, nil
	}
	if n.in(i) == "" {
		return nil, nil
	}
	return im.vector(n, i)
}
