package weights

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// A message builds a protocol buffer by hand.
type message []byte

func (m message) bytes(num protowire.Number, b string) message {
	return protowire.AppendString(protowire.AppendTag(m, num, protowire.BytesType), b)
}

func (m message) varint(num protowire.Number, v uint64) message {
	return protowire.AppendVarint(protowire.AppendTag(m, num, protowire.VarintType), v)
}

func packed(vs ...uint64) string {
	var b []byte
	for _, v := range vs {
		b = protowire.AppendVarint(b, v)
	}
	return string(b)
}

// onnxFile is a model with one initialiser, w.
func onnxFile(tensor message) []byte {
	graph := message{}.bytes(graphInitializer, string(tensor.bytes(tensorName, "w")))
	model := message{}.varint(1, 8).bytes(modelGraph, string(graph))
	return model.bytes(modelMetadata, string(message{}.bytes(entryKey, "run").bytes(entryValue, "0123")))
}

func tensorOf(kind uint64, dims ...uint64) message {
	return message{}.bytes(tensorDims, packed(dims...)).varint(tensorType, kind)
}

func external(location string, entries ...string) message {
	m := tensorOf(1, 6).varint(tensorLocation, locationExternal)
	entries = append([]string{"location", location}, entries...)
	for i := 0; i < len(entries); i += 2 {
		m = m.bytes(tensorExternal, string(message{}.bytes(entryKey, entries[i]).bytes(entryValue, entries[i+1])))
	}
	return m
}

func TestONNX(t *testing.T) {
	minus := func(v int64) uint64 { return uint64(v) }
	one := message{}
	for _, v := range []float64{1, 2} { // not packed
		one = protowire.AppendFixed64(protowire.AppendTag(one, tensorDoubles, protowire.Fixed64Type), math.Float64bits(v))
	}
	for _, c := range []struct {
		name   string
		tensor message
		dtype  DType
		want   []float64
	}{
		{"raw", tensorOf(1, 2, 3).bytes(tensorRaw, float6), F32, []float64{1, 2, 3, 4, 5, 6}},
		{"float_data", tensorOf(1, 6).bytes(tensorFloats, float6), F32, []float64{1, 2, 3, 4, 5, 6}},
		{"float_data in two pieces", tensorOf(1, 6).bytes(tensorFloats, float6[:8]).bytes(tensorFloats, float6[8:]), F32, []float64{1, 2, 3, 4, 5, 6}},
		{"double_data, not packed", append(tensorOf(11, 2), one...), F64, []float64{1, 2}},
		{"int64_data", tensorOf(7, 3).bytes(tensorInt64s, packed(0, minus(-1), 1<<40)), I64, []float64{0, -1, 1 << 40}},
		{"int32_data as int8", tensorOf(3, 2).bytes(tensorInt32s, packed(127, minus(-128))), I8, []float64{127, -128}},
		{"int32_data as half", tensorOf(10, 2).bytes(tensorInt32s, packed(0x3c00, 0xc000)), F16, []float64{1, -2}},
		{"int32_data as bfloat16", tensorOf(16, 1).bytes(tensorInt32s, packed(0x4049)), BF16, []float64{3.140625}},
		{"uint64_data", tensorOf(13, 1).bytes(tensorUint64s, packed(1<<63)), U64, []float64{1 << 63}},
		{"bool", tensorOf(9, 2).varint(tensorInt32s, 1).varint(tensorInt32s, 0), Bool, []float64{1, 0}},
		{"scalar", message{}.varint(tensorType, 1).bytes(tensorRaw, float6[:4]), F32, []float64{1}},
		{"empty", tensorOf(1, 0), F32, []float64{}},
	} {
		f, err := Decode(onnxFile(c.tensor))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if f.Format != ONNX || f.Metadata["run"] != "0123" || len(f.Tensors) != 1 {
			t.Fatalf("%s: %+v", c.name, f)
		}
		w := f.Tensors[0]
		got, err := w.Float64s()
		if err != nil || w.Name != "w" || w.DType != c.dtype || !slices.Equal(got, c.want) {
			t.Errorf("%s: %s %s %v %v, want %s %v", c.name, w.Name, w.DType, got, err, c.dtype, c.want)
		}
	}
}

