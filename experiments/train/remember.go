package train

import (
	"fmt"
	"math"

	"rarespurious/analysis/membership"
	"rarespurious/bridge/torch"
	"rarespurious/experiments/pattern"
)

// remembered measures whether a model still knows the poisoned examples from
// images that it never saw: deleted_auc is the probability that one of them has
// higher log-odds of the target class than a test image of that class with the
// same pattern. It is .5 for a model that never saw them, and after a deletion
// that is complete. It is an attack by a threshold, without a shadow model.
//
// Reference: Yeom, Giacomelli, Fredrikson and Jha, "Privacy Risk in Machine
// Learning: Analyzing the Connection to Overfitting", CSF 2018, section 3.
func remembered(m *measuring) (map[string]float64, error) {
	set, poison := m.src.set, m.model.Poison
	if poison.Count == 0 {
		return nil, fmt.Errorf("train: no examples were poisoned, so none can be remembered")
	}
	o, err := overlay(set, poison)
	if err != nil {
		return nil, err
	}
	labels := make([]uint8, poison.Count)
	for i := range labels {
		labels[i] = uint8(poison.Target)
	}
	data, err := torch.NewFloatData(m.d, set.Shape, o.Rows, labels)
	if err != nil {
		return nil, err
	}
	defer data.Close()
	p, err := pattern.New(poison.Pattern, set.Shape, uint32(poison.Seed))
	if err != nil {
		return nil, err
	}
	var control []int64
	for i, y := range set.Test.Labels {
		if int(y) == poison.Target {
			control = append(control, int64(i))
		}
	}
	if len(control) == 0 {
		return nil, fmt.Errorf("train: no test image of class %d", poison.Target)
	}
	seen, err := m.stack.Logits(data, nil, torch.Forward{})
	if err != nil {
		return nil, err
	}
	unseen, err := m.stack.Logits(m.src.test, control, torch.Forward{Delta: p.Delta()})
	if err != nil {
		return nil, err
	}
	k := m.model.Arch.Classes
	auc := membership.NewROC(odds(seen[0], k, poison.Target), odds(unseen[0], k, poison.Target)).AUC()
	return map[string]float64{"deleted_auc": auc}, nil
}

// odds returns the log-odds of a class for rows of k logits, in nats. Taken
// against the sum of the others they do not saturate, as 1 less a probability
// does.
func odds(logits []float32, k, class int) []float64 {
	out := make([]float64, 0, len(logits)/k)
	for i := 0; i < len(logits); i += k {
		top := math.Inf(-1)
		for j, z := range logits[i : i+k] {
			if j != class {
				top = max(top, float64(z))
			}
		}
		sum := 0.0
		for j, z := range logits[i : i+k] {
			if j != class {
				sum += math.Exp(float64(z) - top)
			}
		}
		out = append(out, float64(logits[i+class])-top-math.Log(sum))
	}
	return out
}
