package ort_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"rarespurious/bridge/onnx"
	"rarespurious/bridge/onnx/onnxpb"
	"rarespurious/bridge/onnx/ort"
	"rarespurious/nn"
)

// open loads ONNX Runtime from where RSC_ONNXRUNTIME says, or else from the
// cache that scripts/onnxruntime.sh is usually given. Only in the latter case
// may it be missing, since it is optional; the test then says so.
func open(t *testing.T) {
	t.Helper()
	path, given := os.LookupEnv("RSC_ONNXRUNTIME")
	if !given {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Skipf("not run: no RSC_ONNXRUNTIME and no user cache: %v", err)
		}
		path = filepath.Join(cache, "rarespurious", "onnxruntime", "libonnxruntime.so.1.24.4")
		if _, err := os.Stat(path); err != nil {
			t.Skipf("not run: ONNX Runtime is not there (%v); get it with scripts/onnxruntime.sh", err)
		}
	}
	if err := ort.Open(path); err != nil {
		t.Fatal(err)
	}
}

// random fills θ and buffers so that activations stay near 1.
func random(a nn.Arch) (theta, buffers []float32) {
	rng := rand.New(rand.NewPCG(3, 4))
	theta = make([]float32, a.NumParams())
	for _, p := range a.Params() {
		fan := p.Len / p.Shape[0]
		for i := range p.Len {
			theta[p.Offset+i] = float32(rng.NormFloat64() / math.Sqrt(float64(fan)))
		}
	}
	buffers = make([]float32, a.NumBuffers())
	for i := range buffers {
		buffers[i] = rng.Float32() + 0.5
	}
	return theta, buffers
}

func write(t *testing.T, a nn.Arch, theta, buffers []float32) string {
	t.Helper()
	var b bytes.Buffer
	if err := onnx.Export(&b, a, theta, buffers, onnx.Meta{RunID: "0123", Dataset: "toy"}); err != nil {
		t.Fatal(err)
	}
	return writeFile(t, b.Bytes())
}

