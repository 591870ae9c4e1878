package run

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"github.com/rs/zerolog"
)

// A task is what a node holds while it is run.
type task struct {
	lock    io.Closer
	draft   *draft
	log     *os.File
	earlier int  // bytes of the log that earlier attempts have left
	stopped bool // it ended with the context
	fatal   bool // err means that no other Step can be stored either
	settled bool
}

// close gives up all that t holds.
func (t *task) close() {
	if t.log != nil {
		t.log.Close() // the log was synced if it counts
	}
	if t.draft != nil {
		t.draft.discard() // what stays is litter, which the next OpenStore removes
	}
	if t.lock != nil {
		t.lock.Close()
	}
	t.log, t.draft, t.lock = nil, nil, nil
}

// run runs one group and leaves each node with a record or an error.
func (w *sweep) run(worker int, group []*node) {
	var jobs []Job
	var running []*node
	var lines []Line
	for _, n := range group {
		if n.err = w.prepare(n); n.err != nil {
			n.fatal = full(n.err)
			n.close()
			continue
		}
		lines = append(lines, Line{Event: EventStart, ID: n.id})
		running = append(running, n)
	}
	if len(lines) > 0 {
		if err := w.Store.journal.Append(lines...); err != nil {
			for _, n := range running {
				n.err, n.fatal = err, true
				n.close()
			}
			return
		}
	}
	outcomes := map[*node]Outcome{}
	var executed []*node
	for _, n := range running {
		w.tell(n, Notice{Kind: NoticeStarted})
		if n.fromDiverged() {
			outcomes[n] = Outcome{Status: Diverged}
			continue
		}
		jobs = append(jobs, w.job(worker, n))
		executed = append(executed, n)
	}
	started := time.Now()
	if len(jobs) > 0 {
		for i, o := range execute(w.ctx, w.Exec, jobs) {
			outcomes[executed[i]] = o
		}
	}
	// A group's time is shared out evenly, so that times can be summed.
	took := time.Since(started)
	times := Record{Started: started.UTC(), Finished: started.Add(took).UTC(), Seconds: took.Seconds() / float64(max(len(jobs), 1))}
	for _, n := range running {
		w.conclude(n, outcomes[n], times)
	}
}

func (n *node) fromDiverged() bool {
	for _, p := range n.parents {
		if p.record.Status == Diverged {
			return true
		}
	}
	return false
}

// prepare makes the places that n's Job works in.
func (w *sweep) prepare(n *node) (err error) {
	if n.draft, err = w.Store.begin(n.step, n.id); err != nil {
		return err
	}
	scratch := w.Store.scratch(n.id)
	if err := os.MkdirAll(scratch, 0o755); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	// The log outlives a kill with the checkpoints, so that it tells of all
	// epochs; a line that the kill has torn is cut off.
	name := filepath.Join(scratch, eventsFile)
	old, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, ErrNotExist) {
		return fmt.Errorf("run: %w", err)
	}
	if n.log, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	n.earlier = bytes.LastIndexByte(old, '\n') + 1
	return n.log.Truncate(int64(n.earlier))
}

func (w *sweep) job(worker int, n *node) Job {
	var from []Parent
	for _, p := range n.parents {
		from = append(from, Parent{p.record, p.dir})
	}
	log := zerolog.New(n.log).With().Timestamp().Logger()
	progress := func(done float64) { w.tell(n, Notice{Kind: NoticeProgress, Done: min(max(done, 0), 1)}) }
	return Job{n.step, n.id, from, n.draft.dir, w.Store.scratch(n.id), &log, progress, worker}
}

