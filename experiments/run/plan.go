package run

import (
	"cmp"
	"errors"
	"fmt"
)

// Action says what a Runner has to do for a Step.
type Action string

// The three actions.
const (
	Stored Action = "stored" // nothing: it has a Record, and its files where they are needed
	Run    Action = "run"    // run it: it has no Record, or a damaged one
	Again  Action = "again"  // run it again for files that were dropped, or to verify it
)

// Planned is one Step of a sweep and what is to be done for it.
type Planned struct {
	ID     ID      `json:"id"`
	Step   Step    `json:"-"`
	Action Action  `json:"action"`
	Work   float64 `json:"work"` // 0 if Stored; the unit is the Executor's
}

// A node is a Step of one sweep.
type node struct {
	step   Step
	id     ID
	index  int // in the order of planning
	depth  int // length of the longest chain of Steps to run that ends here
	action Action
	forced bool // run again even if no file is missing
	kept   bool // the caller wants its files
	work   float64

	parents  []*node // of a Step to run; like Step.From, with repeats
	children []*node // that are to run, with repeats
	pending  int     // parents that have no result yet
	users    int     // children that are not done with the files
	needed   bool    // a child still needs the files: it failed or was not run
	over     bool

	record     Record // of Stored from the start, of others once they have run
	dir        string // where its files are
	comparison *Comparison
	err        error
	task
}

// A planner finds the Steps that a sweep consists of: the wanted ones and, for
// those without a Record, whatever they start from.
type planner struct {
	s     *Store
	nodes []*node
	byID  map[ID]*node
	force map[ID]bool
	keep  bool
	limit int64
	// passed are stored Steps' ancestors that leftovers has looked at.
	passed map[ID]bool
	hold   func(ID) error // called for every Step whose files will be read, before they are looked at
	work   func(Step) float64
}

// want adds a Step that the caller asked for.
func (p *planner) want(step Step) (*node, error) {
	n, err := p.visit(step)
	if err != nil {
		return nil, err
	}
	if p.force[n.id] && n.action == Stored {
		err = p.expand(n, Again)
	}
	n.forced = p.force[n.id] && n.action == Again
	if err != nil {
		return nil, err
	}
	if p.keep {
		n.kept = true
		return n, p.need(n)
	}
	return n, nil
}

func (p *planner) visit(step Step) (*node, error) {
	id := step.ID()
	if n := p.byID[id]; n != nil {
		return n, nil
	}
	n := &node{step: step, id: id, action: Stored}
	p.add(n)
	r, err := p.s.trusted(id)
	switch {
	case err == nil:
		n.record, n.dir = r, p.s.Path(id)
		p.leftovers(step)
		return n, nil
	case errors.Is(err, ErrNotExist), errors.Is(err, ErrIntegrity):
		return n, p.expand(n, Run)
	}
	return nil, err
}

// leftovers adds those of a stored Step's ancestors that have large files. The
// process that should have dropped them was killed, and this sweep, which does
// not start anything from them, will.
func (p *planner) leftovers(step Step) {
	for _, from := range step.From {
		id := from.ID()
		if p.byID[id] != nil || p.passed[id] {
			continue
		}
		p.passed[id] = true
		if len(p.s.large(id, p.limit)) > 0 && !p.s.journal.State(id).Kept {
			if r, err := p.s.trusted(id); err == nil {
				p.add(&node{step: from, id: id, action: Stored, record: r, dir: p.s.Path(id)})
			}
		}
		p.leftovers(from)
	}
}

func (p *planner) add(n *node) {
	n.index = len(p.nodes)
	p.nodes = append(p.nodes, n)
	p.byID[n.id] = n
}

// expand makes n a Step that is run, and plans what it starts from.
func (p *planner) expand(n *node, a Action) error {
	n.action, n.work = a, p.work(n.step)
	for _, from := range n.step.From {
		parent, err := p.visit(from)
		if err != nil {
			return err
		}
		n.parents = append(n.parents, parent)
		parent.children = append(parent.children, n)
		if err := p.need(parent); err != nil {
			return err
		}
	}
	return nil
}

// need plans that the files of n are there.
func (p *planner) need(n *node) error {
	if err := p.hold(n.id); err != nil {
		return err
	}
	if n.action == Stored && !p.s.complete(n.record) {
		return p.expand(n, Again)
	}
	return nil
}

// measure fills the depth of n and of all before it.
func (n *node) measure() int {
	if n.depth == 0 {
		for _, p := range n.parents {
			n.depth = max(n.depth, p.measure())
		}
		n.depth++
	}
	return n.depth
}

// trusted is Get that also compares the Record with the journal's digest of it.
func (s *Store) trusted(id ID) (Record, error) {
	r, sum, err := s.get(id)
	if err != nil {
		return r, err
	}
	if s.journal.State(id).Record != sum {
		// Another process may have written both since we looked.
		if err := s.journal.Refresh(); err != nil {
			return r, err
		}
	}
	if state := s.journal.State(id); state.Record != sum && state.Record != "" {
		err := fmt.Errorf("%w: it is not the one that the journal tells of", ErrIntegrity)
		return r, &placeError{"store/" + id.Full() + "/" + recordFile, err}
	}
	return r, nil
}

// plan returns the nodes of a sweep over steps, and those of steps themselves.
func (r *Runner) plan(steps []Step, force map[ID]bool, hold func(ID) error) (nodes, wanted []*node, err error) {
	p := planner{
		s: r.Store, byID: map[ID]*node{}, force: force, keep: r.Keep, limit: r.limit(),
		passed: map[ID]bool{}, hold: hold, work: r.work,
	}
	for _, step := range steps {
		n, err := p.want(step)
		if err != nil {
			return nil, nil, err
		}
		wanted = append(wanted, n)
	}
	for _, n := range p.nodes {
		n.measure()
		n.users = len(n.children)
		for _, parent := range n.parents {
			if parent.action != Stored {
				n.pending++
			}
		}
	}
	return p.nodes, wanted, nil
}

func (r *Runner) limit() int64 { return cmp.Or(r.KeepBytes, DefaultKeepBytes) }

func (r *Runner) work(s Step) float64 {
	if e, ok := r.Exec.(Estimator); ok {
		return e.Work(s)
	}
	return 1
}

// Plan returns what Run would do: the Steps, each after those it starts from
// as far as these are to run, and changes nothing.
func (r *Runner) Plan(steps []Step) ([]Planned, error) {
	nodes, _, err := r.plan(steps, nil, func(ID) error { return nil })
	if err != nil {
		return nil, err
	}
	var out []Planned
	listed := map[*node]bool{}
	var list func(n *node)
	list = func(n *node) {
		if listed[n] {
			return
		}
		listed[n] = true
		for _, p := range n.parents {
			list(p)
		}
		out = append(out, Planned{n.id, n.step, n.action, n.work})
	}
	for _, n := range nodes {
		list(n)
	}
	return out, nil
}
