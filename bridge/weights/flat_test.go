package weights

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rarespurious/nn"
)

// Flatten and FromFlat are inverse for every architecture, also through a
// file.
func TestFlat(t *testing.T) {
	for name, build := range nn.Zoo {
		in := nn.Shape{C: 3, H: 32, W: 32}
		switch name {
		case "vgg16", "resnet110", "resnet50", "resnet50-1x1":
			continue // the same layers again, in many more megabytes
		}
		arch := build(in, 10)
		theta, buffers := arch.Init(rand.New(rand.NewPCG(1, 2)))
		for i := range buffers {
			buffers[i] = float32(i)
		}
		d := FromFlat(arch, theta, buffers)
		if len(d) != len(arch.Params())+len(arch.Buffers()) {
			t.Errorf("%s: %d tensors, want %d", name, len(d), len(arch.Params())+len(arch.Buffers()))
		}
		var file bytes.Buffer
		if err := Encode(&file, Safetensors, d, nil); err != nil {
			t.Fatal(err)
		}
		f, err := Decode(file.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		back, backBuffers, err := Flatten(arch, f.Tensors)
		if err != nil || !slices.Equal(back, theta) || !slices.Equal(backBuffers, buffers) {
			t.Errorf("%s: θ and buffers differ after a round trip, error %v", name, err)
		}
	}
}

// The order is that of a state dict: running statistics beside their layer.
func TestFromFlatOrder(t *testing.T) {
	arch := nn.Zoo["resnet50"](nn.Shape{C: 3, H: 64, W: 64}, 2)
	var names []string
	for _, x := range FromFlat(arch, make([]float32, arch.NumParams()), make([]float32, arch.NumBuffers())) {
		names = append(names, x.Name)
	}
	want := strings.Fields("conv1.weight bn1.weight bn1.bias bn1.running_mean bn1.running_var layer1.0.conv1.weight layer1.0.bn1.weight")
	if !slices.Equal(names[:len(want)], want) {
		t.Errorf("begins %v, want %v", names[:len(want)], want)
	}
	want = strings.Fields("layer4.2.bn3.running_var fc.weight fc.bias")
	if tail := names[len(names)-3:]; !slices.Equal(tail, want) {
		t.Errorf("ends %v, want %v", tail, want)
	}
}

func TestFlattenForeign(t *testing.T) {
	arch := nn.Arch{Name: "tiny", In: nn.Shape{C: 1, H: 2, W: 1}, Classes: 2, Layers: []nn.Layer{
		{Op: nn.BatchNorm, Name: "bn"}, {Op: nn.Flatten}, {Op: nn.Linear, Name: "fc", Out: 2},
	}}
	half := func(name string, bits ...uint16) Tensor {
		var data []byte
		for _, b := range bits {
			data = binary.LittleEndian.AppendUint16(data, b)
		}
		return Tensor{Name: name, DType: F16, Shape: []int{len(bits)}, Data: data}
	}
	good := Dict{
		floats32("fc.weight", []int{2, 2}, func(i int) float32 { return float32(i) }),
		half("fc.bias", 0x3c00, 0x4000), // 1, 2
		half("bn.weight", 0x3800),       // 0.5
		half("bn.bias", 0),
		half("bn.running_mean", 0x4400), // 4
		half("bn.running_var", 0x4800),  // 8
		{Name: "bn.num_batches_tracked", DType: I64, Shape: []int{}, Data: make([]byte, 8)},
	}
	for _, prefix := range []string{"", "module.", "_orig_mod.module."} {
		d := slices.Clone(good)
		for i := range d {
			d[i].Name = prefix + d[i].Name
		}
		theta, buffers, err := Flatten(arch, d)
		if err != nil {
			t.Fatal(err)
		}
		if want := []float32{0.5, 0, 0, 1, 2, 3, 1, 2}; !slices.Equal(theta, want) {
			t.Errorf("%sθ = %v, want %v", prefix, theta, want)
		}
		if want := []float32{4, 8}; !slices.Equal(buffers, want) {
			t.Errorf("%sbuffers = %v, want %v", prefix, buffers, want)
		}
	}

	bad := slices.Clone(good)
	bad[0].Shape = []int{4}
	bad[2].Name = "bn.gamma"
	_, _, err := Flatten(arch, bad)
	if !errors.Is(err, ErrMismatch) {
		t.Fatalf("error %v", err)
	}
	for _, say := range []string{"missing: bn.weight", "fc.weight is [4], want [2 2]", `unexpected: "bn.gamma"`} {
		if !strings.Contains(err.Error(), say) {
			t.Errorf("error %q does not say %q", err, say)
		}
	}
	if _, _, err := Flatten(nn.Zoo["resnet50"](nn.Shape{C: 3, H: 64, W: 64}, 2), nil); err == nil || len(err.Error()) > 400 {
		t.Errorf("error %v is not a short one", err)
	}
	if _, _, err := Flatten(arch, append(slices.Clone(good), good[0])); !errors.Is(err, ErrInvalid) {
		t.Errorf("a name twice: %v", err)
	}
	bad = slices.Clone(good)
	bad[1] = Tensor{Name: "fc.bias", DType: C64, Shape: []int{2}, Data: make([]byte, 16)}
	if _, _, err := Flatten(arch, bad); !errors.Is(err, ErrUnsupported) {
		t.Errorf("complex: %v", err)
	}
}

func TestDiff(t *testing.T) {
	a := Dict{
		floats32("same", []int{2}, zero),
		floats32("moved", []int{2}, func(i int) float32 { return float32(i) }),
		floats32("reshaped", []int{2}, zero),
		floats32("gone", []int{1}, zero),
		floats32("nan", []int{2}, func(i int) float32 { return float32(math.NaN()) }),
		floats32("half", []int{1}, func(i int) float32 { return 1 }),
		floats32("infinite", []int{1}, func(i int) float32 { return float32(math.Inf(1)) }),
	}
	b := Dict{
		floats32("new", []int{1}, zero),
		floats32("infinite", []int{1}, func(i int) float32 { return float32(math.Inf(-1)) }),
		{Name: "half", DType: F16, Shape: []int{1}, Data: []byte{0, 0x40}}, // 2
		floats32("nan", []int{2}, func(i int) float32 { return []float32{float32(math.NaN()), 3}[i] }),
		floats32("reshaped", []int{2, 1}, zero),
		floats32("moved", []int{2}, func(i int) float32 { return float32(-i) }),
		floats32("same", []int{2}, zero),
	}
	want := []struct {
		name string
		max  float64
		same bool
	}{
		{"same", 0, true}, {"moved", 2, false}, {"reshaped", math.NaN(), false}, {"gone", math.NaN(), false},
		{"nan", math.NaN(), false}, {"half", 1, false}, {"infinite", math.Inf(1), false}, {"new", math.NaN(), false},
	}
	got := Diff(a, b)
	if len(got) != len(want) {
		t.Fatalf("%d differences, want %d", len(got), len(want))
	}
	for i, w := range want {
		if g := got[i]; g.Name != w.name || !same(g.Max, w.max) || g.Same() != w.same {
			t.Errorf("%s: %g %v, want %s: %g %v", g.Name, g.Max, g.Same(), w.name, w.max, w.same)
		}
	}
	if got[3].B != nil || got[7].A != nil {
		t.Error("a tensor that one side lacks is there")
	}
}

// Every 8-bit pattern of the two small floats whose tables the FP8 paper
// gives, by its extremes (Table 1), and the symmetry of the sign.
func TestSmallFloats(t *testing.T) {
	value := func(dt DType, bits byte) float64 {
		v, err := Tensor{DType: dt, Data: []byte{bits}}.Float64s()
		if err != nil {
			t.Fatal(err)
		}
		return v[0]
	}
	for _, c := range []struct {
		dt   DType
		bits byte
		want float64
	}{
		{F8E4M3, 0x7e, 448}, {F8E4M3, 0x08, math.Ldexp(1, -6)}, {F8E4M3, 0x07, 0.875 * math.Ldexp(1, -6)}, {F8E4M3, 0x01, math.Ldexp(1, -9)}, {F8E4M3, 0x7f, math.NaN()},
		{F8E5M2, 0x7b, 57344}, {F8E5M2, 0x04, math.Ldexp(1, -14)}, {F8E5M2, 0x03, 0.75 * math.Ldexp(1, -14)}, {F8E5M2, 0x01, math.Ldexp(1, -16)}, {F8E5M2, 0x7c, math.Inf(1)}, {F8E5M2, 0x7d, math.NaN()},
		{F8E8M0, 127, 1}, {F8E8M0, 0, math.Ldexp(1, -127)}, {F8E8M0, 255, math.NaN()},
		{F8E4M3FNUZ, 0x80, math.NaN()}, {F8E5M2FNUZ, 0x80, math.NaN()},
	} {
		if got := value(c.dt, c.bits); !same(got, c.want) {
			t.Errorf("%s %#02x = %g, want %g", c.dt, c.bits, got, c.want)
		}
	}
	for _, dt := range []DType{F8E4M3, F8E5M2} {
		for b := range byte(128) {
			if v, w := value(dt, b), value(dt, b|0x80); !same(-v, w) {
				t.Errorf("%s: %#02x is %g, %#02x is %g", dt, b, v, b|0x80, w)
			}
		}
	}
}

// Save leaves the old file or the new one, and nothing else.
func TestSave(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.safetensors")
	good := Dict{floats32("w", []int{3}, zero)}
	if err := Save(path, Safetensors, good, nil); err != nil {
		t.Fatal(err)
	}
	for name, save := range map[string]func() error{
		"lengths": func() error {
			return Save(path, Torch, Dict{{Name: "w", DType: F32, Shape: []int{3}, Data: []byte{0}}}, nil)
		},
		"twice":   func() error { return Save(path, Torch, append(good, good...), nil) },
		"format":  func() error { return Save(path, ONNX, good, nil) },
		"complex": func() error { return Save(path, Safetensors, Dict{{Name: "w", DType: C128, Shape: []int{0}}}, nil) },
		"packed": func() error {
			return Save(path, Torch, Dict{{Name: "w", DType: F4, Shape: []int{2}, Data: []byte{0}}}, nil)
		},
		"metadata": func() error { return Save(path, Safetensors, good, map[string]string{"a": "\xff"}) },
	} {
		if err := save(); !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	f, err := Open(path)
	if err != nil || len(Diff(good, f.Tensors)) != 1 || !Diff(good, f.Tensors)[0].Same() {
		t.Errorf("the file that was there reads %v, error %v", f, err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Errorf("%v are left in the folder, error %v", files, err)
	}
}

// Equal arguments give equal bytes, whatever the order of maps.
func TestDeterministic(t *testing.T) {
	d := Dict{{Name: "a", DType: U8, Shape: []int{3}, Data: []byte("abc")}, floats32("b", []int{3}, zero)}
	for _, format := range []Format{Safetensors, Torch} {
		seen := map[string]bool{}
		for range 20 {
			metadata := map[string]string{}
			for i := range 20 {
				metadata[fmt.Sprint(i)] = "x"
			}
			var b bytes.Buffer
			if err := Encode(&b, format, d, metadata); err != nil {
				t.Fatal(err)
			}
			seen[b.String()] = true
		}
		if len(seen) != 1 {
			t.Errorf("%s: %d different files", format, len(slices.Collect(maps.Keys(seen))))
		}
	}
}
