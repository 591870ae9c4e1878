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
	"sync"
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
	// Fewer are taken where the device has not the memory for them.
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
	free  func() int64 // bytes on the device before any work; 0 is unknown
	fits  sync.Map     // by architecture: how many models were not too many
}

// New returns an Executor. It opens nothing until a Step needs it.
func New(o Options) *Executor {
	if o.Models == 0 {
		o.Models = 1
		if o.Device != "cpu" {
			o.Models = 64
		}
	}
	return &Executor{o: o, data: sources{options: o.Data}, free: sync.OnceValue(func() (bytes int64) {
		if o.Device != "cpu" {
			// A device that is not there is told of by the first Step.
			_ = torch.Run(o.Device, torch.Options{}, func(d *torch.Device) error {
				bytes = d.FreeMemory()
				return nil
			})
		}
		return bytes
	})}
}

// Close frees the data on the device. No Step may be running.
func (e *Executor) Close() error { return e.data.close() }

// Exec implements [run.Executor].
func (e *Executor) Exec(ctx context.Context, group []run.Job) []run.Outcome {
	out := make([]run.Outcome, len(group))
	err := torch.Run(e.o.Device, torch.Options{Threads: e.o.Threads}, func(d *torch.Device) error {
		if group[0].Step.Train != nil {
			e.trainAll(ctx, d, group, out)
			return nil
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
		out[i].Env = run.Env{Device: e.o.Device, Models: max(1, out[i].Env.Models), Threads: max(1, e.o.Threads),
			Libtorch: torch.Version(), CPU: torch.CPUCapability()}
	}
	return out
}

// trainAll trains a group, as several smaller ones if its device has not the
// memory for it, and leaves the sizes of these in the Outcomes.
func (e *Executor) trainAll(ctx context.Context, d *torch.Device, group []run.Job, out []run.Outcome) {
	errs, most := halved(group, func(part []run.Job, at int) error {
		mine := out[at : at+len(part)]
		err := e.train(ctx, d, part, mine)
		for i := range mine {
			mine[i].Env.Models = len(part)
		}
		return err
	})
	for i, err := range errs {
		out[i].Err = err
	}
	if most > 0 && most < len(group) {
		e.fits.Store(group[0].Step.Train.Arch.Name, most)
	}
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
		if g, ok := open[key]; ok && len(groups[g]) < e.most(s.Train, e.free()) {
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
