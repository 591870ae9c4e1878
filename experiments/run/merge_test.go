package run

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
)

// TestMergeShards runs two shards in two folders and merges them.
func TestMergeShards(t *testing.T) {
	steps := figure(6)
	a, b := open(t, t.TempDir()), open(t, t.TempDir())
	for i, s := range []*Store{a, b} {
		sweepAll(t, &Runner{Store: s, Exec: &fake{}, KeepBytes: -1}, Shard{i + 1, 2}.Select(steps))
	}
	m, err := a.Merge(t.Context(), b)
	if err != nil || len(m.Copied) == 0 || m.Same+len(m.Differ)+len(m.Damaged) != 0 {
		t.Errorf("%+v, %v", m, err)
	}
	f := &fake{}
	sameResults(t, reference(t, steps), sweepAll(t, &Runner{Store: a, Exec: f}, steps))
	if report := clean(t, a); report.Records != 24 || report.Dropped != 12 || len(f.ran) != 0 {
		t.Errorf("%+v after %d Steps", report, len(f.ran))
	}
	m, err = a.Merge(t.Context(), b)
	if err != nil || len(m.Copied) != 0 || m.Same == 0 {
		t.Errorf("a second time: %+v, %v", m, err)
	}
}

func TestMergeNamesWhatDiffers(t *testing.T) {
	a, b := open(t, t.TempDir()), open(t, t.TempDir())
	ours := sweepAll(t, &Runner{Store: a, Exec: &fake{}}, []Step{training(0)})
	sweepAll(t, &Runner{Store: b, Exec: &fake{salt: "other"}}, []Step{training(0), training(1), training(2)})
	edit(t, filepath.Join(b.Path(training(2).ID()), "theta"), flip)
	m, err := a.Merge(t.Context(), b)
	if err != nil || len(m.Copied) != 1 || len(m.Differ) != 1 || len(m.Damaged) != 1 || m.Differ[0].ID != training(0).ID() {
		t.Errorf("%+v, %v", m, err)
	}
	sameResults(t, ours, sweepAll(t, &Runner{Store: a, Exec: &fake{}}, []Step{training(0)}))
	clean(t, a)
}

// TestMergeStops sees that a merge waits for whoever runs a Step, and ends with its
// context: also where no lock is in the way.
func TestMergeStops(t *testing.T) {
	a, b := open(t, t.TempDir()), open(t, t.TempDir())
	sweepAll(t, &Runner{Store: b, Exec: &fake{}}, []Step{training(0)})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if m, err := a.Merge(ctx, b); !errors.Is(err, context.Canceled) || len(m.Copied) != 0 {
		t.Errorf("after its context's end: %+v, %v", m, err)
	}
	l, err := a.tryLock(training(0).ID())
	if err != nil || l == nil {
		t.Fatal(l, err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 2*wait)
	defer cancel()
	if m, err := a.Merge(ctx, b); !errors.Is(err, context.DeadlineExceeded) || len(m.Copied) != 0 {
		t.Errorf("while it is locked: %+v, %v", m, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if m, err := a.Merge(t.Context(), b); err != nil || len(m.Copied) != 1 {
		t.Errorf("%+v, %v", m, err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if _, err := Audit(ctx, a); !errors.Is(err, context.Canceled) {
		t.Errorf("an audit after its context's end: %v", err)
	}
}

// TestLitter leaves what killed processes leave, one of which still lives.
func TestLitter(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	dead, err := s.begin(training(0), training(0).ID())
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.tryLock(training(1).ID())
	if err != nil || l == nil {
		t.Fatal(l, err)
	}
	defer l.Close()
	alive, err := s.begin(training(1), training(1).ID())
	if err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	if exists(dead.dir) || !exists(alive.dir) {
		t.Errorf("dead litter there: %v, a living process's: %v", exists(dead.dir), exists(alive.dir))
	}
}
