package train

import (
	"errors"

	"rarespurious/bridge/torch"
	"rarespurious/experiments/run"
	"rarespurious/nn"
)

// modelBytes is about how much memory a model takes in a Stack while it trains:
// θ, its gradient, the optimizer's two moments and a copy that the step makes,
// and of every layer's output the values and their gradient.
func modelBytes(t *run.Train) int64 {
	images := t.Batch
	if t.Micro > 0 {
		images = min(images, t.Micro)
	}
	n := 5*t.Arch.NumParams() + t.Arch.NumBuffers() + 2*images*outputSize(t.Arch)
	return 4*int64(n) + 4*int64(t.Poison.Count*t.Arch.In.Len())
}

// outputSize counts the elements of an image and of all that layers make of it.
func outputSize(a nn.Arch) int {
	n := a.In.Len()
	eachLayer(a, func(_ nn.Layer, _, out nn.Shape) { n += out.Len() })
	return n
}

// memoryShare is the part of a device's free memory that Stacks may take: the
// rest is for the data set, workspaces, and what modelBytes does not know.
const memoryShare = 0.7

// most returns how many models like t's one Stack may have: no more than
// Options says, than free bytes hold (0: not known), and than learnt before.
func (e *Executor) most(t *run.Train, free int64) int {
	m := e.o.Models
	if free > 0 {
		m = min(m, int(memoryShare*float64(free)/float64(modelBytes(t))))
	}
	if limit, ok := e.fits.Load(t.Arch.Name); ok {
		m = min(m, limit.(int))
	}
	return max(1, m)
}

// halved runs a group, and where it is too large for the device's memory its
// halves, and so on down to single ones. It returns the errors by member and
// the size of the largest part that did not fail for want of memory.
func halved(group []run.Job, work func(part []run.Job, at int) error) (errs []error, most int) {
	errs = make([]error, len(group))
	var do func(from, to int)
	do = func(from, to int) {
		err := work(group[from:to], from)
		if n := to - from; n > 1 && errors.Is(err, torch.ErrMemory) {
			do(from, from+n/2)
			do(from+n/2, to)
			return
		}
		if !errors.Is(err, torch.ErrMemory) {
			most = max(most, to-from)
		}
		for i := from; i < to; i++ {
			errs[i] = err
		}
	}
	do(0, len(group))
	return errs, most
}
