package run

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A draft is a Step's folder while it is written: hidden in the store under a
// name that begins with its ID, so that whoever has the lock of that ID knows
// that its owner is dead. It becomes the Step's folder by one rename, after all
// of it is on the disk.
type draft struct {
	s    *Store
	step Step
	id   ID
	dir  string
}

const draftPrefix = ".tmp-"

// begin makes an empty draft. The caller has the lock of id until it has
// committed or discarded the draft.
func (s *Store) begin(step Step, id ID) (*draft, error) {
	dir, err := os.MkdirTemp(s.storeDir(), draftPrefix+id.Full()+"-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		return nil, fmt.Errorf("run: store %v: %w", id, err)
	}
	return &draft{s, step, id, dir}, nil
}

// discard removes the draft if it is still there.
func (d *draft) discard() error { return os.RemoveAll(d.dir) }

// digests returns the digests of all files in the draft.
func (d *draft) digests() (map[string]string, error) {
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, e := range entries {
		if !plainName(e.Name()) || !e.Type().IsRegular() {
			return nil, fmt.Errorf("run: store %v: %q cannot be an artifact", d.id, e.Name())
		}
		if files[e.Name()], err = digestFile(filepath.Join(d.dir, e.Name())); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// commit stores the draft with r, whose ID, Step and Files it fills.
func (d *draft) commit(r Record) (Record, error) {
	files, err := d.digests()
	if err != nil {
		return Record{}, err
	}
	r.ID, r.Step, r.Files, r.Status = d.id, d.step, files, cmp.Or(r.Status, Done)
	text, err := r.encode()
	if err == nil {
		// The Record that is returned must be the one that will be read.
		var read Record
		if read, err = decodeRecord(text); err == nil {
			read.Step = r.Step
			r = read
		}
	}
	if err == nil {
		err = writeNew(filepath.Join(d.dir, stepFile), bytes.NewReader(d.step.Canonical()))
	}
	if err == nil {
		err = writeNew(filepath.Join(d.dir, recordFile), bytes.NewReader(text))
	}
	if err == nil {
		err = d.publish(finishLine(r, digest(text), ""))
	}
	if err != nil {
		return Record{}, fmt.Errorf("run: store %v: %w", d.id, err)
	}
	return r, nil
}

// finishLine says that r is stored; sum is of its record.json.
func finishLine(r Record, sum, note string) Line {
	l := Line{Event: EventFinish, ID: r.ID, Digest: sum, Note: note}
	if r.Status == Diverged {
		l.Event = EventDiverged
	}
	return l
}

// publish moves a draft that has all its files to its place and adds lines to
// the journal.
func (d *draft) publish(lines ...Line) error {
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := syncPath(filepath.Join(d.dir, e.Name())); err != nil {
			return err
		}
	}
	if err := syncPath(d.dir); err != nil {
		return err
	}
	if err := os.Rename(d.dir, d.s.Path(d.id)); err != nil {
		return err
	}
	return errors.Join(syncPath(d.s.storeDir()), d.s.journal.Append(lines...))
}

// clean removes drafts whose owner is dead, and checkpoints of Steps that have
// a Record and need no other.
func (s *Store) clean() error {
	drafts, err := os.ReadDir(s.storeDir())
	if err != nil {
		return err
	}
	for _, e := range drafts {
		name, ok := strings.CutPrefix(e.Name(), draftPrefix)
		if !ok {
			continue
		}
		full, _, _ := strings.Cut(name, "-")
		if err := s.cleanOne(full, filepath.Join(s.storeDir(), e.Name()), func(ID) bool { return true }); err != nil {
			return err
		}
	}
	checkpoints, err := os.ReadDir(s.scratchDir())
	if err != nil {
		return err
	}
	for _, e := range checkpoints {
		unneeded := func(id ID) bool {
			r, err := s.Get(id)
			return err == nil && s.complete(r)
		}
		if err := s.cleanOne(e.Name(), filepath.Join(s.scratchDir(), e.Name()), unneeded); err != nil {
			return err
		}
	}
	return nil
}

// cleanOne removes path, which belongs to the Step full, if nobody runs it.
func (s *Store) cleanOne(full, path string, unneeded func(ID) bool) error {
	id, err := parseID(full)
	if err != nil {
		return nil // not ours
	}
	l, err := s.tryLock(id)
	if l == nil {
		return err
	}
	defer l.Close()
	if unneeded(id) {
		return os.RemoveAll(path)
	}
	return nil
}
