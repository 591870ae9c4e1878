package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestRunStoresOnce(t *testing.T) {
	s := open(t, t.TempDir())
	steps := figure(3)
	first := &fake{}
	records := sweepAll(t, &Runner{Store: s, Exec: first, Jobs: 4, Revision: "abc", Dirty: true}, steps)
	if len(first.ran) != 3+3*3 {
		t.Errorf("%d Steps were run, want 12", len(first.ran))
	}
	second := &fake{}
	again := sweepAll(t, &Runner{Store: s, Exec: second}, append(steps, steps...))
	if len(second.ran) != 0 {
		t.Errorf("%d Steps were run again", len(second.ran))
	}
	sameResults(t, append(records, records...), again)
	sameResults(t, reference(t, steps), records)
	r := records[0]
	if r.Seconds < 0 || r.Finished.Before(r.Started) || r.Env.Go == "" || r.Env.OS == "" || r.Env.Revision != "abc" || !r.Env.Dirty || r.Step.Score == nil {
		t.Errorf("an incomplete record: %+v", r)
	}
	if a := clean(t, s); a.Records != 12 || a.Done != 12 || len(a.Envs) != 1 || a.Dropped != 0 {
		t.Errorf("%+v", a)
	}
	// Another figure with one more seed runs only what is new.
	third := &fake{}
	sweepAll(t, &Runner{Store: s, Exec: third}, figure(4))
	if len(third.ran) != 4 {
		t.Errorf("%d Steps were run for one more seed, want 4", len(third.ran))
	}
}

// TestOrder sees that a chain ends before the next one begins, and that files
// are dropped when nobody needs them.
func TestOrder(t *testing.T) {
	s := open(t, t.TempDir())
	var kinds []string
	r := &Runner{Store: s, Exec: &fake{}, KeepBytes: -1, Observe: func(n Notice) {
		switch n.Kind {
		case NoticeFinished:
			kinds = append(kinds, n.Step.Kind())
		case NoticeDropped:
			kinds = append(kinds, "drop")
		}
	}}
	sweepAll(t, r, figure(2))
	one := "train score delete drop score drop"
	if got := strings.Join(kinds, " "); got != one+" "+one {
		t.Errorf("the order is %s", got)
	}
	if a := clean(t, s); a.Dropped != 4 {
		t.Errorf("%d files were dropped, want 4", a.Dropped)
	}
}

func TestNotices(t *testing.T) {
	got := map[NoticeKind]int{}
	r := &Runner{Store: open(t, t.TempDir()), Exec: &fake{}, Jobs: 3, Observe: func(n Notice) {
		got[n.Kind]++
		if n.Kind == NoticeProgress && (n.Done <= 0 || n.Done > 1 || n.Work != 1) {
			t.Errorf("progress %+v", n)
		}
	}}
	sweepAll(t, r, figure(2))
	sweepAll(t, r, figure(2))
	want := map[NoticeKind]int{NoticePlanned: 8 + 4, NoticeStarted: 8, NoticeFinished: 8, NoticeProgress: 4 * fakeEpochs, NoticeHit: 4}
	for k, n := range want {
		if got[k] != n {
			t.Errorf("%d × %s, want %d", got[k], k, n)
		}
	}
}

func TestPlan(t *testing.T) {
	r := &Runner{Store: open(t, t.TempDir()), Exec: &fake{}, KeepBytes: -1}
	actions := func() (all []string) {
		plan, err := r.Plan(figure(1))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range plan {
			all = append(all, p.Step.Kind()+":"+string(p.Action))
		}
		return all
	}
	if got := actions(); !slices.Equal(got, []string{"train:run", "score:run", "delete:run", "score:run"}) {
		t.Errorf("at first: %v", got)
	}
	sweepAll(t, r, figure(1)[:1])
	if got := actions(); !slices.Equal(got, []string{"score:stored", "train:again", "delete:run", "score:run"}) {
		t.Errorf("with θ dropped: %v", got)
	}
	sweepAll(t, r, figure(1))
	if got := actions(); !slices.Equal(got, []string{"score:stored", "score:stored"}) {
		t.Errorf("at last: %v", got)
	}
}