// execute calls Exec and turns what it must not do into errors.
func execute(ctx context.Context, exec Executor, jobs []Job) (out []Outcome) {
	all := func(err error) []Outcome {
		out := make([]Outcome, len(jobs))
		for i := range out {
			out[i].Err = err
		}
		return out
	}
	defer func() {
		if p := recover(); p != nil {
			out = all(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	out = exec.Exec(ctx, jobs)
	if len(out) != len(jobs) {
		return all(fmt.Errorf("the executor returned %d outcomes for %d jobs", len(out), len(jobs)))
	}
	return out
}

// conclude stores what n gave, or says why it gave nothing.
func (w *sweep) conclude(n *node, o Outcome, times Record) {
	r := times
	r.ID, r.Step, r.Status, r.Values, r.Env = n.id, n.step, cmp.Or(o.Status, Done), o.Values, w.env.with(o.Env)
	switch {
	case o.Err != nil && w.ctx.Err() != nil && errors.Is(o.Err, w.ctx.Err()):
		n.err, n.stopped = o.Err, true
	case o.Err != nil:
		n.err, n.fatal = w.diagnose(n, o.Err), full(o.Err)
	case n.action == Again:
		n.err = w.compare(n, r)
	default:
		n.err = w.store(n, r)
	}
	if n.err != nil {
		n.fatal = n.fatal || full(n.err)
		if !n.stopped {
			// If this cannot be written, neither can anything else, and that is told.
			if err := w.Store.journal.Append(Line{Event: EventFail, ID: n.id, Note: n.err.Error()}); err != nil {
				n.err, n.fatal = errors.Join(n.err, err), true
			}
		}
		n.close()
		return
	}
	if n.dir == w.Store.Path(n.id) {
		n.close()
	}
	w.tell(n, Notice{Kind: NoticeFinished, Record: n.record})
}

// with returns e with the fields of o that an Executor fills.
func (e Env) with(o Env) Env {
	o.Go, o.Revision, o.Dirty, o.Host, o.OS = e.Go, e.Revision, e.Dirty, e.Host, e.OS
	return o
}

// store commits n's draft.
func (w *sweep) store(n *node, r Record) error {
	log := n.log
	n.log = nil
	if err := log.Close(); err != nil {
		return err
	}
	scratch := w.Store.scratch(n.id)
	events := filepath.Join(scratch, eventsFile)
	text, err := os.ReadFile(events)
	if err == nil {
		err = os.Rename(events, filepath.Join(n.draft.dir, eventsFile))
	}
	if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	if begin, seconds := resumed(text, n.earlier); seconds > 0 {
		r.Started = begin.UTC()
		r.Seconds += seconds / float64(max(r.Env.Models, 1)) // a line tells of the whole Stack
	}
	if n.record, err = n.draft.commit(r); err != nil {
		return err
	}
	n.dir = w.Store.Path(n.id)
	return os.RemoveAll(scratch)
}

// resumed returns when the epochs began that an attempt did not have to train,
// because it went on from a checkpoint, and how long they took: 0 if there are
// none. Its own lines in the log begin at byte own.
func resumed(log []byte, own int) (begin time.Time, seconds float64) {
	type line struct {
		Message string
		Epoch   int
		Seconds float64
		Time    time.Time
	}
	earlier := map[int]line{} // of an epoch that was repeated the later line counts
	at := 0
	for text := range bytes.Lines(log) {
		var l line
		if json.Unmarshal(text, &l) == nil && l.Message == "epoch" {
			if at < own {
				earlier[l.Epoch] = l
			} else {
				delete(earlier, l.Epoch)
			}
		}
		at += len(text)
	}
	for i, epoch := range slices.Sorted(maps.Keys(earlier)) {
		l := earlier[epoch]
		if seconds += l.Seconds; i == 0 {
			begin = l.Time.Add(-time.Duration(l.Seconds * float64(time.Second)))
		}
	}
	return begin, seconds
}

// compare compares what n gave now with its Record, and makes the files that
// were dropped available: in the store, or where that is to stay as it is, in
// the draft, until nobody needs them.
func (w *sweep) compare(n *node, again Record) error {
	var err error
	if again.Files, err = n.draft.digests(); err != nil {
		return err
	}
	c := Compare(n.record, again, 0)
	n.comparison = &c
	if err := w.Store.journal.Append(Line{Event: EventVerify, ID: n.id, Note: c.String()}); err != nil {
		n.fatal = true
		return err
	}
	if !c.Same() {
		if c.MustAgree {
			return fmt.Errorf("%w: run again it gave other numbers: %v", ErrIntegrity, c)
		}
		w.tell(n, Notice{Kind: NoticeWarning, Text: "run again elsewhere: " + c.String()})
	}
	n.dir = w.Store.Path(n.id)
	switch {
	case w.Store.complete(n.record):
	case c.Same() && !n.forced:
		err = w.Store.restore(n.record, n.draft)
	default:
		n.dir = n.draft.dir
		n.record.Files = again.Files
	}
	return errors.Join(err, os.RemoveAll(w.Store.scratch(n.id)))
}

// diagnose looks whether a Step failed because a file that it starts from is
// damaged, and if so moves the file aside: the next sweep makes it again.
func (w *sweep) diagnose(n *node, err error) error {
	if !errors.Is(err, ErrIntegrity) {
		return err
	}
	for _, p := range n.parents {
		moved, e := w.Store.discardFiles(p.record, p.dir)
		if len(moved) > 0 {
			err = fmt.Errorf("%w; %v of %v is moved aside and made again by the next sweep", err, moved, p.id)
		}
		err = errors.Join(err, e)
	}
	return err
}