func TestONNXHostile(t *testing.T) {
	for _, c := range []struct {
		name, field string
		tensor      message
		is          error
	}{
		{"negative axis", "dims", tensorOf(1, math.MaxUint64).bytes(tensorRaw, float6), ErrInvalid},
		{"overflow", "shape", tensorOf(1, 1<<40, 1<<40).bytes(tensorRaw, float6), ErrInvalid},
		{"terabyte, typed", "elements", tensorOf(1, 1<<40).bytes(tensorFloats, float6), ErrInvalid},
		{"terabyte, raw", "bytes of data", tensorOf(1, 1<<40).bytes(tensorRaw, float6), ErrInvalid},
		{"nothing", "bytes of data", tensorOf(1, 6), ErrInvalid},
		{"too few", "bytes of data", tensorOf(1, 7).bytes(tensorFloats, float6), ErrInvalid},
		{"too many", "more than", tensorOf(1, 5).bytes(tensorFloats, float6), ErrInvalid},
		{"torn", "bytes of data", tensorOf(1, 6).bytes(tensorFloats, float6[:23]), ErrInvalid},
		{"twice", "twice", tensorOf(1, 6).bytes(tensorRaw, float6).bytes(tensorFloats, float6), ErrInvalid},
		{"wrong field", "field 7", tensorOf(1, 1).bytes(tensorInt64s, packed(1)), ErrInvalid},
		{"out of range", "300", tensorOf(2, 1).bytes(tensorInt32s, packed(300)), ErrInvalid},
		{"bad varint", "field 7", tensorOf(7, 1).bytes(tensorInt64s, "\x80"), ErrInvalid},
		{"string", "data_type 8", tensorOf(8, 1), ErrUnsupported},
		{"no type", "data_type 0", message{}, ErrUnsupported},
		{"no folder", "another file", external("w.bin"), ErrUnsupported},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Decode(onnxFile(c.tensor))
		runtime.ReadMemStats(&after)
		if err == nil || !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.field) || !strings.Contains(err.Error(), "initializer 0") {
			t.Errorf("%s: error %v, want one about %q that is %q", c.name, err, c.field, c.is)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 1<<16 {
			t.Errorf("%s: allocated %d bytes", c.name, used)
		}
	}
	sparse := message{}.bytes(modelGraph, string(message{}.bytes(graphSparse, "")))
	if _, err := Decode(sparse); !errors.Is(err, ErrUnsupported) {
		t.Errorf("sparse: %v", err)
	}
}

// External data is read from the model's folder and from nowhere else.
func TestONNXExternal(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside.bin")
	dir := t.TempDir()
	write := func(path, data string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	write(outside, float6)
	write(filepath.Join(dir, "w.bin"), "pad."+float6)
	must(os.Mkdir(filepath.Join(dir, "sub"), 0o700))
	must(os.Symlink("../w.bin", filepath.Join(dir, "sub", "inside")))
	must(os.Symlink(outside, filepath.Join(dir, "link")))
	must(os.Symlink(filepath.Dir(outside), filepath.Join(dir, "up")))
	must(syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	relative, err := filepath.Rel(dir, outside)
	must(err)
	model := filepath.Join(dir, "model.onnx")

	for _, good := range []message{
		external("w.bin", "offset", "4"), external("./sub/../w.bin", "offset", "4", "length", "24"), external("sub/inside", "offset", "4"),
	} {
		write(model, string(onnxFile(good)))
		f, err := Open(model)
		if err != nil {
			t.Fatal(err)
		}
		if string(f.Tensors[0].Data) != float6 {
			t.Errorf("read %q", f.Tensors[0].Data)
		}
	}
	for name, bad := range map[string]message{
		"outside":           external(outside),
		"relative":          external(relative),
		"dots":              external("sub/../../" + filepath.Base(filepath.Dir(outside)) + "/outside.bin"),
		"link":              external("link"),
		"linked folder":     external("up/outside.bin"),
		"pipe":              external("pipe"),
		"folder":            external("sub"),
		"missing":           external("nowhere.bin"),
		"no location":       external(""),
		"backslash":         external(`..\outside.bin`),
		"endless":           external(strings.Repeat("a/", 5000) + "w.bin"),
		"NUL":               external("w.bin\x00"),
		"past the end":      external("w.bin", "offset", "5"),
		"offset overflows":  external("w.bin", "offset", "9223372036854775807"),
		"offset negative":   external("w.bin", "offset", "-4"),
		"offset not number": external("w.bin", "offset", "four"),
		"length differs":    external("w.bin", "length", "20"),
		"length huge":       external("w.bin", "length", "9223372036854775807"),
		"raw as well":       external("w.bin", "offset", "4").bytes(tensorRaw, float6),
	} {
		write(model, string(onnxFile(bad)))
		if f, err := Open(model); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: read %v, error %v", name, f.Tensors, err)
		}
	}
}
