package weights

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// Of an ONNX file only the initialisers and metadata_props are read, so a few
// field numbers are all that is needed of its protocol buffers.
//
// Reference: github.com/onnx/onnx, onnx/onnx.proto, messages ModelProto,
// GraphProto, TensorProto, StringStringEntryProto.
const (
	modelGraph, modelMetadata            = 7, 14
	graphInitializer, graphSparse        = 5, 15
	tensorDims, tensorType, tensorFloats = 1, 2, 4
	tensorInt32s, tensorInt64s           = 5, 7
	tensorName, tensorRaw, tensorDoubles = 8, 9, 10
	tensorUint64s                        = 11
	tensorExternal, tensorLocation       = 13, 14
	entryKey, entryValue                 = 1, 2
	locationExternal                     = 1
)

// onnxType says how ONNX keeps a type: in which typed field, unless raw.
type onnxType struct {
	dtype DType
	field protowire.Number
}

var onnxTypes = map[uint64]onnxType{
	1: {F32, tensorFloats}, 2: {U8, tensorInt32s}, 3: {I8, tensorInt32s}, 4: {U16, tensorInt32s}, 5: {I16, tensorInt32s},
	6: {I32, tensorInt32s}, 7: {I64, tensorInt64s}, 9: {Bool, tensorInt32s}, 10: {F16, tensorInt32s}, 11: {F64, tensorDoubles},
	12: {U32, tensorUint64s}, 13: {U64, tensorUint64s}, 14: {C64, tensorFloats}, 15: {C128, tensorDoubles}, 16: {BF16, tensorInt32s},
	17: {F8E4M3, tensorInt32s}, 18: {F8E4M3FNUZ, tensorInt32s}, 19: {F8E5M2, tensorInt32s}, 20: {F8E5M2FNUZ, tensorInt32s}, 24: {F8E8M0, tensorInt32s},
}

// A field is one field of a message: bytes, or a number for the other types.
type field struct {
	num   protowire.Number
	typ   protowire.Type
	bytes []byte
	n     uint64
}

