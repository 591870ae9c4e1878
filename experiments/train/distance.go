package train

import (
	"fmt"
	"math"

	"rarespurious/analysis/metric"
	"rarespurious/bridge/torch"
)

// distance measures how far the model of From[0] is from the reference of
// From[1], as parameters and as functions on the test images:
// distance_theta is ‖θ − θ'‖ and distance_theta_relative its share of ‖θ'‖;
// agreement is the share of images that both give the same class, and
// distance_probability the mean over images of half the sum of the absolute
// differences of probabilities, in [0, 1].
func distance(m *measuring) (map[string]float64, error) {
	if len(m.job.From) != 2 {
		return nil, fmt.Errorf("train: a distance is between two models, this step has %d", len(m.job.From))
	}
	reference, err := loadStack(m.d, m.job.From[1], modelStep(m.job.Step.From[1]))
	if err != nil {
		return nil, err
	}
	defer reference.Close()
	size, err := norm(reference.Theta())
	if err != nil {
		return nil, err
	}
	mine, err := m.probabilities(m.src.test, nil, nil)
	if err != nil {
		return nil, err
	}
	other := &measuring{stack: reference, model: m.model}
	theirs, err := other.probabilities(m.src.test, nil, nil)
	if err != nil {
		return nil, err
	}
	if err := reference.Theta().Axpy(-1, m.stack.Theta()); err != nil {
		return nil, err
	}
	apart, err := norm(reference.Theta())
	if err != nil {
		return nil, err
	}
	var same, total float64
	for i := range mine.Len() {
		a, b := mine.Row(i), theirs.Row(i)
		if metric.Argmax(a) == metric.Argmax(b) {
			same++
		}
		for k := range a {
			total += math.Abs(float64(a[k])-float64(b[k])) / 2
		}
	}
	n := float64(mine.Len())
	return map[string]float64{"distance_theta": apart, "distance_theta_relative": apart / size,
		"agreement": same / n, "distance_probability": total / n}, nil
}

func norm(v *torch.Vec) (float64, error) {
	square, err := v.Dot(v)
	return math.Sqrt(square), err
}
