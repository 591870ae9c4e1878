package onnx

import (
	"bytes"
	"errors"
	"testing"

	"rarespurious/bridge/onnx/onnxpb"
)

// 2100 views of one mebibyte are too large for a file, and nothing is written.
func TestTooLarge(t *testing.T) {
	data := make([]float32, 1<<18)
	var ws []weight
	for range 2100 {
		ws = append(ws, weight{name: "w", dims: []int64{1 << 18}, data: data})
	}
	var b bytes.Buffer
	err := writeModel(&b, new(onnxpb.ModelProto), new(onnxpb.GraphProto), ws)
	if !errors.Is(err, ErrTooLarge) || b.Len() != 0 {
		t.Errorf("writeModel = %v after %d bytes, want ErrTooLarge after none", err, b.Len())
	}
}

// The rows of an averaging matrix are PyTorch's adaptive windows.
func TestAveraging(t *testing.T) {
	third, half := float32(1)/3, float32(0.5)
	for _, tt := range []struct {
		in, out int
		want    []float32
	}{
		{4, 2, []float32{half, half, 0, 0, 0, 0, half, half}},
		{5, 2, []float32{third, third, third, 0, 0, 0, 0, third, third, third}},
		{2, 3, []float32{1, 0, half, half, 0, 1}},
	} {
		got := averaging(tt.in, tt.out)
		for i := range tt.want {
			if len(got) != len(tt.want) || got[i] != tt.want[i] {
				t.Errorf("averaging(%d, %d) = %v, want %v", tt.in, tt.out, got, tt.want)
				break
			}
		}
	}
}
