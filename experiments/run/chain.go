package run

import (
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// A Problem is something that is not as it was written.
type Problem struct {
	Place string `json:"place"` // "journal.jsonl line 12", "store/1f…/record.json"
	What  string `json:"what"`
}

func (p Problem) String() string { return p.Place + ": " + p.What }

// A chain follows a journal line by line and remembers what does not fit.
type chain struct {
	lines    int    // lines seen
	seq      int    // the last line's number as it says
	last     string // the last line's digest
	broken   bool   // the last line was not a line
	problems []Problem
}

func (c *chain) fault(line int, format string, args ...any) {
	c.problems = append(c.problems, Problem{place(line), fmt.Sprintf(format, args...)})
}

func place(line int) string { return fmt.Sprintf("journal.jsonl line %d", line) }

// add checks the next line, newline included, and returns it if it can be
// read. After a fault it goes on from what it found, so that each fault is
// named once.
func (c *chain) add(text []byte) (Line, bool) {
	c.lines++
	l, err := decodeLine(text)
	if err != nil {
		c.fault(c.lines, "%v", err)
		c.seq, c.broken = c.seq+1, true
	} else {
		switch {
		case l.Seq != c.seq+1:
			c.fault(c.lines, "is numbered %d, not %d: lines were deleted, added or moved here", l.Seq, c.seq+1)
		case l.Prev != c.last && !c.broken:
			c.fault(c.lines, "does not continue the line before: that one, or this, was replaced")
		case l.Event == EventRepair && l.Digest != "":
			c.fault(c.lines, "%s", l.Note)
		}
		c.seq, c.broken = l.Seq, false
	}
	c.last = digest(text[:len(text)-1])
	return l, err == nil
}

// lost reports whether a head that names line seq and its digest shows that
// the chain has lost its end.
func (c *chain) lost(seq int, last string) bool {
	return seq > c.seq || seq == c.seq && last != c.last
}

// writeHead notes the last line. It is written after the line is on the disk,
// in one write, and need not be there itself: an older head is no fault.
func (j *Journal) writeHead() error {
	_, err := j.head.WriteAt(fmt.Appendf(nil, "%10d %s\n", j.chain.seq, j.chain.last), 0)
	return err
}

// readHead returns line 0 for a head that is empty. The error says that it is
// missing or no head.
func (j *Journal) readHead() (seq int, last string, err error) {
	b, err := os.ReadFile(j.headName())
	if err != nil || len(b) == 0 {
		return 0, "", err
	}
	if n, err := fmt.Sscanf(string(b), "%d %64s\n", &seq, &last); err != nil || n != 2 {
		return 0, "", fmt.Errorf("%w: %q is no line number and digest", ErrIntegrity, b)
	}
	return seq, last, nil
}

// Problems reads the journal anew from its start and names every line that was
// changed, deleted, added or moved.
func (j *Journal) Problems() (found []Problem, err error) {
	if j.f == nil {
		return nil, nil
	}
	err = j.locked(unix.F_RDLCK, func() error {
		j.chain, j.size = chain{}, 0
		clear(j.states)
		if _, err := j.catchUp(); err != nil {
			return err
		}
		found = slices.Clone(j.chain.problems)
		seq, last, err := j.readHead()
		switch {
		case err != nil && j.chain.lines > 0:
			found = append(found, Problem{"journal.head", err.Error()})
		case seq > j.chain.seq:
			found = append(found, Problem{place(j.chain.lines + 1), fmt.Sprintf("is missing, with all up to line %d: the end was deleted", seq)})
		case j.chain.lost(seq, last):
			found = append(found, Problem{place(j.chain.lines), "was replaced: journal.head has another digest"})
		}
		return nil
	})
	return found, err
}

// State is what the journal tells about one Step.
type State struct {
	Event   Event           // the last of start, finish, diverged, fail and discard; "" if none
	Note    string          // of that line
	Record  string          // digest of record.json; "" if there is none
	Dropped map[string]bool // files that were removed on purpose
	Kept    bool            // its files are not to be dropped
	Starts  int             // how often it began
}

// State returns what the journal tells about id.
func (j *Journal) State(id ID) State {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.states[id]
}

// fold adds a line to the states. States are values; their maps are replaced,
// not changed, since callers hold them.
func fold(states map[ID]State, l Line) {
	s := states[l.ID]
	switch l.Event {
	case EventStart:
		s.Event, s.Note = l.Event, l.Note
		s.Starts++
	case EventFail:
		s.Event, s.Note = l.Event, l.Note
	case EventFinish, EventDiverged:
		s.Event, s.Note, s.Record = l.Event, l.Note, l.Digest
	case EventDiscard:
		if l.File != "" {
			break // one file; the Record stays
		}
		s = State{Event: l.Event, Note: l.Note, Starts: s.Starts, Kept: s.Kept}
	case EventDrop, EventRestore:
		dropped := map[string]bool{}
		for name := range s.Dropped {
			dropped[name] = true
		}
		if dropped[l.File] = true; l.Event == EventRestore {
			delete(dropped, l.File)
		}
		s.Dropped = dropped
	case EventKeep:
		s.Kept = true
	default:
		return
	}
	states[l.ID] = s
}
