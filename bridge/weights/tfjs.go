package weights

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// A TensorFlow.js model is a model.json, whose weightsManifest lists groups of
// tensors, and shards: each group's tensors follow one another in the
// concatenation of the group's shards, little-endian.
//
// Reference: github.com/tensorflow/tfjs, tfjs-core/src/io/types.ts,
// WeightsManifestEntry.
type tfjsModel struct {
	Manifest []struct {
		Paths   []string `json:"paths"`
		Weights []struct {
			Name         string          `json:"name"`
			Shape        []int           `json:"shape"`
			DType        string          `json:"dtype"`
			Quantization json.RawMessage `json:"quantization"`
		} `json:"weights"`
	} `json:"weightsManifest"`
}

var tfjsTypes = map[string]DType{"float32": F32, "int32": I32, "bool": Bool, "complex64": C64}

func isTFJS(b []byte) bool {
	if len(b) == 0 || b[0] != '{' {
		return false
	}
	var model tfjsModel
	return json.Unmarshal(b, &model) == nil && len(model.Manifest) > 0
}

func decodeTFJS(b []byte, root *os.Root) (Dict, error) {
	var model tfjsModel
	if err := json.Unmarshal(b, &model); err != nil {
		return nil, invalid("model.json: %w", err)
	}
	var d Dict
	seen := map[string]bool{}
	for g, group := range model.Manifest {
		size := 0
		first := len(d)
		for _, w := range group.Weights {
			dt, ok := tfjsTypes[w.DType]
			if !ok || len(w.Quantization) > 0 {
				return nil, unsupported("weight %.80q: dtype %.40q, quantization %.40q", w.Name, w.DType, w.Quantization)
			}
			n, err := byteLen(dt, w.Shape)
			if err != nil {
				return nil, fmt.Errorf("weight %.80q: %w", w.Name, err)
			}
			if size += n; size < 0 {
				return nil, invalid("weight %.80q: the group's size overflows", w.Name)
			}
			d = append(d, Tensor{Name: w.Name, DType: dt, Shape: append([]int{}, w.Shape...)})
		}
		var data []byte
		for _, path := range group.Paths {
			path = filepath.Clean(path)
			if seen[path] {
				return nil, invalid("shard %.80q is listed twice", path)
			}
			seen[path] = true
			shard, err := readBeside(root, path)
			if err != nil {
				return nil, fmt.Errorf("shard: %w", err)
			}
			if len(shard) > size-len(data) {
				return nil, invalid("shard %.80q: group %d has more than the %d bytes of its weights", path, g, size)
			}
			data = append(data, shard...)
		}
		if len(data) != size {
			return nil, invalid("group %d has %d bytes, its weights want %d", g, len(data), size)
		}
		for i := range d[first:] {
			t := &d[first+i]
			n, _ := byteLen(t.DType, t.Shape)
			t.Data, data = data[:n:n], data[n:]
		}
	}
	return d, d.Validate()
}
