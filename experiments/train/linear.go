package train

import (
	"fmt"
	"math"

	"rarespurious/analysis/theory"
	"rarespurious/bridge/torch"
	"rarespurious/experiments/dataset"
	"rarespurious/experiments/run"
	"rarespurious/nn"
)

// linearTests is how many test examples of the linear model are drawn: they are
// for the log alone, since the measure "linear" is exact.
const linearTests = 1000

// linearSource draws the examples that d.Linear describes; class 1 is the
// target, y = +1.
func linearSource(dev *torch.Device, d run.Data) (*source, error) {
	m := linearModel(d.Linear)
	if err := m.Validate(); err != nil {
		return nil, err
	}
	if d.Linear.Dim < 1 || d.Linear.Examples < 2 {
		return nil, fmt.Errorf("train: %d examples of a linear model in 2·%d dimensions", d.Linear.Examples, d.Linear.Dim)
	}
	shape := nn.Shape{C: 2 * d.Linear.Dim, H: 1, W: 1}
	src := &source{set: &dataset.Set{Name: d.Name, Shape: shape, Classes: []string{"-1", "+1"}}}
	draw := func(of theory.Distribution, n int, part *dataset.Part) (*torch.Data, error) {
		x, labels := m.Sample(of, n, d.Linear.Dim, uint64(d.Seed))
		for _, y := range labels {
			part.Labels = append(part.Labels, uint8((y+1)/2))
		}
		return torch.NewFloatData(dev, shape, x, part.Labels)
	}
	var err error
	if src.train, err = draw(theory.Training, d.Linear.Examples, &src.set.Train); err != nil {
		return nil, err
	}
	if src.test, err = draw(theory.CleanTest, linearTests, &src.set.Test); err != nil {
		src.train.Close()
		return nil, err
	}
	return src, nil
}

func linearModel(l run.Linear) theory.Model {
	return theory.Model{Gamma: l.Gamma, VarInv: l.VarInv, VarSp: l.VarSp, Norm2Inv: l.Norm2Inv, Norm2Sp: l.Norm2Sp}
}

// linear measures a linear network of two classes as the classifier sign(w·x+b)
// that the difference of its logits is: the six quantities of package theory,
// exactly, from its parameters. Its test data carry no noise, whatever its
// training had.
func linear(m *measuring) (map[string]float64, error) {
	l := m.model.Data.Linear
	if m.model.Arch.Name != "linear" || m.model.Arch.Classes != 2 || l == (run.Linear{}) {
		return nil, fmt.Errorf("train: the measure linear is of a linear network of two classes, trained on the linear model's examples")
	}
	theta, _, err := m.stack.Save()
	if err != nil {
		return nil, err
	}
	dim := 2 * l.Dim
	w := make([]float64, dim)
	for j := range w {
		w[j] = float64(theta[dim+j]) - float64(theta[j])
	}
	s := linearModel(l).Evaluate(w, float64(theta[2*dim+1])-float64(theta[2*dim]))
	if math.IsNaN(s.CleanAccuracy) {
		return nil, fmt.Errorf("train: the classifier is 0 everywhere")
	}
	return map[string]float64{"linear_u": s.U, "linear_v": s.V, "linear_b": s.B,
		"linear_clean_accuracy": s.CleanAccuracy, "linear_spurious_accuracy": s.SpuriousAccuracy,
		"linear_difference": s.Difference}, nil
}