// fields calls visit for each field of the message b.
func fields(b []byte, visit func(field) error) error {
	for len(b) > 0 {
		var f field
		var n int
		f.num, f.typ, n = protowire.ConsumeTag(b)
		if n < 0 {
			return invalid("protocol buffer: %w", protowire.ParseError(n))
		}
		b = b[n:]
		switch f.typ {
		case protowire.VarintType:
			f.n, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			f.n, n = protowire.ConsumeFixed64(b)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(b)
			f.n = uint64(v)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(b)
		default: // groups, which ONNX does not use
			n = protowire.ConsumeFieldValue(f.num, f.typ, b)
		}
		if n < 0 {
			return invalid("protocol buffer: field %d: %w", f.num, protowire.ParseError(n))
		}
		b = b[n:]
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}

// isONNX reports whether b is a message with a graph.
func isONNX(b []byte) bool {
	graph := false
	err := fields(b, func(f field) error {
		if f.num == modelGraph && f.typ == protowire.BytesType {
			graph = true
		}
		return nil
	})
	return err == nil && graph
}

func decodeONNX(b []byte, root *os.Root) (Dict, map[string]string, error) {
	var d Dict
	metadata := map[string]string{}
	external := externalFiles{root: root, read: map[string][]byte{}}
	err := fields(b, func(f field) error {
		switch {
		case f.typ != protowire.BytesType:
		case f.num == modelMetadata:
			k, v, err := stringEntry(f.bytes)
			metadata[k] = v
			return err
		case f.num == modelGraph:
			return fields(f.bytes, func(f field) error {
				switch {
				case f.typ != protowire.BytesType:
				case f.num == graphSparse:
					return unsupported("sparse_initializer")
				case f.num == graphInitializer:
					t, err := onnxTensor(f.bytes, &external)
					if err != nil {
						return fmt.Errorf("initializer %d (%.80q): %w", len(d), t.Name, err)
					}
					d = append(d, t)
				}
				return nil
			})
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	return d, metadata, d.Validate()
}

func stringEntry(b []byte) (key, value string, err error) {
	err = fields(b, func(f field) error {
		switch f.num {
		case entryKey:
			key = string(f.bytes)
		case entryValue:
			value = string(f.bytes)
		}
		return nil
	})
	return key, value, err
}

// onnxTensor decodes a TensorProto; on an error the Tensor has a name at most.
func onnxTensor(b []byte, external *externalFiles) (t Tensor, err error) {
	var kind, location uint64
	var raw []byte
	var hasRaw bool
	var links []field
	typed := 0 // fields with typed data
	t.Shape = []int{}
	err = fields(b, func(f field) error {
		switch f.num {
		case tensorDims:
			return varints(f, func(v uint64) error {
				if v > math.MaxInt {
					return invalid("dims: %d is negative", int64(v))
				}
				t.Shape = append(t.Shape, int(v))
				return nil
			})
		case tensorType:
			kind = f.n
		case tensorName:
			t.Name = string(f.bytes)
		case tensorRaw:
			raw, hasRaw = f.bytes, true
		case tensorFloats, tensorInt32s, tensorInt64s, tensorDoubles, tensorUint64s:
			typed++
		case tensorExternal:
			links = append(links, f)
		case tensorLocation:
			location = f.n
		}
		return nil
	})
	if err != nil {
		return t, err
	}
	how, ok := onnxTypes[kind]
	if !ok {
		return t, unsupported("data_type %d", kind)
	}
	t.DType = how.dtype
	size, err := byteLen(t.DType, t.Shape)
	if err != nil {
		return t, err
	}
	switch {
	case location == locationExternal && (hasRaw || typed > 0), hasRaw && typed > 0:
		return t, invalid("data is given twice: raw_data, typed data and external_data exclude each other")
	case location == locationExternal:
		t.Data, err = external.slice(links, size)
	case hasRaw:
		t.Data = raw
	default:
		t.Data, err = typedData(b, how, size)
	}
	if err == nil && len(t.Data) != size {
		err = invalid("%d bytes of data, want %d for %s%v", len(t.Data), size, t.DType, brief(t.Shape))
	}
	return t, err
}

// varints visits the numbers of a repeated field, packed or not.
func varints(f field, visit func(uint64) error) error {
	if f.typ == protowire.VarintType {
		return visit(f.n)
	}
	for b := f.bytes; len(b) > 0; {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return invalid("field %d: %w", f.num, protowire.ParseError(n))
		}
		b = b[n:]
		if err := visit(v); err != nil {
			return err
		}
	}
	return nil
}

// typedData collects size bytes from the typed field of the TensorProto b.
func typedData(b []byte, how onnxType, size int) ([]byte, error) {
	width := dtypeBits[how.dtype] / 8
	if size/width > len(b) { // a number takes a byte or more
		return nil, invalid("%d elements are not there", size/width)
	}
	data := make([]byte, 0, size)
	add := func(b []byte) error {
		if len(b) > size-len(data) {
			return invalid("field %d has more than the %d elements of the shape", how.field, size/width)
		}
		data = append(data, b...)
		return nil
	}
	err := fields(b, func(f field) error {
		switch f.num {
		case tensorFloats, tensorDoubles, tensorInt32s, tensorInt64s, tensorUint64s:
		default:
			return nil
		}
		if f.num != how.field {
			return invalid("typed data is in field %d, %s belongs in field %d", f.num, how.dtype, how.field)
		}
		switch f.typ {
		case protowire.Fixed32Type:
			return add(binary.LittleEndian.AppendUint32(nil, uint32(f.n)))
		case protowire.Fixed64Type:
			return add(binary.LittleEndian.AppendUint64(nil, f.n))
		}
		if f.num == tensorFloats || f.num == tensorDoubles {
			return add(f.bytes)
		}
		return varints(f, func(v uint64) error {
			if !fits(v, how.dtype) {
				return invalid("%d is not a value of %s", int64(v), how.dtype)
			}
			return add(binary.LittleEndian.AppendUint64(nil, v)[:width])
		})
	})
	return data, err
}

// fits reports whether the varint v, a sign-extended integer or a bit pattern,
// is one of dt's.
func fits(v uint64, dt DType) bool {
	bits := dtypeBits[dt]
	switch dt {
	case I8, I16, I32:
		s := int64(v)
		return s >= -1<<(bits-1) && s < 1<<(bits-1)
	}
	return bits == 64 || v < 1<<bits
}

// externalFiles reads the files beside a model, each once.
type externalFiles struct {
	root *os.Root // nil: there is no folder to look in
	read map[string][]byte
}

// slice returns the bytes that external_data's entries describe.
func (e *externalFiles) slice(entries []field, size int) ([]byte, error) {
	location, offset, length := "", 0, size
	for _, f := range entries {
		k, v, err := stringEntry(f.bytes)
		if err != nil {
			return nil, err
		}
		switch k {
		case "location":
			location = v
		case "offset":
			offset, err = strconv.Atoi(v)
		case "length":
			length, err = strconv.Atoi(v)
		}
		if err != nil || offset < 0 || length < 0 {
			return nil, invalid("external_data: %s is %.40q", k, v)
		}
	}
	b, err := e.file(filepath.Clean(location)) // one spelling, so that it is read once
	if err != nil {
		return nil, fmt.Errorf("external_data: %w", err)
	}
	if offset > len(b) || length > len(b)-offset {
		return nil, invalid("external_data: %d bytes at %d pass the end of %.80q, which has %d", length, offset, location, len(b))
	}
	return b[offset : offset+length : offset+length], nil
}

func (e *externalFiles) file(location string) ([]byte, error) {
	if b, ok := e.read[location]; ok {
		return b, nil
	}
	b, err := readBeside(e.root, location)
	if err == nil {
		e.read[location] = b
	}
	return b, err
}

// readBeside reads a file that another file names. It must lie in the folder
// of root, also after following links.
func readBeside(root *os.Root, name string) ([]byte, error) {
	if root == nil {
		return nil, unsupported("the data is in another file, %.80q", name)
	}
	if len(name) > 1024 || !filepath.IsLocal(name) || strings.ContainsAny(name, "\\:\x00") {
		return nil, invalid("location %.80q is not a path inside the model's folder", name)
	}
	b, err := readRegular(name, root.Stat, root.ReadFile)
	if err != nil {
		return nil, invalid("location %.80q: %w", name, err)
	}
	return b, nil
}
