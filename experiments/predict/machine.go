// Package predict says how long Steps will take on a machine.
//
// Its one idea: a Step takes as long as like Steps took, in proportion to its
// epochs, and where none is stored, as long as its images take to
// pass through its network, which a few timed batches tell. How long a sweep
// takes follows from the order in which its workers take the Steps.
package predict

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"rarespurious/experiments/run"
	"rarespurious/experiments/train"
)

// A Machine knows how fast this machine is. The zero value of a field knows
// nothing.
type Machine struct {
	Sizes train.Sizes // needed
	// Host, Device and Threads say which Records tell of this machine.
	Host, Device string
	Threads      int
	// Paces are seconds an image, by a Pass's Key.
	Paces map[string]float64

	seen map[string][]float64 // by likeness: seconds per amount of Steps that have run
}

// Learn takes in how long a stored Step took. Those of other machines, and what
// diverged, tell nothing.
func (m *Machine) Learn(r run.Record) {
	e := r.Env
	if r.Status != run.Done || r.Seconds <= 0 || e.Host != m.Host || e.Device != m.Device || max(1, e.Threads) != max(1, m.Threads) {
		return
	}
	key, amount := likeness(r.Step)
	if amount <= 0 {
		return
	}
	if m.seen == nil {
		m.seen = map[string][]float64{}
	}
	m.seen[key] = append(m.seen[key], r.Seconds/amount)
}

// Seconds predicts how long a Step takes one worker: by the median of like
// Steps, else by the paces of its parts. beside names what is not in it, "" if
// nothing; ok is false if nothing is known.
func (m *Machine) Seconds(s run.Step) (seconds float64, beside string, ok bool) {
	key, amount := likeness(s)
	if rates := m.seen[key]; len(rates) > 0 {
		return amount * median(rates), "", true
	}
	parts, beside := train.Cost(s, m.Sizes)
	for _, p := range parts {
		pace, ok := m.Paces[p.Pass.Key()]
		if !ok {
			return 0, cmp.Or(beside, s.Kind()), false
		}
		seconds += p.Images * pace
	}
	return seconds + overhead, beside, len(parts) > 0 || beside == ""
}

// overhead is how many seconds a Step takes beside its parts: writing and
// syncing its files, as seen on a local disk.
const overhead = 0.05

// Calibrate times the Passes of steps that are not known yet, each once.
// Records that tell of a Step make its Passes superfluous. pace measures one;
// observe is told what is measured.
func (m *Machine) Calibrate(ctx context.Context, steps []run.Step, observe func(train.Pass), pace func(context.Context, train.Pass) (float64, error)) error {
	if m.Paces == nil {
		m.Paces = map[string]float64{}
	}
	for _, s := range steps {
		if key, _ := likeness(s); len(m.seen[key]) > 0 {
			continue
		}
		parts, _ := train.Cost(s, m.Sizes)
		for _, p := range parts {
			key := p.Pass.Key()
			if _, ok := m.Paces[key]; ok || p.Images <= 0 {
				continue
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			observe(p.Pass)
			seconds, err := pace(ctx, p.Pass)
			if err != nil {
				return err
			}
			m.Paces[key] = seconds
		}
	}
	return nil
}

// likeness returns what a Step has in common with those that take as long per
// amount, and its amount: of training the epochs, of all else 1.
func likeness(s run.Step) (key string, amount float64) {
	type like struct {
		Kind   string
		Model  run.Train
		Delete *run.Delete `json:",omitempty"`
		Score  *run.Score  `json:",omitempty"`
		From   int
	}
	model := s
	for model.Train == nil {
		if len(model.From) == 0 {
			return "", 0
		}
		model = model.From[0]
	}
	t := *model.Train
	l := like{Kind: s.Kind(), Model: plain(t)}
	amount = 1
	switch {
	case s.Train != nil:
		amount = float64(t.Epochs)
	case s.Delete != nil:
		d := *s.Delete
		d.Seed, d.Damping, d.Decay = 0, 0, 0
		if d.Scale != 0 {
			d.Scale = 1
		}
		l.Delete = &d
	case s.Score != nil:
		l.Score = &run.Score{Measure: s.Score.Measure, Size: s.Score.Size}
		l.From = len(s.From)
	}
	b, err := json.Marshal(l)
	if err != nil {
		panic(fmt.Sprintf("predict: a Step that JSON cannot hold: %v", err))
	}
	return string(b), amount
}

// plain returns t without what hardly changes how long an image takes.
func plain(t run.Train) run.Train {
	if t.Noise > 0 {
		t.Noise = 1
	}
	if t.Clip > 0 {
		t.Clip = 1
	}
	t.Poison, t.Pool, t.Weights = run.Poison{}, nil, ""
	t.LR, t.Momentum, t.WeightDecay, t.Epochs, t.Milestones, t.Gamma, t.Seed = 0, 0, 0, 0, nil, 0, 0
	t.Data.Seed, t.Data.Digest = 0, ""
	return t
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}
