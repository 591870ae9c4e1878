package onnx

import (
	"errors"
	"fmt"
	"slices"

	"rarespurious/nn"
)

// The operators that pool over whole images or only move numbers around.

func (im *importer) globalAverage(n *node) (*activation, error) {
	v, err := im.images(n, 0)
	if err != nil {
		return nil, err
	}
	return v.then(nn.Layer{Op: nn.AdaptiveAvg, Out: 1}, false)
}

// reduceMean over height and width is a global average, with or without a
// Flatten behind it.
func (im *importer) reduceMean(n *node) (*activation, error) {
	v, err := im.images(n, 0)
	if err != nil {
		return nil, err
	}
	n.int("noop_with_empty_axes", 0)
	if err := im.spatialAxes(n); err != nil {
		return nil, err
	}
	keep := n.int("keepdims", 1) != 0
	if v, err = v.then(nn.Layer{Op: nn.AdaptiveAvg, Out: 1}, false); err != nil || keep {
		return v, err
	}
	return v.then(nn.Layer{Op: nn.Flatten}, true)
}

// spatialAxes reports an error unless n's axes are height and width.
func (im *importer) spatialAxes(n *node) error {
	axes, err := im.option(n, 1, "axes")
	if err != nil {
		return err
	}
	axes = slices.Clone(axes)
	for i, a := range axes {
		if a < 0 {
			axes[i] = a + 4
		}
	}
	slices.Sort(axes)
	if !slices.Equal(axes, []int64{2, 3}) {
		return fmt.Errorf("axes are %v, want height and width", trim(axes))
	}
	return nil
}

// averagePool must divide the image into equally many rows and columns of
// windows.
func (im *importer) averagePool(n *node) (*activation, error) {
	v, err := im.images(n, 0)
	if err != nil {
		return nil, err
	}
	kernel, strides, pads := n.ints("kernel_shape"), n.ints("strides"), n.ints("pads")
	n.int("count_include_pad", 0) // there is none
	n.want("ceil_mode", 0)
	if auto := n.string("auto_pad", "NOTSET"); auto != "NOTSET" && auto != "VALID" {
		return nil, fmt.Errorf("auto_pad is %.80q, want NOTSET or VALID", auto)
	}
	if d := n.ints("dilations"); slices.ContainsFunc(d, func(x int64) bool { return x != 1 }) {
		return nil, fmt.Errorf("dilations are %v, want 1", trim(d))
	}
	if len(kernel) != 2 || kernel[0] < 1 || kernel[1] < 1 || slices.ContainsFunc(pads, func(p int64) bool { return p != 0 }) {
		return nil, fmt.Errorf("window %v with padding %v; want none", trim(kernel), trim(pads))
	}
	h, w := int64(v.shape.H), int64(v.shape.W)
	rows, columns := h/kernel[0], w/kernel[1]
	// A window as large as the image has any stride.
	if rows < 1 || rows != columns || h%kernel[0] != 0 || w%kernel[1] != 0 || rows > 1 && !slices.Equal(kernel, strides) {
		return nil, fmt.Errorf("window %v with strides %v on %v; want it cut into n×n windows", kernel, trim(strides), v.shape)
	}
	return v.then(nn.Layer{Op: nn.AdaptiveAvg, Out: int(rows)}, false)
}

// expand repeats a 1×1 image.
func (im *importer) expand(n *node) (*activation, error) {
	v, err := im.images(n, 0)
	if err != nil {
		return nil, err
	}
	to, err := im.vector(n, 1)
	if err != nil {
		return nil, err
	}
	if v.shape.H != 1 || v.shape.W != 1 || len(to) != 4 || to[0] != 1 || to[1] != 1 && to[1] != int64(v.shape.C) ||
		to[2] != to[3] || to[2] < 1 || to[2] > maxSide {
		return nil, fmt.Errorf("from %v to %v; want from 1×1 to (1, 1, n, n)", v.shape, trim(to))
	}
	return v.then(nn.Layer{Op: nn.AdaptiveAvg, Out: int(to[2])}, false)
}

// einsum is what Export writes for adaptive windows that overlap.
func (im *importer) einsum(n *node) (*activation, error) {
	if n.string("equation", "") != averagingEquation || len(n.GetInput()) != 3 {
		return nil, fmt.Errorf("want equation %s", averagingEquation)
	}
	v, err := im.images(n, 1)
	if err != nil {
		return nil, err
	}
	out := 0
	for _, side := range []struct{ input, size int }{{0, v.shape.H}, {2, v.shape.W}} {
		c, err := im.tensor(n, side.input)
		if err != nil {
			return nil, err
		}
		if len(c.dims) != 2 || c.dims[0] < 1 || c.dims[1] != side.size || side.input != 0 && c.dims[0] != out {
			return nil, fmt.Errorf("a matrix of shape %v on %v", trim(c.proto.GetDims()), v.shape)
		}
		out = c.dims[0]
		m, err := c.floats(c.len)
		if err != nil {
			return nil, err
		}
		if !slices.Equal(m, averaging(side.size, out)) {
			return nil, errors.New("its matrices are not those of adaptive average pooling")
		}
	}
	return v.then(nn.Layer{Op: nn.AdaptiveAvg, Out: out}, false)
}

func (im *importer) flatten(n *node) (*activation, error) {
	v, err := im.activation(n, 0)
	if err != nil {
		return nil, err
	}
	axis, rank := n.int("axis", 1), int64(4)
	if v.flat {
		rank = 2
	}
	if axis != 1 && axis != 1-rank {
		return nil, fmt.Errorf("axis is %d, want 1", axis)
	}
	return v.vector()
}

