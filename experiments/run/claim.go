package run

import (
	"errors"
	"slices"
)

// next takes the next group from the ready nodes.
func (w *sweep) next() []*node {
	group := w.ready[:1]
	if g, ok := w.Exec.(Grouper); ok {
		group = grouped(g, w.ready)
	}
	group = slices.Clone(group)
	w.ready = slices.DeleteFunc(w.ready, func(n *node) bool { return slices.Contains(group, n) })
	return group
}

// grouped returns the group of the first of ready.
func grouped(g Grouper, ready []*node) []*node {
	byID := map[ID]*node{}
	var steps []Step
	for _, n := range ready {
		if n.step.Kind() == ready[0].step.Kind() {
			byID[n.id] = n
			steps = append(steps, n.step)
		}
	}
	for _, part := range g.Group(steps) {
		var group []*node
		for _, s := range part {
			group = append(group, byID[s.ID()])
		}
		if slices.Contains(group, ready[0]) {
			return group
		}
	}
	panic("run: Group left out a Step")
}

// claim locks the nodes of a group and returns those that are to run. What
// another process runs is put aside, what one has stored meanwhile is done.
func (w *sweep) claim(group []*node) []*node {
	var mine []*node
	for _, n := range group {
		l, err := w.Store.tryLock(n.id)
		if err == nil && l == nil {
			w.foreign = append(w.foreign, n)
			continue
		}
		if err == nil {
			n.lock = l
			if w.stored(n) {
				n.close()
				w.end(n)
				continue
			}
			if n.err == nil {
				mine = append(mine, n)
				continue
			}
		}
		n.err = errors.Join(err, n.err)
		n.fatal = true
		n.close()
		w.end(n)
	}
	return mine
}

// stored reports whether there is nothing left to do for n, which is locked.
// A damaged Record is moved aside.
func (w *sweep) stored(n *node) bool {
	if n.action == Again {
		over := !n.forced && w.Store.complete(n.record) || w.unneeded(n)
		if over {
			w.tell(n, Notice{Kind: NoticeHit, Record: n.record})
		}
		return over
	}
	r, err := w.Store.trusted(n.id)
	switch {
	case err == nil:
		n.record, n.dir = r, w.Store.Path(n.id)
		w.tell(n, Notice{Kind: NoticeHit, Record: r})
		n.err = w.Store.journal.Append(Line{Event: EventHit, ID: n.id})
		return n.err == nil
	case errors.Is(err, ErrIntegrity):
		w.tell(n, Notice{Kind: NoticeWarning, Text: err.Error() + "; it is moved aside and run again"})
		n.err = w.Store.discardDamaged(n.id, err)
	case !errors.Is(err, ErrNotExist):
		n.err = err
	}
	return false
}

// unneeded reports whether n, planned to run again for its files, need not any
// more, because somebody else has stored all that starts from it meanwhile.
// Whoever did that has dropped the files, perhaps while this sweep was planned.
func (w *sweep) unneeded(n *node) bool {
	switch {
	case n.action == Stored:
		return true
	case n.action == Run:
		_, err := w.Store.trusted(n.id)
		return err == nil
	}
	return !n.forced && !n.kept && !slices.ContainsFunc(n.children, func(c *node) bool { return !w.unneeded(c) })
}
