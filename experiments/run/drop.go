package run

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// drop removes files of r to save space. The Record keeps their digests; the
// journal says that they were dropped, before they are gone.
func (s *Store) drop(r Record, names []string) error {
	var lines []Line
	state := s.journal.State(r.ID)
	for _, name := range names {
		if !state.Dropped[name] {
			lines = append(lines, Line{Event: EventDrop, ID: r.ID, File: name, Digest: r.Files[name]})
		}
	}
	if len(lines) > 0 {
		if err := s.journal.Append(lines...); err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := os.Remove(filepath.Join(s.Path(r.ID), name)); err != nil && !errors.Is(err, ErrNotExist) {
			return fmt.Errorf("run: drop: %w", err)
		}
	}
	return nil
}

// large returns the artifacts of id that are there and have more than limit
// bytes, none if there is no such folder. The log is never among them.
func (s *Store) large(id ID, limit int64) []string {
	entries, err := os.ReadDir(s.Path(id))
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && info.Size() > limit && plainName(e.Name()) && e.Name() != eventsFile {
			names = append(names, e.Name())
		}
	}
	return names
}

// restore moves those files of r that are missing from a draft, where they were
// made again, into the store. Their digests are the Record's.
func (s *Store) restore(r Record, d *draft) error {
	var lines []Line
	for name := range r.Files {
		to := filepath.Join(s.Path(r.ID), name)
		if _, err := os.Lstat(to); name == eventsFile || err == nil {
			continue
		}
		from := filepath.Join(d.dir, name)
		if err := errors.Join(syncPath(from), os.Rename(from, to)); err != nil {
			return fmt.Errorf("run: restore: %w", err)
		}
		lines = append(lines, Line{Event: EventRestore, ID: r.ID, File: name, Digest: r.Files[name]})
	}
	if len(lines) == 0 {
		return nil
	}
	if err := syncPath(s.Path(r.ID)); err != nil {
		return fmt.Errorf("run: restore: %w", err)
	}
	return s.journal.Append(lines...)
}

// discardFiles moves those files of r, in dir, aside that are not what the
// Record says, and returns their names.
func (s *Store) discardFiles(r Record, dir string) (moved []string, err error) {
	for name, want := range r.Files {
		path := filepath.Join(dir, name)
		got, err := digestFile(path)
		if errors.Is(err, ErrNotExist) || err == nil && got == want {
			continue
		}
		if err == nil {
			err = s.moveAside(r.ID, path, name, fmt.Errorf("%w: digest %s, want %s", ErrIntegrity, got, want))
		}
		if err != nil {
			return moved, err
		}
		moved = append(moved, name)
	}
	return moved, nil
}

// discardDamaged moves a Step's folder aside, so that it can be run again. The
// caller has the lock of id.
func (s *Store) discardDamaged(id ID, why error) error {
	return s.moveAside(id, s.Path(id), "", why)
}

// moveAside moves the file, or with file "" the folder, of id at path into the
// folder damaged.
func (s *Store) moveAside(id ID, path, file string, why error) error {
	dir := filepath.Join(s.dir, "damaged")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	to, err := os.MkdirTemp(dir, id.String()+"-")
	if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	note := fmt.Sprintf("moved to damaged/%s: %v", filepath.Base(to), why)
	if err := s.journal.Append(Line{Event: EventDiscard, ID: id, File: file, Note: note}); err != nil {
		return err
	}
	if err := os.Rename(path, filepath.Join(to, filepath.Base(path))); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	return syncPath(filepath.Dir(path))
}
