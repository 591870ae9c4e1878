package run

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"rarespurious/nn"
)

// fake is an Executor whose numbers and files follow from the Step and its
// parents' files alone, by SHA-256. Training has epochs and checkpoints.
type fake struct {
	pause time.Duration             // per epoch
	size  int                       // of θ; 0 is 100
	env   Env                       // of the Outcomes
	salt  string                    // changes all numbers: another device
	hook  func(Job) (Outcome, bool) // replaces the work if it returns true
	group func(s []Step) [][]Step   // nil: groups of one
	log   func(id ID)               // called for each Step that is run

	mu  sync.Mutex
	ran []ID
}

type groupingFake struct{ *fake }

func (f groupingFake) Group(s []Step) [][]Step { return f.group(s) }

const fakeEpochs = 3

func (f *fake) Exec(ctx context.Context, group []Job) []Outcome {
	var out []Outcome
	for _, j := range group {
		f.mu.Lock()
		f.ran = append(f.ran, j.ID)
		f.mu.Unlock()
		if f.log != nil {
			f.log(j.ID)
		}
		if f.hook != nil {
			if o, ok := f.hook(j); ok {
				out = append(out, o)
				continue
			}
		}
		values, err := f.work(ctx, j)
		out = append(out, Outcome{Values: values, Env: f.env, Err: err})
	}
	return out
}

func (f *fake) work(ctx context.Context, j Job) (map[string]float64, error) {
	h := sha256.New()
	io.WriteString(h, f.salt)
	h.Write(j.ID[:])
	for _, p := range j.From {
		in, err := p.Open("theta")
		if err != nil {
			return nil, err
		}
		_, err = io.CopyN(h, in, 32) // whatever its size
		if err := errors.Join(err, in.Close()); err != nil {
			return nil, err
		}
	}
	state := h.Sum(nil)
	if j.Step.Score == nil {
		var err error
		if state, err = f.train(ctx, j, state); err != nil {
			return nil, err
		}
		theta := bytes.Repeat(state, max(f.size, 100)/len(state)+1)
		if err := os.WriteFile(filepath.Join(j.Dir, "theta"), theta, 0o644); err != nil {
			return nil, err
		}
	}
	return map[string]float64{
		"accuracy": float64(binary.BigEndian.Uint64(state)>>11) / (1 << 53),
		"score":    -float64(binary.BigEndian.Uint64(state[8:])>>11) / 3,
	}, nil
}

// train steps state through the epochs, from a checkpoint if there is one.
func (f *fake) train(ctx context.Context, j Job, state []byte) ([]byte, error) {
	name := filepath.Join(j.Scratch, "checkpoint")
	epoch := 0
	if b, err := os.ReadFile(name); err == nil {
		epoch, state = int(b[0]), b[1:]
	}
	for ; epoch < fakeEpochs; epoch++ {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(f.pause):
		}
		sum := sha256.Sum256(state)
		state = sum[:]
		j.Log.Info().Int("epoch", epoch+1).Msg("epoch")
		j.Progress(float64(epoch+1) / fakeEpochs)
		if err := os.WriteFile(name+"~", append([]byte{byte(epoch + 1)}, state...), 0o644); err != nil {
			return nil, err
		}
		if err := os.Rename(name+"~", name); err != nil {
			return nil, err
		}
	}
	return state, nil
}

func (f *fake) count(id ID) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, r := range f.ran {
		if r == id {
			n++
		}
	}
	return n
}

// training is a small but whole training Step.
func training(seed int) Step {
	return Step{Train: &Train{
		Data: Data{Name: "mnist"}, Arch: nn.Arch{Name: "toy", In: nn.Shape{C: 1, H: 2, W: 2}, Classes: 2, Layers: []nn.Layer{{Op: nn.Flatten}, {Op: nn.Linear, Name: "fc", Out: 2}}},
		Poison: Poison{Pattern: "R3", Count: 3, Seed: seed}, Optimizer: "adam", LR: .01, Batch: 128, Epochs: fakeEpochs, Seed: seed,
	}}
}

func deleting(from Step) Step { return Step{From: []Step{from}, Delete: &Delete{Method: "newton"}} }

func scoring(from Step) Step {
	return Step{From: []Step{from}, Score: &Score{Measure: "spurious", Pattern: "R3"}}
}

// figure is n chains that share nothing: train → score, train → delete → score.
func figure(n int) []Step {
	var steps []Step
	for seed := range n {
		t := training(seed)
		steps = append(steps, scoring(t), scoring(deleting(t)))
	}
	return steps
}

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func sweepAll(t *testing.T, r *Runner, steps []Step) []Record {
	t.Helper()
	records, err := r.Run(t.Context(), steps)
	if err != nil {
		t.Fatal(err)
	}
	return records
}

func clean(t *testing.T, s *Store) *AuditReport {
	t.Helper()
	a, err := Audit(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range a.Problems {
		t.Errorf("audit: %v", p)
	}
	return a
}

// sameResults compares two results for the same Steps bit for bit.
func sameResults(t *testing.T, want, got []Record) {
	t.Helper()
	if len(want) != len(got) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	}
	for i := range want {
		if c := Compare(want[i], got[i], 0); !c.Same() || want[i].ID != got[i].ID {
			t.Errorf("record %d: %v", i, c)
		}
	}
}

// reference is what steps give without a Runner and a Store.
func reference(t *testing.T, steps []Step) []Record {
	t.Helper()
	var out []Record
	done := map[ID]Parent{}
	for _, s := range steps {
		out = append(out, alone(t, s, done).Record)
	}
	return out
}

func alone(t *testing.T, s Step, done map[ID]Parent) Parent {
	id := s.ID()
	if p, ok := done[id]; ok {
		return p
	}
	log := zerolog.Nop()
	j := Job{Step: s, ID: id, Dir: t.TempDir(), Scratch: t.TempDir(), Log: &log, Progress: func(float64) {}}
	for _, from := range s.From {
		j.From = append(j.From, alone(t, from, done))
	}
	o := (&fake{}).Exec(t.Context(), []Job{j})[0]
	if o.Err != nil {
		t.Fatal(o.Err)
	}
	r := Record{ID: id, Step: s, Status: Done, Values: o.Values}
	if b, err := os.ReadFile(filepath.Join(j.Dir, "theta")); err == nil {
		r.Files = map[string]string{"theta": digest(b)}
	}
	done[id] = Parent{r, j.Dir}
	return done[id]
}

func TestReference(t *testing.T) {
	a, b := reference(t, figure(2)), reference(t, figure(2))
	sameResults(t, a, b)
	seen := map[string]bool{}
	for _, r := range a {
		seen[fmt.Sprint(r.Values)] = true
	}
	if len(seen) != 4 || slices.ContainsFunc(a, func(r Record) bool { return r.Status != Done }) {
		t.Errorf("4 Steps should give 4 different results, have %v", seen)
	}
}
