package weights

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// FuzzDecode covers all formats from their first byte on. Whatever is read
// must be valid, be writable, and come back the same.
func FuzzDecode(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.[ps]*")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add(onnxFile(tensorOf(1, 6).bytes(tensorFloats, float6)))
	f.Add([]byte(`{"weightsManifest":[{"paths":[],"weights":[{"name":"w","shape":[0],"dtype":"float32"}]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := Decode(b)
		checkDecoded(t, file.Tensors, err)
	})
}

func FuzzSafetensors(f *testing.F) {
	f.Add(`{"__metadata__":{"a":"b"},"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}`, float6)
	f.Add(`{"v":{"dtype":"I8","shape":[],"data_offsets":[0,1]},"w":{"dtype":"F4","shape":[0,2],"data_offsets":[1,1],"x":[{}]}}`, "a")
	f.Fuzz(func(t *testing.T, header, data string) {
		d, _, err := decodeSafetensors(safetensorsFile(header, data))
		checkDecoded(t, d, err)
	})
}

// FuzzPickle changes the program and keeps the archive around it intact.
func FuzzPickle(f *testing.F) {
	f.Add(pickled(floats, "K\x06", "K\x00", "K\x02K\x03", "K\x03K\x01"), float6)
	f.Add(pickled("torch\nBoolStorage", "K\x06", "K\x01", "K\x02K\x02", "K\x01K\x03"), "abcdef")
	for _, path := range []string{"types.pth", "views.pth", "checkpoint.pth", "protocol3.pth", "protocol4.pth"} {
		b, err := os.ReadFile(filepath.Join("testdata", path))
		if err != nil {
			f.Fatal(err)
		}
		begin := bytes.Index(b, []byte("\x80"))
		f.Add(string(b[begin:bytes.Index(b, []byte("PK\x07\x08"))]), strings.Repeat(float6, 4))
	}
	f.Fuzz(func(t *testing.T, program, data string) {
		d, _, err := decodeTorchZip(torchFile(t, program, "data/0", data))
		checkDecoded(t, d, err)
	})
}

func FuzzTorchLegacy(f *testing.F) {
	for _, path := range []string{"types-legacy.pth", "views-legacy.pth", "checkpoint-legacy.pth"} {
		b, err := os.ReadFile(filepath.Join("testdata", path))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[len(legacyMagic):])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, _, err := decodeTorchLegacy(slices.Concat(legacyMagic, b))
		checkDecoded(t, d, err)
	})
}

func FuzzONNX(f *testing.F) {
	for _, m := range []message{
		tensorOf(1, 2, 3).bytes(tensorRaw, float6), tensorOf(1, 6).bytes(tensorFloats, float6),
		tensorOf(7, 2).bytes(tensorInt64s, packed(1, 1<<63)), tensorOf(3, 2).varint(tensorInt32s, 1).varint(tensorInt32s, 2),
		external("w.bin", "offset", "4", "length", "24"),
	} {
		f.Add([]byte(m))
	}
	root := folderWith(f, "w.bin", "pad."+float6)
	f.Fuzz(func(t *testing.T, b []byte) {
		d, _, err := decodeONNX(onnxFile(b), root)
		checkDecoded(t, d, err)
	})
}

func FuzzTFJS(f *testing.F) {
	f.Add([]byte(`{"weightsManifest":[{"paths":["w.bin"],"weights":[{"name":"w","shape":[2,3],"dtype":"float32"}]}]}`))
	f.Add([]byte(`{"weightsManifest":[{"paths":["./w.bin"],"weights":[{"name":"b","shape":[24],"dtype":"bool","quantization":null}]},{}]}`))
	root := folderWith(f, "w.bin", float6)
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := decodeTFJS(b, root)
		checkDecoded(t, d, err)
	})
}

func folderWith(f *testing.F, name, data string) *os.Root {
	f.Helper()
	root, err := os.OpenRoot(f.TempDir())
	if err == nil {
		f.Cleanup(func() { root.Close() })
		err = root.WriteFile(name, []byte(data), 0o600)
	}
	if err != nil {
		f.Fatal(err)
	}
	return root
}

func checkDecoded(t *testing.T, d Dict, err error) {
	t.Helper()
	if err != nil {
		return // hostile input; a panic or a hang would have been the fault
	}
	if err := d.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, format := range []Format{Safetensors, Torch} {
		var b bytes.Buffer
		if err := Encode(&b, format, d, nil); err != nil {
			continue // a type or a name that this format does not have
		}
		back, err := Decode(b.Bytes())
		if err != nil {
			t.Fatalf("%s does not come back: %v", format, err)
		}
		for _, x := range Diff(d, back.Tensors) {
			if !x.Same() {
				t.Errorf("%s: %q differs", format, x.Name)
			}
		}
	}
}
