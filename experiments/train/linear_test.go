package train_test

import (
	"math"
	"testing"

	"rarespurious/analysis/theory"
	"rarespurious/experiments/run"
	"rarespurious/nn"
)

// The linear model, trained by gradient descent on samples, arrives at Theorem
// 1, without and with noise on its inputs: the whole chain from a Step to a
// Record against a closed form.
func TestTheoremOneIsWhatIsTrained(t *testing.T) {
	m := theory.Model{Gamma: 0.2, VarInv: 0.5, VarSp: 0.1, Norm2Inv: 1, Norm2Sp: 5}
	noises := []float64{0, 0.3}
	var steps []run.Step
	for _, q := range noises {
		s := run.Step{Train: &run.Train{
			Data: run.Data{Name: "linear", Seed: 7, Linear: run.Linear{Gamma: m.Gamma, VarInv: m.VarInv, VarSp: m.VarSp,
				Norm2Inv: m.Norm2Inv, Norm2Sp: m.Norm2Sp, Dim: 2, Examples: 40000}},
			Arch: nn.LinearModel(nn.Shape{C: 4, H: 1, W: 1}, 2), Loss: "squared",
			Optimizer: "sgd", LR: 0.03, Momentum: 0.9, Batch: 500, Epochs: 12, Milestones: []int{8, 10}, Gamma: 0.1, Noise: math.Sqrt(q), Seed: 7,
		}}
		steps = append(steps, run.Step{From: []run.Step{s}, Score: &run.Score{Measure: "linear"}})
	}
	for i, r := range sweep(t, options(t), steps...) {
		m.Noise = noises[i]
		want, err := m.Solve()
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range []struct {
			name string
			of   theory.Quantity
		}{{"u", theory.WeightInv}, {"v", theory.WeightSp}, {"b", theory.Bias}, {"clean_accuracy", theory.CleanAccuracy},
			{"spurious_accuracy", theory.SpuriousAccuracy}, {"difference", theory.Difference}} {
			got, ok := r.Values["linear_"+v.name]
			if !ok || math.Abs(got-want.Value(v.of)) > 0.02 {
				t.Errorf("noise of variance %g: %v is %g, the theorem says %g", m.Noise, v.of, got, want.Value(v.of))
			}
		}
	}
}
