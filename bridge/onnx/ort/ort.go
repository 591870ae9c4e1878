// Package ort runs ONNX models, ours and anyone's, with ONNX Runtime.
//
// The runtime is a shared library that is opened while the program runs:
// building needs cgo but no ONNX Runtime. scripts/onnxruntime.sh fetches the
// version that the project is tested with.
package ort

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	runtime "github.com/yalue/onnxruntime_go"

	"rarespurious/bridge/onnx"
)

// Errors that this package wraps.
var (
	ErrLibrary = errors.New("ort: ONNX Runtime is not available")
	ErrModel   = errors.New("ort: the model cannot be run on images")
)

// The library of the process: the wrapper knows only one and must not be
// initialised twice.
var library struct {
	sync.Mutex
	path string // "" until one is open
}

// Open loads ONNX Runtime, version 1.24 or newer, from the shared library at
// path. It has to succeed once before [NewSession]; after that it accepts only
// the same path again. Errors wrap [ErrLibrary]. The library stays loaded
// until the process ends.
func Open(path string) error {
	library.Lock()
	defer library.Unlock()
	if library.path != "" {
		if path != library.path {
			return fmt.Errorf("%w: %s is loaded already, not %s", ErrLibrary, library.path, path)
		}
		return nil
	}
	// An error of the dynamic loader would not say that a file is missing.
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("%w: %w", ErrLibrary, err)
	}
	runtime.SetSharedLibraryPath(path)
	// Errors come back as values; the runtime need not print them too.
	if err := runtime.InitializeEnvironment(runtime.WithLogLevelFatal()); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrLibrary, path, err)
	}
	library.path = path
	return nil
}

// Version returns the loaded library's version, "" if there is none.
func Version() string {
	library.Lock()
	defer library.Unlock()
	if library.path == "" {
		return ""
	}
	return runtime.GetVersion()
}

// Options change how a Session runs. The zero value is a good choice.
type Options struct {
	Threads int // inside one operator; 0 is 1, since runs beside each other use the cores better
	Batch   int // examples at a time, if the model leaves it open; 0 is 64
	// Example replaces the sizes of one example, without the batch, where the
	// model leaves some of them open. It must agree with those it fixes.
	Example []int
}

// A Session is a model ready to run. It may be used by several goroutines.
type Session struct {
	info    onnx.Info
	session *runtime.DynamicAdvancedSession
	example []int64
	batch   int
	fixed   bool // the model takes exactly batch examples
	classes int
}

// NewSession prepares the model file at path, whose weights may lie in files
// beside it. The model needs one input of 32-bit floats whose first axis is
// the batch; its first output gives the logits. It is run once, on zeros, so
// that a model that cannot run fails here. The caller must Close the Session.
//
// Errors wrap [ErrModel], [ErrLibrary] or [onnx.ErrFormat].
func NewSession(path string, o Options) (*Session, error) {
	if Version() == "" {
		return nil, fmt.Errorf("%w: no library was opened", ErrLibrary)
	}
	model, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("ort: %w", err)
	}
	s := new(Session)
	if s.info, err = onnx.Inspect(model); err != nil {
		return nil, fmt.Errorf("ort: %s: %w", path, err)
	}
	if err := s.shape(o); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrModel, path, err)
	}
	if err := s.load(path, o.Threads); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrModel, path, err)
	}
	size := s.Len()
	if s.fixed {
		size *= s.batch
	}
	logits, err := s.runBatch(make([]float32, size))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s: %w", ErrModel, path, err), s.Close())
	}
	s.classes = len(logits) / (size / s.Len())
	return s, nil
}

// shape decides on the batch and the sizes of one example.
func (s *Session) shape(o Options) error {
	if len(s.info.Inputs) != 1 || len(s.info.Outputs) == 0 {
		return fmt.Errorf("%d inputs and %d outputs, want 1 and at least 1", len(s.info.Inputs), len(s.info.Outputs))
	}
	in := s.info.Inputs[0]
	if !in.Float || len(in.Shape) < 2 {
		return fmt.Errorf("input %.80q has shape %v; want a batch of examples in 32-bit floats", in.Name, in.Shape)
	}
	s.example = slices.Clone(in.Shape[1:])
	if o.Example != nil {
		if len(o.Example) != len(s.example) {
			return fmt.Errorf("input %.80q has shape %v, examples of %v were asked for", in.Name, in.Shape, o.Example)
		}
		for i, n := range o.Example {
			if s.example[i] >= 0 && s.example[i] != int64(n) {
				return fmt.Errorf("input %.80q has shape %v, examples of %v were asked for", in.Name, in.Shape, o.Example)
			}
			s.example[i] = int64(n)
		}
	}
	size := 1.
	for _, n := range s.example {
		if n < 1 {
			return fmt.Errorf("input %.80q has shape %v; say which sizes the open ones (-1) have", in.Name, in.Shape)
		}
		size *= float64(n)
	}
	if s.batch = o.Batch; s.batch == 0 {
		s.batch = 64
	}
	if n := in.Shape[0]; n >= 0 {
		s.batch, s.fixed = int(n), true
	}
	const most = 1 << 28 // floats, 1 GiB
	if s.batch < 1 || float64(s.batch)*size > most {
		return fmt.Errorf("input %.80q has shape %v, of which a batch is %d", in.Name, in.Shape, s.batch)
	}
	return nil
}

