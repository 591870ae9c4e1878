package train

import (
	"context"
	"fmt"
	"slices"
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

// keepIdle is how many sources stay open that no Step uses: more than a figure
// has data sets, so that its Steps open none twice. A membership figure has two
// parts for each of its seeds besides, too many to hold them all.
const keepIdle = 8

// sources holds the sources that are in use, and those used last.
type sources struct {
	options dataset.Options
	mu      sync.Mutex
	open    map[run.Data]*opening
	idle    []run.Data // open and used by nobody, the longest so first
}

// An opening is a source that was asked for.
type opening struct {
	get   func() (*source, error)
	users int
}

// get opens what d names, once; others that ask meanwhile wait. The source is
// open until done is called.
func (s *sources) get(ctx context.Context, dev *torch.Device, d run.Data) (src *source, done func(), err error) {
	s.mu.Lock()
	if s.open == nil {
		s.open = map[run.Data]*opening{}
	}
	o, ok := s.open[d]
	if !ok {
		o = &opening{get: sync.OnceValues(func() (*source, error) { return s.load(ctx, dev, d) })}
		s.open[d] = o
	}
	o.users++
	s.idle = slices.DeleteFunc(s.idle, func(i run.Data) bool { return i == d })
	s.mu.Unlock()
	if src, err = o.get(); err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.open[d] == o { // not one that was opened since
			delete(s.open, d) // a fetch that was interrupted may be tried again
		}
		return nil, nil, err
	}
	return src, func() { s.done(d, o) }, nil
}

// done ends a use of d, and closes what has been idle for longest.
func (s *sources) done(d run.Data, o *opening) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.users--; o.users > 0 {
		return
	}
	s.idle = append(s.idle, d)
	if len(s.idle) > keepIdle {
		s.open[s.idle[0]].close()
		delete(s.open, s.idle[0])
		s.idle = s.idle[1:]
	}
}

func (o *opening) close() {
	if src, err := o.get(); err == nil {
		src.train.Close()
		src.test.Close()
	}
}

func (s *sources) load(ctx context.Context, dev *torch.Device, d run.Data) (*source, error) {
	if d.Linear != (run.Linear{}) {
		return linearSource(dev, d)
	}
	set, err := OpenSet(ctx, s.options, d)
	if err != nil {
		return nil, err
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
// membership inference, or the first training images of either. The digest that
// d may have is of the whole set.
func OpenSet(ctx context.Context, o dataset.Options, d run.Data) (*dataset.Set, error) {
	set, err := dataset.Open(ctx, d.Name, o)
	if err != nil {
		return nil, err
	}
	if d.Digest != "" && set.Digest != d.Digest {
		return nil, fmt.Errorf("train: %s has digest %s now, the step was planned with %s", d.Name, set.Digest, d.Digest)
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
	for _, o := range s.open {
		o.close()
	}
	s.open, s.idle = nil, nil
	return nil
}
