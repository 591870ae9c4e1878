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
		if err := s.adoptCopy(other, theirs); err != nil {
			return err
		}
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
	sum, bad, err := d.copyFrom(other, theirs)
	if err != nil {
		return err
	}
	if len(bad) > 0 {
		m.Damaged = append(m.Damaged, bad...)
		return nil
	}
	if err := d.publish(mergedLines(other, theirs, sum, d.dir)...); err != nil {
		return err
	}
	m.Copied = append(m.Copied, id)
	return nil
}

// adoptCopy writes the journal's lines of a copy of r whose merge was killed, or
// had its disk full, between storing it and saying so. The caller has the lock
// of r.ID.
func (s *Store) adoptCopy(other *Store, r Record) error {
	if s.journal.State(r.ID).Record != "" {
		return nil
	}
	_, ours, err := s.get(r.ID)
	if err != nil {
		return err
	}
	_, theirs, err := other.get(r.ID)
	if err != nil || ours != theirs {
		return err // ours is a run of our own, which the next sweep adopts
	}
	return s.journal.Append(mergedLines(other, r, ours, s.Path(r.ID))...)
}

// mergedLines returns the journal's lines of a copy of r in dir: what the other
// journal says of its files, and that it is stored. That comes last: without it
// adoptCopy adds whatever a crash has torn off. sum is of record.json.
func mergedLines(other *Store, r Record, sum, dir string) []Line {
	var lines []Line
	state := other.journal.State(r.ID)
	if state.Kept {
		lines = append(lines, Line{Event: EventKeep, ID: r.ID})
	}
	for _, name := range keys(r.Files, nil) {
		if state.Dropped[name] && !exists(filepath.Join(dir, name)) {
			lines = append(lines, Line{Event: EventDrop, ID: r.ID, File: name, Digest: r.Files[name]})
		}
	}
	return append(lines, finishLine(r, sum, "merged"))
}

// copyFrom fills the draft with another store's Record and files, and returns
// the digest of record.json and what was damaged.
func (d *draft) copyFrom(other *Store, r Record) (sum string, bad []Problem, err error) {
	for _, name := range []string{stepFile, recordFile} {
		text, err := os.ReadFile(filepath.Join(other.Path(r.ID), name))
		if err == nil {
			err = writeNew(filepath.Join(d.dir, name), bytes.NewReader(text))
		}
		if err != nil {
			return "", nil, err
		}
		sum = digest(text) // the last is record.json
	}
	state := other.journal.State(r.ID)
	for _, name := range keys(r.Files, nil) {
		place := "store/" + r.ID.Full() + "/" + name
		f, err := Parent{r, other.Path(r.ID)}.Open(name)
		switch {
		case err == nil:
			err = errors.Join(writeNew(filepath.Join(d.dir, name), f), f.Close())
			if err != nil {
				return "", nil, err
			}
		case errors.Is(err, ErrNotExist) && state.Dropped[name]:
		default:
			bad = append(bad, Problem{place, err.Error()})
		}
	}
	return sum, bad, nil
}
