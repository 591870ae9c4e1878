package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"rarespurious/bridge/torch"
	"rarespurious/experiments/dataset"
	"rarespurious/experiments/imagefolder"
	"rarespurious/experiments/predict"
	"rarespurious/experiments/run"
	"rarespurious/experiments/train"
)

// machine returns what is known of this machine's speed: from the runs in s,
// and from earlier timings.
func (a *app) machine(lib *library, s *run.Store) (*predict.Machine, error) {
	m := &predict.Machine{Sizes: a.sizes(lib), Device: a.device, Paces: predict.LoadPaces(a.pacesFile())}
	m.Host, _ = os.Hostname() // a nameless host is like itself
	ids, err := s.IDs()
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if r, err := s.Get(id); err == nil { // what is damaged tells nothing of speed
			m.Learn(r)
		}
	}
	return m, nil
}

// pacesFile returns the file in the cache with the paces of this program on this
// machine's device.
func (a *app) pacesFile() string {
	h := sha256.New()
	fmt.Fprintln(h, currentVersion(), torch.CPUCapability(), processorName(), runtime.NumCPU(), a.device)
	return filepath.Join(a.cache, "paces", hex.EncodeToString(h.Sum(nil)[:6])+".json")
}

// processorName returns the name of this machine's processor, where Linux tells.
func processorName() string {
	b, _ := os.ReadFile("/proc/cpuinfo") // other systems have none
	for line := range strings.Lines(string(b)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.Trim(name, "\t :\n")
		}
	}
	return ""
}

// calibrate times what is not known of the Steps that r would run.
func (a *app) calibrate(ctx context.Context, m *predict.Machine, r *run.Runner, steps []run.Step) error {
	planned, err := r.Plan(steps)
	if err != nil {
		return err
	}
	var pending []run.Step
	for _, p := range planned {
		if p.Action != run.Stored {
			pending = append(pending, p.Step)
		}
	}
	if len(pending) == 0 {
		return nil
	}
	if err := a.checkDevice(); err != nil {
		a.log.Warn().Err(err).Msg("nothing can be timed")
		return nil
	}
	exec := train.New(a.training())
	defer exec.Close()
	known := len(m.Paces)
	err = m.Calibrate(ctx, pending, func(p train.Pass) {
		a.log.Info().Str("network", p.Arch.Name).Int("batch", p.Batch).Msg("timing " + p.Kind)
	}, exec.Pace)
	if len(m.Paces) == known || a.cache == "" {
		return err
	}
	if e := predict.SavePaces(a.pacesFile(), m.Paces); e != nil {
		a.log.Warn().Err(e).Msg("the timings could not be kept")
	}
	return err
}

// task returns a planned Step as a Task of so many seconds.
func task(p run.Planned, seconds float64) predict.Task {
	t := predict.Task{ID: p.ID, Seconds: seconds}
	for _, from := range p.Step.From {
		t.After = append(t.After, from.ID())
	}
	return t
}

// sizes returns the sizes of data sets that are known without fetching or
// decoding anything; of others it returns those of MNIST.
func (a *app) sizes(lib *library) train.Sizes {
	type key struct {
		data    run.Data
		context string
	}
	type size struct{ train, test int }
	known := map[key]size{}
	return func(t *run.Train) (int, int) {
		k := key{t.Data, t.Poison.Context}
		s, ok := known[k]
		if !ok {
			s.train, s.test = a.size(lib, t)
			known[k] = s
		}
		return s.train, s.test
	}
}

func (a *app) size(lib *library, t *run.Train) (images, test int) {
	d := t.Data
	images, test = train.Nominal(t)
	if d.Short > 0 {
		pack, err := a.photos().Open(lib.ctx, d.Name, d.Short) // planning has opened it
		if err != nil {
			return images, test
		}
		split := imagefolder.NewSplit(pack.Folder, uint64(d.Seed))
		images = 0
		for _, i := range split.Train {
			if t.Poison.Context == "" || pack.Contexts[pack.Entries[i].Context] != t.Poison.Context {
				images++
			}
		}
		return images, len(split.Test)
	}
	set := lib.known(d.Name)
	if set == nil {
		return images, test
	}
	images, test = set.Train.Len(), set.Test.Len()
	if d.Part != "" {
		images = (images + test) / 4 // see dataset.Split
		test = images
	}
	if d.Train > 0 {
		images = d.Train
	}
	return images, test
}

// known returns the labels of a data set that was opened before, nil if there
// was none.
func (l *library) known(name string) *dataset.Set {
	if s := l.opened[name]; s != nil {
		return s
	}
	return l.recall(name)
}

// An estimated executor knows how much work Steps are by a Machine, and where
// that knows nothing by itself; both in seconds.
type estimated struct {
	*train.Executor
	machine func() (*predict.Machine, error)
}

// estimated returns an executor that looks at the runs in s once there is
// something to run.
func (a *app) estimated(ctx context.Context, s *run.Store) estimated {
	return estimated{train.New(a.training()), sync.OnceValues(func() (*predict.Machine, error) {
		return a.machine(a.library(ctx), s)
	})}
}

// Work implements [run.Estimator].
func (e estimated) Work(s run.Step) float64 {
	if m, err := e.machine(); err == nil { // a store that cannot be read stops the sweep, not this
		if seconds, _, ok := m.Seconds(s); ok {
			return seconds
		}
	}
	return e.Executor.Work(s)
}
