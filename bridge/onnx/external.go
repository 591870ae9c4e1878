package onnx

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"rarespurious/bridge/onnx/onnxpb"
)

// readFile parses the model at path and brings its external data into it.
func readFile(path string) (*onnxpb.ModelProto, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("onnx: %w", err)
	}
	if info.Size() > math.MaxInt32 {
		return nil, fmt.Errorf("%s: %w", path, ErrTooLarge)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("onnx: %w", err)
	}
	m, err := decode(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("onnx: %w", err)
	}
	defer root.Close()
	e := external{root: root, seen: map[string]bool{}}
	for _, t := range m.GetGraph().GetInitializer() {
		if t.GetDataLocation() != onnxpb.TensorProto_EXTERNAL {
			continue
		}
		if err := e.load(t); err != nil {
			return nil, fmt.Errorf("%s: external data of tensor %.80q: %w", path, t.GetName(), err)
		}
	}
	return m, nil
}

// external reads tensors from files at or below root, and never more bytes
// than these files have together.
type external struct {
	root   *os.Root
	seen   map[string]bool // by name
	budget int64
}

// load moves t's elements into t.
func (e *external) load(t *onnxpb.TensorProto) error {
	if len(t.GetRawData()) > 0 || len(t.GetFloatData()) > 0 {
		return fmt.Errorf("%w: has data of its own besides", ErrFormat)
	}
	location, offset, length := "", int64(0), int64(-1)
	for _, p := range t.GetExternalData() {
		var err error
		switch p.GetKey() {
		case "location":
			location = p.GetValue()
		case "offset":
			offset, err = strconv.ParseInt(p.GetValue(), 10, 64)
		case "length":
			length, err = strconv.ParseInt(p.GetValue(), 10, 64)
		}
		if err != nil {
			return fmt.Errorf("%w: %.80s %.80q", ErrFormat, p.GetKey(), p.GetValue())
		}
	}
	f, size, err := e.open(location)
	if err != nil {
		return err
	}
	defer f.Close()
	if length < 0 {
		length = size - offset
	}
	if offset < 0 || length < 0 || offset > size || length > size-offset {
		return fmt.Errorf("%w: bytes %d to %d+%d of %.80q, which has %d", ErrFormat, offset, offset, length, location, size)
	}
	if e.budget -= length; e.budget < 0 {
		return fmt.Errorf("%w: tensors share bytes of %.80q", ErrFormat, location)
	}
	raw := make([]byte, length)
	if _, err := io.ReadFull(io.NewSectionReader(f, offset, length), raw); err != nil {
		return fmt.Errorf("%.80q: %w", location, err)
	}
	t.RawData, t.DataLocation, t.ExternalData = raw, nil, nil
	return nil
}

// open returns a regular file and its size. The root keeps out names and links
// that lead elsewhere.
func (e *external) open(location string) (*os.File, int64, error) {
	if !filepath.IsLocal(location) || strings.ContainsAny(location, "\\:\x00") {
		return nil, 0, fmt.Errorf("%w: location %.80q is not below the model's folder", ErrFormat, location)
	}
	location = filepath.Clean(location)
	info, err := e.root.Stat(location)
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() { // opening a named pipe would wait for its writer
		return nil, 0, fmt.Errorf("%w: %.80q is not a file", ErrFormat, location)
	}
	if !e.seen[location] {
		e.seen[location] = true
		e.budget += info.Size()
	}
	f, err := e.root.Open(location)
	return f, info.Size(), err
}
