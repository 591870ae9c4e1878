package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
)

// DefaultKeepBytes is the size up to which files are kept when no Step needs
// them any more: θ of an MLP is 1.3 MB, of ResNet20 1.1 MB, of VGG16 537 MB.
const DefaultKeepBytes = 16 << 20

// A Runner runs Steps that have no Record yet and stores what they give.
type Runner struct {
	Store *Store
	Exec  Executor
	// Jobs is how many groups run at once; 0 is 1.
	Jobs int
	// Keep keeps all files, now and in later sweeps, and makes those of the
	// wanted Steps again if they were dropped.
	Keep bool
	// KeepBytes is the size of the largest file that is kept when no Step of the
	// sweep needs it any more. 0 is DefaultKeepBytes, less than 0 keeps none.
	KeepBytes int64
	// Revision and Dirty are of the program, for the Env of Records; where
	// Revision is empty they are [BuildRevision]'s.
	Revision string
	Dirty    bool
	// Observe is told what happens, one call at a time; nil is nobody. It must
	// not block.
	Observe func(Notice)
}

// NoticeKind names what a Notice tells.
type NoticeKind string

// All kinds of Notices. A Planned Step ends in one of Hit (at once, if it is
// stored; later, if somebody else has done meanwhile what it was to be run for),
// Finished and Failed, or in none if the sweep is stopped.
const (
	NoticePlanned  NoticeKind = "planned"
	NoticeHit      NoticeKind = "hit" // it is stored
	NoticeStarted  NoticeKind = "started"
	NoticeProgress NoticeKind = "progress"
	NoticeFinished NoticeKind = "finished" // Record is set
	NoticeFailed   NoticeKind = "failed"   // Err is set
	NoticeDropped  NoticeKind = "dropped"  // Text names the files
	NoticeWarning  NoticeKind = "warning"  // Text says what is odd: a damaged Record, other numbers than before
)

// A Notice tells an observer of a sweep one thing about one Step.
//
// An estimate of the time to go: the work of the planned Steps that have not
// ended, less Done times Work of those in progress, divided by the work that was
// done per second so far. Stored Steps have no Work.
type Notice struct {
	Kind   NoticeKind
	ID     ID
	Step   Step
	Action Action
	Work   float64 // how much the Step is, in the Executor's unit
	Done   float64 // NoticeProgress: the fraction of it that is done, in [0, 1]
	Record Record
	Err    error
	Text   string
}

// A Failure is a Step that gave no result, and why.
type Failure struct {
	ID   ID
	Step Step
	Err  error
}

// A SweepError says what Run could not do. Everything else is stored; the same
// call again does the rest.
type SweepError struct {
	Cause  error     // why the sweep was stopped: the context's error, a full disk; nil if it was not
	Failed []Failure // in the order of planning; Steps that need a failed one included
	Left   int       // Steps that were not run because the sweep was stopped
	Total  int       // Steps that were to run
}

func (e *SweepError) Error() string {
	var b strings.Builder
	if e.Cause != nil {
		fmt.Fprintf(&b, "run: stopped with %d of %d steps left: %v", e.Left, e.Total, e.Cause)
	} else {
		fmt.Fprintf(&b, "run: %d of %d steps failed", len(e.Failed), e.Total)
	}
	for _, f := range e.Failed {
		first, _, _ := strings.Cut(f.Err.Error(), "\n")
		fmt.Fprintf(&b, "\n  %s %v: %s", f.Step.Kind(), f.ID, first)
	}
	return b.String()
}

// Unwrap returns the cause and all failures' errors.
func (e *SweepError) Unwrap() []error {
	errs := []error{e.Cause}
	for _, f := range e.Failed {
		errs = append(errs, f.Err)
	}
	return errs
}

// Run returns the Records of steps, in order, after running those that have
// none and what they start from. A Step starts as soon as all it needs is
// there, Steps that end a chain first, so that large files are dropped early.
// Two Runs never run one Step at the same time, in whatever process: the
// second waits and takes what the first has stored.
//
// A Step that fails fails those that start from it; the sweep goes on, the
// Records of the failed ones have no Status, and the error is a [*SweepError].
// When ctx ends no Step is begun, those that run may stop, and what is stored
// stays: the same call goes on from there.
//
// Stored files that a Step needs but that were dropped are made again by
// running their Step again. Where the bits must be the same ([Env.SameBits])
// but are not, that Step fails with [ErrIntegrity]; elsewhere its new files are
// used, and the journal and a NoticeWarning say what differs.
func (r *Runner) Run(ctx context.Context, steps []Step) ([]Record, error) {
	_, wanted, err := r.sweep(ctx, steps, nil)
	records := make([]Record, len(steps))
	for i, n := range wanted {
		records[i] = n.record
	}
	return records, err
}

// Verify runs the stored Steps ids again, stores nothing, and returns how the
// numbers differ from the stored ones. The error tells of Steps that failed, or
// that gave other bits where they must not.
func (r *Runner) Verify(ctx context.Context, ids []ID) ([]Comparison, error) {
	var steps []Step
	force := map[ID]bool{}
	for _, id := range ids {
		rec, err := r.Store.Get(id)
		if err != nil {
			return nil, err
		}
		steps = append(steps, rec.Step)
		force[id] = true
	}
	_, wanted, err := r.sweep(ctx, steps, force)
	var all []Comparison
	for _, n := range wanted {
		if n.comparison != nil {
			all = append(all, *n.comparison)
		}
	}
	return all, err
}

// sweep plans and runs steps.
func (r *Runner) sweep(ctx context.Context, steps []Step, force map[ID]bool) (nodes, wanted []*node, err error) {
	if r.Store.readOnly {
		nodes, wanted, err = r.plan(steps, force, func(ID) error { return nil })
		if n := count(nodes, Run) + count(nodes, Again); err == nil && n > 0 {
			err = fmt.Errorf("run: %d of %d steps are to run: %w", n, len(nodes), ErrReadOnly)
		}
		return nodes, wanted, err
	}
	f, err := r.Store.openLocks()
	if err != nil {
		return nil, nil, fmt.Errorf("run: %w", err)
	}
	defer f.Close() // lets go of all uses
	u := &uses{f, map[ID]bool{}}
	if nodes, wanted, err = r.plan(steps, force, u.hold); err != nil {
		return nil, nil, err
	}
	w := &sweep{Runner: r, ctx: ctx, nodes: nodes, uses: u, env: r.hostEnv(), mu: &sync.Mutex{}}
	if err := w.announce(wanted); err != nil {
		return nil, wanted, err
	}
	w.loop()
	return nodes, wanted, w.summary()
}

func count(nodes []*node, a Action) int {
	n := 0
	for _, x := range nodes {
		if x.action == a {
			n++
		}
	}
	return n
}

// hostEnv returns the Runner's part of an Env.
func (r *Runner) hostEnv() Env {
	e := Env{Go: runtime.Version(), OS: runtime.GOOS + "/" + runtime.GOARCH}
	e.Host, _ = os.Hostname() // a nameless host is no reason to stop
	if e.Revision, e.Dirty = r.Revision, r.Dirty; e.Revision == "" {
		e.Revision, e.Dirty = BuildRevision()
	}
	return e
}

// BuildRevision returns the revision that Go noted in this program when it
// built it, "" if it noted none, and whether the files were changed since.
func BuildRevision() (revision string, dirty bool) {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				revision = s.Value
			case "vcs.modified":
				dirty = s.Value == "true"
			}
		}
	}
	return revision, dirty
}

// full reports whether err means that nothing can be written, so that running
// further Steps would be in vain.
func full(err error) bool {
	for _, e := range diskErrors {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
