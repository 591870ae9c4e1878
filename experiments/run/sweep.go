package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"
)

// A sweep is one call of Run. One goroutine, loop, owns the nodes and decides;
// the workers own a node from when they are given it until they give it back.
type sweep struct {
	*Runner
	ctx   context.Context
	nodes []*node
	uses  *uses
	env   Env
	mu    *sync.Mutex // of Observe

	ready   []*node // by priority
	foreign []*node // ready, but somebody else was running them when last tried
	tasks   chan []*node
	results chan []*node
	busy    int
	cause   error // why no Step is begun any more
}

// diskErrors mean that results cannot be written.
var diskErrors = []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, syscall.EROFS, syscall.EIO}

func (w *sweep) tell(n *node, notice Notice) {
	if w.Observe == nil {
		return
	}
	notice.ID, notice.Step, notice.Action, notice.Work = n.id, n.step, n.action, n.work
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Observe(notice)
}

// announce writes the plan to the journal and puts Steps that can run at once
// among the ready ones.
func (w *sweep) announce(wanted []*node) error {
	note := fmt.Sprintf("%d steps: %d stored, %d to run, %d to run again",
		len(w.nodes), count(w.nodes, Stored), count(w.nodes, Run), count(w.nodes, Again))
	lines := []Line{{Event: EventPlan, Note: note}}
	for _, n := range w.nodes {
		w.tell(n, Notice{Kind: NoticePlanned})
	}
	for _, n := range w.nodes {
		switch {
		case n.action != Stored && n.pending == 0:
			w.enqueue(n)
		case n.action == Stored:
			lines = append(lines, Line{Event: EventHit, ID: n.id})
			if err := w.adopt(n); err != nil {
				return err
			}
			w.tell(n, Notice{Kind: NoticeHit, Record: n.record})
		}
	}
	if err := w.Store.journal.Append(lines...); err != nil {
		return err
	}
	for _, n := range w.nodes {
		if n.action == Stored {
			n.over = true
			w.settle(n)
		}
	}
	return nil
}

// adopt writes the journal line of a Record whose process was killed between
// storing it and saying so.
func (w *sweep) adopt(n *node) error {
	state := w.Store.journal.State(n.id)
	if state.Record != "" || state.Starts == 0 {
		return nil
	}
	l, err := w.Store.tryLock(n.id)
	if l == nil {
		return err // it is just being written
	}
	defer l.Close()
	r, sum, err := w.Store.get(n.id)
	if err != nil {
		return err
	}
	return w.Store.journal.Append(finishLine(r, sum, "its process ended before it could say so"))
}

// enqueue puts n among the ready nodes: deep ones first, so that chains end
// early, then in the order of planning.
func (w *sweep) enqueue(n *node) {
	i, _ := slices.BinarySearchFunc(w.ready, n, func(a, b *node) int {
		return cmp.Or(cmp.Compare(b.depth, a.depth), cmp.Compare(a.index, b.index))
	})
	w.ready = slices.Insert(w.ready, i, n)
}

// loop runs until nothing is left that can run.
func (w *sweep) loop() {
	workers := max(w.Jobs, 1)
	w.tasks, w.results = make(chan []*node), make(chan []*node)
	var done sync.WaitGroup
	for i := range workers {
		done.Go(func() {
			// Never unlocked: the thread ends with the goroutine, and with it
			// whatever an Executor has set on it.
			runtime.LockOSThread()
			for group := range w.tasks {
				w.run(i, group)
				w.results <- group
			}
		})
	}
	stopped := w.ctx.Done()
	for {
		for w.cause == nil && w.ctx.Err() == nil && w.busy < workers && len(w.ready) > 0 {
			if group := w.claim(w.next()); len(group) > 0 {
				w.busy++
				w.tasks <- group
			}
		}
		if w.cause == nil {
			w.cause = w.ctx.Err()
		}
		if w.busy == 0 && (w.cause != nil || len(w.ready)+len(w.foreign) == 0) {
			break
		}
		var again <-chan time.Time
		if len(w.foreign) > 0 && w.cause == nil {
			again = time.After(wait)
		}
		select {
		case group := <-w.results:
			w.busy--
			for _, n := range group {
				w.end(n)
			}
		case <-again:
			for _, n := range w.foreign {
				w.enqueue(n)
			}
			w.foreign = nil
		case <-stopped:
			stopped = nil
		}
	}
	close(w.tasks)
	done.Wait()
	for _, n := range w.nodes {
		n.close()
	}
}

// end passes on what became of n.
func (w *sweep) end(n *node) {
	if n.fatal && w.cause == nil {
		w.cause = n.err
	}
	n.over = true
	for _, p := range n.parents {
		p.users--
		p.needed = p.needed || n.err != nil
		w.settle(p)
	}
	if n.err != nil && !n.stopped {
		w.tell(n, Notice{Kind: NoticeFailed, Err: n.err})
	}
	for _, c := range n.children {
		if c.over {
			continue
		}
		if n.err != nil {
			c.err = fmt.Errorf("it needs %s %v: %w", n.step.Kind(), n.id, n.err)
			c.stopped = n.stopped
			w.end(c)
		} else if c.pending--; c.pending == 0 {
			w.enqueue(c)
		}
	}
	w.settle(n)
}

// settle lets go of the files of n once nobody in this sweep needs them.
func (w *sweep) settle(n *node) {
	if !n.over || n.users > 0 || n.settled {
		return
	}
	n.settled = true
	n.close()
	if n.err != nil || n.record.Status == "" || n.needed {
		return
	}
	if err := w.dispose(n); err != nil && w.cause == nil {
		w.cause = err
	}
}

// dispose keeps or drops the files of n.
func (w *sweep) dispose(n *node) error {
	names := slices.DeleteFunc(w.Store.large(n.id, w.limit()), func(name string) bool { return n.record.Files[name] == "" })
	if len(names) == 0 || n.forced || w.Store.journal.State(n.id).Kept {
		return w.uses.release(n.id)
	}
	if w.Keep {
		return errors.Join(w.Store.journal.Append(Line{Event: EventKeep, ID: n.id}), w.uses.release(n.id))
	}
	return w.uses.drop(n.id, func() error {
		w.tell(n, Notice{Kind: NoticeDropped, Text: fmt.Sprint(names)})
		return w.Store.drop(n.record, names)
	})
}

// summary returns what went wrong, nil if nothing did.
func (w *sweep) summary() error {
	e := &SweepError{Cause: w.cause}
	for _, n := range w.nodes {
		if n.action == Stored {
			continue
		}
		e.Total++
		switch {
		case !n.over || n.stopped:
			e.Left++
		case n.err != nil:
			e.Failed = append(e.Failed, Failure{n.id, n.step, n.err})
		}
	}
	if e.Cause == nil && len(e.Failed) == 0 || e.Left == 0 && len(e.Failed) == 0 && errors.Is(e.Cause, w.ctx.Err()) {
		return nil
	}
	return e
}