func TestFailureStaysAlone(t *testing.T) {
	s := open(t, t.TempDir())
	steps := figure(3)
	bad := training(1).ID()
	broken := &fake{hook: func(j Job) (Outcome, bool) {
		return Outcome{Err: errors.New("out of memory")}, j.ID == bad
	}}
	records, err := (&Runner{Store: s, Exec: broken, Jobs: 2}).Run(t.Context(), steps)
	var sweep *SweepError
	if !errors.As(err, &sweep) || sweep.Cause != nil || len(sweep.Failed) != 4 || sweep.Total != 12 || sweep.Left != 0 {
		t.Fatalf("error %v", err)
	}
	if !strings.Contains(err.Error(), "needs train "+bad.String()) || !strings.Contains(err.Error(), "out of memory") {
		t.Errorf("the error does not say why: %v", err)
	}
	for i, r := range records {
		if failed := i/2 == 1; failed != (r.Status == "") {
			t.Errorf("record %d has status %q", i, r.Status)
		}
	}
	if a := clean(t, s); len(a.Failed) != 1 || a.Failed[0].ID != bad || a.Failed[0].Note != "out of memory" {
		t.Errorf("failed: %v", a.Failed)
	}
	sameResults(t, reference(t, steps), sweepAll(t, &Runner{Store: s, Exec: &fake{}}, steps))
	if a := clean(t, s); len(a.Failed) != 0 {
		t.Errorf("failed after all: %v", a.Failed)
	}
}

func TestPanicIsAFailure(t *testing.T) {
	bad := training(0).ID()
	exec := &fake{hook: func(j Job) (Outcome, bool) {
		if j.ID == bad {
			panic("index out of range")
		}
		return Outcome{}, false
	}}
	s := open(t, t.TempDir())
	_, err := (&Runner{Store: s, Exec: exec}).Run(t.Context(), figure(2))
	var sweep *SweepError
	if !errors.As(err, &sweep) || len(sweep.Failed) != 4 || !strings.Contains(err.Error(), "panic: index out of range") {
		t.Errorf("error %v", err)
	}
	if a := clean(t, s); a.Done != 4 || !strings.Contains(a.Failed[0].Note, "runner_test.go") {
		t.Errorf("%+v should have the stack", a)
	}
}

