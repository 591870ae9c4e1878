package run

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Event names what a journal line tells.
type Event string

// All events. Start, Finish, DivergedEnd and Fail make a Step's state; Drop,
// Restore and Keep that of its files.
const (
	EventPlan     Event = "plan"     // a sweep begins; the note counts its Steps
	EventStart    Event = "start"    // a Step begins to run
	EventFinish   Event = "finish"   // it is stored; digest is of its record.json
	EventDiverged Event = "diverged" // the same, and its Status is Diverged
	EventFail     Event = "fail"     // it gave nothing; the note says why
	EventHit      Event = "hit"      // a sweep found it in the store
	EventDrop     Event = "drop"     // a file was removed to save space; digest is the file's
	EventRestore  Event = "restore"  // a dropped file was made again, with the same digest
	EventKeep     Event = "keep"     // its files are not to be dropped
	EventDiscard  Event = "discard"  // a damaged Record was moved aside, to be made again
	EventVerify   Event = "verify"   // it was run again; the note says what differed
	EventDraw     Event = "draw"     // a figure was drawn
	EventRepair   Event = "repair"   // a torn last line was cut off
)

// A Line is one line of the journal. Append fills Seq, Time and Prev.
type Line struct {
	Seq    int       `json:"seq"` // the line's number, from 1
	Time   time.Time `json:"time"`
	Event  Event     `json:"event"`
	ID     ID        `json:"id,omitzero"`
	File   string    `json:"file,omitempty"`
	Digest string    `json:"digest,omitempty"`
	Note   string    `json:"note,omitempty"`
	Prev   string    `json:"prev"` // SHA-256 of the line before, without its newline; "" in line 1
}

// maxNote bounds a line: an error text can be a whole stack.
const maxNote = 2000

// encode returns the sealed line with its newline.
func (l Line) encode() ([]byte, error) {
	if len(l.Note) > maxNote {
		l.Note = l.Note[:maxNote] + "…"
	}
	b, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	return lineLayout.seal(bytes.TrimSuffix(b, []byte("}"))), nil
}

// decodeLine parses what encode returned. Any other bytes are an error that
// wraps [ErrIntegrity].
func decodeLine(b []byte) (Line, error) {
	var l Line
	if !lineLayout.sealed(b) {
		return l, fmt.Errorf("%w: was changed: its seal does not match its text", ErrIntegrity)
	}
	if err := json.Unmarshal(b, &l); err != nil {
		return l, fmt.Errorf("%w: %v", ErrIntegrity, err)
	}
	return l, nil
}

// A Journal is the file journal.jsonl of a results folder: what happened, one
// sealed line per event, each with the digest of the line before. It is only
// ever appended to. Several processes may hold one at once.
//
// journal.head holds the number and digest of the last line that is surely on
// the disk. With it a line that was torn by a crash, which is cut off, can be
// told from one that was removed.
type Journal struct {
	mu     sync.Mutex
	f      *os.File // nil if there is no file and none may be made
	head   *os.File // nil if it cannot be written
	name   string
	chain  chain
	size   int64 // what chain has seen of f
	states map[ID]State
	now    func() time.Time
}

// openJournal opens the journal in dir, to be read only or repaired and
// appended to.
func openJournal(dir string, readOnly bool) (*Journal, error) {
	j := &Journal{name: filepath.Join(dir, "journal.jsonl"), states: map[ID]State{}, now: time.Now}
	var err error
	if readOnly {
		j.f, err = os.Open(j.name)
		if errors.Is(err, os.ErrNotExist) {
			return j, nil
		}
	} else {
		// The head first: a journal that has lines always has one.
		if j.head, err = os.OpenFile(j.headName(), os.O_RDWR|os.O_CREATE, 0o644); err == nil {
			j.f, err = os.OpenFile(j.name, os.O_RDWR|os.O_CREATE, 0o644)
		}
	}
	switch {
	case err != nil:
		err = fmt.Errorf("run: journal: %w", err)
	case readOnly:
		err = j.Refresh()
	default:
		err = j.Append() // repairs
	}
	if err != nil {
		return nil, errors.Join(err, j.Close())
	}
	return j, nil
}

