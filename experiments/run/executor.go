package run

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/rs/zerolog"
)

// An Executor does the work of Steps: package train's trains and scores.
//
// A Runner calls Exec from several goroutines at once, each locked to an OS
// thread of its own for as long as the Runner runs, and tells them apart by
// Job.Worker.
type Executor interface {
	// Exec runs the Jobs of one group and returns their Outcomes in the same
	// order. When ctx ends it should return soon, with ctx's error in the
	// Outcomes of what it did not finish. A panic fails the whole group.
	Exec(ctx context.Context, group []Job) []Outcome
}

// A Grouper is an Executor that can run several Steps as one Stack. Group cuts
// Steps that are ready to run, all of one Kind, into groups; every Step must be
// in exactly one, equal Steps keep their place. Without it every group is one
// Step.
type Grouper interface {
	Group(steps []Step) [][]Step
}

// An Estimator is an Executor that knows beforehand how much work a Step is, in
// any unit that is the same for all Steps: seconds, floating-point operations.
// Without it every Step counts 1.
type Estimator interface {
	Work(Step) float64
}

// A Job is one Step to run and the places to do it in.
type Job struct {
	Step Step
	ID   ID
	// From are the results of Step.From, in the same order. All are Done: a
	// Step that starts from a diverged one is recorded as diverged unrun.
	From []Parent
	// Dir is an empty folder. Every file that is left in it (no folders)
	// becomes an artifact of the Record. "step.json", "record.json" and
	// "events.jsonl" are taken.
	Dir string
	// Scratch is a folder for checkpoints. It outlives a kill or an error: the
	// next attempt at this Step finds it as it was left. Once the Step has a
	// Record it is removed. "events.jsonl" in it is taken.
	Scratch string
	// Log writes the Step's events.jsonl, kept beside the Record. Where there
	// are checkpoints, "epoch" is logged after each epoch, with epoch, its
	// number, and seconds, which all that is trained together took: the Record
	// of a Step that went on from one adds them up.
	Log *zerolog.Logger
	// Progress tells the Observer what fraction of the Step is done, in [0, 1].
	// It may be called from any goroutine until Exec returns.
	Progress func(done float64)
	// Worker counts the Runner's workers from 0; one group is one worker's.
	Worker int
}

// A Parent is a stored result that a Job starts from.
type Parent struct {
	Record Record
	Dir    string // the folder with its files
}

// Open opens a file of the parent for reading from its start, after comparing
// all of it with the digest in the Record. The caller closes it. A file that
// the Record does not have wraps fs.ErrNotExist, a changed one [ErrIntegrity].
func (p Parent) Open(name string) (*os.File, error) {
	want, ok := p.Record.Files[name]
	if !ok {
		return nil, fmt.Errorf("run: %v has no file %q: %w", p.Record.ID, name, os.ErrNotExist)
	}
	f, err := os.Open(filepath.Join(p.Dir, name))
	if err != nil {
		return nil, fmt.Errorf("run: %v: %w", p.Record.ID, err)
	}
	h := sha256.New()
	_, err = io.Copy(h, f)
	if got := hex.EncodeToString(h.Sum(nil)); err == nil && got != want {
		err = fmt.Errorf("%w: %s has digest %s, the record says %s", ErrIntegrity, name, got, want)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("run: %v: %w", p.Record.ID, err)
	}
	return f, nil
}

// An Outcome is what became of one Job.
type Outcome struct {
	// Err says why there is no result; all other fields then count for nothing.
	Err error
	// Status is Done if empty.
	Status Status
	// Values are the numbers for the Record. NaN and Inf make the Step fail: of
	// a diverged Step give only what is finite.
	Values map[string]float64
	// Env says where it ran; the Runner adds its own fields.
	Env Env
}