func writeFile(t *testing.T, model []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.onnx")
	if err := os.WriteFile(path, model, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func session(t *testing.T, path string, o ort.Options) *ort.Session {
	t.Helper()
	s, err := ort.NewSession(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func examples(n int, s nn.Shape) []float32 {
	rng := rand.New(rand.NewPCG(5, 6))
	x := make([]float32, n*s.Len())
	for i := range x {
		x[i] = rng.Float32()
	}
	return x
}

// ONNX Runtime gives an exported model the logits of its definition, for
// every layer kind and every way in which Export writes it.
func TestLogits(t *testing.T) {
	open(t)
	flatten, fc := nn.Layer{Op: nn.Flatten}, nn.Layer{Op: nn.Linear, Name: "fc", Out: 3}
	conv := func(name string, out, k, stride, pad int, bias bool) nn.Layer {
		return nn.Layer{Op: nn.Conv, Name: name, Out: out, K: k, Stride: stride, Pad: pad, Bias: bias}
	}
	norm := func(name string) nn.Layer { return nn.Layer{Op: nn.BatchNorm, Name: name} }
	pool := func(out int) nn.Layer { return nn.Layer{Op: nn.AdaptiveAvg, Out: out} }
	relu := nn.Layer{Op: nn.ReLU}
	archs := []nn.Arch{}
	for name, ls := range map[string][]nn.Layer{
		"linear":    {flatten, fc},
		"conv":      {conv("a", 3, 3, 1, 1, true), relu, conv("b", 4, 3, 2, 0, false), flatten, fc},
		"norm":      {conv("a", 3, 3, 1, 1, false), norm("bn"), relu, flatten, norm("bn1d"), fc},
		"dropout":   {flatten, {Op: nn.Dropout, Rate: 0.9}, fc},
		"maxpool":   {conv("a", 3, 3, 1, 1, true), {Op: nn.MaxPool, K: 3, Stride: 2, Pad: 1}, flatten, fc},
		"global":    {pool(1), fc},
		"expand":    {conv("a", 4, 7, 1, 0, false), pool(3), flatten, fc},
		"same":      {pool(7), flatten, fc},
		"overlap":   {pool(3), flatten, fc},
		"enlarge":   {pool(10), flatten, fc},
		"divide":    {conv("a", 4, 2, 1, 0, false), pool(2), flatten, fc},
		"subsample": {{Op: nn.Subsample, Out: 6, Stride: 2}, flatten, fc},
		"stride":    {{Op: nn.Subsample, Out: 2, Stride: 3}, flatten, fc},
		"channels":  {{Op: nn.Subsample, Out: 4, Stride: 1}, flatten, fc},
		"residual": {{Op: nn.Residual,
			Body: []nn.Layer{conv("a", 4, 3, 2, 1, false), norm("bn"), {Op: nn.Residual, Body: []nn.Layer{relu}}},
			Skip: []nn.Layer{{Op: nn.Subsample, Out: 4, Stride: 2}}}, flatten, fc},
		"implicit": {pool(1), fc, conv("a", 2, 1, 1, 0, true), {Op: nn.Residual, Skip: []nn.Layer{{Op: nn.Linear, Name: "b", Out: 2}}}, {Op: nn.Linear, Name: "c", Out: 3}},
	} {
		archs = append(archs, nn.Arch{
			Name: name, In: nn.Shape{C: 2, H: 7, W: 7}, Classes: 3, Layers: ls,
			Mean: []float32{0.3, 0.6}, Std: []float32{0.5, 0.2},
		})
	}
	archs = append(archs, nn.Arch{Name: "wide", In: nn.Shape{C: 1, H: 6, W: 4}, Classes: 3, Layers: []nn.Layer{pool(3), pool(2), flatten, fc}})
	for _, name := range []string{"mlp-small", "cnn", "resnet8"} {
		a, err := nn.New(name, nn.Shape{C: 3, H: 20, W: 20}, 10)
		if err != nil {
			t.Fatal(err)
		}
		archs = append(archs, a)
	}
	for _, a := range archs {
		t.Run(a.Name, func(t *testing.T) {
			theta, buffers := random(a)
			s := session(t, write(t, a, theta, buffers), ort.Options{Batch: 2})
			const n = 3
			x := examples(n, a.In)
			got, err := s.Run(t.Context(), x)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != n*a.Classes || s.Classes() != a.Classes {
				t.Fatalf("%d logits and %d classes, want %d and %d", len(got), s.Classes(), n*a.Classes, a.Classes)
			}
			for i := range n {
				want := forward(a, theta, buffers, x[i*a.In.Len():(i+1)*a.In.Len()])
				for c, w := range want {
					if g := float64(got[i*a.Classes+c]); math.Abs(g-w) > 1e-5*max(1, math.Abs(w)) {
						t.Errorf("example %d, class %d: logit %g, want %g", i, c, g, w)
					}
				}
			}
		})
	}
}

func TestSession(t *testing.T) {
	open(t)
	a := nn.Zoo["linear"](nn.Shape{C: 1, H: 2, W: 2}, 3)
	theta, buffers := random(a)
	path := write(t, a, theta, buffers)
	s := session(t, path, ort.Options{Batch: 4})
	if got, want := s.Info().Meta, (onnx.Meta{RunID: "0123", Dataset: "toy"}); !cmp.Equal(got, want) {
		t.Errorf("metadata %+v, want %+v", got, want)
	}
	if s.Len() != 4 {
		t.Errorf("examples of %d, want 4", s.Len())
	}
	x := examples(9, a.In)
	all, err := s.Run(t.Context(), x)
	if err != nil {
		t.Fatal(err)
	}
	if none, err := s.Run(t.Context(), nil); err != nil || len(none) != 0 {
		t.Errorf("no examples give %v, %v", none, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Run(ctx, x); !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v, want context.Canceled", err)
	}
	if err := ort.Open("elsewhere.so"); !errors.Is(err, ort.ErrLibrary) {
		t.Errorf("Open of a second library = %v, want ErrLibrary", err)
	}

	var group errgroup.Group
	for range 4 {
		group.Go(func() error {
			same, err := s.Run(t.Context(), x)
			if err == nil && !slices.Equal(same, all) {
				err = errors.New("a run beside others gives other logits")
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}

	// A model made for batches of exactly two gives the same, also for the
	// odd one.
	fixed := edit(t, path, func(m *onnxpb.ModelProto) { size(m, 0, 2) })
	pairs, err := session(t, fixed, ort.Options{}).Run(t.Context(), x)
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		if math.Abs(float64(all[i]-pairs[i])) > 1e-6 {
			t.Errorf("logit %d: %g in fours, %g in twos", i, all[i], pairs[i])
		}
	}

	// Open sizes must be said.
	vague := edit(t, path, func(m *onnxpb.ModelProto) { size(m, 3, -1) })
	if _, err := ort.NewSession(vague, ort.Options{}); !errors.Is(err, ort.ErrModel) {
		t.Errorf("NewSession = %v, want ErrModel", err)
	}
	if _, err := ort.NewSession(vague, ort.Options{Example: []int{1, 3, 2}}); !errors.Is(err, ort.ErrModel) {
		t.Errorf("NewSession = %v, want ErrModel", err)
	}
	again, err := session(t, vague, ort.Options{Example: []int{1, 2, 2}, Threads: 2}).Run(t.Context(), x)
	if err != nil || !slices.Equal(all[:3], again[:3]) && math.Abs(float64(all[0]-again[0])) > 1e-6 {
		t.Errorf("Run = %v, %v, want %v", again, err, all)
	}
}

// edit writes a changed copy of the model at path.
func edit(t *testing.T, path string, change func(*onnxpb.ModelProto)) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m := new(onnxpb.ModelProto)
	if err := proto.Unmarshal(b, m); err != nil {
		t.Fatal(err)
	}
	change(m)
	if b, err = proto.Marshal(m); err != nil {
		t.Fatal(err)
	}
	return writeFile(t, b)
}

// size sets one size of the input, -1 to open.
func size(m *onnxpb.ModelProto, axis int, n int64) {
	d := m.Graph.Input[0].Type.GetTensorType().Shape.Dim[axis]
	if d.Value = (&onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: n}); n < 0 {
		d.Value = &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: "open"}
	}
}

// Models that cannot run give errors that say which and why.
func TestBadModels(t *testing.T) {
	open(t)
	a := nn.Zoo["linear"](nn.Shape{C: 1, H: 2, W: 2}, 3)
	theta, buffers := random(a)
	path := write(t, a, theta, buffers)
	if _, err := ort.NewSession(filepath.Join(t.TempDir(), "none.onnx"), ort.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v, want ErrNotExist", err)
	}
	if _, err := ort.NewSession(writeFile(t, []byte("not a model")), ort.Options{}); !errors.Is(err, onnx.ErrFormat) {
		t.Errorf("text: %v, want ErrFormat", err)
	}
	for name, change := range map[string]func(*onnxpb.ModelProto){
		"unknown operator": func(m *onnxpb.ModelProto) { m.Graph.Node[0].OpType = proto.String("Flat") },
		"a newer IR":       func(m *onnxpb.ModelProto) { m.IrVersion = proto.Int64(99) },
		"two inputs":       func(m *onnxpb.ModelProto) { m.Graph.Input = append(m.Graph.Input, m.Graph.Input[0]) },
		"no output":        func(m *onnxpb.ModelProto) { m.Graph.Output = nil },
		"other sizes":      func(m *onnxpb.ModelProto) { size(m, 2, 5) },
		"an empty size":    func(m *onnxpb.ModelProto) { size(m, 2, 0) },
		"an empty batch":   func(m *onnxpb.ModelProto) { size(m, 0, 0) },
		"a vast size":      func(m *onnxpb.ModelProto) { size(m, 2, math.MaxInt64) },
	} {
		if s, err := ort.NewSession(edit(t, path, change), ort.Options{}); !errors.Is(err, ort.ErrModel) {
			t.Errorf("%s: %v, %v, want ErrModel", name, s, err)
		}
	}
}

// Without the library there is an error, before and after one was opened.
func TestNoLibrary(t *testing.T) {
	err := ort.Open(filepath.Join(t.TempDir(), "libonnxruntime.so"))
	if !errors.Is(err, ort.ErrLibrary) {
		t.Errorf("Open = %v, want ErrLibrary", err)
	}
}
