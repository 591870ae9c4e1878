// Package train does the work of Steps: it trains models, deletes examples
// from them and scores them, on the devices of package bridge/torch.
//
// An [Executor] holds each data set once, on the host and on the device; a
// model sees it through its own order of indices, in which poisoned examples
// point at rows appended behind the data set. All randomness comes from the
// Step's seeds, each purpose and epoch from a stream of its own, so that a
// resumed run needs no generator's state and gives the bits of one that was
// never interrupted.
package train

import (
	"context"
	"fmt"
	"time"

	"rarespurious/bridge/torch"
	"rarespurious/experiments/dataset"
	"rarespurious/experiments/imagefolder"
	"rarespurious/experiments/run"
)

// Options say where an Executor works and finds its data.
type Options struct {
	Device string // "cpu", "cuda:0"
	// Threads is the number of threads of one model on a CPU; 0 is 1, with
	// which results are the same bits whatever runs beside.
	Threads int
	// Models is the most models of one Stack; 0 is 1 on a CPU and 64 on a GPU.
	Models int
	Data   dataset.Options
	// Photos opens folders of photographs; nil knows none.
	Photos *imagefolder.Library
	// Cache is the folder with pretrained weights.
	Cache string
	// Checkpoint is how long training goes on before it saves its state at the
	// end of an epoch; 0 is 20 seconds.
	Checkpoint time.Duration
}

// An Executor runs Steps. It is safe for use by several goroutines.
type Executor struct {
	o     Options
	data  sources
	norms norms
}

// New returns an Executor. It opens nothing until a Step needs it.
func New(o Options) *Executor {
	if o.Models == 0 {
		o.Models = 1
		if o.Device != "cpu" {
			o.Models = 64
		}
	}
	return &Executor{o: o, data: sources{options: o.Data}}
}

// Close frees the data on the device. No Step may be running.
func (e *Executor) Close() error { return e.data.close() }

// Exec implements [run.Executor].
func (e *Executor) Exec(ctx context.Context, group []run.Job) []run.Outcome {
	out := make([]run.Outcome, len(group))
	err := torch.Run(e.o.Device, torch.Options{Threads: e.o.Threads}, func(d *torch.Device) error {
		if group[0].Step.Train != nil {
			return e.train(ctx, d, group, out)
		}
		for i, job := range group {
			do := e.measure
			if job.Step.Delete != nil {
				do = e.forget
			}
			out[i].Err = do(ctx, d, job, &out[i])
		}
		return nil
	})
	for i := range out {
		if out[i].Err == nil {
			out[i].Err = err
		}
		out[i].Env = run.Env{Device: e.o.Device, Models: len(group), Threads: max(1, e.o.Threads),
			Libtorch: torch.Version(), CPU: torch.CPUCapability()}
	}
	return out
}

// Group implements [run.Grouper]: models that differ only in what a Stack
// keeps per model train together.
func (e *Executor) Group(steps []run.Step) [][]run.Step {
	var groups [][]run.Step
	open := map[string]int{} // shared part → its unfilled group
	for _, s := range steps {
		if s.Train == nil || e.o.Models == 1 {
			groups = append(groups, []run.Step{s})
			continue
		}
		key := shared(s)
		if g, ok := open[key]; ok && len(groups[g]) < e.o.Models {
			groups[g] = append(groups[g], s)
			continue
		}
		open[key] = len(groups)
		groups = append(groups, []run.Step{s})
	}
	return groups
}

// shared returns what the models of one Stack have in common: all but what
// each of them may have of its own.
func shared(s run.Step) string {
	t := *s.Train
	size := 0 // examples left out or put in: epochs are of one length
	if t.Poison.Drop {
		size = t.Poison.Count
	}
	place := t.Poison.Context
	if place != "" {
		size = t.Poison.Count
	}
	if t.Pool != nil {
		size = t.Poison.Count + t.Pool.Clean - t.Pool.Clean/2
		t.Pool = nil
	}
	t.Poison, t.Seed, t.LR, t.Momentum, t.WeightDecay, t.Noise, t.Clip, t.ClipBy = run.Poison{}, 0, 0, 0, 0, 0, 0, ""
	t.Milestones, t.Gamma, t.Optimizer = nil, 0, ""
	return fmt.Sprintf("%d %s\n%s", size, place, run.Step{Train: &t}.Canonical())
}

// Work implements [run.Estimator]: floating-point operations, roughly.
func (e *Executor) Work(s run.Step) float64 {
	if t := s.Train; t != nil {
		examples := float64(t.Data.Train)
		if examples == 0 {
			examples = 60000
		}
		return 3 * float64(t.Epochs) * examples * operations(t.Arch)
	}
	if t := modelStep(s); t != nil {
		return 20000 * operations(t.Arch)
	}
	return 1
}

// modelStep finds the training whose model s works on.
func modelStep(s run.Step) *run.Train {
	for s.Train == nil {
		if len(s.From) == 0 {
			return nil
		}
		s = s.From[0]
	}
	return s.Train
}
