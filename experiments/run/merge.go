package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Merged says what Merge did.
type Merged struct {
	Copied  []ID         // were only in the other store
	Same    int          // were in both, with the same values
	Differ  []Comparison // were in both, with other values: ours are kept
	Damaged []Problem    // in the other store, not copied
}

// Merge copies what another store has and s has not. What is in both is
// compared: the values are the same, or both stores' makers want to know. A
// damaged Record of the other store is named and left out. Dropped files stay
// dropped. What was merged before an error, or before ctx ended, stays.
func (s *Store) Merge(ctx context.Context, other *Store) (Merged, error) {
	var m Merged
	if s.readOnly {
		return m, fmt.Errorf("run: merge into %s: %w", s.dir, ErrReadOnly)
	}
	ids, err := other.IDs()
	if err != nil {
		return m, err
	}
	for _, id := range ids {
		if err := s.mergeOne(ctx, other, id, &m); err != nil {
			return m, fmt.Errorf("run: merge %v: %w", id, err)
		}
	}
	return m, nil
}

func (s *Store) mergeOne(ctx context.Context, other *Store, id ID, m *Merged) error {
	l, err := s.lock(ctx, id)
	if err != nil {
		return err
	}
	defer l.Close()
	theirs, err := other.trusted(id)
	if err != nil {
		m.Damaged = append(m.Damaged, Problem{"store/" + id.Full(), err.Error()})
		return nil
	}
	ours, err := s.trusted(id)
	switch {
	case errors.Is(err, ErrNotExist):
	case err != nil:
		return err
	default:
		theirs.Files, ours.Files = nil, nil // of a tie in values, ours stay
		if c := Compare(ours, theirs, 0); !c.Same() {
			m.Differ = append(m.Differ, c)
		} else {
			m.Same++
		}
		return nil
	}
	d, err := s.begin(theirs.Step, id)
	if err != nil {
		return err
	}
	defer d.discard()
	lines, bad, err := d.copyFrom(other, theirs)
	if err != nil {
		return err
	}
	if len(bad) > 0 {
		m.Damaged = append(m.Damaged, bad...)
		return nil
	}
	if err := d.publish(lines...); err != nil {
		return err
	}
	m.Copied = append(m.Copied, id)
	return nil
}

// copyFrom fills the draft with another store's Record and files, and returns
// the journal lines that belong to it and what was damaged.
func (d *draft) copyFrom(other *Store, r Record) (lines []Line, bad []Problem, err error) {
	for _, name := range []string{stepFile, recordFile} {
		text, err := os.ReadFile(filepath.Join(other.Path(r.ID), name))
		if err == nil {
			err = writeNew(filepath.Join(d.dir, name), bytes.NewReader(text))
		}
		if err != nil {
			return nil, nil, err
		}
		if name == recordFile {
			lines = append(lines, finishLine(r, text, "merged"))
		}
	}
	state := other.journal.State(r.ID)
	if state.Kept {
		lines = append(lines, Line{Event: EventKeep, ID: r.ID})
	}
	for _, name := range keys(r.Files, nil) {
		place := "store/" + r.ID.Full() + "/" + name
		f, err := Parent{r, other.Path(r.ID)}.Open(name)
		switch {
		case err == nil:
			err = errors.Join(writeNew(filepath.Join(d.dir, name), f), f.Close())
			if err != nil {
				return nil, nil, err
			}
		case errors.Is(err, ErrNotExist) && state.Dropped[name]:
			lines = append(lines, Line{Event: EventDrop, ID: r.ID, File: name, Digest: r.Files[name]})
		default:
			bad = append(bad, Problem{place, err.Error()})
		}
	}
	return lines, bad, nil
}
