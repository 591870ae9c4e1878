package weights

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"runtime"
	"strings"
	"testing"
)

// safetensorsFile puts a header of any kind before data.
func safetensorsFile(header, data string) []byte {
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header+data...)
}

// torchFile is a .pth archive around any pickle; members are name, data, ….
func torchFile(t testing.TB, program string, members ...string) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	members = append([]string{"data.pkl", program}, members...)
	for i := 0; i < len(members); i += 2 {
		data := []byte(members[i+1])
		f, err := z.CreateRaw(&zip.FileHeader{
			Name: "m/" + members[i], Method: zip.Store, CRC32: crc32.ChecksumIEEE(data),
			CompressedSize64: uint64(len(data)), UncompressedSize64: uint64(len(data)),
		})
		if err == nil {
			_, err = f.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// pickled is the pickle of {"w": tensor}, with these pieces: the storage's
// class and size, and the tensor's offset, sizes and strides, as opcodes.
func pickled(class, n, offset, size, stride string) string {
	return "\x80\x02}U\x01wctorch._utils\n_rebuild_tensor_v2\n((U\x07storagec" + class + "\nU\x010U\x03cpu" + n + "tQ" +
		offset + "(" + size + "t(" + stride + "t\x89NtRs."
}

const (
	float6 = "\x00\x00\x80?\x00\x00\x00@\x00\x00@@\x00\x00\x80@\x00\x00\xa0@\x00\x00\xc0@" // 1 to 6
	floats = "torch\nFloatStorage"
	huge   = "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f" // 2⁶³−1
)

// TestHostile gives every decoder files that lie. Each must fail, say which
// field is wrong, and allocate no more than a small multiple of the file.
func TestHostile(t *testing.T) {
	head := func(body string) []byte { return safetensorsFile(body, float6) }
	entry := func(dtype, shape, offsets string) string {
		return `"w":{"dtype":"` + dtype + `","shape":` + shape + `,"data_offsets":` + offsets + `}`
	}
	good := pickled(floats, "K\x06", "K\x00", "K\x02K\x03", "K\x03K\x01")
	pth := func(class, n, offset, size, stride string) []byte {
		return torchFile(t, pickled(class, n, offset, size, stride), "data/0", float6)
	}
	legacy := func(object, rest string) []byte {
		return []byte(string(legacyMagic) + "\x80\x02M\xe9\x03.\x80\x02}U\x0dlittle_endian\x88s." + object + rest)
	}
	flip := bytes.Replace(torchFile(t, good, "data/0", float6), []byte(float6), []byte("\x01"+float6[1:]), 1)

	for _, c := range []struct {
		name, field string
		file        []byte
		is          error
	}{
		{"empty", "unknown format", nil, ErrFormat},
		{"text", "unknown format", []byte("hello, world, this is not a model"), ErrFormat},
		{"tar", "tar archive", append(append(make([]byte, 257), "ustar"...), 0), ErrUnsupported},

		{"header longer than the file", "header length", append([]byte{0xff, 0, 0, 0, 0, 0, 0, 0}, `{"w":1}`...), ErrInvalid},
		{"header of a tebibyte", "header length", append([]byte{0, 0, 0, 0, 0, 1, 0, 0}, `{"w":1}`...), ErrInvalid},
		{"header of -1", "header length", append(bytes.Repeat([]byte{0xff}, 8), `{"w":1}`...), ErrInvalid},
		{"not JSON", "header", head(`{w}`), ErrInvalid},
		{"after JSON", "header", head(`{} {}`), ErrInvalid},
		{"not UTF-8", "UTF-8", head("{\"\xff\":{}}"), ErrInvalid},
		{"no shape", "shape", head(`{"w":{"dtype":"F32","data_offsets":[0,24]}}`), ErrInvalid},
		{"null shape", "shape", head(`{` + entry("F32", "null", "[0,24]") + `}`), ErrInvalid},
		{"null in shape", "shape", head(`{` + entry("F32", "[6,null]", "[0,24]") + `}`), ErrInvalid},
		{"fraction", "shape", head(`{` + entry("F32", "[6.0]", "[0,24]") + `}`), ErrInvalid},
		{"negative", "shape", head(`{` + entry("F32", "[-6]", "[0,24]") + `}`), ErrInvalid},
		{"overflow", "shape", head(`{` + entry("F32", "[4294967296,4294967296]", "[0,24]") + `}`), ErrInvalid},
		{"empty, but overflows", "shape", safetensorsFile(`{`+entry("F32", "[0,4294967296,4294967296]", "[0,0]")+`}`, ""), ErrInvalid},
		{"unknown dtype", "dtype", head(`{` + entry("F33", "[6]", "[0,24]") + `}`), ErrInvalid},
		{"shape too small", "bytes of data", head(`{` + entry("F32", "[5]", "[0,24]") + `}`), ErrInvalid},
		{"three offsets", "data_offsets", head(`{` + entry("F32", "[6]", "[0,24,24]") + `}`), ErrInvalid},
		{"past the end", "data_offsets", head(`{` + entry("F32", "[600]", "[0,2400]") + `}`), ErrInvalid},
		{"backwards", "data_offsets", head(`{` + entry("F32", "[6]", "[24,0]") + `}`), ErrInvalid},
		{"hole at the start", "data_offsets", head(`{` + entry("F32", "[5]", "[4,24]") + `}`), ErrInvalid},
		{"left over", "follow the last tensor", head(`{` + entry("F32", "[5]", "[0,20]") + `}`), ErrInvalid},
		{"overlap", "data_offsets", head(`{` + entry("F32", "[6]", "[0,24]") + `,"v":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`), ErrInvalid},
		{"twice", "twice", head(`{` + entry("F32", "[3]", "[0,12]") + `,` + entry("F32", "[3]", "[12,24]") + `}`), ErrInvalid},
		{"dtype twice", "twice", head(`{"w":{"dtype":"F32","dtype":"F32","shape":[6],"data_offsets":[0,24]}}`), ErrInvalid},
		{"half a byte", "whole bytes", head(`{` + entry("F4", "[3]", "[0,24]") + `}`), ErrInvalid},
		{"metadata of numbers", "__metadata__", head(`{"__metadata__":{"a":1},` + entry("F32", "[6]", "[0,24]") + `}`), ErrInvalid},

		{"no pickle", "data.pkl", bytes.ReplaceAll(torchFile(t, good), []byte("data.pkl"), []byte("data.pkX")), ErrInvalid},
		{"empty pickle", "pickle", torchFile(t, ""), ErrInvalid},
		{"system", `posix.system`, torchFile(t, "\x80\x02cposix\nsystem\nU\x02id\x85R."), ErrUnsupported},
		{"system, new style", `os.system`, torchFile(t, "\x80\x04\x8c\x02os\x8c\x06system\x93."), ErrUnsupported},
		{"numpy", "numpy", torchFile(t, "\x80\x02cnumpy.core.multiarray\n_reconstruct\n."), ErrUnsupported},
		{"no dict", "no dict", torchFile(t, "\x80\x02]."), ErrUnsupported},
		{"no tensors", `"epoch"`, torchFile(t, "\x80\x02}U\x05epochK\x01s."), ErrUnsupported},
		{"stack underflow", "pickle", torchFile(t, "\x80\x020."), ErrInvalid},
		{"no mark", "pickle", torchFile(t, "\x80\x02t."), ErrInvalid},
		{"below the mark", "pickle", torchFile(t, "\x80\x02}(s."), ErrInvalid},
		{"no memo", "memo", torchFile(t, "\x80\x02h\x07."), ErrInvalid},
		{"string of 4 GB", "needs", torchFile(t, "\x80\x02X\xff\xff\xff\xffabc."), ErrInvalid},
		{"string of 2⁶³", "needs", torchFile(t, "\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7fabc."), ErrInvalid},
		{"string of 2⁶⁴", "needs", torchFile(t, "\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xffabc."), ErrInvalid},
		{"integer of 4 GB", "needs", torchFile(t, "\x80\x02\x8b\xff\xff\xff\xffabc."), ErrInvalid},
		{"protocol 9", "protocol", torchFile(t, "\x80\x09."), ErrInvalid},
		{"opcode INST", "opcode", torchFile(t, "\x80\x02(ios\nsystem\n."), ErrInvalid},
		{"call of a string", "global", torchFile(t, "\x80\x02U\x01a)R."), ErrInvalid},
		{"no storage", "storage", torchFile(t, "\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(K\x00K\x00K\x00K\x00tR."), ErrInvalid},
		{"storage missing", "data/0", torchFile(t, good), ErrInvalid},
		{"storage too short", "storage", torchFile(t, good, "data/0", float6[:20]), ErrInvalid},
		{"storage too long", "storage", torchFile(t, good, "data/0", float6+"\x00\x00\x00\x00"), ErrInvalid},
		{"flipped bit", "CRC-32", flip, ErrInvalid},
		{"big-endian", "byteorder", torchFile(t, good, "data/0", float6, "byteorder", "big"), ErrUnsupported},
		{"TorchScript", "TorchScript", torchFile(t, good, "data/0", float6, "constants.pkl", "."), ErrUnsupported},
		{"two pickles", "two members", torchFile(t, good, "data/0", float6, "data.pkl", good), ErrInvalid},
		{"huge storage", "storage", pth(floats, huge, "K\x00", "K\x06", "K\x01"), ErrInvalid},
		{"negative storage", "storage", pth(floats, "J\xff\xff\xff\xff", "K\x00", "K\x06", "K\x01"), ErrInvalid},
		{"quantised", "QInt8Storage", pth("torch\nQInt8Storage", "K\x06", "K\x00", "K\x06", "K\x01"), ErrUnsupported},
		{"huge offset", "storage_offset", pth(floats, "K\x06", huge, "K\x01", "K\x01"), ErrInvalid},
		{"negative offset", "storage_offset", pth(floats, "K\x06", "J\xff\xff\xff\xff", "K\x01", "K\x01"), ErrInvalid},
		{"offset by one", "storage_offset", pth(floats, "K\x06", "K\x01", "K\x06", "K\x01"), ErrInvalid},
		{"huge size", "shape", pth(floats, "K\x06", "K\x00", huge, "K\x00"), ErrInvalid},
		{"product overflows", "shape", pth(floats, "K\x06", "K\x00", huge+huge, "K\x00K\x00"), ErrInvalid},
		{"negative size", "size[0]", pth(floats, "K\x06", "K\x00", "J\xff\xff\xff\xff", "K\x01"), ErrInvalid},
		{"negative stride", "stride[0]", pth(floats, "K\x06", "K\x05", "K\x06", "J\xff\xff\xff\xff"), ErrInvalid},
		{"huge stride", "stride", pth(floats, "K\x06", "K\x00", "K\x02", huge), ErrInvalid},
		{"stride past the end", "stride", pth(floats, "K\x06", "K\x00", "K\x02K\x03", "K\x03K\x02"), ErrInvalid},
		{"expanded to a terabyte", "memory", pth(floats, "K\x06", "K\x00", "\x8a\x05\x00\x00\x00\x00\x40", "K\x00"), ErrInvalid},
		{"sizes without strides", "strides", pth(floats, "K\x06", "K\x00", "K\x06", ""), ErrInvalid},

		{"legacy, no storages", "keys", legacy(good, "\x80\x02N."), ErrInvalid},
		{"legacy, storage missing", "missing", legacy(good, "\x80\x02]."), ErrInvalid},
		{"legacy, unknown storage", "storage", legacy(good, "\x80\x02]U\x019a."), ErrInvalid},
		{"legacy, size lies", "storage", legacy(good, "\x80\x02]U\x010a.\x07\x00\x00\x00\x00\x00\x00\x00"+float6), ErrInvalid},
		{"legacy, cut", "ends", legacy(good, "\x80\x02]U\x010a.\x06\x00\x00\x00\x00\x00\x00\x00"+float6[:20]), ErrInvalid},
		{"legacy, huge", "ends", legacy(pickled(floats, huge, "K\x00", "K\x06", "K\x01"), "\x80\x02]U\x010a."+huge[2:]+float6), ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			f, err := Decode(c.file)
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Fatalf("read as %v", f.Tensors)
			}
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.field) {
				t.Errorf("error %q, want one about %q that is %q", err, c.field, c.is)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 1<<18 {
				t.Errorf("allocated %d bytes for a file of %d", used, len(c.file))
			}
		})
	}
	// The pieces that the cases above spoil are good themselves.
	for name, b := range map[string][]byte{
		"safetensors": head(`{` + entry("F32", "[2,3]", "[0,24]") + `}`),
		"zip":         torchFile(t, good, "data/0", float6),
		"legacy":      legacy(good, "\x80\x02]U\x010a.\x06\x00\x00\x00\x00\x00\x00\x00"+float6),
	} {
		f, err := Decode(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if v, err := f.Tensors[0].Float32s(); err != nil || len(v) != 6 || v[0] != 1 || v[5] != 6 {
			t.Errorf("%s: %v %v", name, v, err)
		}
	}
}

// Programs that make much of little: what they allocate stays proportional to
// the file, and is refused where it would not be.
func TestPickleBombs(t *testing.T) {
	const n = 20_000
	for name, program := range map[string]string{
		// One long list of pairs, copied by each of many calls.
		"quadratic": "\x80\x02](" + strings.Repeat("K\x01K\x02\x86", n) + "eq\x01" + "ccollections\nOrderedDict\nq\x02" +
			strings.Repeat("h\x02h\x01\x85R", n) + ".",
		// Dicts within dicts, each holding the one before twice.
		"laughs": "\x80\x02}q\x00" + strings.Repeat("}(U\x05modelh\x00U\x03neth\x00uq\x00", n) + ".",
		"lists":  "\x80\x02" + strings.Repeat("]", 10*n) + ".",
		"memos":  "\x80\x04N" + strings.Repeat("\x94", 10*n) + ".",
		// A key of pairs of pairs, which would be 2⁴⁰ words in a message.
		"key": "\x80\x02})" + strings.Repeat("q\x00h\x00\x86", 40) + "Ns.",
		// Many tensors that are all one expanded view.
		"views": "\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagec" + floats + "\nU\x010U\x03cpuK\x06tQK\x00(M\xff\xfft(K\x00t\x89NtRq\x05" +
			"0}(" + strings.Repeat("U\x02abh\x05U\x02cdh\x05", n) + "u.",
	} {
		b := torchFile(t, program, "data/0", float6)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Decode(b)
		runtime.ReadMemStats(&after)
		used := after.TotalAlloc - before.TotalAlloc
		t.Logf("%s: %d bytes allocated for %d: %v", name, used, len(b), err)
		if err == nil || used > 300*uint64(len(b)) {
			t.Errorf("%s: allocated %d bytes for a file of %d, error %v", name, used, len(b), err)
		}
	}
	ops := "\x80\x02" + strings.Repeat("N0", maxOps/2) + "}."
	if _, err := Decode(torchFile(t, ops)); err == nil || !strings.Contains(err.Error(), "opcodes") {
		t.Errorf("%d opcodes: error %v", maxOps+2, err)
	}
}
