package pretrained

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"rarespurious/bridge/weights"
	"rarespurious/experiments/dataset"
	"rarespurious/nn"
)

// Options say where [Fetch] keeps weights and which it wants.
type Options struct {
	Cache    string // folder
	Source   string // the name of one source; "" is the first that can be had
	Offline  bool   // only what is in the cache
	Progress func(dataset.Progress)
}

// An UnavailableError lists the places that were tried, in order, and wraps
// [dataset.ErrUnavailable].
type UnavailableError struct {
	Network string
	Tried   []dataset.Attempt
	Cache   string
}

func (e *UnavailableError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "pretrained: the weights of %s cannot be had; tried", e.Network)
	for i, a := range e.Tried {
		fmt.Fprintf(&b, "\n\t(%d) %s: %v", i+1, a.Place, a.Err)
	}
	fmt.Fprintf(&b, "\nput one of these files into %s and fetch again", filepath.Join(e.Cache, "weights"))
	return b.String()
}

// Unwrap returns [dataset.ErrUnavailable].
func (e *UnavailableError) Unwrap() error { return dataset.ErrUnavailable }

// Fetch returns the weights of a network: those in the cache, else from the
// first of its sources that has them as published, which it brings into the
// cache. A file appears there whole or not at all; what an interrupted Fetch
// has brought is used by the next. If no source has them, the error is an
// [*UnavailableError].
func Fetch(ctx context.Context, network string, o Options) (Weights, error) {
	return fetch(ctx, Table, network, o)
}

func fetch(ctx context.Context, table []Source, network string, o Options) (Weights, error) {
	w, err := find(table, o.Cache, network, o.Source)
	if o.Offline || !errors.Is(err, dataset.ErrUnavailable) {
		return w, err
	}
	sources, err := of(table, network, o.Source)
	if err != nil {
		return Weights{}, err
	}
	folder := filepath.Join(o.Cache, "weights")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return Weights{}, fmt.Errorf("pretrained: %w", err)
	}
	report := func(p dataset.Progress) {
		if o.Progress != nil {
			p.Source = network
			o.Progress(p)
		}
	}
	failed := &UnavailableError{Network: network, Cache: o.Cache}
	for _, s := range sources {
		d, err := s.fetch(ctx, folder, report)
		if ctx.Err() != nil {
			return Weights{}, context.Cause(ctx)
		}
		if err == nil {
			err = s.fits(d)
		}
		if err != nil {
			failed.Tried = append(failed.Tried, dataset.Attempt{Place: s.Title + ", " + s.String(), Err: err})
			continue
		}
		metadata := map[string]string{"network": s.Network, "source": s.String(), "arch": s.Arch}
		if err := weights.Save(s.path(o.Cache), weights.Safetensors, d, metadata); err != nil {
			return Weights{}, err
		}
		if err := s.clean(folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Weights{}, fmt.Errorf("pretrained: %w", err)
		}
		return s.cached(o.Cache)
	}
	return Weights{}, failed
}

// fits reports whether d is a state dict of the source's architecture.
func (s Source) fits(d weights.Dict) error {
	classes := 0
	for _, t := range d {
		if len(t.Shape) == 2 {
			classes = t.Shape[0] // the one linear layer
		}
	}
	a, err := nn.New(s.Arch, nn.Shape{C: 3, H: 224, W: 224}, classes)
	if err != nil {
		return err
	}
	_, _, err = weights.Flatten(a, d)
	return err
}
