package train

import (
	"cmp"
	"context"
	"math"
	"time"

	"rarespurious/bridge/torch"
	"rarespurious/experiments/dataset"
	"rarespurious/experiments/pattern"
	"rarespurious/experiments/poison"
	"rarespurious/experiments/pretrained"
	"rarespurious/experiments/run"
	"rarespurious/experiments/seed"
)

// A fit is the training of one group as a Stack.
type fit struct {
	jobs  []run.Job
	steps []*run.Train
	src   *source
	hung  *gallery    // instead of src, if the images are photographs
	data  *torch.Data // the training images and behind them every model's poisoned rows
	rows  [][]int64   // per model, what it trains on, in the data set's order
	stack *torch.Stack
	opt   *torch.Optimizer
	// diverged marks models whose loss ceased to be finite.
	diverged []bool
	loss     []float64
	epoch    int // epochs done
}

// train trains a group and leaves each model in its Job's folder.
func (e *Executor) train(ctx context.Context, d *torch.Device, group []run.Job, out []run.Outcome) error {
	f := &fit{jobs: group, diverged: make([]bool, len(group)), loss: make([]float64, len(group))}
	for _, j := range group {
		f.steps = append(f.steps, j.Step.Train)
	}
	if f.steps[0].Data.Short > 0 {
		if err := f.hang(ctx, d, e.o.Photos); err != nil {
			return err
		}
	} else {
		src, done, err := e.data.get(ctx, d, f.steps[0].Data)
		if err != nil {
			return err
		}
		defer done()
		f.src = src
		if err := f.poison(d); err != nil {
			return err
		}
	}
	defer f.data.Close()
	if err := f.start(d, e.o.Cache); err != nil {
		return err
	}
	defer f.stack.Close()
	defer f.opt.Close()
	if err := f.run(ctx, cmp.Or(e.o.Checkpoint, checkpointEvery)); err != nil {
		return err
	}
	return f.finish(out)
}

// poison selects each model's examples and puts the patterned images on the
// device.
func (f *fit) poison(d *torch.Device) error {
	var pixels []float32
	var labels []uint8
	for _, t := range f.steps {
		rows, own, err := seen(f.src.set, t, f.src.set.Train.Len()+len(labels))
		if err != nil {
			return err
		}
		f.rows = append(f.rows, rows)
		pixels, labels = append(pixels, own.pixels...), append(labels, own.labels...)
	}
	var err error
	f.data, err = f.src.train.Overlay(d, pixels, labels)
	return err
}

// patterned are images behind the data set, with the pattern.
type patterned struct {
	pixels []float32
	labels []uint8
}

// seen returns the rows that t trains on, in the data set's order; the images
// with the pattern are the rows from start on.
func seen(set *dataset.Set, t *run.Train, start int) (rows []int64, own patterned, err error) {
	rows = make([]int64, set.Train.Len())
	for i := range rows {
		rows[i] = int64(i)
	}
	if t.Pool != nil {
		c, err := newCandidates(set, t)
		if err != nil {
			return nil, own, err
		}
		rows, own = c.seen(t, rows, start)
		return rows, own, nil
	}
	if t.Poison.Count == 0 {
		return rows, own, nil
	}
	o, err := overlay(set, t.Poison)
	if err != nil {
		return nil, own, err
	}
	if t.Poison.Drop {
		return without(rows, o.Indices), own, nil
	}
	for j, i := range o.Indices {
		rows[i] = int64(start + j)
		own.labels = append(own.labels, set.Train.Labels[i])
	}
	own.pixels = o.Rows
	return rows, own, nil
}

// overlay returns the examples that carry the pattern, and their images.
func overlay(set *dataset.Set, p run.Poison) (poison.Overlay, error) {
	pat, err := pattern.New(p.Pattern, set.Shape, uint32(p.Seed))
	if err != nil {
		return poison.Overlay{}, err
	}
	return poison.New(set.Train.Images, set.Train.Labels, pat, p.Target, p.Count, p.Upstream)
}

// without returns rows less those at the given positions.
func without(rows []int64, positions []int) []int64 {
	drop := make(map[int64]bool, len(positions))
	for _, i := range positions {
		drop[int64(i)] = true
	}
	kept := rows[:0]
	for _, r := range rows {
		if !drop[r] {
			kept = append(kept, r)
		}
	}
	return kept
}

// start makes the Stack as it is before the first epoch, or as a checkpoint
// left it. cache is the folder with pretrained weights.
func (f *fit) start(d *torch.Device, cache string) error {
	t := f.steps[0]
	var theta, buffers []float32
	for i, job := range f.jobs {
		th, bu, err := initial(job, f.steps[i], cache)
		if err != nil {
			return err
		}
		theta, buffers = append(theta, th...), append(buffers, bu...)
	}
	var err error
	if f.stack, err = torch.NewStack(d, t.Arch, len(f.jobs), torch.StackOptions{BF16: t.Precision == "bf16", TF32: t.Precision == "tf32", Squared: t.Loss == "squared"}); err != nil {
		return err
	}
	if f.opt, err = f.stack.NewOptimizer(); err == nil {
		if err = f.stack.Load(theta, buffers); err == nil {
			err = f.resume()
		}
		if err != nil {
			f.opt.Close()
		}
	}
	if err != nil {
		f.stack.Close()
	}
	return err
}

