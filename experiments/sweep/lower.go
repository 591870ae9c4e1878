package sweep

import (
	"rarespurious/experiments/config"
	"rarespurious/experiments/dataset"
	"rarespurious/experiments/run"
	"rarespurious/nn"
)

// standardisation is what a network does to its input first, by data set;
// others take pixels in [0, 1] as they are.
//
// Reference: the published code's constants for CIFAR-10.
var standardisation = map[string]struct{ mean, std []float32 }{
	"cifar10": {[]float32{.4914, .4822, .4465}, []float32{.2023, .1994, .2010}},
}

// Scratch is the deletion that trains again from the start without the
// examples: a training of its own, with no Delete Step.
const Scratch = "scratch"

// Lower returns the Step that p, which must be valid, wants: score ← train, or
// score ← delete ← train. s is p's data set before any limit or split.
//
// Without poisoned examples a model does not depend on pattern and target: it
// is trained once per seed for all of them, and there is nothing to delete.
// Models of one seed share selection, pattern and initial weights over all
// counts, since these are drawn from streams of their own.
func Lower(p config.Point, s *dataset.Set) run.Step {
	model := run.Step{Train: training(p, s)}
	if p.Delete != "" && p.Delete != Scratch && p.Count > 0 {
		model = run.Step{From: []run.Step{model}, Delete: deletion(p)}
	}
	return run.Step{From: []run.Step{model}, Score: &run.Score{
		Measure: p.Measure, Pattern: p.Pattern, Target: p.Target, Seed: p.Seed, Size: p.Size, Upstream: p.Upstream,
	}}
}

func training(p config.Point, s *dataset.Set) *run.Train {
	t := &run.Train{
		Data: run.Data{Name: p.Dataset, Train: p.Train, Part: p.Part},
		Arch: arch(p.Model, s), Optimizer: p.Optimizer, LR: p.LR, Momentum: p.Momentum,
		WeightDecay: p.WeightDecay, Batch: p.Batch, Epochs: p.Epochs, Noise: p.Noise,
		Augment: p.Augment, Seed: p.Seed,
	}
	if !s.Official {
		t.Data.Digest = s.Digest
	}
	if p.Part != "" {
		t.Data.Seed = p.Seed
	}
	if p.Count > 0 {
		t.Poison = run.Poison{Pattern: p.Pattern, Target: p.Target, Count: p.Count, Seed: p.Seed,
			Drop: p.Delete == Scratch, Upstream: p.Upstream && p.Augment}
	}
	if p.Upstream {
		t.Seed = 0 // the authors' seeds draw examples and pattern only
	}
	// What says nothing is not said, so that it makes no other ID.
	if m := p.Schedule(); len(m) > 0 {
		t.Milestones, t.Gamma = m, p.Gamma
	}
	if p.Clip > 0 {
		t.Clip, t.ClipBy = p.Clip, p.ClipBy
	}
	if p.Precision != "float32" {
		t.Precision = p.Precision
	}
	return t
}

func deletion(p config.Point) *run.Delete {
	return &run.Delete{
		Method: p.Delete, Damping: p.DeleteDamping, Decay: p.DeleteDecay, Examples: p.DeleteExamples,
		Depth: p.DeleteDepth, Repeats: p.DeleteRepeats, Scale: p.DeleteScale, Batch: p.DeleteBatch,
		Tolerance: p.DeleteTolerance, Curvature: p.DeleteCurvature, Epochs: p.DeleteEpochs, LR: p.DeleteLR,
		Seed: p.Seed,
	}
}

// arch returns the network called name for the images of s. Both are valid.
func arch(name string, s *dataset.Set) nn.Arch {
	a, err := nn.New(name, s.Shape, len(s.Classes))
	if err != nil {
		panic("sweep: " + err.Error())
	}
	a.Mean, a.Std = standardisation[s.Name].mean, standardisation[s.Name].std
	return a
}
