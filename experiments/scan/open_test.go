package scan_test

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"rarespurious/bridge/onnx"
	"rarespurious/bridge/torch"
	"rarespurious/bridge/weights"
	"rarespurious/experiments/scan"
	"rarespurious/nn"
)

// network is a small one that standardises its input.
func network() (a nn.Arch, theta, buffers []float32) {
	a = nn.Arch{Name: "small", In: nn.Shape{C: 2, H: 3, W: 4}, Classes: 3, Layers: []nn.Layer{
		{Op: nn.Conv, Name: "conv", Out: 2, K: 3, Stride: 1, Pad: 1, Bias: true}, {Op: nn.ReLU},
		{Op: nn.Flatten}, {Op: nn.Linear, Name: "fc", Out: 3},
	}}
	theta, buffers = a.Init(rand.New(rand.NewPCG(1, 2)))
	return a, theta, buffers
}

// A model gives the same logits in every kind of file.
func TestOpen(t *testing.T) {
	a, theta, buffers := network()
	dir := t.TempDir()
	var b bytes.Buffer
	if err := onnx.Export(&b, a, theta, buffers, onnx.Meta{}); err != nil {
		t.Fatal(err)
	}
	d := weights.FromFlat(a, theta, buffers)
	for _, err := range []error{
		os.WriteFile(filepath.Join(dir, "m.onnx"), b.Bytes(), 0o666),
		weights.Save(filepath.Join(dir, "m.pth"), weights.Torch, d, nil),
		weights.Save(filepath.Join(dir, "m.safetensors"), weights.Safetensors, d, nil),
		torch.SaveScript(filepath.Join(dir, "m.pt"), a, theta, buffers),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	x := make([]float32, 5*a.In.Len())
	for i := range x {
		x[i] = float32(i%7) / 7
	}
	// What a model that standardises by itself is given by the others' Input.
	standardised := a
	standardised.Mean, standardised.Std = []float32{.25, .5}, []float32{.5, 2}
	in := scan.Input{Mean: []float64{.25, .5}, Std: []float64{.5, 2}}
	err := torch.Run("cpu", torch.Options{}, func(dev *torch.Device) error {
		logits := func(m scan.Model, err error) []float32 {
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			z, err := m.Logits(t.Context(), x)
			if err != nil {
				t.Fatal(err)
			}
			return z
		}
		want := logits(scan.FromArch(dev, standardised, theta, buffers))
		for name, kind := range map[string]scan.Kind{"m.onnx": scan.ONNX, "m.pt": scan.TorchScript, "m.pth": scan.StateDict, "m.safetensors": scan.StateDict} {
			// Without ONNX Runtime the model is read as an architecture.
			src := scan.Source{Path: filepath.Join(dir, name), Shape: a.In, Input: in, Arch: &standardised,
				Runtime: func() error { return errors.New("not there") }}
			m, got, err := scan.Open(dev, src)
			if got != kind {
				t.Errorf("%s is %s, want %s", name, got, kind)
			}
			for i, z := range logits(m, err) {
				if math.Abs(float64(z-want[i])) > 1e-5 {
					t.Errorf("%s: logit %d is %g, want %g", name, i, z, want[i])
				}
			}
			src.Arch = nil
			if _, _, err := scan.Open(dev, src); (err != nil) != (kind == scan.StateDict) || err != nil && !errors.Is(err, scan.ErrArch) {
				t.Errorf("%s without an architecture: %v", name, err)
			}
		}
		src := scan.Source{Path: filepath.Join(dir, "m.onnx"), Shape: a.In, Input: scan.Input{Layout: "hwc"}, Runtime: func() error { return errors.New("not there") }}
		if _, _, err := scan.Open(dev, src); err == nil {
			t.Error("an architecture takes images in another order")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := scan.Detect(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Detect of no file: %v", err)
	}
}

func TestInput(t *testing.T) {
	s := nn.Shape{C: 3, H: 2, W: 2}
	for _, bad := range []scan.Input{{Layout: "whc"}, {Mean: []float64{1, 2}}, {Std: []float64{1, 1}}, {Std: []float64{0}}} {
		if bad.Check(s) == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	for _, good := range []scan.Input{{}, {Layout: "hwc", Mean: []float64{.5}, Std: []float64{1, 2, 3}}, {Layout: "flat"}} {
		if err := good.Check(s); err != nil {
			t.Error(err)
		}
	}
}