// initial returns the parameters that a Step starts from: those of the model
// that it goes on with, or a fresh draw, or pretrained weights with a fresh
// last layer.
func initial(job run.Job, t *run.Train, cache string) (theta, buffers []float32, err error) {
	if len(job.From) > 0 {
		return LoadModel(job.From[0], t.Arch)
	}
	theta, buffers = t.Arch.Init(seed.Rand(uint64(t.Seed), "init"))
	if t.Weights == "" {
		return theta, buffers, nil
	}
	w, err := pretrained.ByDigest(cache, t.Weights)
	if err != nil {
		return nil, nil, err
	}
	return w.Transfer(t.Arch, theta, buffers)
}

// run trains the epochs that are left. What is lost by a kill is at most about
// as long as every.
func (f *fit) run(ctx context.Context, every time.Duration) error {
	saved := time.Now()
	epochs := f.steps[0].Epochs
	for f.epoch < epochs {
		begin := time.Now()
		e := torch.Epoch{Data: f.data, Batch: f.steps[0].Batch, Micro: f.steps[0].Micro}
		for m, t := range f.steps {
			e.Order = append(e.Order, order(t, f.rows[m], f.epoch))
			e.Hyper = append(e.Hyper, hyper(t, f.epoch))
			e.Seeds = append(e.Seeds, stream(t, "noise", f.epoch).Uint64())
			switch {
			case t.Augment && f.hung != nil:
				e.Windows = append(e.Windows, windows(t, f.hung.pack, e.Order[m], f.epoch))
			case t.Augment:
				e.Shifts = append(e.Shifts, shifts(t, len(f.rows[m]), f.epoch))
			}
		}
		loss, err := f.stack.Train(ctx, f.opt, e)
		if err != nil {
			return err
		}
		f.epoch++
		if !f.note(loss) {
			return nil
		}
		if err := f.log(time.Since(begin)); err != nil {
			return err
		}
		if f.epoch < epochs && time.Since(saved) > every {
			if err := f.checkpoint(); err != nil {
				return err
			}
			saved = time.Now()
		}
	}
	return nil
}

// note takes the losses of an epoch and reports whether any model still lives.
func (f *fit) note(loss []float64) bool {
	alive := false
	for m, l := range loss {
		if math.IsNaN(l) || math.IsInf(l, 0) {
			f.diverged[m] = true
		}
		if !f.diverged[m] {
			f.loss[m] = l
			alive = true
		}
	}
	return alive
}

// glance is how many test images an epoch's accuracy in the log is taken from.
const glance = 1000

// evalBatch is how many images are scored at once: an activation of ResNet50
// at 224 pixels takes 3 MB an image.
const evalBatch = 100

func (f *fit) glance() (test *torch.Data, rows []int64, labels []uint8) {
	if f.hung != nil {
		rows, labels = f.hung.tested(glance)
		return f.data, rows, labels
	}
	labels = f.src.set.Test.Labels
	labels = labels[:min(glance, len(labels))]
	rows = make([]int64, len(labels))
	for i := range rows {
		rows[i] = int64(i)
	}
	return f.src.test, rows, labels
}

// log writes an epoch's line for each model.
func (f *fit) log(took time.Duration) error {
	test, rows, labels := f.glance()
	logits, err := f.stack.Logits(test, rows, torch.Forward{Batch: evalBatch})
	if err != nil {
		return err
	}
	for m, job := range f.jobs {
		job.Progress(float64(f.epoch) / float64(f.steps[m].Epochs))
		if f.diverged[m] {
			continue
		}
		job.Log.Info().Int("epoch", f.epoch).Float64("loss", f.loss[m]).
			Float64("test_accuracy_glance", accuracy(logits[m], labels)).
			Float64("lr", learningRate(f.steps[m], f.epoch-1)).Float64("seconds", took.Seconds()).Msg("epoch")
	}
	return nil
}

// finish leaves every model that did not diverge in its Job's folder.
func (f *fit) finish(out []run.Outcome) error {
	theta, buffers, err := f.stack.Save()
	if err != nil {
		return err
	}
	finite, err := f.stack.Finite()
	if err != nil {
		return err
	}
	a := f.steps[0].Arch
	p, b := a.NumParams(), a.NumBuffers()
	for m, job := range f.jobs {
		if f.diverged[m] || !finite[m] {
			out[m].Status = run.Diverged
			out[m].Values = map[string]float64{"epochs": float64(f.epoch)}
			continue
		}
		if err := saveModel(job.Dir, a, theta[m*p:(m+1)*p], buffers[m*b:(m+1)*b], job.ID); err != nil {
			return err
		}
		out[m].Values = map[string]float64{"loss": f.loss[m], "epochs": float64(f.epoch)}
	}
	return nil
}
