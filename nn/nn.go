// Package nn describes network architectures as plain data.
//
// An [Arch] is a value: it can be printed, compared, hashed, shape-checked,
// counted, initialised and exported without a tensor library. Package
// bridge/torch interprets it on a device. Its JSON is part of a run's
// identity, so editing an architecture here invalidates exactly the stored
// runs that used it.
//
// A network is a function of ONE flat parameter vector θ, in the order that
// [Arch.Params] lists, and of one flat vector of buffers (batch norm's running
// statistics), in the order of [Arch.Buffers]. Tensor names and layouts are
// those of a PyTorch state dict.
package nn

import (
	"errors"
	"fmt"
)

// A Shape is the shape of one example without the batch axis: channels,
// height, width. A feature vector of length d is Shape{d, 1, 1}.
type Shape struct {
	C int `json:"c"`
	H int `json:"h"`
	W int `json:"w"`
}

// Len reports the number of elements of one example of shape s.
func (s Shape) Len() int { return s.C * s.H * s.W }

func (s Shape) String() string { return fmt.Sprintf("%d×%d×%d", s.C, s.H, s.W) }

// ErrShape reports that a layer cannot accept its input's shape.
var ErrShape = errors.New("nn: shape mismatch")

// An Op names one kind of layer.
type Op string

// The layer kinds that every interpreter of an Arch must know.
const (
	Linear      Op = "linear"      // y = Wx + b, Out units, always with a bias
	Conv        Op = "conv"        // Out channels, K×K kernel, Stride, zero padding Pad, a bias if Bias
	BatchNorm   Op = "batchnorm"   // per channel; ε = BatchNormEps, momentum = BatchNormMomentum
	ReLU        Op = "relu"        // max(x, 0)
	Dropout     Op = "dropout"     // in training: each element is 0 with probability Rate, else scaled by 1/(1−Rate)
	MaxPool     Op = "maxpool"     // K×K window, Stride, padding Pad with −∞
	AdaptiveAvg Op = "adaptiveavg" // average pooling to Out×Out, whatever the input's size
	Flatten     Op = "flatten"     // C×H×W → CHW×1×1
	Subsample   Op = "subsample"   // every Stride-th row and column, zero channels on both sides up to Out
	Residual    Op = "residual"    // y = Body(x) + Skip(x); an empty Skip is the identity
)

// Batch norm's constants, PyTorch's defaults. The running variance is updated
// with the unbiased batch variance, as PyTorch does.
const (
	BatchNormEps      = 1e-5
	BatchNormMomentum = 0.1
)

// A Layer is one node of an Arch. Only the fields that its Op names are set.
type Layer struct {
	Op Op `json:"op"`
	// Name is the layer's prefix in a state dict: "layer1.0.conv1". Layers
	// without parameters have none.
	Name   string  `json:"name,omitempty"`
	Out    int     `json:"out,omitempty"`
	K      int     `json:"k,omitempty"`
	Stride int     `json:"stride,omitempty"`
	Pad    int     `json:"pad,omitempty"`
	Bias   bool    `json:"bias,omitempty"`
	Rate   float64 `json:"rate,omitempty"` // in [0, 1)
	// Init and BiasInit say how weights and biases start; "" is Uniform.
	Init     Init    `json:"init,omitempty"`
	BiasInit Init    `json:"bias_init,omitempty"`
	Body     []Layer `json:"body,omitempty"`
	Skip     []Layer `json:"skip,omitempty"`
}

// An Arch is a feed-forward classifier: layers applied in order to an example
// of shape In, ending in one logit per class.
type Arch struct {
	Name    string `json:"name"`
	In      Shape  `json:"in"`
	Classes int    `json:"classes"`
	// Mean and Std standardise the input per channel, x' = (x − Mean)/Std,
	// as the network's first operation, so that everything outside the
	// network lives in [0, 1]. Both are empty or have In.C entries.
	Mean   []float32 `json:"mean,omitempty"`
	Std    []float32 `json:"std,omitempty"`
	Layers []Layer   `json:"layers"`
}

