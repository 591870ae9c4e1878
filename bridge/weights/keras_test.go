package weights

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rarespurious/nn"
)

func floats32(name string, shape []int, value func(i int) float32) Tensor {
	n, err := numel(shape)
	if err != nil {
		panic(err)
	}
	data := make([]byte, 0, 4*n)
	for i := range n {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(value(i)))
	}
	return Tensor{Name: name, DType: F32, Shape: shape, Data: data}
}

// kerasResNet makes a Keras ResNet50 for few classes, with its names and
// layouts written out here and not taken from the code under test.
func kerasResNet(classes int) Dict {
	rng := rand.New(rand.NewPCG(1, 2))
	var d Dict
	add := func(name string, shape ...int) {
		d = append(d, floats32(name, shape, func(int) float32 { return rng.Float32() }))
	}
	unit := func(conv, bn string, k, in, out int) {
		add(conv+"/kernel", k, k, in, out)
		add(conv+"/bias", out)
		for _, s := range []string{"gamma", "beta", "moving_mean", "moving_variance"} {
			add(bn+"/"+s, out)
		}
	}
	unit("conv1", "bn_conv1", 7, 3, 64)
	in := 64
	for stage, blocks := range []string{"abc", "abcd", "abcdef", "abc"} {
		w := 64 << stage
		for _, b := range blocks {
			at := fmt.Sprintf("%d%c_branch", stage+2, b)
			unit("res"+at+"2a", "bn"+at+"2a", 1, in, w)
			unit("res"+at+"2b", "bn"+at+"2b", 3, w, w)
			unit("res"+at+"2c", "bn"+at+"2c", 1, w, 4*w)
			if b == 'a' {
				unit("res"+at+"1", "bn"+at+"1", 1, in, 4*w)
			}
			in = 4 * w
		}
	}
	add("fc1000/kernel", 2048, classes)
	add("fc1000/bias", classes)
	return d
}

func TestFromKerasResNet50(t *testing.T) {
	keras := kerasResNet(4)
	got, err := FromKerasResNet50(keras)
	if err != nil {
		t.Fatal(err)
	}
	arch := nn.ResNet50(nn.Shape{C: 3, H: 224, W: 224}, 4, nn.StrideIn1x1)
	theta, buffers, err := Flatten(arch, got)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 267 || len(theta) != 25_557_032-996*2049 || len(buffers) != 53_120 {
		t.Errorf("%d tensors, %d parameters, %d buffers", len(got), len(theta), len(buffers))
	}
	at := func(d Dict, name string, index ...int) float64 {
		tensor, ok := d.Get(name)
		if !ok || len(index) != len(tensor.Shape) {
			t.Fatalf("%s: %v has no element %v", name, tensor.Shape, index)
		}
		n := 0
		for i, x := range index {
			n = n*tensor.Shape[i] + x
		}
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(tensor.Data[4*n:])))
	}
	for _, c := range []struct {
		name      string
		want, got float64
	}{
		{"conv1, blue", at(keras, "conv1/kernel", 6, 2, 0, 63), at(got, "conv1.weight", 63, 2, 6, 2)}, // Keras has blue first
		{"conv1, green", at(keras, "conv1/kernel", 1, 5, 1, 7), at(got, "conv1.weight", 7, 1, 1, 5)},
		{"3×3", at(keras, "res3d_branch2b/kernel", 2, 1, 100, 3), at(got, "layer2.3.conv2.weight", 3, 100, 2, 1)},
		{"1×1", at(keras, "res5a_branch1/kernel", 0, 0, 900, 2000), at(got, "layer4.0.downsample.0.weight", 2000, 900, 0, 0)},
		{"fc", at(keras, "fc1000/kernel", 2000, 3), at(got, "fc.weight", 3, 2000)},
		{"fc bias", at(keras, "fc1000/bias", 3), at(got, "fc.bias", 3)},
		{"gamma", at(keras, "bn4f_branch2c/gamma", 1000), at(got, "layer3.5.bn3.weight", 1000)},
		{"beta", at(keras, "bn2a_branch1/beta", 5), at(got, "layer1.0.downsample.1.bias", 5)},
	} {
		if c.got != c.want {
			t.Errorf("%s: %g, want %g", c.name, c.got, c.want)
		}
	}
	// A channel's value behind its batch norm is what Keras computes, for an
	// arbitrary Wx.
	for i := range 64 {
		const wx = 0.7
		y := at(keras, "bn_conv1/gamma", i)*(wx+at(keras, "conv1/bias", i)-at(keras, "bn_conv1/moving_mean", i))/
			math.Sqrt(at(keras, "bn_conv1/moving_variance", i)+1e-3) + at(keras, "bn_conv1/beta", i)
		z := at(got, "bn1.weight", i)*(wx-at(got, "bn1.running_mean", i))/
			math.Sqrt(at(got, "bn1.running_var", i)+nn.BatchNormEps) + at(got, "bn1.bias", i)
		if math.Abs(y-z) > 1e-5*(1+math.Abs(y)) {
			t.Errorf("channel %d: %g, Keras has %g", i, z, y)
		}
	}

	for _, c := range []struct {
		field string // what the error names
		drop  string
		add   Dict
	}{
		{"res3b_branch2a/bias is missing", "res3b_branch2a/bias", nil},
		{"extra is left over", "", Dict{floats32("extra", nil, zero)}},
		{"bn5c_branch2c/gamma has shape [3]", "bn5c_branch2c/gamma", Dict{floats32("bn5c_branch2c/gamma", []int{3}, zero)}},
		{"fc1000", "fc1000/kernel", Dict{floats32("fc1000/kernel", []int{2048, 0}, zero)}},
	} {
		d := append(slices.DeleteFunc(slices.Clone(keras), func(t Tensor) bool { return t.Name == c.drop }), c.add...)
		if _, err := FromKerasResNet50(d); !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), c.field) {
			t.Errorf("error %v, want one that says %s", err, c.field)
		}
	}
}