// vector returns v as (batch, CHW).
func (v *activation) vector() (*activation, error) {
	if v.flat {
		return v, nil
	}
	return v.then(nn.Layer{Op: nn.Flatten}, true)
}

// images returns v, a vector, as (batch, C, 1, 1), which no layer is needed for.
func (v *activation) images() *activation {
	out := under(v, tensor{shape: v.shape})
	out.from = []*activation{v}
	return out
}

// reshape must keep the batch and either flatten all else or unflatten to 1×1.
func (im *importer) reshape(n *node) (*activation, error) {
	v, err := im.activation(n, 0)
	if err != nil {
		return nil, err
	}
	to, err := im.vector(n, 1)
	if err != nil {
		return nil, err
	}
	// With allowzero a 0 in the file is an empty axis; one from fold is not.
	if n.int("allowzero", 0) != 0 && im.constants[n.in(1)] != nil && slices.Contains(to, 0) {
		return nil, errors.New("makes an empty tensor")
	}
	size, free := int64(v.shape.Len()), int64(-1)
	batch := len(to) > 0 && (to[0] == im.batch || to[0] == 0 || to[0] == free)
	switch {
	case batch && len(to) == 2 && (to[1] == size || to[1] == free && to[0] != free):
		return v.vector()
	case batch && len(to) == 4 && v.flat && to[2] == 1 && to[3] == 1 && (to[1] == size || to[1] == free && to[0] != free):
		return v.images(), nil
	}
	return nil, fmt.Errorf("%v of each of the batch to shape %v; want it flattened", v.shape, trim(to))
}

func (im *importer) squeeze(n *node) (*activation, error) {
	v, err := im.images(n, 0)
	if err != nil {
		return nil, err
	}
	if err := im.spatialAxes(n); err != nil {
		return nil, err
	}
	if v.shape.H != 1 || v.shape.W != 1 {
		return nil, fmt.Errorf("%v is not 1×1", v.shape)
	}
	return v.vector()
}

func (im *importer) unsqueeze(n *node) (*activation, error) {
	v, err := im.activation(n, 0)
	if err != nil {
		return nil, err
	}
	if err := im.spatialAxes(n); err != nil {
		return nil, err
	}
	if !v.flat {
		return nil, fmt.Errorf("%v has a height and a width already", v.shape)
	}
	return v.images(), nil
}

// slice may take every s-th row and column. Some exporters write it as a
// slice of the rows and then one of the columns.
func (im *importer) slice(n *node) (*activation, error) {
	v, err := im.uneven(n, 0)
	if err != nil {
		return nil, err
	}
	var option [4][]int64
	for i, name := range []string{"starts", "ends", "axes", "steps"} {
		if option[i], err = im.option(n, i+1, name); err != nil {
			return nil, err
		}
	}
	starts, ends, axes, steps := option[0], option[1], option[2], option[3]
	base, taken := v, [2]int{1, 1}
	if v.steps != [2]int{} {
		base, taken = v.from[0], v.steps
	}
	sizes := [4]int64{maxVolume, int64(v.shape.C), int64(v.shape.H), int64(v.shape.W)}
	for i, start := range starts {
		axis, step := int64(i), int64(1)
		if i < len(axes) {
			axis = axes[i]
		}
		if i < len(steps) {
			step = steps[i]
		}
		if axis < 0 {
			axis += 4
		}
		if v.flat || axis < 0 || axis > 3 || start != 0 || i >= len(ends) || ends[i] < sizes[axis] ||
			step < 1 || step > maxSide || axis < 2 && step != 1 {
			return nil, fmt.Errorf("from %v to %v by %v on axes %v; want every s-th row and column of all", trim(starts), trim(ends), trim(steps), trim(axes))
		}
		if axis >= 2 {
			taken[axis-2] = min(taken[axis-2]*int(step), maxSide)
		}
	}
	if taken == [2]int{1, 1} {
		return base, nil
	}
	if taken[0] == taken[1] {
		return base.then(nn.Layer{Op: nn.Subsample, Out: base.shape.C, Stride: taken[0]}, false)
	}
	out := base.images()
	out.steps = taken
	out.shape.H, out.shape.W = (base.shape.H-1)/taken[0]+1, (base.shape.W-1)/taken[1]+1
	return out, nil
}

// pad may add equally many zero channels on both sides.
func (im *importer) pad(n *node) (*activation, error) {
	v, err := im.images(n, 0)
	if err != nil {
		return nil, err
	}
	if mode := n.string("mode", "constant"); mode != "constant" {
		return nil, fmt.Errorf("mode is %.80q, want constant", mode)
	}
	fill := n.float("value", 0)
	if n.in(2) != "" {
		c, err := im.tensor(n, 2)
		if err != nil {
			return nil, err
		}
		value, err := c.floats(1)
		if err != nil {
			return nil, err
		}
		fill = append(value, 0)[0]
	}
	if fill != 0 || n.in(3) != "" {
		return nil, fmt.Errorf("fills with %g, or along chosen axes; want 0 and all axes", fill)
	}
	pads, err := im.option(n, 1, "pads")
	if err != nil {
		return nil, err
	}
	if len(pads) != 8 || pads[1] < 0 || pads[1] > maxSide || !slices.Equal(pads, []int64{0, pads[1], 0, 0, 0, pads[1], 0, 0}) {
		return nil, fmt.Errorf("pads are %v; want the same number of channels on both sides and nothing else", trim(pads))
	}
	if pads[1] == 0 {
		return v, nil
	}
	return v.then(nn.Layer{Op: nn.Subsample, Out: v.shape.C + 2*int(pads[1]), Stride: 1}, false)
}
