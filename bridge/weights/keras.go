package weights

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"rarespurious/nn"
)

// How Keras' ImageNet models want their input, as an nn.Arch says it: channels
// RGB in [0, 1], standardised as (x − mean)/std. Keras itself takes BGR in
// [0, 255] less the channels' means; [FromKerasResNet50] turns the channels of
// the first kernel round. The shift stays with the input because the first
// convolution pads with zeros after it, so no bias could stand for it.
//
// Reference: keras-applications, imagenet_utils.py, preprocess_input, mode
// "caffe".
var (
	KerasMean = []float32{123.68 / 255, 116.779 / 255, 103.939 / 255}
	KerasStd  = []float32{1. / 255, 1. / 255, 1. / 255}
)

// kerasEps is the ε of Keras' batch norm: its default, and what the model.json
// of the converted ResNet50 says.
const kerasEps = 1e-3

// FromKerasResNet50 renames and refolds Keras' ResNet50, as [Open] reads it
// from a TensorFlow.js folder, to the names, layouts and batch-norm constants
// of torchvision, in a state dict's order, without num_batches_tracked. Its
// architecture is nn.ResNet50 with nn.StrideIn1x1, and its input is that of
// [KerasMean] and [KerasStd].
//
// Keras' convolutions have biases b and its batch norm has another ε. Both
// move into the running statistics, which changes nothing in eval mode:
//
//	γ·(Wx + b − μ)/√(σ² + ε) + β = γ·(Wx − (μ − b))/√((σ² + ε − ε′) + ε′) + β.
//
// The error wraps [ErrMismatch] and names the tensor that is missing, left
// over or of another shape.
func FromKerasResNet50(keras Dict) (Dict, error) {
	if err := keras.Validate(); err != nil {
		return nil, err
	}
	left := make(map[string]Tensor, len(keras))
	for _, t := range keras {
		left[t.Name] = t
	}
	// take returns the numbers of a tensor that must have that shape.
	take := func(name string, shape ...int) ([]float32, error) {
		t, ok := left[name]
		if !ok {
			return nil, fmt.Errorf("%w: %s is missing", ErrMismatch, name)
		}
		if !slices.Equal(t.Shape, shape) {
			return nil, fmt.Errorf("%w: %s has shape %v, want %v", ErrMismatch, name, t.Shape, shape)
		}
		delete(left, name)
		return t.Float32s()
	}
	classes := 1000
	if fc := left["fc1000/kernel"]; len(fc.Shape) == 2 && fc.Shape[0] == 2048 && fc.Shape[1] > 0 {
		classes = fc.Shape[1]
	}
	arch := nn.ResNet50(nn.Shape{C: 3, H: 224, W: 224}, classes, nn.StrideIn1x1)
	theta, buffers := make([]float32, arch.NumParams()), make([]float32, arch.NumBuffers())
	for _, p := range arch.Params() {
		v, err := kerasParam(p, take)
		if err != nil {
			return nil, err
		}
		copy(theta[p.Offset:], v)
	}
	for _, p := range arch.Buffers() {
		v, err := kerasBuffer(p, take)
		if err != nil {
			return nil, err
		}
		copy(buffers[p.Offset:], v)
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		return nil, fmt.Errorf("%w: %s is left over", ErrMismatch, name)
	}
	return FromFlat(arch, theta, buffers), nil
}

type taker func(name string, shape ...int) ([]float32, error)

// kerasParam returns the trainable tensor p from its counterpart.
func kerasParam(p nn.Param, take taker) ([]float32, error) {
	layer, role := kerasLayer(p.Name)
	s := p.Shape
	switch {
	case len(s) == 4: // (out, in, K, K) from (K, K, in, out)
		v, err := take(layer+"/kernel", s[2], s[3], s[1], s[0])
		if err != nil {
			return nil, err
		}
		bgr := p.Name == "conv1.weight"
		out := make([]float32, len(v))
		area := s[2] * s[3]
		for i, x := range v {
			o, c, at := i%s[0], i/s[0]%s[1], i/s[0]/s[1]
			if bgr {
				c = s[1] - 1 - c
			}
			out[(o*s[1]+c)*area+at] = x
		}
		return out, nil
	case len(s) == 2: // (out, in) from (in, out)
		v, err := take(layer+"/kernel", s[1], s[0])
		if err != nil {
			return nil, err
		}
		out := make([]float32, len(v))
		for i, x := range v {
			out[i%s[0]*s[1]+i/s[0]] = x
		}
		return out, nil
	case layer == "fc1000":
		return take(layer+"/bias", s...)
	case role == "weight":
		return take(layer+"/gamma", s...)
	}
	return take(layer+"/beta", s...)
}

// kerasBuffer returns the running statistic p with bias and ε folded in.
func kerasBuffer(p nn.Param, take taker) ([]float32, error) {
	layer, role := kerasLayer(p.Name)
	if role == "running_var" {
		v, err := take(layer+"/moving_variance", p.Shape...)
		for i := range v {
			v[i] = float32(float64(v[i]) + (kerasEps - nn.BatchNormEps))
		}
		return v, err
	}
	v, err := take(layer+"/moving_mean", p.Shape...)
	if err != nil {
		return nil, err
	}
	conv := "res" + strings.TrimPrefix(layer, "bn")
	if layer == "bn_conv1" {
		conv = "conv1"
	}
	bias, err := take(conv+"/bias", p.Shape...)
	for i := range bias {
		v[i] = float32(float64(v[i]) - float64(bias[i]))
	}
	return v, err
}

// kerasLayer splits the torchvision name "layer2.0.bn3.weight" into Keras'
// name of the layer, "bn3a_branch2c", and the tensor's role, "weight".
func kerasLayer(name string) (layer, role string) {
	parts := strings.Split(name, ".")
	role = parts[len(parts)-1]
	switch parts[0] {
	case "conv1":
		return "conv1", role
	case "bn1":
		return "bn_conv1", role
	case "fc":
		return "fc1000", role
	}
	stage, _ := strconv.Atoi(strings.TrimPrefix(parts[0], "layer"))
	block, _ := strconv.Atoi(parts[1])
	kind, branch := "res", "1" // downsample.0
	switch unit := parts[2]; {
	case unit != "downsample":
		branch = "2" + string('a'+rune(unit[len(unit)-1]-'1'))
		if strings.HasPrefix(unit, "bn") {
			kind = "bn"
		}
	case parts[3] == "1":
		kind = "bn"
	}
	return fmt.Sprintf("%s%d%c_branch%s", kind, stage+1, 'a'+block, branch), role
}
