package torch

// #include <stdlib.h>
// #include "script.h"
import "C"

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"rarespurious/nn"
)

// SaveScript writes architecture a with the given parameters and buffers as a
// TorchScript file in inference mode, which libtorch and PyTorch's
// torch.jit.load read: forward takes images (N, C, H, W) in [0, 1],
// standardises them where a says so, and returns logits (N, K). Its state dict
// has a's names. The lengths of theta and buffers must be a's.
//
// Libtorch has no way to make a module of another language's functions, but it
// compiles TorchScript, so the layers are written down in that.
func SaveScript(path string, a nn.Arch, theta, buffers []float32) (err error) {
	defer catch(&err)
	if err := a.Validate(); err != nil {
		return err
	}
	if len(theta) != a.NumParams() || len(buffers) != a.NumBuffers() {
		return fmt.Errorf("torch: %d parameters and %d buffers, %s has %d and %d", len(theta), len(buffers), a.Name, a.NumParams(), a.NumBuffers())
	}
	sc := new(scope)
	defer sc.end()
	var names []*C.char
	var tensors []C.rs_tensor
	defer func() {
		for _, n := range names {
			C.free(unsafe.Pointer(n))
		}
	}()
	add := func(ps []nn.Param, values []float32) {
		for _, p := range ps {
			shape := make([]int64, len(p.Shape))
			for i, n := range p.Shape {
				shape[i] = int64(n)
			}
			t := upload(sc, &Device{index: -1}, values[p.Offset:p.Offset+p.Len], shape...)
			names, tensors = append(names, C.CString(p.Name)), append(tensors, C.rs_tensor(unsafe.Pointer(t)))
		}
	}
	add(a.Params(), theta)
	params := len(names)
	add(a.Buffers(), buffers)
	part := path + ".part" // a file is there whole or not at all
	defer os.Remove(part)
	cPath, cSource := C.CString(part), C.CString(scriptSource(a))
	defer C.free(unsafe.Pointer(cPath))
	defer C.free(unsafe.Pointer(cSource))
	var firstName **C.char
	var firstTensor *C.rs_tensor
	if len(names) > 0 {
		firstName, firstTensor = &names[0], &tensors[0]
	}
	if C.rs_script_save(cPath, firstName, firstTensor, C.int(len(names)), C.int(params), cSource) != 0 {
		return errors.New("torch: script of " + a.Name + ": " + C.GoString(C.rs_error()))
	}
	return os.Rename(part, path)
}

// A scriptWriter writes a forward method, one statement a layer.
type scriptWriter struct {
	strings.Builder
	n int // of values so far; the newest is x<n>
}

// scriptSource returns a's forward method in TorchScript.
func scriptSource(a nn.Arch) string {
	w := new(scriptWriter)
	w.WriteString("def forward(self, x0):\n")
	x := "x0"
	if len(a.Mean) > 0 {
		x = w.set("(x0 - %s) / %s", perChannel(a.Mean), perChannel(a.Std))
	}
	x = w.layers(a.In, a.Layers, x)
	fmt.Fprintf(w, "    return %s\n", x)
	return w.String()
}

func perChannel(v []float32) string {
	parts := make([]string, len(v))
	for i, x := range v {
		parts[i] = strconv.FormatFloat(float64(x), 'e', -1, 64)
	}
	return fmt.Sprintf("torch.tensor([%s]).to(x0.device).view([1, %d, 1, 1])", strings.Join(parts, ", "), len(v))
}

// set writes an assignment to a new value and returns its name.
func (w *scriptWriter) set(format string, args ...any) string {
	w.n++
	x := fmt.Sprintf("x%d", w.n)
	fmt.Fprintf(w, "    %s = "+format+"\n", append([]any{x}, args...)...)
	return x
}

// layers writes ls applied to x, an example of which has shape in, and returns
// the result's name.
func (w *scriptWriter) layers(in nn.Shape, ls []nn.Layer, x string) string {
	for _, l := range ls {
		if l.Op == nn.Residual {
			body, skip := w.layers(in, l.Body, x), w.layers(in, l.Skip, x)
			x = w.set("%s + %s", body, skip)
			in = outShape(in, l.Body)
			continue
		}
		x = w.layer(in, l, x)
		in, _ = l.OutShape(in)
	}
	return x
}

// outShape returns the shape that layers make of in.
func outShape(in nn.Shape, ls []nn.Layer) nn.Shape {
	for _, l := range ls {
		if l.Op == nn.Residual {
			in = outShape(in, l.Body)
		} else {
			in, _ = l.OutShape(in)
		}
	}
	return in
}

func (w *scriptWriter) layer(in nn.Shape, l nn.Layer, x string) string {
	of := func(tensor string) string { return attribute(l.Name + "." + tensor) }
	switch l.Op {
	case nn.Flatten:
		return w.set("torch.flatten(%s, 1, -1)", x)
	case nn.Linear:
		return w.set("torch.linear(%s, %s, %s)", x, of("weight"), of("bias"))
	case nn.ReLU:
		return w.set("torch.relu(%s)", x)
	case nn.Dropout:
		return x
	case nn.Conv:
		bias := "None"
		if l.Bias {
			bias = of("bias")
		}
		return w.set("torch.conv2d(%s, %s, %s, [%d, %d], [%d, %d], [1, 1], 1)", x, of("weight"), bias, l.Stride, l.Stride, l.Pad, l.Pad)
	case nn.BatchNorm:
		return w.set("torch.batch_norm(%s, %s, %s, %s, %s, False, %g, %g, False)", x, of("weight"), of("bias"),
			of("running_mean"), of("running_var"), nn.BatchNormMomentum, nn.BatchNormEps)
	case nn.MaxPool:
		return w.set("torch.max_pool2d(%s, [%d, %d], [%d, %d], [%d, %d], [1, 1], False)", x, l.K, l.K, l.Stride, l.Stride, l.Pad, l.Pad)
	case nn.AdaptiveAvg:
		return w.set("torch.adaptive_avg_pool2d(%s, [%d, %d])", x, l.Out, l.Out)
	case nn.Subsample:
		side := (l.Out - in.C) / 2
		x = w.set("torch.slice(torch.slice(%s, 2, 0, %d, %d), 3, 0, %d, %d)", x, in.H, l.Stride, in.W, l.Stride)
		return w.set("torch.constant_pad_nd(%s, [0, 0, 0, 0, %d, %d])", x, side, side)
	}
	panic("torch: no script for layer kind " + string(l.Op))
}

// attribute returns an expression for the tensor of a dotted name. Getattr
// takes parts that are no identifiers: "layer1.0.conv1".
func attribute(name string) string {
	x := "self"
	for part := range strings.SplitSeq(name, ".") {
		x = fmt.Sprintf("getattr(%s, %q)", x, part)
	}
	return x
}