func (j *Journal) headName() string { return filepath.Join(filepath.Dir(j.name), "journal.head") }

// Close closes the journal's files.
func (j *Journal) Close() error {
	var errs []error
	for _, f := range []*os.File{j.f, j.head} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// locked runs f while no other process appends, or even reads if kind is
// F_WRLCK.
func (j *Journal) locked(kind int16, f func() error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	whole := unix.Flock_t{Type: kind, Whence: io.SeekStart}
	_, err := setLock(j.f, &whole, true)
	if err == nil {
		err = f()
		whole.Type = unix.F_UNLCK
		_, unlock := setLock(j.f, &whole, true)
		err = errors.Join(err, unlock)
	}
	if err != nil {
		return fmt.Errorf("run: journal: %w", err)
	}
	return nil
}

// Refresh reads the lines that other processes have appended.
func (j *Journal) Refresh() error {
	if j.f == nil {
		return nil
	}
	return j.locked(unix.F_RDLCK, func() error {
		_, err := j.catchUp()
		return err
	})
}

// Append adds lines, of which Event and what belongs to it are set, in one
// write, and returns when they are on the disk. First it cuts off a line that
// a crash has torn, and says so in a line of its own. After an error none of
// the lines is in the journal, unless it was the head that could not be
// written.
func (j *Journal) Append(lines ...Line) error {
	if j.head == nil {
		return fmt.Errorf("run: journal: %w", ErrReadOnly)
	}
	return j.locked(unix.F_WRLCK, func() error { return j.append(lines) })
}

func (j *Journal) append(lines []Line) error {
	torn, err := j.catchUp()
	if err != nil {
		return err
	}
	if torn > 0 {
		note := fmt.Sprintf("cut off %d bytes of a line that was not written to its end", torn)
		lines = append([]Line{{Event: EventRepair, Note: note}}, lines...)
		if err := j.f.Truncate(j.size); err != nil {
			return err
		}
	}
	if seq, last, _ := j.readHead(); j.chain.lost(seq, last) {
		// The lines below would hide it, so it is said in a line that stays.
		note := fmt.Sprintf("lines before this one, up to line %d, were deleted or replaced", seq)
		lines = append([]Line{{Event: EventRepair, Digest: last, Note: note}}, lines...)
	}
	if len(lines) == 0 {
		return nil
	}
	next := j.chain
	var text []byte
	for i := range lines {
		l := &lines[i]
		l.Seq, l.Time, l.Prev = next.seq+1, j.now().UTC().Truncate(time.Millisecond), next.last
		b, err := l.encode()
		if err != nil {
			return err
		}
		next.seq, next.last = l.Seq, digest(b[:len(b)-1])
		text = append(text, b...)
	}
	next.lines += len(lines)
	if _, err = j.f.WriteAt(text, j.size); err == nil {
		err = j.f.Sync()
	}
	if err != nil {
		return errors.Join(err, j.f.Truncate(j.size))
	}
	j.chain, j.size = next, j.size+int64(len(text))
	for _, l := range lines {
		fold(j.states, l)
	}
	return j.writeHead()
}

// catchUp reads what was appended since the last time, and returns how many
// bytes at the end are a torn line.
func (j *Journal) catchUp() (torn int, err error) {
	info, err := j.f.Stat()
	if err != nil {
		return 0, err
	}
	if info.Size() < j.size { // somebody cut it: start over, the chain will tell
		j.chain, j.size = chain{}, 0
		clear(j.states)
	}
	text, err := io.ReadAll(io.NewSectionReader(j.f, j.size, info.Size()-j.size))
	if err != nil {
		return 0, err
	}
	for {
		end := bytes.IndexByte(text, '\n')
		if end < 0 {
			return len(text), nil
		}
		if l, ok := j.chain.add(text[:end+1]); ok {
			fold(j.states, l)
		}
		j.size += int64(end + 1)
		text = text[end+1:]
	}
}
