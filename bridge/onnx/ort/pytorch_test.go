package ort_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rarespurious/bridge/onnx"
	"rarespurious/bridge/onnx/ort"
)

// What PyTorch's exporters write of a network comes in as an architecture with
// PyTorch's logits, and ONNX Runtime agrees. The files are made by
// scripts/reference/onnx_pytorch.py.
func TestPyTorch(t *testing.T) {
	models, err := filepath.Glob("testdata/*.onnx")
	if err != nil || len(models) != 9 {
		t.Fatalf("%d models, %v; want 9", len(models), err)
	}
	for _, path := range models {
		name := strings.TrimSuffix(filepath.Base(path), ".onnx")
		t.Run(name, func(t *testing.T) {
			net, _, _ := strings.Cut(name, "-")
			b, err := os.ReadFile(filepath.Join("testdata", net+".json"))
			if err != nil {
				t.Fatal(err)
			}
			var want struct{ X, Logits []float32 }
			if err := json.Unmarshal(b, &want); err != nil {
				t.Fatal(err)
			}
			a, theta, buffers, err := onnx.ImportFile(path)
			if err != nil {
				t.Fatal(err)
			}
			n := a.In.Len()
			var got []float64
			for i := range len(want.X) / n {
				got = append(got, forward(a, theta, buffers, want.X[i*n:(i+1)*n])...)
			}
			near(t, "imported", got, want.Logits)

			open(t)
			logits, err := session(t, path, ort.Options{}).Run(t.Context(), want.X)
			if err != nil {
				t.Fatal(err)
			}
			got = got[:0]
			for _, x := range logits {
				got = append(got, float64(x))
			}
			near(t, "run", got, want.Logits)
		})
	}
}

func near(t *testing.T, how string, got []float64, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d logits, want %d", how, len(got), len(want))
	}
	for i, w := range want {
		if math.Abs(got[i]-float64(w)) > 1e-5 {
			t.Errorf("%s: logit %d is %g, want %g", how, i, got[i], w)
		}
	}
}
