package torch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"unsafe"

	"github.com/sugarme/gotch/libtch"
)

// A Script is a model in a TorchScript file, whoever made it, on one device.
//
// Such a file is a program: libtorch interprets it, and its operators can read
// and write files. Open only what comes from somebody you trust.
type Script struct {
	dev    *Device
	module libtch.Cmodule
}

// OpenScript reads the TorchScript file at path, in inference mode. The error
// is libtorch's own if the file is not one.
func OpenScript(d *Device, path string) (s *Script, err error) {
	defer catch(&err)
	if info, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("torch: %w", err) // libtorch's message would not say so
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("torch: %w", &fs.PathError{Op: "open", Path: path, Err: errors.New("not a regular file")})
	}
	m := libtch.AtmLoadOnDevice(path, d.index)
	throwLast()
	libtch.AtmEval(m)
	throwLast()
	return &Script{dev: d, module: m}, nil
}

// Logits runs the model on n examples x of the given sizes, all as one batch,
// and returns its output, row-major, and how many numbers it has for each
// example. The model must return one tensor whose first axis is the batch.
func (s *Script) Logits(x []float32, n int, sizes ...int) (logits []float32, each int, err error) {
	defer catch(&err)
	dims, length := []int64{int64(n)}, n
	for _, k := range sizes {
		dims, length = append(dims, int64(k)), length*k
	}
	if n < 1 || len(x) != length {
		return nil, 0, fmt.Errorf("torch: %d elements are not %d examples of %v", len(x), n, sizes)
	}
	// Its parameters ask for gradients, so every operation would be recorded.
	defer libtch.AtGradSetEnabled(libtch.AtGradSetEnabled(0))
	sc := new(scope)
	defer sc.end()
	in := upload(sc, s.dev, x, dims...)
	out := libtch.AtmForward(s.module, &in, 1)
	throwLast()
	if out == nil {
		panic("torch: forward gave neither a tensor nor an error")
	}
	z := sc.cast(sc.own(out), kindFloat)
	total := 1
	shape := make([]int64, libtch.AtDim(z))
	if len(shape) == 0 {
		return nil, 0, errors.New("torch: the script returned a scalar, want a batch of logits")
	}
	libtch.AtShape(z, unsafe.Pointer(&shape[0]))
	throwLast()
	for _, k := range shape {
		total *= int(k)
	}
	if shape[0] != int64(n) || total == 0 {
		return nil, 0, fmt.Errorf("torch: the script returned shape %v for %d examples", shape, n)
	}
	logits = make([]float32, total)
	sc.floats(z, logits)
	return logits, total / n, nil
}

// Close frees the model. It is safe to call twice.
func (s *Script) Close() error {
	if s.module != nil {
		libtch.AtmFree(s.module)
		s.module = nil
	}
	return nil
}
