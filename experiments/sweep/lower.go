package sweep

import (
	"math"

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

// The deletions that are trainings without the examples, not Delete Steps.
const (
	Scratch = "scratch" // from the start
	// On from the model that saw them, for another delete_epochs epochs without a
	// schedule: at the learning rate that its schedule ended with, as the authors'
	// code does without saying so, or at the one that it began with, which is the
	// fairer test. Adam's moments start anew: a stored model has none.
	RetrainDecayed = "retrain-decayed"
	RetrainInitial = "retrain-initial"
)

// Lower returns the Step that p, which must be valid, wants: score ← train, or
// score ← delete ← train. Where a measure compares, it also starts from what it
// compares with; the measure "cost" is of the model's own Step. s is p's data set
// before any limit or split.
//
// Without poisoned examples a model does not depend on pattern and target: it
// is trained once per seed for all of them, and there is nothing to delete.
// Models of one seed share selection, pattern and initial weights over all
// counts, since these are drawn from streams of their own.
func Lower(p config.Point, s *dataset.Set) run.Step {
	var from []run.Step
	switch p.Measure {
	case measureLiRA:
		from = pool(p, s)
	case measureMembership:
		from = []run.Step{model(p, s), shadow(p, s)}
	case measureDistance:
		from = []run.Step{model(p, s), scratch(p, s)}
	default:
		from = []run.Step{model(p, s)}
	}
	if p.Measure == measureCost {
		return from[0]
	}
	return run.Step{From: from, Score: &run.Score{
		Measure: p.Measure, Pattern: p.Pattern, Target: p.Target, Seed: p.Seed, Size: p.Size, Upstream: p.Upstream,
	}}
}

// model returns the Step whose model p measures.
func model(p config.Point, s *dataset.Set) run.Step {
	trained := run.Step{Train: training(p, s)}
	if p.Count == 0 {
		return trained
	}
	switch p.Delete {
	case "":
		return trained
	case Scratch:
		return scratch(p, s)
	case RetrainDecayed, RetrainInitial:
		return retrain(trained, p)
	}
	return run.Step{From: []run.Step{trained}, Delete: deletion(p)}
}

// scratch returns p's model, trained without the examples.
func scratch(p config.Point, s *dataset.Set) run.Step {
	t := training(p, s)
	t.Poison.Drop = p.Count > 0
	return run.Step{Train: t}
}

// retrain returns what becomes of a trained model that goes on without the
// examples.
func retrain(trained run.Step, p config.Point) run.Step {
	t := *trained.Train
	t.Poison.Drop = true
	t.Epochs, t.Milestones, t.Gamma = p.DeleteEpochs, nil, 0
	if p.Delete == RetrainDecayed {
		falls := 0
		for _, m := range p.Schedule() {
			if m < p.Epochs { // training reached it
				falls++
			}
		}
		t.LR *= math.Pow(p.Gamma, float64(falls))
	}
	return run.Step{From: []run.Step{trained}, Train: &t}
}

func training(p config.Point, s *dataset.Set) *run.Train {
	t := &run.Train{
		Data: run.Data{Name: p.Dataset, Train: p.Train, Part: p.Part},
		Arch: arch(p.Model, s), Optimizer: p.Optimizer, LR: p.LR, Momentum: p.Momentum,
		WeightDecay: p.WeightDecay, Batch: p.Batch, Micro: p.Micro, Epochs: p.Epochs, Noise: p.Noise,
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
			Upstream: p.Upstream && p.Augment}
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
		Tolerance: p.DeleteTolerance, Curvature: p.DeleteCurvature, Seed: p.Seed,
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
