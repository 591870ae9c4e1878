package dataset

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"rarespurious/experiments/atomicfile"
)

// fetch brings the files of s into the cache folder dir from the first of its
// origins that has them as published, and returns them. blobs is nil if none
// has; tried says why. err is set if ctx ends or the cache cannot be written.
func fetch(ctx context.Context, s Source, dir string, progress func(Progress)) (blobs []blob, tried []Attempt, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, nil, err
	}
	unlock, err := lock(ctx, filepath.Join(dir, ".lock"))
	if err != nil {
		return nil, nil, err
	}
	defer unlock()
	if blobs, _, err := cached(s, dir); err == nil {
		return blobs, nil, nil // another process fetched them while we waited
	}
	report := func(p Progress) {
		if progress != nil {
			p.Source = s.Name
			progress(p)
		}
	}
	scratch := filepath.Join(dir, ".fetch")
	for i, o := range s.origins {
		blobs, err := obtain(ctx, s, o, filepath.Join(scratch, fmt.Sprint(i)), report)
		if ctx.Err() != nil {
			return nil, nil, context.Cause(ctx)
		}
		if err != nil {
			tried = append(tried, Attempt{o.String(), err})
			continue
		}
		if err := install(dir, blobs); err != nil {
			return nil, nil, err
		}
		return blobs, nil, os.RemoveAll(scratch)
	}
	return nil, tried, nil
}

// obtain returns the files of s from o, if they are as published. It leaves
// scratch as it is only where an interrupted fetch can go on.
func obtain(ctx context.Context, s Source, o origin, scratch string, report func(Progress)) ([]blob, error) {
	if err := os.MkdirAll(scratch, 0o755); err != nil {
		return nil, err
	}
	from, err := o.fetch(ctx, s, scratch, report)
	if err != nil {
		return nil, err
	}
	blobs, err := readFolder(s, from)
	if err == nil {
		err = published(blobs)
	}
	if err != nil {
		os.RemoveAll(scratch)
	}
	return blobs, err
}

// install writes blobs into dir, decompressed. What a crash leaves of them is not
// as published, and is fetched again.
func install(dir string, blobs []blob) error {
	for _, b := range blobs {
		if err := atomicfile.Write(filepath.Join(dir, strings.TrimSuffix(b.file.Name, ".gz")), b.data); err != nil {
			return err
		}
	}
	return nil
}

// lock waits until this process alone holds the file called path, which it
// makes. The system lets go of it if the process dies.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if err != syscall.EWOULDBLOCK && err != syscall.EINTR {
			f.Close()
			return nil, &os.PathError{Op: "lock", Path: path, Err: err}
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
