package theory

import (
	"context"
	"fmt"
)

// Tolerance is the largest absolute error that [Row.OK] accepts; it is meant
// for [DefaultSettings].
const Tolerance = 1e-3

// CheckModels returns the models that [Check] simulates: the figures' one
// without spurious examples, with few and with many, with noise of both
// placements, with penalties, and the two of the phase transition.
func CheckModels() []Model {
	base := Model{VarInv: 0.5, VarSp: 0.1, Norm2Inv: 1, Norm2Sp: 5}
	sharp := Model{VarInv: 1, VarSp: 0.05, Norm2Inv: 1, Norm2Sp: 25}
	with := func(m Model, gamma, lambda, noise float64, in Placement) Model {
		m.Gamma, m.Lambda, m.Noise, m.NoiseIn = gamma, lambda, noise, in
		return m
	}
	return []Model{
		base,
		with(base, 0.1, 0, 0, TrainingOnly),
		with(base, 0.5, 0, 0, TrainingOnly),
		with(base, 0.1, 0, 0.3, TrainingOnly),
		with(base, 0.1, 0, 0.3, TrainingAndTest),
		with(base, 0.1, 1, 0, TrainingOnly),
		with(base, 0.2, 10, 0, TrainingOnly),
		with(sharp, 0.002, 0, 0, TrainingOnly),
		with(sharp, 0.3, 0, 0, TrainingOnly),
	}
}

// Check simulates every model of [CheckModels] and returns the rows in their
// order, six per model. A row that is not OK is no error: it is the caller's to
// report. Errors are those of [Simulate].
func Check(ctx context.Context, s Settings) ([]Row, error) {
	var rows []Row
	for _, m := range CheckModels() {
		r, err := Simulate(ctx, m, s)
		if err != nil {
			return nil, fmt.Errorf("theory: checking %v: %w", m, err)
		}
		rows = append(rows, r...)
	}
	return rows, nil
}
