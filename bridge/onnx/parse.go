package onnx

import (
	"encoding/binary"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"rarespurious/bridge/onnx/onnxpb"
)

// Limits on files, so that a small one cannot ask for a lot of memory.
const (
	maxFields  = 1 << 18 // a ResNet110 has 8000
	maxNesting = 32      // of messages
	maxSide    = 1 << 20 // of any size, stride or padding
	maxVolume  = 1 << 31 // elements of a tensor, or of a value for one example
)

// decode parses a model. Its errors wrap [ErrFormat] or [ErrTooLarge].
func decode(b []byte) (*onnxpb.ModelProto, error) {
	if len(b) > math.MaxInt32 {
		return nil, ErrTooLarge
	}
	m := new(onnxpb.ModelProto)
	budget := maxFields
	if err := countFields(b, m.ProtoReflect().Descriptor(), &budget, maxNesting); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if m.GetGraph() == nil {
		return nil, fmt.Errorf("%w: no graph in it", ErrFormat)
	}
	return m, nil
}

// countFields walks the encoded message b of type d and reports an error if
// it, with the messages in it, has more fields than budget or more levels than
// nesting. Each field of two bytes can become hundreds of bytes of Go.
func countFields(b []byte, d protoreflect.MessageDescriptor, budget *int, nesting int) error {
	if nesting == 0 {
		return fmt.Errorf("more than %d messages inside each other", maxNesting)
	}
	for len(b) > 0 {
		if *budget--; *budget < 0 {
			return fmt.Errorf("more than %d fields", maxFields)
		}
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		f := d.Fields().ByNumber(num)
		if typ != protowire.BytesType || f == nil || f.Message() == nil {
			if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
				return protowire.ParseError(n)
			}
			b = b[n:]
			continue
		}
		inner, n := protowire.ConsumeBytes(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		if err := countFields(inner, f.Message(), budget, nesting-1); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// A constant is a tensor of the file with its shape checked.
type constant struct {
	proto *onnxpb.TensorProto
	dims  []int
	len   int
}

func newConstant(t *onnxpb.TensorProto) (*constant, error) {
	c := &constant{proto: t, len: 1}
	for _, d := range t.GetDims() {
		if d < 0 || d > maxVolume || int64(c.len)*d > maxVolume {
			return nil, fmt.Errorf("%w: tensor %.80q: shape %v", ErrFormat, t.GetName(), trim(t.GetDims()))
		}
		c.len *= int(d)
		c.dims = append(c.dims, int(d))
	}
	return c, nil
}

// trim shortens a list for a message.
func trim(v []int64) []int64 { return v[:min(len(v), 8)] }

func (c *constant) is(t onnxpb.TensorProto_DataType) bool { return c.proto.GetDataType() == int32(t) }

// check reports whether raw bytes, typed elements or external data are as many
// as the shape says.
func (c *constant) check(typed int, size int) error {
	have := typed
	switch raw := c.proto.GetRawData(); {
	case c.proto.GetDataLocation() == onnxpb.TensorProto_EXTERNAL:
		return fmt.Errorf("%w: tensor %.80q is in another file, which bytes alone cannot reach", ErrFormat, c.proto.GetName())
	case c.proto.Segment != nil:
		return fmt.Errorf("%w: tensor %.80q is in segments", ErrFormat, c.proto.GetName())
	case len(raw) > 0 && typed > 0 || len(raw)%size != 0:
		return fmt.Errorf("%w: tensor %.80q: %d bytes of raw data beside %d elements", ErrFormat, c.proto.GetName(), len(raw), typed)
	case len(raw) > 0:
		have = len(raw) / size
	}
	if have != c.len {
		return fmt.Errorf("%w: tensor %.80q: %d elements for shape %v", ErrFormat, c.proto.GetName(), have, trim(c.proto.GetDims()))
	}
	return nil
}

// at returns the accessor of a tensor of 32-bit floats. Its errors wrap
// [ErrFormat].
func (c *constant) at() (func(i int) float32, error) {
	if !c.is(onnxpb.TensorProto_FLOAT) {
		kind := onnxpb.TensorProto_DataType(c.proto.GetDataType())
		return nil, fmt.Errorf("%.80q holds %v, want FLOAT", c.proto.GetName(), kind)
	}
	typed, raw := c.proto.GetFloatData(), c.proto.GetRawData()
	if err := c.check(len(typed), 4); err != nil {
		return nil, err
	}
	if len(raw) == 0 {
		return func(i int) float32 { return typed[i] }, nil
	}
	return func(i int) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:])) }, nil
}

// floats returns all elements of a tensor of at most most 32-bit floats.
func (c *constant) floats(most int) ([]float32, error) {
	if c.len > most {
		return nil, fmt.Errorf("%.80q has %d elements, want at most %d", c.proto.GetName(), c.len, most)
	}
	at, err := c.at()
	if err != nil {
		return nil, err
	}
	v := make([]float32, c.len)
	for i := range v {
		v[i] = at(i)
	}
	return v, nil
}

// ints returns the elements of a scalar or short vector of integers.
func (c *constant) ints() ([]int64, error) {
	const most = 64
	if len(c.dims) > 1 || c.len > most {
		return nil, fmt.Errorf("%.80q has shape %v, want a short vector", c.proto.GetName(), trim(c.proto.GetDims()))
	}
	v, raw := make([]int64, c.len), c.proto.GetRawData()
	switch {
	case c.is(onnxpb.TensorProto_INT64):
		typed := c.proto.GetInt64Data()
		if err := c.check(len(typed), 8); err != nil {
			return nil, err
		}
		copy(v, typed)
		for i := range len(raw) / 8 {
			v[i] = int64(binary.LittleEndian.Uint64(raw[8*i:]))
		}
	case c.is(onnxpb.TensorProto_INT32):
		typed := c.proto.GetInt32Data()
		if err := c.check(len(typed), 4); err != nil {
			return nil, err
		}
		for i, x := range typed {
			v[i] = int64(x)
		}
		for i := range len(raw) / 4 {
			v[i] = int64(int32(binary.LittleEndian.Uint32(raw[4*i:])))
		}
	default:
		kind := onnxpb.TensorProto_DataType(c.proto.GetDataType())
		return nil, fmt.Errorf("%.80q holds %v, want integers", c.proto.GetName(), kind)
	}
	return v, nil
}
