package train

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"rarespurious/analysis/metric"
	"rarespurious/bridge/torch"
	"rarespurious/experiments/mt19937"
	"rarespurious/experiments/pattern"
	"rarespurious/nn"
)

// Files that measures leave beside their Record.
const (
	// IndicatorFile has one bit per test image, the first in the lowest bit of
	// the first byte: whether the spurious score counts it.
	IndicatorFile = "indicator.bits"
	// ImportanceFile has one little-endian float32 per input element, row-major.
	ImportanceFile = "importance.f32"
)

func writeBits(dir string, indicator []float64) error {
	b := make([]byte, (len(indicator)+7)/8)
	for i, v := range indicator {
		if v != 0 {
			b[i/8] |= 1 << (i % 8)
		}
	}
	return os.WriteFile(filepath.Join(dir, IndicatorFile), b, 0o666)
}

// importance measures, per input element, the largest of its outgoing weights
// in the first layer. The maximum is signed, as the paper's figures have it;
// the file holds it, and a second half with the largest magnitude.
func importance(m *measuring) (map[string]float64, error) {
	theta, _, err := m.stack.Save()
	if err != nil {
		return nil, err
	}
	first := m.model.Arch.Params()[0]
	in := m.model.Arch.In.Len()
	if len(first.Shape) != 2 || first.Shape[1] != in {
		return nil, fmt.Errorf("train: importance needs a network whose first layer is linear, not %s", m.model.Arch.Name)
	}
	signed, magnitude := make([]float32, in), make([]float32, in)
	for i := range signed {
		signed[i] = float32(math.Inf(-1))
	}
	for j, w := range theta[first.Offset : first.Offset+first.Len] {
		i := j % in
		signed[i] = max(signed[i], w)
		magnitude[i] = max(magnitude[i], w, -w)
	}
	both := append(signed, magnitude...)
	b := make([]byte, 0, 4*len(both))
	var low, high float64 = math.Inf(1), math.Inf(-1)
	for i, v := range both {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		if i < in {
			low, high = min(low, float64(v)), max(high, float64(v))
		}
	}
	return map[string]float64{"importance_min": low, "importance_max": high},
		os.WriteFile(filepath.Join(m.job.Dir, ImportanceFile), b, 0o666)
}

// Shares of pixels that the sensitivity measure removes: 0, 1/50, …, 1.
const removalSteps = 50

// sensitivity measures the mean probability of the true class of training
// images of which a share of the pixels is blackened: values
// sensitivity_00 … sensitivity_50. Size images are drawn by numpy's generator
// with seed 0; the paper uses 500.
func sensitivity(m *measuring) (map[string]float64, error) {
	set := m.src.set
	picked := set.Train.Gather(mt19937.New(0).Choice(set.Train.Len(), min(m.score.Size, set.Train.Len())), set.Shape.Len())
	removal := pattern.NewRemoval(picked.Images, set.Shape, m.score.Upstream)
	v := map[string]float64{}
	for j := range removalSteps + 1 {
		p, err := m.of(set.Shape, removal.At(float64(j)/removalSteps), picked.Labels)
		if err != nil {
			return nil, err
		}
		v[fmt.Sprintf("sensitivity_%02d", j)] = metric.TrueClass(p, picked.Labels)
	}
	return v, nil
}

// of returns the model's probabilities for images that are not on the device.
func (m *measuring) of(s nn.Shape, images, labels []uint8) (metric.Probs, error) {
	data, err := torch.NewData(m.d, s, images, labels)
	if err != nil {
		return metric.Probs{}, err
	}
	defer data.Close()
	return m.probabilities(data, nil, nil)
}
