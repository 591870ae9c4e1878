package run

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// The names in a Step's folder that are not an Executor's.
const (
	stepFile   = "step.json"
	recordFile = "record.json"
	eventsFile = "events.jsonl"
)

var (
	// ErrNotExist is wrapped by errors about Steps without a Record.
	ErrNotExist = fs.ErrNotExist
	// ErrReadOnly is wrapped by errors about writing to a Store that was opened
	// to be read.
	ErrReadOnly = errors.New("the results folder is read-only")
)

// A Store is a results folder: Records and their files by ID, and the journal.
// Its format is described in docs/format.md. Any number of goroutines and
// processes may use one results folder at once.
type Store struct {
	dir      string
	readOnly bool
	journal  *Journal
}

// OpenStore opens the results folder dir, makes it if it is missing, and
// removes what a killed process left half written. If it may not be written
// to, it is opened as ReadStore does.
func OpenStore(dir string) (*Store, error) {
	s := &Store{dir: dir}
	err := os.MkdirAll(s.storeDir(), 0o755)
	if err == nil {
		err = os.MkdirAll(s.scratchDir(), 0o755)
	}
	if err == nil {
		err = s.probe()
	}
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		s, readErr := ReadStore(dir)
		if !errors.Is(readErr, ErrNotExist) {
			return s, readErr
		}
	}
	if err == nil {
		s.journal, err = openJournal(dir, false)
	}
	if err != nil {
		return nil, fmt.Errorf("run: results folder %s: %w", dir, err)
	}
	if err := s.clean(); err != nil {
		return nil, errors.Join(fmt.Errorf("run: clean %s: %w", dir, err), s.Close())
	}
	return s, nil
}

// ReadStore opens the results folder dir and never writes to it. A missing
// folder is an error that wraps [ErrNotExist].
func ReadStore(dir string) (*Store, error) {
	s := &Store{dir: dir, readOnly: true}
	if _, err := os.Stat(s.storeDir()); err != nil {
		return nil, fmt.Errorf("run: results folder %s: %w", dir, err)
	}
	var err error
	if s.journal, err = openJournal(dir, true); err != nil {
		return nil, fmt.Errorf("run: results folder %s: %w", dir, err)
	}
	return s, nil
}

// probe reports whether the store's folder can be written to.
func (s *Store) probe() error {
	if err := syscall.Access(s.storeDir(), 2); err != nil { // W_OK
		return err
	}
	f, err := s.openLocks()
	if err != nil {
		return err
	}
	return f.Close()
}

// Close closes the journal.
func (s *Store) Close() error { return s.journal.Close() }

// Dir returns the results folder.
func (s *Store) Dir() string { return s.dir }

// ReadOnly reports whether the Store can only be read.
func (s *Store) ReadOnly() bool { return s.readOnly }

// Journal returns the journal of the results folder.
func (s *Store) Journal() *Journal { return s.journal }

func (s *Store) storeDir() string   { return filepath.Join(s.dir, "store") }
func (s *Store) scratchDir() string { return filepath.Join(s.dir, "scratch") }

// Path returns where id's Record and files are, or would be.
func (s *Store) Path(id ID) string { return filepath.Join(s.storeDir(), id.Full()) }

func (s *Store) scratch(id ID) string { return filepath.Join(s.scratchDir(), id.Full()) }

// Get returns the Record of id. No Record is an error that wraps
// [ErrNotExist], one that is not what was written wraps [ErrIntegrity]. The
// digests of its files are not compared: [Store.Open] does that.
func (s *Store) Get(id ID) (Record, error) {
	r, _, err := s.get(id)
	return r, err
}

// get also returns the digest of record.json.
func (s *Store) get(id ID) (Record, string, error) {
	fail := func(name string, err error) (Record, string, error) {
		return Record{}, "", &placeError{filepath.ToSlash(filepath.Join("store", id.Full(), name)), err}
	}
	if _, err := os.Stat(s.Path(id)); err != nil {
		return fail("", err)
	}
	// From here on a missing file is damage.
	text, err := s.read(id, stepFile)
	if err != nil {
		return fail(stepFile, err)
	}
	step, err := decodeStep(text, id)
	if err != nil {
		return fail(stepFile, err)
	}
	if text, err = s.read(id, recordFile); err != nil {
		return fail(recordFile, err)
	}
	r, err := decodeRecord(text)
	if err == nil && r.ID != id {
		err = fmt.Errorf("%w: it is the record of %v", ErrIntegrity, r.ID)
	}
	if err != nil {
		return fail(recordFile, err)
	}
	r.Step = step
	return r, digest(text), nil
}

// A placeError is an error about one place in the results folder.
type placeError struct {
	place string
	err   error
}

func (e *placeError) Error() string { return "run: " + e.place + ": " + e.err.Error() }
func (e *placeError) Unwrap() error { return e.err }

func (s *Store) read(id ID, name string) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(s.Path(id), name))
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: missing", ErrIntegrity)
	}
	return b, err
}

// decodeStep parses the canonical bytes of the Step id.
func decodeStep(text []byte, id ID) (Step, error) {
	if digest(text) != id.Full() {
		return Step{}, fmt.Errorf("%w: it hashes to %.12s", ErrIntegrity, digest(text))
	}
	var in struct {
		Version int
		Step    Step
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return Step{}, fmt.Errorf("%w: %v", ErrIntegrity, err)
	}
	if in.Version == Version && !bytes.Equal(in.Step.Canonical(), text) {
		return Step{}, fmt.Errorf("%w: this program reads another Step in it: a field of Step was changed without raising run.Version", ErrIntegrity)
	}
	return in.Step, nil
}

// Open opens a file of id for reading, as [Parent.Open] does. A file that was
// dropped wraps [ErrNotExist].
func (s *Store) Open(id ID, name string) (*os.File, error) {
	r, err := s.Get(id)
	if err != nil {
		return nil, err
	}
	return Parent{r, s.Path(id)}.Open(name)
}

// complete reports whether all files of r that a Step could start from are
// there.
func (s *Store) complete(r Record) bool {
	for name := range r.Files {
		if name == eventsFile {
			continue
		}
		if _, err := os.Lstat(filepath.Join(s.Path(r.ID), name)); err != nil {
			return false
		}
	}
	return true
}

// IDs returns all Steps that have a folder in the store, in ascending order.
func (s *Store) IDs() ([]ID, error) {
	entries, err := os.ReadDir(s.storeDir())
	if err != nil {
		return nil, fmt.Errorf("run: %w", err)
	}
	var ids []ID
	for _, e := range entries {
		if id, err := parseID(e.Name()); err == nil {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// Find returns the one stored Step whose ID begins with prefix. None is an
// error that wraps [ErrNotExist].
func (s *Store) Find(prefix string) (ID, error) {
	ids, err := s.IDs()
	if err != nil {
		return ID{}, err
	}
	var found []ID
	for _, id := range ids {
		if strings.HasPrefix(id.Full(), prefix) {
			found = append(found, id)
		}
	}
	switch len(found) {
	case 0:
		return ID{}, fmt.Errorf("run: no run %q in %s: %w", prefix, s.dir, ErrNotExist)
	case 1:
		return found[0], nil
	}
	return ID{}, fmt.Errorf("run: %d runs begin with %q, among them %v and %v: give more digits", len(found), prefix, found[0], found[1])
}

// parseID parses what ID.Full returned.
func parseID(name string) (ID, error) {
	var id ID
	err := id.UnmarshalText([]byte(name))
	if err == nil && id.Full() != name {
		err = fmt.Errorf("run: bad id %q", name)
	}
	return id, err
}
