package scan

import (
	"context"
	"fmt"
	"slices"

	"rarespurious/bridge/onnx/ort"
	"rarespurious/bridge/torch"
	"rarespurious/nn"
)

// An Input says how a foreign model wants its images.
type Input struct {
	// Layout is the order of one image's numbers: "" or "chw", "hwc", or "flat",
	// which is "chw" as a vector.
	Layout string
	// Mean and Std standardise each channel, x' = (x − Mean)/Std. Both are empty
	// or have one number, or one per channel.
	Mean, Std []float64
}

// Layouts lists the values of Input.Layout.
func Layouts() []string { return []string{"chw", "hwc", "flat"} }

// Check reports what is wrong with an Input for images of shape s.
func (in Input) Check(s nn.Shape) error {
	if in.Layout != "" && !slices.Contains(Layouts(), in.Layout) {
		return fmt.Errorf("scan: layout %q (give one of %v)", in.Layout, Layouts())
	}
	for what, v := range map[string][]float64{"means": in.Mean, "standard deviations": in.Std} {
		if len(v) > 1 && len(v) != s.C {
			return fmt.Errorf("scan: %d %s for %d channels", len(v), what, s.C)
		}
	}
	for _, v := range in.Std {
		if !(v > 0) {
			return fmt.Errorf("scan: standard deviation %g, want > 0", v)
		}
	}
	return nil
}

// sizes returns the sizes of one example after apply.
func (in Input) sizes(s nn.Shape) []int {
	switch in.Layout {
	case "hwc":
		return []int{s.H, s.W, s.C}
	case "flat":
		return []int{s.Len()}
	}
	return []int{s.C, s.H, s.W}
}

// apply returns images (N, C, H, W) as the model wants them; x itself if that
// is how they are.
func (in Input) apply(x []float32, s nn.Shape) []float32 {
	if in.Layout != "hwc" && len(in.Mean) == 0 && len(in.Std) == 0 {
		return x
	}
	of := func(v []float64, c int, otherwise float64) float64 {
		switch len(v) {
		case 0:
			return otherwise
		case 1:
			return v[0]
		}
		return v[c]
	}
	out := make([]float32, len(x))
	area := s.H * s.W
	for i, v := range x {
		c, pixel := i/area%s.C, i%area
		to := i
		if in.Layout == "hwc" {
			to = i/s.Len()*s.Len() + pixel*s.C + c
		}
		out[to] = float32((float64(v) - of(in.Mean, c, 0)) / of(in.Std, c, 1))
	}
	return out
}

// FromArch returns architecture a with the given parameters as a Model. It must
// be used on d's thread.
func FromArch(d *torch.Device, a nn.Arch, theta, buffers []float32) (Model, error) {
	s, err := torch.NewStack(d, a, 1, torch.StackOptions{})
	if err != nil {
		return nil, err
	}
	if err := s.Load(theta, buffers); err != nil {
		s.Close()
		return nil, err
	}
	return &archModel{s, d}, nil
}

type archModel struct {
	*torch.Stack
	d *torch.Device
}

func (m *archModel) Logits(_ context.Context, x []float32) ([]float32, error) {
	in := m.Arch().In
	if len(x)%in.Len() != 0 {
		return nil, fmt.Errorf("scan: the images are not of %s's shape %v", m.Arch().Name, in)
	}
	data, err := torch.NewFloatData(m.d, in, x, make([]uint8, len(x)/in.Len()))
	if err != nil {
		return nil, err
	}
	defer data.Close()
	z, err := m.Stack.Logits(data, nil, torch.Forward{})
	if err != nil {
		return nil, err
	}
	return z[0], nil
}

// FromONNX returns the ONNX model at path, run by ONNX Runtime, which must have
// been opened.
func FromONNX(path string, s nn.Shape, in Input) (Model, error) {
	session, err := ort.NewSession(path, ort.Options{Example: in.sizes(s), Batch: batch})
	if err != nil {
		return nil, err
	}
	return &onnxModel{session, s, in}, nil
}

type onnxModel struct {
	*ort.Session
	shape nn.Shape
	in    Input
}

func (m *onnxModel) Logits(ctx context.Context, x []float32) ([]float32, error) {
	return m.Run(ctx, m.in.apply(x, m.shape))
}

// FromScript returns the TorchScript model at path. It must be used on d's
// thread.
func FromScript(d *torch.Device, path string, s nn.Shape, in Input) (Model, error) {
	script, err := torch.OpenScript(d, path)
	if err != nil {
		return nil, err
	}
	return &scriptModel{script, s, in}, nil
}

type scriptModel struct {
	*torch.Script
	shape nn.Shape
	in    Input
}

func (m *scriptModel) Logits(_ context.Context, x []float32) ([]float32, error) {
	z, _, err := m.Script.Logits(m.in.apply(x, m.shape), len(x)/m.shape.Len(), m.in.sizes(m.shape)...)
	return z, err
}
