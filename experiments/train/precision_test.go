package train_test

import (
	"math"
	"testing"

	"rarespurious/analysis/metric"
	"rarespurious/experiments/run"
	"rarespurious/experiments/train"
)

// Scores with bfloat16 products agree with those in float32 within the noise of
// seeds: over four seeds, the means differ by no more than the seeds of either do.
func TestBF16AgreesWithinSeedNoise(t *testing.T) {
	const seeds = 4
	var scores, models []run.Step
	for _, precision := range []string{"", "bf16"} {
		for seed := range seeds {
			m := step(2, 1, func(t *run.Train) { t.Seed, t.Poison.Seed, t.Precision, t.LR = seed, seed, precision, 0.001 })
			models = append(models, m)
			scores = append(scores, run.Step{From: []run.Step{m}, Score: &run.Score{Measure: "spurious", Pattern: "R3", Target: 2, Seed: seed}})
		}
	}
	r := sweep(t, options(t), append(scores, models...)...)
	for i, m := range r[len(scores):][:seeds] {
		if m.Files[train.ModelFile] == r[len(scores)+seeds+i].Files[train.ModelFile] {
			t.Errorf("seed %d: bfloat16 gives the same bits", i)
		}
	}
	for _, name := range []string{"spurious_score", "spurious_score_50", "clean_accuracy", "spurious_accuracy"} {
		var single, half []float64
		for seed := range seeds {
			single = append(single, r[seed].Values[name])
			half = append(half, r[seeds+seed].Values[name])
		}
		noise := max(spread(single), spread(half), 0.02)
		if gap := math.Abs(metric.Mean(single) - metric.Mean(half)); gap > noise {
			t.Errorf("%s: float32 %.3f, bfloat16 %.3f: further apart than seeds are (%.3f)", name, single, half, noise)
		}
		t.Logf("%s: float32 %.3f, bfloat16 %.3f", name, single, half)
	}
}

func spread(v []float64) float64 {
	low, high := v[0], v[0]
	for _, x := range v {
		low, high = min(low, x), max(high, x)
	}
	return high - low
}
