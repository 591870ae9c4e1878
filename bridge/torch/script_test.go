package torch_test

import (
	"errors"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"rarespurious/bridge/torch"
	"rarespurious/nn"
)

// everyLayer has each kind of layer, and a name that is no identifier.
var everyLayer = nn.Arch{
	Name: "every layer", In: nn.Shape{C: 3, H: 9, W: 9}, Classes: 4,
	Mean: []float32{.1, .2, .3}, Std: []float32{.4, .5, .6},
	Layers: []nn.Layer{
		{Op: nn.Conv, Name: "stem.0", Out: 4, K: 3, Stride: 1, Pad: 1, Bias: true},
		{Op: nn.MaxPool, K: 3, Stride: 2, Pad: 1},
		{Op: nn.Residual, Body: []nn.Layer{
			{Op: nn.Conv, Name: "a.conv", Out: 8, K: 3, Stride: 2, Pad: 1},
			{Op: nn.BatchNorm, Name: "a.bn"},
			{Op: nn.ReLU},
		}, Skip: []nn.Layer{{Op: nn.Subsample, Out: 8, Stride: 2}}},
		{Op: nn.Residual, Body: []nn.Layer{{Op: nn.BatchNorm, Name: "b.bn"}}},
		{Op: nn.AdaptiveAvg, Out: 2}, {Op: nn.Flatten}, {Op: nn.Dropout, Rate: .5},
		{Op: nn.Linear, Name: "fc", Out: 4},
	},
}

// What is saved as a script gives a Stack's logits when it is read again.
func TestScriptRoundTrip(t *testing.T) {
	for _, a := range []nn.Arch{everyLayer, mlp(5, 3), nn.Zoo["cnn"](nn.Shape{C: 1, H: 28, W: 28}, 10), nn.Zoo["resnet8"](nn.Shape{C: 3, H: 32, W: 32}, 10)} {
		theta, buffers := a.Init(rand.New(rand.NewPCG(3, 4)))
		for i := range buffers { // neither means of 0 nor variances of 1
			buffers[i] = .5 + float32(i%7)/10
		}
		for i := range theta {
			theta[i] += .01 * float32(i%3)
		}
		path := filepath.Join(t.TempDir(), "model.pt")
		if err := torch.SaveScript(path, a, theta, buffers); err != nil {
			t.Errorf("%s: %v", a.Name, err)
			continue
		}
		const n = 3
		pixels, labels := images(n, a.In, a.Classes)
		x := make([]float32, len(pixels))
		for i, b := range pixels {
			x[i] = float32(b) / 255
		}
		onCPU(t, func(d *torch.Device) error {
			s, err := torch.NewStack(d, a, 1, torch.StackOptions{})
			if err != nil {
				return err
			}
			defer s.Close()
			if err := s.Load(theta, buffers); err != nil {
				return err
			}
			set, err := torch.NewData(d, a.In, pixels, labels)
			if err != nil {
				return err
			}
			defer set.Close()
			want, err := s.Logits(set, nil, torch.Forward{})
			if err != nil {
				return err
			}
			script, err := torch.OpenScript(d, path)
			if err != nil {
				return err
			}
			defer script.Close()
			got, each, err := script.Logits(x, n, a.In.C, a.In.H, a.In.W)
			if err != nil {
				return err
			}
			if each != a.Classes {
				t.Fatalf("%s: %d logits, want %d", a.Name, each, a.Classes)
			}
			for i := range got {
				if w := float64(want[0][i]); math.Abs(float64(got[i])-w) > 1e-5*max(1, math.Abs(w)) {
					t.Errorf("%s: logits %v, want %v", a.Name, got, want[0])
					break
				}
			}
			return nil
		})
	}
}

func TestScriptRefuses(t *testing.T) {
	dir := t.TempDir()
	junk := filepath.Join(dir, "junk.pt")
	if err := os.WriteFile(junk, []byte("PK\x03\x04 nothing"), 0o666); err != nil {
		t.Fatal(err)
	}
	a := mlp(2)
	theta, _ := a.Init(rand.New(rand.NewPCG(1, 1)))
	good := filepath.Join(dir, "good.pt")
	if err := torch.SaveScript(good, a, theta, nil); err != nil {
		t.Fatal(err)
	}
	if err := torch.SaveScript(good, a, theta[1:], nil); err == nil {
		t.Error("SaveScript takes too few parameters")
	}
	if err := torch.SaveScript(filepath.Join(dir, "no", "folder.pt"), a, theta, nil); err == nil {
		t.Error("SaveScript writes into a folder that is not there")
	}
	onCPU(t, func(d *torch.Device) error {
		if _, err := torch.OpenScript(d, junk); err == nil {
			t.Error("OpenScript reads junk")
		}
		if _, err := torch.OpenScript(d, filepath.Join(dir, "none.pt")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("OpenScript of no file: %v", err)
		}
		s, err := torch.OpenScript(d, good)
		if err != nil {
			return err
		}
		defer s.Close()
		if _, _, err := s.Logits(make([]float32, 7), 1, 7); err == nil {
			t.Error("7 pixels go into a network for 16")
		}
		if _, _, err := s.Logits(make([]float32, 7), 1, 16); err == nil {
			t.Error("7 elements are an example of 16")
		}
		return nil
	})
}
