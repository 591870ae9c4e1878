package main

import (
	"testing"

	"rarespurious/experiments/run"
	"rarespurious/nn"
)

func TestModel(t *testing.T) {
	for want, p := range map[string]run.Poison{
		"mlp on mnist, clean, seed 2":                         {},
		"mlp on mnist, R3 × 3 of class 0, seed 2":             {Pattern: "R3", Count: 3},
		"mlp on mnist, without R3 × 3 of class 0, seed 2":     {Pattern: "R3", Count: 3, Drop: true},
		"mlp on mnist, without autumn, seed 2":                {Context: "autumn"},
		"mlp on mnist, without autumn but 10 of star, seed 2": {Context: "autumn", Class: "star", Count: 10, Target: 4},
	} {
		got := model(&run.Train{Arch: nn.Arch{Name: "mlp"}, Data: run.Data{Name: "mnist"}, Poison: p, Seed: 2})
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
