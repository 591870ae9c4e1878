package weights

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// TestReference reads what PyTorch 2.11 and safetensors 0.8 wrote, all by
// scripts/reference/weights.py: every type, shared storages, strides, scalars,
// empty tensors, a nested checkpoint, both forms of .pth, pickle protocols 2
// to 5.
func TestReference(t *testing.T) {
	b, err := os.ReadFile("testdata/expect.json")
	if err != nil {
		t.Fatal(err)
	}
	var files map[string][]struct {
		Name, DType, SHA256 string
		Shape               []int
		First               []string
	}
	if err := json.Unmarshal(b, &files); err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		t.Run(name, func(t *testing.T) {
			f, err := Open(filepath.Join("testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			if len(f.Tensors) != len(want) {
				t.Fatalf("%d tensors, want %d", len(f.Tensors), len(want))
			}
			for i, w := range want {
				got, ok := f.Tensors.Get(w.Name)
				if !ok {
					t.Fatalf("no tensor %s", w.Name)
				}
				if f.Format != Safetensors && f.Tensors[i].Name != w.Name {
					t.Errorf("tensor %d is %s, want %s", i, f.Tensors[i].Name, w.Name)
				}
				if string(got.DType) != w.DType || !slices.Equal(got.Shape, w.Shape) || got.Digest() != w.SHA256 {
					t.Errorf("%s: %s%v %s, want %s%v %s", w.Name, got.DType, got.Shape, got.Digest(), w.DType, w.Shape, w.SHA256)
				}
				if len(w.First) == 0 {
					continue
				}
				values, err := got.Float64s()
				if err != nil {
					t.Fatal(err)
				}
				for j, s := range w.First {
					x, err := strconv.ParseFloat(s, 64)
					if err != nil {
						t.Fatal(err)
					}
					if !same(values[j], x) {
						t.Errorf("%s[%d] = %g, want %s", w.Name, j, values[j], s)
					}
				}
			}
		})
	}
}

func same(a, b float64) bool {
	return a == b && math.Signbit(a) == math.Signbit(b) || math.IsNaN(a) && math.IsNaN(b)
}

// The reference implementation's own bytes come back, its metadata too.
func TestSafetensorsBytes(t *testing.T) {
	want, err := os.ReadFile("testdata/f32.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	f, err := Decode(want)
	if err != nil {
		t.Fatal(err)
	}
	if f.Metadata["format"] != "pt" || len(f.Metadata) != 1 {
		t.Errorf("metadata %v", f.Metadata)
	}
	var got bytes.Buffer
	if err := Encode(&got, Safetensors, f.Tensors, f.Metadata); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("wrote\n%q, want\n%q", got.Bytes(), want)
	}
}

// Every tensor of every file survives writing and reading in both formats.
func TestRoundTrip(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.[ps]*")
	if err != nil || len(paths) < 10 {
		t.Fatal(paths, err)
	}
	metadata := map[string]string{"run": "0123", "classes": "dog, \"cat\" <é>"}
	for _, path := range paths {
		in, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, format := range []Format{Safetensors, Torch} {
			d := slices.DeleteFunc(slices.Clone(in.Tensors), func(t Tensor) bool {
				return format == Safetensors && (t.DType == C32 || t.DType == C128)
			})
			out := filepath.Join(t.TempDir(), "model")
			if err := Save(out, format, d, metadata); err != nil {
				t.Fatal(err)
			}
			back, err := Open(out)
			if err != nil {
				t.Fatalf("%s as %s: %v", path, format, err)
			}
			if back.Format != format || fmt.Sprint(back.Metadata) != fmt.Sprint(metadata) {
				t.Errorf("%s: format %s, metadata %v", path, back.Format, back.Metadata)
			}
			diffs := Diff(d, back.Tensors)
			if len(diffs) != len(d) {
				t.Errorf("%s as %s: %d tensors, want %d", path, format, len(diffs), len(d))
			}
			for _, x := range diffs {
				if !x.Same() || x.Max != 0 {
					t.Errorf("%s as %s: %s differs by %g", path, format, x.Name, x.Max)
				}
			}
		}
	}
}

// A cut file is an error wherever it is cut, and never a panic.
func TestTruncated(t *testing.T) {
	for _, name := range []string{"views.pth", "views-legacy.pth", "f32.safetensors"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		for n := range len(b) {
			if _, err := Decode(slices.Clone(b[:n])); err == nil {
				t.Errorf("%s: the first %d of %d bytes are read without an error", name, n, len(b))
			}
		}
	}
}