func zero(int) float32 { return 0 }

// writeTFJS writes d as a layers-model in shards of at most size bytes.
func writeTFJS(t *testing.T, dir string, d Dict, size int) map[string]any {
	t.Helper()
	var all []byte
	weights, paths := []any{}, []string{}
	for _, w := range d {
		weights = append(weights, map[string]any{"name": w.Name, "shape": w.Shape, "dtype": "float32"})
		all = append(all, w.Data...)
	}
	for shard := range slices.Chunk(all, size) {
		name := fmt.Sprintf("shard%d.bin", len(paths))
		paths = append(paths, name)
		if err := os.WriteFile(filepath.Join(dir, name), shard, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return map[string]any{"format": "layers-model", "weightsManifest": []any{map[string]any{"paths": paths, "weights": weights}}}
}

func TestTFJS(t *testing.T) {
	want := Dict{
		floats32("a/kernel", []int{2, 3}, func(i int) float32 { return float32(i) }),
		floats32("b", []int{}, func(int) float32 { return -1 }),
		floats32("c", []int{5}, func(i int) float32 { return float32(i * i) }),
	}
	save := func(dir string, model any) {
		t.Helper()
		b, err := json.Marshal(model)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "model.json"), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, size := range []int{7, 100} { // in many shards, and in one
		dir := t.TempDir()
		save(dir, writeTFJS(t, dir, want, size))
		for _, path := range []string{dir, filepath.Join(dir, "model.json")} {
			f, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			if f.Format != TFJS || len(f.Tensors) != len(want) {
				t.Fatalf("%s: %d tensors", f.Format, len(f.Tensors))
			}
			for i, x := range Diff(want, f.Tensors) {
				if !x.Same() || f.Tensors[i].Name != want[i].Name {
					t.Errorf("%s differs", x.Name)
				}
			}
		}
	}

	group := func(m map[string]any) map[string]any { return m["weightsManifest"].([]any)[0].(map[string]any) }
	weight := func(m map[string]any) map[string]any { return group(m)["weights"].([]any)[0].(map[string]any) }
	for _, c := range []struct {
		name  string
		spoil func(map[string]any)
		is    error
	}{
		{"want 48", func(m map[string]any) { g := group(m); g["paths"] = g["paths"].([]string)[1:] }, ErrInvalid},
		{"listed twice", func(m map[string]any) { g := group(m); p := g["paths"].([]string); g["paths"] = append(p, "./"+p[0]) }, ErrInvalid},
		{"more than the", func(m map[string]any) { g := group(m); g["weights"] = g["weights"].([]any)[1:] }, ErrInvalid},
		{"shard", func(m map[string]any) { group(m)["paths"] = []string{"nowhere.bin"} }, ErrInvalid},
		{"inside the model's folder", func(m map[string]any) { group(m)["paths"] = []string{"../shard0.bin"} }, ErrInvalid},
		{"shape", func(m map[string]any) { weight(m)["shape"] = []int{1 << 40, 1 << 40} }, ErrInvalid},
		{"shape", func(m map[string]any) { weight(m)["shape"] = []int{-2, -3} }, ErrInvalid},
		{"want", func(m map[string]any) { weight(m)["shape"] = []int{1 << 40} }, ErrInvalid},
		{"float16", func(m map[string]any) { weight(m)["dtype"] = "float16" }, ErrUnsupported},
		{"quantization", func(m map[string]any) { weight(m)["quantization"] = map[string]any{"dtype": "uint8"} }, ErrUnsupported},
		{"called", func(m map[string]any) { weight(m)["name"] = "b" }, ErrInvalid},
	} {
		dir := t.TempDir()
		model := writeTFJS(t, dir, want, 7)
		c.spoil(model)
		save(dir, model)
		if _, err := Open(dir); !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.name) {
			t.Errorf("%s: error %v", c.name, err)
		}
	}
}
