package scan

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"rarespurious/bridge/onnx"
	"rarespurious/bridge/torch"
	"rarespurious/bridge/weights"
	"rarespurious/nn"
)

// A Kind is what a model's file is.
type Kind string

// The kinds of files.
const (
	ONNX        Kind = "ONNX"
	TorchScript Kind = "TorchScript"
	StateDict   Kind = "state dict" // weights alone; the architecture must be known
)

// Detect says what the file at path is, by its content; ONNX files, which have
// no mark, also by their name.
func Detect(path string) (Kind, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("scan: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.IsDir() {
		return StateDict, err // TensorFlow.js keeps its weights in folders
	}
	head := make([]byte, 4)
	if _, err := io.ReadFull(f, head); err != nil {
		return "", fmt.Errorf("scan: %s: %w", path, err)
	}
	switch {
	case bytes.Equal(head, []byte("PK\x03\x04")):
		if isScript(path) {
			return TorchScript, nil
		}
	case strings.EqualFold(filepath.Ext(path), ".onnx"):
		return ONNX, nil
	}
	return StateDict, nil
}

// isScript reports whether a zip archive holds source code, as TorchScript
// files do and those of torch.save do not.
func isScript(path string) bool {
	z, err := zip.OpenReader(path)
	if err != nil {
		return false
	}
	defer z.Close()
	for _, f := range z.File {
		if _, inside, _ := strings.Cut(f.Name, "/"); strings.HasPrefix(inside, "code/") {
			return true
		}
	}
	return false
}

// A Source says how to open a model's file.
type Source struct {
	Path  string
	Shape nn.Shape // of the images
	Input Input    // of ONNX and TorchScript models
	// Arch is what a state dict's tensors are for; nil if unknown.
	Arch *nn.Arch
	// Runtime opens ONNX Runtime. Where it fails an ONNX model is read as an
	// architecture instead, if that can be done.
	Runtime func() error
}

// ErrArch reports a state dict without an architecture.
var ErrArch = errors.New("scan: the file holds weights only: say with --model which architecture they are for")

// Open opens a model's file. The Model must be used on d's thread.
func Open(d *torch.Device, s Source) (Model, Kind, error) {
	kind, err := Detect(s.Path)
	if err != nil {
		return nil, kind, err
	}
	if err := s.Input.Check(s.Shape); err != nil {
		return nil, kind, err
	}
	var m Model
	switch kind {
	case ONNX:
		m, err = openONNX(d, s)
	case TorchScript:
		m, err = FromScript(d, s.Path, s.Shape, s.Input)
	default:
		m, err = openStateDict(d, s)
	}
	if err != nil {
		return nil, kind, fmt.Errorf("%s: %w", s.Path, err)
	}
	return m, kind, nil
}

func openONNX(d *torch.Device, s Source) (Model, error) {
	missing := s.Runtime()
	if missing == nil {
		return FromONNX(s.Path, s.Shape, s.Input)
	}
	a, theta, buffers, err := onnx.ImportFile(s.Path)
	if err != nil {
		return nil, fmt.Errorf("%w, and without it: %w", missing, err)
	}
	flat := s.Input.Layout == "flat" && a.In.Len() == s.Shape.Len()
	if a.In != s.Shape && !flat || s.Input.Layout == "hwc" {
		return nil, fmt.Errorf("%w, and without it: the model takes %v, the images are %v", missing, a.In, s.Shape)
	}
	m, err := FromArch(d, a, theta, buffers)
	if err != nil {
		return nil, err
	}
	return &prepared{m, s.Shape, s.Input}, nil
}

// prepared standardises a Model's input.
type prepared struct {
	Model
	shape nn.Shape
	in    Input
}

func (m *prepared) Logits(ctx context.Context, x []float32) ([]float32, error) {
	return m.Model.Logits(ctx, m.in.apply(x, m.shape))
}

func openStateDict(d *torch.Device, s Source) (Model, error) {
	f, err := weights.Open(s.Path)
	if err != nil {
		return nil, err
	}
	if s.Arch == nil {
		return nil, ErrArch
	}
	theta, buffers, err := weights.Flatten(*s.Arch, f.Tensors)
	if err != nil {
		return nil, err
	}
	return FromArch(d, *s.Arch, theta, buffers)
}
