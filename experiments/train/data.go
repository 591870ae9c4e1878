package train

import (
	"context"
	"fmt"
	"sync"

	"rarespurious/bridge/torch"
	"rarespurious/experiments/dataset"
	"rarespurious/experiments/run"
)

// A source is one data set, or a part of one, on the host and on the device.
type source struct {
	set         *dataset.Set
	train, test *torch.Data
}

// sources holds every source that was asked for.
type sources struct {
	options dataset.Options
	mu      sync.Mutex
	open    map[run.Data]func() (*source, error)
}

// get opens what d names, once; others that ask meanwhile wait.
func (s *sources) get(ctx context.Context, dev *torch.Device, d run.Data) (*source, error) {
	s.mu.Lock()
	if s.open == nil {
		s.open = map[run.Data]func() (*source, error){}
	}
	f, ok := s.open[d]
	if !ok {
		f = sync.OnceValues(func() (*source, error) { return s.load(ctx, dev, d) })
		s.open[d] = f
	}
	s.mu.Unlock()
	src, err := f()
	if err != nil {
		s.mu.Lock()
		delete(s.open, d) // a fetch that was interrupted may be tried again
		s.mu.Unlock()
	}
	return src, err
}

func (s *sources) load(ctx context.Context, dev *torch.Device, d run.Data) (*source, error) {
	if d.Linear != (run.Linear{}) {
		return linearSource(dev, d)
	}
	set, err := OpenSet(ctx, s.options, d)
	if err != nil {
		return nil, err
	}
	if d.Digest != "" && set.Digest != d.Digest {
		return nil, fmt.Errorf("train: %s has digest %s now, the step was planned with %s", d.Name, set.Digest, d.Digest)
	}
	src := &source{set: set}
	if src.train, err = torch.NewData(dev, set.Shape, set.Train.Images, set.Train.Labels); err != nil {
		return nil, err
	}
	if src.test, err = torch.NewData(dev, set.Shape, set.Test.Images, set.Test.Labels); err != nil {
		src.train.Close()
		return nil, err
	}
	return src, nil
}

// OpenSet returns the images that d names: a data set, one of the halves for
// membership inference, or the first training images of either.
func OpenSet(ctx context.Context, o dataset.Options, d run.Data) (*dataset.Set, error) {
	set, err := dataset.Open(ctx, d.Name, o)
	if err != nil {
		return nil, err
	}
	switch d.Part {
	case "":
	case "target":
		set, _ = dataset.Split(set, uint64(d.Seed))
	case "shadow":
		_, set = dataset.Split(set, uint64(d.Seed))
	default:
		return nil, fmt.Errorf("train: no part %q of a data set (have target, shadow)", d.Part)
	}
	if d.Train > 0 {
		return set.Subset(d.Train)
	}
	return set, nil
}

func (s *sources) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.open {
		if src, err := f(); err == nil {
			src.train.Close()
			src.test.Close()
		}
	}
	s.open = nil
	return nil
}
