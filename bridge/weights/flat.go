package weights

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"rarespurious/nn"
)

// Flatten puts the tensors of d where arch's parameters and buffers lie:
// theta in the order of arch.Params, buffers in that of arch.Buffers. Any real
// type is converted to float32. A prefix that wrappers put before every name
// ("module.", "_orig_mod.") is ignored, and so are num_batches_tracked, which
// nothing here needs. It panics if arch is not valid.
//
// The error wraps [ErrMismatch] and names the tensors that are missing,
// unexpected or of another shape, or wraps [ErrInvalid] or [ErrUnsupported].
func Flatten(arch nn.Arch, d Dict) (theta, buffers []float32, err error) {
	if err := d.Validate(); err != nil {
		return nil, nil, err
	}
	prefix := wrapperPrefix(d)
	left := make(map[string]Tensor, len(d))
	for _, t := range d {
		if !strings.HasSuffix(t.Name, "num_batches_tracked") {
			left[strings.TrimPrefix(t.Name, prefix)] = t
		}
	}
	params, bufs := arch.Params(), arch.Buffers()
	var missing, shapes, unexpected []string
	found := make(map[string]Tensor, len(left))
	for _, p := range slices.Concat(params, bufs) {
		t, ok := left[p.Name]
		switch {
		case !ok:
			missing = append(missing, p.Name)
		case !slices.Equal(t.Shape, p.Shape):
			shapes = append(shapes, fmt.Sprintf("%s is %v, want %v", p.Name, brief(t.Shape), p.Shape))
		}
		found[p.Name] = t
		delete(left, p.Name)
	}
	for _, t := range d { // in d's order
		name := strings.TrimPrefix(t.Name, prefix)
		if _, ok := left[name]; ok {
			unexpected = append(unexpected, fmt.Sprintf("%.80q", name))
		}
	}
	if len(missing)+len(shapes)+len(unexpected) > 0 {
		return nil, nil, fmt.Errorf("%w %s%s%s%s", ErrMismatch, arch.Name, few("missing", missing), few("shapes", shapes), few("unexpected", unexpected))
	}
	flat := func(ps []nn.Param, n int) ([]float32, error) {
		v := make([]float32, n)
		for _, p := range ps {
			x, err := found[p.Name].Float32s()
			if err != nil {
				return nil, err
			}
			copy(v[p.Offset:], x)
		}
		return v, nil
	}
	if theta, err = flat(params, arch.NumParams()); err != nil {
		return nil, nil, err
	}
	if buffers, err = flat(bufs, arch.NumBuffers()); err != nil {
		return nil, nil, err
	}
	return theta, buffers, nil
}

// wrapperPrefix returns what DataParallel and torch.compile put before every
// name.
func wrapperPrefix(d Dict) string {
	prefix := ""
next:
	for _, p := range []string{"module.", "_orig_mod.", "module."} {
		for _, t := range d {
			if !strings.HasPrefix(t.Name, prefix+p) {
				continue next
			}
		}
		prefix += p
	}
	return prefix
}

// few joins names for an error message, the first of many.
func few(what string, names []string) string {
	const limit = 6
	if len(names) == 0 {
		return ""
	}
	more := ""
	if n := len(names) - limit; n > 0 {
		names, more = names[:limit], fmt.Sprintf(" and %d more", n)
	}
	return "; " + what + ": " + strings.Join(names, ", ") + more
}

// FromFlat names the pieces of theta and buffers, as F32 tensors in the order
// of a PyTorch state dict: layer by layer, a batch norm's running statistics
// after its weight and bias. PyTorch's load_state_dict takes the result with
// strict=True, if it is saved as [Torch]; num_batches_tracked is not needed.
// It panics if arch is not valid or a length is not arch's.
func FromFlat(arch nn.Arch, theta, buffers []float32) Dict {
	params, bufs := arch.Params(), arch.Buffers()
	if len(theta) != arch.NumParams() || len(buffers) != arch.NumBuffers() {
		panic(fmt.Sprintf("weights: %d parameters and %d buffers, %s has %d and %d", len(theta), len(buffers), arch.Name, arch.NumParams(), arch.NumBuffers()))
	}
	layer := func(p nn.Param) string { return p.Name[:strings.LastIndexByte(p.Name, '.')] }
	d := make(Dict, 0, len(params)+len(bufs))
	for i, p := range params {
		d = append(d, fromFloats(p, theta))
		if i+1 < len(params) && layer(params[i+1]) == layer(p) {
			continue
		}
		for len(bufs) > 0 && layer(bufs[0]) == layer(p) {
			d = append(d, fromFloats(bufs[0], buffers))
			bufs = bufs[1:]
		}
	}
	return d
}

func fromFloats(p nn.Param, flat []float32) Tensor {
	return FromFloat32s(p.Name, p.Shape, flat[p.Offset:p.Offset+p.Len])
}

// FromFloat32s returns a tensor that holds a copy of values, row-major. It
// panics if the shape has another number of elements.
func FromFloat32s(name string, shape []int, values []float32) Tensor {
	data := make([]byte, 0, 4*len(values))
	for _, x := range values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
	}
	t := Tensor{Name: name, DType: F32, Shape: slices.Clone(shape), Data: data}
	if t.Len() != len(values) {
		panic(fmt.Sprintf("weights: %d values for shape %v of %s", len(values), shape, name))
	}
	return t
}
