package run

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// All locks of a store are byte ranges of one file that nobody writes to, at
// offsets that follow from the ID: no lock files to clean up, and the kernel
// lets go of a lock when its process dies, however it dies. They are "open file
// description" locks, which also hold between goroutines of one process.
//
// Two ranges belong to an ID. The first is held exclusively by whoever runs the
// Step, so that no two do. The second is held in common by all who are going to
// read the Step's files, and exclusively by whoever drops them.

// wait is how often a lock that somebody else holds is tried again.
const wait = 100 * time.Millisecond

func lockRange(kind int16, id ID, second bool) *unix.Flock_t {
	at := int64(binary.BigEndian.Uint64(id[:8]) >> 3)
	if second {
		at |= 1 << 61
	}
	return &unix.Flock_t{Type: kind, Whence: io.SeekStart, Start: at, Len: 1}
}

// setLock changes a lock on f, waiting if block is set. It returns false when
// somebody else's lock is in the way.
func setLock(f *os.File, l *unix.Flock_t, block bool) (bool, error) {
	cmd := unix.F_OFD_SETLK
	if block {
		cmd = unix.F_OFD_SETLKW
	}
	for {
		err := unix.FcntlFlock(f.Fd(), cmd, l)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EINTR):
		case !block && (errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES)):
			return false, nil
		default:
			return false, fmt.Errorf("run: lock %s: %w", f.Name(), err)
		}
	}
}

func (s *Store) openLocks() (*os.File, error) {
	return os.OpenFile(filepath.Join(s.dir, "store", ".lock"), os.O_RDWR|os.O_CREATE, 0o644)
}

// tryLock takes the right to run the Step id, and returns nil if somebody else
// has it. The caller closes the lock.
func (s *Store) tryLock(id ID) (io.Closer, error) {
	f, err := s.openLocks()
	if err != nil {
		return nil, err
	}
	if ok, err := setLock(f, lockRange(unix.F_WRLCK, id, false), false); !ok {
		f.Close()
		return nil, err
	}
	return f, nil
}

// lock is tryLock that waits until it has the lock or ctx ends. After that it
// takes no lock, so that a loop over Steps ends with ctx.
func (s *Store) lock(ctx context.Context, id ID) (io.Closer, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		l, err := s.tryLock(id)
		if l != nil || err != nil {
			return l, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// uses are the Steps whose files one Run is going to read.
type uses struct {
	f    *os.File
	held map[ID]bool
}

// hold keeps everybody else from dropping the files of id.
func (u *uses) hold(id ID) error {
	if u.held[id] {
		return nil
	}
	_, err := setLock(u.f, lockRange(unix.F_RDLCK, id, true), true)
	u.held[id] = err == nil
	return err
}

// drop runs f if nobody else is going to read the files of id, while nobody
// can. It gives up this Run's own hold first: of two Runs that finish with the
// files at the same time, the later one then drops them.
func (u *uses) drop(id ID, f func() error) error {
	if err := u.release(id); err != nil {
		return err
	}
	ok, err := setLock(u.f, lockRange(unix.F_WRLCK, id, true), false)
	if !ok {
		return err
	}
	return errors.Join(f(), u.release(id))
}

func (u *uses) release(id ID) error {
	delete(u.held, id)
	_, err := setLock(u.f, lockRange(unix.F_UNLCK, id, true), false)
	return err
}