// Validate reports an error that names the layer, and wraps [ErrShape], if a
// layer cannot accept what the layers before it produce, or if the last does
// not give Classes logits.
func (a Arch) Validate() error {
	if len(a.Layers) == 0 {
		return fmt.Errorf("nn: %s has no layers", a.Name)
	}
	if len(a.Mean) != len(a.Std) || len(a.Mean) != 0 && len(a.Mean) != a.In.C {
		return fmt.Errorf("nn: %s: %w: %d means and %d standard deviations for %d channels", a.Name, ErrShape, len(a.Mean), len(a.Std), a.In.C)
	}
	for c, s := range a.Std {
		if !(s > 0) {
			return fmt.Errorf("nn: %s: standard deviation of channel %d is %g, want > 0", a.Name, c, s)
		}
	}
	seen := map[string]bool{}
	out, err := walk(a.In, a.Layers, func(l Layer, in, _ Shape) error {
		if len(l.params(in)) == 0 {
			return nil
		}
		if l.Name == "" || seen[l.Name] {
			return fmt.Errorf("nn: needs a name of its own, has %q", l.Name)
		}
		seen[l.Name] = true
		return nil
	})
	if err != nil {
		return fmt.Errorf("nn: %s: %w", a.Name, err)
	}
	if out != (Shape{a.Classes, 1, 1}) {
		return fmt.Errorf("nn: %s: %w: ends in %v, want %d logits", a.Name, ErrShape, out, a.Classes)
	}
	return nil
}

// walk applies ls to shape s and calls visit for every layer that is not a
// Residual, bodies before skips, with its input's and output's shape.
func walk(s Shape, ls []Layer, visit func(l Layer, in, out Shape) error) (Shape, error) {
	for i, l := range ls {
		out, err := l.apply(s, visit)
		if err != nil {
			label := string(l.Op)
			if l.Name != "" {
				label += " " + l.Name
			}
			return s, fmt.Errorf("layer %d (%s): %w", i, label, err)
		}
		s = out
	}
	return s, nil
}

func (l Layer) apply(s Shape, visit func(l Layer, in, out Shape) error) (Shape, error) {
	if l.Op == Residual {
		body, err := walk(s, l.Body, visit)
		if err != nil {
			return s, fmt.Errorf("body: %w", err)
		}
		skip, err := walk(s, l.Skip, visit)
		if err != nil {
			return s, fmt.Errorf("skip: %w", err)
		}
		if body != skip {
			return s, fmt.Errorf("%w: body gives %v, skip gives %v", ErrShape, body, skip)
		}
		return body, nil
	}
	out, err := l.OutShape(s)
	if err != nil {
		return s, err
	}
	return out, visit(l, s, out)
}

// OutShape returns the shape that l, which must not be a Residual, makes of
// an example of shape s, or an error wrapping [ErrShape].
func (l Layer) OutShape(s Shape) (Shape, error) {
	window := func(c int) (Shape, error) {
		if l.K < 1 || l.Stride < 1 || l.Pad < 0 || s.H+2*l.Pad < l.K || s.W+2*l.Pad < l.K {
			return s, fmt.Errorf("%w: %d×%d window, stride %d, padding %d on %v", ErrShape, l.K, l.K, l.Stride, l.Pad, s)
		}
		return Shape{c, (s.H+2*l.Pad-l.K)/l.Stride + 1, (s.W+2*l.Pad-l.K)/l.Stride + 1}, nil
	}
	positive := func(n int, what string) error {
		if n < 1 {
			return fmt.Errorf("%w: %s is %d, want at least 1", ErrShape, what, n)
		}
		return nil
	}
	switch l.Op {
	case Linear:
		if s.H != 1 || s.W != 1 {
			return s, fmt.Errorf("%w: %v is not a vector", ErrShape, s)
		}
		return Shape{l.Out, 1, 1}, positive(l.Out, "out")
	case Conv:
		if err := positive(l.Out, "out"); err != nil {
			return s, err
		}
		return window(l.Out)
	case MaxPool:
		if 2*l.Pad > l.K {
			return s, fmt.Errorf("%w: padding %d is more than half of the window %d", ErrShape, l.Pad, l.K)
		}
		return window(s.C)
	case BatchNorm, ReLU:
		return s, nil
	case Dropout:
		if !(l.Rate >= 0 && l.Rate < 1) {
			return s, fmt.Errorf("nn: dropout rate %g, want in [0, 1)", l.Rate)
		}
		return s, nil
	case AdaptiveAvg:
		return Shape{s.C, l.Out, l.Out}, positive(l.Out, "out")
	case Flatten:
		return Shape{s.Len(), 1, 1}, nil
	case Subsample:
		if l.Out < s.C || (l.Out-s.C)%2 != 0 {
			return s, fmt.Errorf("%w: cannot pad %d channels evenly to %d", ErrShape, s.C, l.Out)
		}
		if err := positive(l.Stride, "stride"); err != nil {
			return s, err
		}
		return Shape{l.Out, (s.H-1)/l.Stride + 1, (s.W-1)/l.Stride + 1}, nil
	}
	return s, fmt.Errorf("nn: unknown op %q", l.Op)
}