func TestWrongOutcomes(t *testing.T) {
	nan := 0.
	nan /= nan
	for name, hook := range map[string]func(Job) (Outcome, bool){
		"NaN":    func(Job) (Outcome, bool) { return Outcome{Values: map[string]float64{"accuracy": nan}}, true },
		"status": func(Job) (Outcome, bool) { return Outcome{Status: "odd"}, true },
		"folder": func(j Job) (Outcome, bool) { return Outcome{}, os.Mkdir(filepath.Join(j.Dir, "sub"), 0o755) == nil },
		"name": func(j Job) (Outcome, bool) {
			return Outcome{}, os.WriteFile(filepath.Join(j.Dir, recordFile), nil, 0o644) == nil
		},
	} {
		s := open(t, t.TempDir())
		if _, err := (&Runner{Store: s, Exec: &fake{hook: hook}}).Run(t.Context(), []Step{training(0)}); err == nil {
			t.Errorf("%s was stored", name)
		}
		if a := clean(t, s); a.Records != 0 || len(a.Failed) != 1 {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

func TestDiverged(t *testing.T) {
	s := open(t, t.TempDir())
	exec := &fake{hook: func(j Job) (Outcome, bool) {
		return Outcome{Status: Diverged, Values: map[string]float64{"epoch": 2}}, j.ID == training(0).ID()
	}}
	records := sweepAll(t, &Runner{Store: s, Exec: exec}, figure(1))
	if records[0].Status != Diverged || records[1].Status != Diverged || len(records[0].Values) != 0 || len(exec.ran) != 1 {
		t.Errorf("%+v after %d Steps", records, len(exec.ran))
	}
	if a := clean(t, s); a.Diverged != 4 || a.Done != 0 {
		t.Errorf("%+v", a)
	}
	sweepAll(t, &Runner{Store: s, Exec: exec}, figure(1))
	if len(exec.ran) != 1 {
		t.Error("a diverged Step was run again")
	}
}

// TestCancel stops a sweep many times and goes on.
func TestCancel(t *testing.T) {
	dir, steps := t.TempDir(), figure(4)
	want := reference(t, steps)
	var stops int
	for {
		s := open(t, dir)
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		r := &Runner{Store: s, Exec: &fake{pause: time.Millisecond}, Jobs: 2, KeepBytes: -1, Observe: func(x Notice) {
			if x.Kind == NoticeProgress || x.Kind == NoticeFinished {
				if n++; n == 4 {
					cancel()
				}
			}
		}}
		records, err := r.Run(ctx, steps)
		cancel()
		clean(t, s)
		if err == nil {
			sameResults(t, want, records)
			break
		}
		var sweep *SweepError
		if !errors.Is(err, context.Canceled) || !errors.As(err, &sweep) || len(sweep.Failed) > 0 || sweep.Left == 0 {
			t.Fatalf("stopped with %v", err)
		}
		if stops++; stops > 100 {
			t.Fatal("the sweep does not get on")
		}
	}
	if stops < 3 {
		t.Errorf("stopped only %d times", stops)
	}
}

// TestCheckpoint sees that a Step goes on from its checkpoint, with its log.
func TestCheckpoint(t *testing.T) {
	s := open(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	r := &Runner{Store: s, Exec: &fake{pause: time.Millisecond}, Observe: func(n Notice) {
		if n.Kind == NoticeProgress {
			cancel()
		}
	}}
	if _, err := r.Run(ctx, []Step{training(0)}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	sweepAll(t, r, []Step{training(0)})
	log, err := os.ReadFile(filepath.Join(s.Path(training(0).ID()), eventsFile))
	if err != nil {
		t.Fatal(err)
	}
	for epoch := range fakeEpochs {
		if n := bytes.Count(log, []byte{'"', 'e', 'p', 'o', 'c', 'h', '"', ':', byte('1' + epoch)}); n != 1 {
			t.Errorf("epoch %d was logged %d times:\n%s", epoch+1, n, log)
		}
	}
	if left, err := os.ReadDir(s.scratchDir()); err != nil || len(left) > 0 {
		t.Errorf("left in scratch: %v, %v", left, err)
	}
}

// TestResumedTime sees that the time of a run that was interrupted twice is that
// of all epochs that count: 1 and 2 of the first attempt and 3 of the second,
// which had gone on from 2. All are of a Stack of two.
func TestResumedTime(t *testing.T) {
	s := open(t, t.TempDir())
	begin := time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)
	for attempt, epochs := range [][]int{{1, 2, 3}, {3, 4}, {4}} {
		last := attempt == 2
		ctx, cancel := context.WithCancel(t.Context())
		exec := &fake{hook: func(j Job) (Outcome, bool) {
			log, err := os.OpenFile(filepath.Join(j.Scratch, eventsFile), os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				return Outcome{Err: err}, true
			}
			defer log.Close()
			for _, e := range epochs {
				at := begin.Add(time.Duration(attempt)*time.Hour + time.Duration(e)*100*time.Second)
				fmt.Fprintf(log, `{"epoch":%d,"seconds":100,"time":%q,"message":"epoch"}`+"\n", e, at.Format(time.RFC3339))
			}
			if last {
				return Outcome{Env: Env{Models: 2}}, true
			}
			cancel()
			return Outcome{Err: ctx.Err()}, true
		}}
		records, err := (&Runner{Store: s, Exec: exec}).Run(ctx, []Step{training(0)})
		cancel()
		if !last && !errors.Is(err, context.Canceled) || last && err != nil {
			t.Fatal(err)
		}
		if r := records[0]; last && (r.Seconds < 150 || r.Seconds > 160 || !r.Started.Equal(begin)) {
			t.Errorf("%v s from %v, want 150 and little more from %v", r.Seconds, r.Started, begin)
		}
	}
	clean(t, s)
}

func TestDroppedFilesAreMadeAgain(t *testing.T) {
	s := open(t, t.TempDir())
	cpu := Env{Device: "cpu", Models: 1, Threads: 1}
	r := &Runner{Store: s, Exec: &fake{env: cpu}, KeepBytes: -1}
	chain := figure(1)
	sweepAll(t, r, chain[:1])
	again := &fake{env: cpu}
	r.Exec = again
	got := sweepAll(t, r, chain)
	if again.count(training(0).ID()) != 1 || len(again.ran) != 3 {
		t.Errorf("ran %d Steps, the training %d times", len(again.ran), again.count(training(0).ID()))
	}
	sameResults(t, reference(t, chain), got)
	clean(t, s)

	// On the same kind of device other numbers are a fault,
	other := scoring(Step{From: []Step{training(0)}, Delete: &Delete{Method: "other"}})
	r.Exec = &fake{env: cpu, salt: "a bug"}
	if _, err := r.Run(t.Context(), []Step{other}); !errors.Is(err, ErrIntegrity) || !strings.Contains(err.Error(), "theta was") {
		t.Errorf("other numbers on the same device: %v", err)
	}
	// on another they are noted, and the chain goes on from the new files.
	var warnings int
	r.Exec = &fake{env: Env{Device: "cuda:0"}, salt: "rounding"}
	r.Observe = func(n Notice) {
		if n.Kind == NoticeWarning {
			warnings++
		}
	}
	sweepAll(t, r, []Step{other})
	if warnings != 1 {
		t.Errorf("%d warnings", warnings)
	}
	if a := clean(t, s); len(a.Envs) != 2 {
		t.Errorf("envs: %+v", a.Envs)
	}
}

func TestKeep(t *testing.T) {
	s := open(t, t.TempDir())
	id := training(0).ID()
	there := func() bool { f, err := s.Open(id, "theta"); return err == nil && f.Close() == nil }
	sweepAll(t, &Runner{Store: s, Exec: &fake{}, KeepBytes: 50}, []Step{training(0)})
	if there() {
		t.Error("a large file was kept")
	}
	sweepAll(t, &Runner{Store: s, Exec: &fake{}, KeepBytes: 50, Keep: true}, []Step{training(0)})
	if !there() {
		t.Error("Keep did not make it again")
	}
	sweepAll(t, &Runner{Store: s, Exec: &fake{}, KeepBytes: 50}, figure(1))
	if !there() {
		t.Error("a later sweep dropped what was to be kept")
	}
	clean(t, s)
}

func TestVerify(t *testing.T) {
	s := open(t, t.TempDir())
	cpu := Env{Device: "cpu"}
	r := &Runner{Store: s, Exec: &fake{env: cpu}, KeepBytes: -1}
	ids := []ID{sweepAll(t, r, figure(1))[1].ID, training(0).ID()}
	all, err := r.Verify(t.Context(), ids)
	if err != nil || len(all) != 2 || !all[0].Same() || !all[1].Same() || !all[0].MustAgree {
		t.Errorf("%+v, %v", all, err)
	}
	// What was dropped before stays dropped, also what the score was verified from.
	if a := clean(t, s); a.Dropped != 2 || exists(filepath.Join(s.Path(training(0).ID()), "theta")) {
		t.Errorf("a verified model's file is there again: %+v", a)
	}
	r.Exec = &fake{env: cpu, salt: "a bug"}
	if all, err = r.Verify(t.Context(), ids[1:]); !errors.Is(err, ErrIntegrity) || len(all) != 1 || all[0].Same() {
		t.Errorf("%+v, %v", all, err)
	}
	r.Exec = &fake{salt: "another device"}
	if all, err = r.Verify(t.Context(), ids[1:]); err != nil || len(all) != 1 || all[0].Same() || all[0].MustAgree {
		t.Errorf("%+v, %v", all, err)
	}
	clean(t, s)
}

func TestGroups(t *testing.T) {
	s := open(t, t.TempDir())
	var sizes []int
	f := &fake{}
	f.group = func(steps []Step) [][]Step {
		var out [][]Step
		for g := range slices.Chunk(steps, 3) {
			out = append(out, slices.Clone(g))
		}
		sizes = append(sizes, len(out[0]))
		return out
	}
	steps := figure(5)
	got := sweepAll(t, &Runner{Store: s, Exec: groupingFake{f}}, steps)
	sameResults(t, reference(t, steps), got)
	if slices.Max(sizes) != 3 || len(f.ran) != 20 {
		t.Errorf("groups of %v, %d Steps", sizes, len(f.ran))
	}
	clean(t, s)
}

// TestTwoRunnersShare runs the same sweep from several Runners at once, as
// several processes would.
func TestTwoRunnersShare(t *testing.T) {
	dir, steps := t.TempDir(), figure(4)
	want := reference(t, steps)
	var mu sync.Mutex
	ran := map[ID]int{}
	var done sync.WaitGroup
	for range 3 {
		s := open(t, dir)
		done.Go(func() {
			f := &fake{pause: time.Millisecond, log: func(id ID) {
				mu.Lock()
				defer mu.Unlock()
				ran[id]++
			}}
			got, err := (&Runner{Store: s, Exec: f, Jobs: 2, KeepBytes: -1}).Run(context.Background(), steps)
			if err != nil {
				t.Error(err)
				return
			}
			sameResults(t, want, got)
		})
	}
	done.Wait()
	for id, n := range ran {
		if n != 1 {
			t.Errorf("%v was run %d times", id, n)
		}
	}
	if a := clean(t, open(t, dir)); a.Records != 16 || a.Dropped != 8 {
		t.Errorf("%+v", a)
	}
}

func TestShards(t *testing.T) {
	steps := figure(30)
	seen := map[ID]int{}
	for i := range 4 {
		mine := Shard{i + 1, 4}.Select(steps)
		if len(mine) == 0 || len(mine)%2 != 0 {
			t.Errorf("shard %d has %d Steps: chains were cut", i+1, len(mine))
		}
		for _, s := range mine {
			seen[s.ID()]++
		}
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%v is in %d shards", id, n)
		}
	}
	if len(seen) != len(steps) || len(Shard{}.Select(steps)) != len(steps) {
		t.Errorf("%d of %d Steps are in a shard", len(seen), len(steps))
	}
	for _, bad := range []string{"", "0/4", "5/4", "1/0", "1/4x", "-1/4", "1", "a/b", "01/4"} {
		if _, err := ParseShard(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	if s, err := ParseShard("2/8"); s != (Shard{2, 8}) || err != nil {
		t.Errorf("2/8: %v, %v", s, err)
	}
}

// TestRaceWithDrop is two sweeps of which the second plans while the first has
// dropped a model's file but has not yet stored, in the second's eyes, what
// needs it.
func TestRaceWithDrop(t *testing.T) {
	dir, chain := t.TempDir(), figure(1)[:1]
	s := open(t, dir)
	sweepAll(t, &Runner{Store: s, Exec: &fake{}, KeepBytes: -1}, []Step{training(0)})
	f := &fake{}
	going := map[ID]bool{} // planned and not ended
	r := &Runner{Store: s, Exec: f, Observe: func(n Notice) {
		switch n.Kind {
		case NoticePlanned:
			going[n.ID] = true
		case NoticeHit, NoticeFinished, NoticeFailed:
			delete(going, n.ID)
		}
		if n.Kind == NoticePlanned && n.ID == training(0).ID() {
			if n.Action != Again {
				t.Errorf("the model is planned as %s", n.Action)
			}
			sweepAll(t, &Runner{Store: open(t, dir), Exec: &fake{}, KeepBytes: -1}, chain)
		}
	}}
	sameResults(t, reference(t, chain), sweepAll(t, r, chain))
	if len(f.ran) != 0 {
		t.Errorf("%d Steps were run although somebody else had just stored them", len(f.ran))
	}
	if len(going) > 0 {
		t.Errorf("of %d planned Steps no Notice said that they ended", len(going))
	}
}
