package train

import (
	"fmt"
	"io"
	"path/filepath"

	"rarespurious/bridge/torch"
	"rarespurious/bridge/weights"
	"rarespurious/experiments/run"
	"rarespurious/nn"
)

// ModelFile is the artifact that a trained model is: a state dict, as PyTorch
// names its tensors.
const ModelFile = "model.safetensors"

func saveModel(dir string, a nn.Arch, theta, buffers []float32, id run.ID) error {
	return weights.Save(filepath.Join(dir, ModelFile), weights.Safetensors, weights.FromFlat(a, theta, buffers),
		map[string]string{"arch": a.Name, "run": id.Full()})
}

// LoadModel returns the flat parameters and buffers of a stored model.
func LoadModel(p run.Parent, a nn.Arch) (theta, buffers []float32, err error) {
	f, err := p.Open(ModelFile)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		return nil, nil, err
	}
	file, err := weights.Decode(b)
	if err != nil {
		return nil, nil, fmt.Errorf("model of run %v: %w", p.Record.ID, err)
	}
	return weights.Flatten(a, file.Tensors)
}

// loadStack returns the model of a stored run as a Stack of one.
func loadStack(d *torch.Device, p run.Parent, t *run.Train) (*torch.Stack, error) {
	theta, buffers, err := LoadModel(p, t.Arch)
	if err != nil {
		return nil, err
	}
	return NewModel(d, t.Arch, theta, buffers)
}

// NewModel returns a Stack of one model with the given parameters and buffers.
func NewModel(d *torch.Device, a nn.Arch, theta, buffers []float32) (*torch.Stack, error) {
	s, err := torch.NewStack(d, a, 1, torch.StackOptions{})
	if err != nil {
		return nil, err
	}
	if err := s.Load(theta, buffers); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}