func (s *Session) load(path string, threads int) error {
	o, err := runtime.NewSessionOptions()
	if err != nil {
		return err
	}
	defer o.Destroy()
	// Idle threads would spin, and the arena would keep the memory of the
	// largest batch for as long as the session lives.
	err = errors.Join(
		o.SetIntraOpNumThreads(max(threads, 1)),
		o.SetInterOpNumThreads(1),
		o.AddSessionConfigEntry("session.intra_op.allow_spinning", "0"),
		o.SetCpuMemArena(false),
		o.SetMemPattern(false),
		o.SetLogSeverityLevel(runtime.LoggingLevelFatal),
	)
	if err != nil {
		return err
	}
	s.session, err = runtime.NewDynamicAdvancedSession(path,
		[]string{s.info.Inputs[0].Name}, []string{s.info.Outputs[0].Name}, o)
	return err
}

// Close frees the model. No Run may be under way.
func (s *Session) Close() error { return s.session.Destroy() }

// Info returns what the model's file says about itself.
func (s *Session) Info() onnx.Info { return s.info }

// Len reports the number of elements of one example.
func (s *Session) Len() int {
	n := 1
	for _, d := range s.example {
		n *= int(d)
	}
	return n
}

// Classes reports the number of logits of one example.
func (s *Session) Classes() int { return s.classes }

// Run returns the (N, classes) logits of the N examples x, which are row-major
// in the layout of the model's input. It stops between batches when ctx is
// done. Run panics if x is not a whole number of examples.
func (s *Session) Run(ctx context.Context, x []float32) ([]float32, error) {
	size := s.Len()
	if len(x)%size != 0 {
		panic(fmt.Sprintf("ort: %d elements are not a whole number of examples of %d", len(x), size))
	}
	n := len(x) / size
	logits := make([]float32, 0, n*s.classes)
	for lo := 0; lo < n; lo += s.batch {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		hi := min(lo+s.batch, n)
		batch := x[lo*size : hi*size]
		if s.fixed && hi-lo < s.batch { // filled up with zeros
			batch = append(make([]float32, 0, s.batch*size), batch...)[:s.batch*size]
		}
		out, err := s.runBatch(batch)
		if err != nil {
			return nil, fmt.Errorf("ort: examples %d to %d: %w", lo, hi-1, err)
		}
		if len(out) != len(batch)/size*s.classes {
			return nil, fmt.Errorf("ort: examples %d to %d: %d logits, want %d each", lo, hi-1, len(out), s.classes)
		}
		logits = append(logits, out[:(hi-lo)*s.classes]...)
	}
	return logits, nil
}

// runBatch runs the model on x as one batch.
func (s *Session) runBatch(x []float32) ([]float32, error) {
	n := int64(len(x) / s.Len())
	in, err := runtime.NewTensor(append(runtime.Shape{n}, s.example...), x)
	if err != nil {
		return nil, err
	}
	defer in.Destroy() // also keeps x reachable while C reads it
	out := []runtime.Value{nil}
	if err := s.session.Run([]runtime.Value{in}, out); err != nil {
		return nil, err
	}
	defer out[0].Destroy()
	t, ok := out[0].(*runtime.Tensor[float32])
	if !ok {
		return nil, fmt.Errorf("output %.80q does not hold 32-bit floats", s.info.Outputs[0].Name)
	}
	if shape := t.GetShape(); len(shape) < 2 || shape[0] != n {
		return nil, fmt.Errorf("output %.80q has shape %v for %d examples; want (%[3]d, classes)", s.info.Outputs[0].Name, shape, n)
	}
	return slices.Clone(t.GetData()), nil
}
