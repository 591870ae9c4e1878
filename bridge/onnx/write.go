package onnx

import (
	"encoding/binary"
	"io"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"rarespurious/bridge/onnx/onnxpb"
)

// Field numbers of onnx-ml.proto.
const (
	fieldGraph       protowire.Number = 7 // ModelProto
	fieldInitializer protowire.Number = 5 // GraphProto
	fieldRawData     protowire.Number = 9 // TensorProto
)

// writeModel writes m with the graph g and the weights ws as one ModelProto.
// It frames the three outer levels by hand, so that no weight is ever copied
// as a whole: a VGG16 has half a gigabyte of them.
func writeModel(w io.Writer, m *onnxpb.ModelProto, g *onnxpb.GraphProto, ws []weight) error {
	marshal := proto.MarshalOptions{Deterministic: true}.Marshal
	model, err := marshal(m)
	if err != nil {
		return err
	}
	body, err := marshal(g)
	if err != nil {
		return err
	}
	frames := make([][]byte, len(ws)) // what precedes each weight's elements
	size := len(body)
	for i, t := range ws {
		head, err := marshal(&onnxpb.TensorProto{Name: &t.name, Dims: t.dims, DataType: proto.Int32(int32(onnxpb.TensorProto_FLOAT))})
		if err != nil {
			return err
		}
		raw := 4 * len(t.data)
		head = appendHeader(head, fieldRawData, raw)
		frames[i] = append(appendHeader(nil, fieldInitializer, len(head)+raw), head...)
		size += len(frames[i]) + raw
	}
	model = append(appendHeader(model, fieldGraph, size), body...)
	if len(model)+size-len(body) > math.MaxInt32 {
		return ErrTooLarge
	}
	if _, err := w.Write(model); err != nil {
		return err
	}
	for i, t := range ws {
		if _, err := w.Write(frames[i]); err != nil {
			return err
		}
		if err := writeFloats(w, t.data); err != nil {
			return err
		}
	}
	return nil
}

// appendHeader starts a field of n bytes.
func appendHeader(b []byte, field protowire.Number, n int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.BytesType), uint64(n))
}

func writeFloats(w io.Writer, v []float32) error {
	const chunk = 1 << 14
	buf := make([]byte, 0, 4*min(chunk, len(v)))
	for len(v) > 0 {
		n := min(chunk, len(v))
		buf = buf[:0]
		for _, x := range v[:n] {
			buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(x))
		}
		if _, err := w.Write(buf); err != nil {
			return err
		}
		v = v[n:]
	}
	return nil
}
