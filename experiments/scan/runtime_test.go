package scan_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"rarespurious/bridge/onnx"
	"rarespurious/bridge/onnx/ort"
	"rarespurious/bridge/torch"
	"rarespurious/experiments/scan"
	"rarespurious/nn"
)

// openRuntime loads ONNX Runtime from where RSC_ONNXRUNTIME says, or from the
// cache. In the cache it may be missing, since it is optional.
func openRuntime(t *testing.T) {
	t.Helper()
	path, given := os.LookupEnv("RSC_ONNXRUNTIME")
	if !given {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Skipf("not run: no RSC_ONNXRUNTIME and no user cache: %v", err)
		}
		found, _ := filepath.Glob(filepath.Join(cache, "rarespurious", "onnxruntime", "libonnxruntime.so*"))
		if len(found) == 0 {
			t.Skip("not run: ONNX Runtime is not in the cache; get it with scripts/onnxruntime.sh")
		}
		path = found[len(found)-1]
	}
	if err := ort.Open(path); err != nil {
		t.Fatal(err)
	}
}

// ONNX Runtime gives libtorch's logits.
func TestRuntime(t *testing.T) {
	openRuntime(t)
	mnist, cifar := nn.Shape{C: 1, H: 28, W: 28}, nn.Shape{C: 3, H: 32, W: 32}
	small, _, _ := network()
	small.Mean, small.Std = []float32{.25, .5}, []float32{.5, 2}
	for _, a := range []nn.Arch{small, nn.Zoo["mlp-small"](mnist, 10), nn.Zoo["cnn"](mnist, 10), nn.Zoo["resnet8"](cifar, 10)} {
		rng := rand.New(rand.NewPCG(8, 9))
		theta, buffers := a.Init(rng)
		for i := range buffers { // variances must not be negative
			buffers[i] = .1 + rng.Float32()
		}
		var b bytes.Buffer
		if err := onnx.Export(&b, a, theta, buffers, onnx.Meta{}); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "model.onnx")
		if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
		x := make([]float32, 3*a.In.Len())
		for i := range x {
			x[i] = rng.Float32()
		}
		err := torch.Run("cpu", torch.Options{}, func(d *torch.Device) error {
			ours, err := scan.FromArch(d, a, theta, buffers)
			if err != nil {
				return err
			}
			defer ours.Close()
			theirs, kind, err := scan.Open(d, scan.Source{Path: path, Shape: a.In, Runtime: func() error { return nil }})
			if err != nil {
				return err
			}
			defer theirs.Close()
			want, err := ours.Logits(t.Context(), x)
			if err != nil {
				return err
			}
			got, err := theirs.Logits(t.Context(), x)
			if err != nil {
				return err
			}
			if kind != scan.ONNX || len(got) != len(want) {
				t.Fatalf("%s: %s, %d logits, want %d", a.Name, kind, len(got), len(want))
			}
			for i := range got {
				if d := math.Abs(float64(got[i] - want[i])); !(d <= 1e-4*max(1, math.Abs(float64(want[i])))) {
					t.Errorf("%s: logit %d is %g, want %g", a.Name, i, got[i], want[i])
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
