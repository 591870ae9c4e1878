package imagefolder

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sys/unix"
)

// A builder decodes a Folder's images in two passes: the headers give every
// image its place in the file, then workers fill the places in any order.
type builder struct {
	Options
	folder  *Folder
	file    string
	refused error

	index []record
	size  int64

	errs []error // by entry: why the image cannot be used

	mu   sync.Mutex // guards done and the calls of Observe
	done int
}

func (b *builder) build(ctx context.Context, key [sha256.Size]byte) (err error) {
	if err := b.readSizes(ctx); err != nil {
		return err
	}
	if b.unreadable() != nil { // nothing will be written: find the others too
		return b.decodeAll(ctx, nil)
	}
	b.observe()
	tmp, err := b.create()
	if err != nil {
		return fmt.Errorf("imagefolder: image cache: %w", err)
	}
	defer func() {
		if err != nil {
			tmp.Close()
			os.Remove(tmp.Name())
		}
	}()
	if err := b.decodeAll(ctx, tmp); err != nil {
		return err
	}
	if err := b.commit(tmp, key); err != nil {
		return fmt.Errorf("imagefolder: image cache: %w", err)
	}
	return nil
}

// create makes the temporary file if the disk has room for it.
func (b *builder) create() (*os.File, error) {
	dir := filepath.Dir(b.file)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return nil, fmt.Errorf("free space of %s: %w", dir, err)
	}
	if free := uint64(st.Bavail) * uint64(st.Bsize); free < uint64(b.size) {
		return nil, fmt.Errorf("%s needs %d MB, %s has %d MB free", filepath.Base(b.file), b.size>>20, dir, free>>20)
	}
	return os.CreateTemp(dir, filepath.Base(b.file)+".tmp*")
}

func (b *builder) commit(tmp *os.File, key [sha256.Size]byte) error {
	if _, err := tmp.WriteAt(encodeIndex(key, b.index), 0); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), b.file); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(b.file))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync() // the new name
}

// readSizes lays out the file.
func (b *builder) readSizes(ctx context.Context) error {
	n := len(b.folder.Entries)
	b.index, b.errs = make([]record, n), make([]error, n)
	err := b.parallel(ctx, func(_ context.Context, i int) error {
		h, w, err := b.sizeOf(i)
		b.index[i].h, b.index[i].w, b.errs[i] = uint32(h), uint32(w), err
		return nil
	})
	b.size = headerSize + int64(n)*entrySize
	for i := range b.index {
		b.index[i].offset = b.size
		b.size += b.index[i].len()
	}
	return err
}

// sizeOf returns the size entry i will have in the cache.
func (b *builder) sizeOf(i int) (h, w int, err error) {
	f, err := os.Open(b.path(i))
	if err != nil {
		return 0, 0, pathless(err)
	}
	defer f.Close()
	head, err := readHeader(f, b.Orient)
	if err != nil {
		return 0, 0, err
	}
	h, w = head.size()
	newH, newW := fitSize(h, w, b.Short)
	if newH > MaxPixels/newW {
		return 0, 0, fmt.Errorf("%w: %d by %d becomes %d by %d", ErrTooLarge, h, w, newH, newW)
	}
	return newH, newW, nil
}

// decodeAll decodes what readSizes accepted into its places of out, or into
// nothing where out is nil.
func (b *builder) decodeAll(ctx context.Context, out *os.File) error {
	budget := semaphore.NewWeighted(MaxPixels) // pixels decoded at any time
	err := b.parallel(ctx, func(ctx context.Context, i int) error {
		defer b.step()
		if b.errs[i] != nil {
			return nil
		}
		im, err := b.load(ctx, i, budget)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		b.errs[i] = err
		if err != nil || out == nil {
			return nil
		}
		b.index[i].sum = sha256.Sum256(im.Pix)
		if _, err := out.WriteAt(im.Pix, b.index[i].offset); err != nil {
			return fmt.Errorf("imagefolder: image cache: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return b.unreadable()
}

// load returns entry i as it goes into the cache.
func (b *builder) load(ctx context.Context, i int, budget *semaphore.Weighted) (*Image, error) {
	data, err := readFile(b.path(i))
	if err != nil {
		return nil, err
	}
	head, err := readHeader(bytes.NewReader(data), false)
	if err != nil {
		return nil, err
	}
	pixels := int64(head.h) * int64(head.w)
	if err := budget.Acquire(ctx, pixels); err != nil {
		return nil, err
	}
	defer budget.Release(pixels)
	im, err := Decode(data, b.Orient)
	if err != nil {
		return nil, err
	}
	r := b.index[i]
	if h, w := fitSize(im.H, im.W, b.Short); h != int(r.h) || w != int(r.w) {
		return nil, errors.New("changed while it was read")
	}
	return Resize(im, int(r.h), int(r.w)), nil
}

// unreadable gathers errs, or returns nil.
func (b *builder) unreadable() error {
	e := &UnreadableError{Root: b.folder.Root, Total: len(b.errs)}
	for i, err := range b.errs {
		if err != nil {
			e.Files = append(e.Files, FileError{b.folder.Entries[i].Path, err})
		}
	}
	if e.Files == nil {
		return nil
	}
	return e
}

// step tells the observer that one more image is done.
func (b *builder) step() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done++
	b.observe()
}

func (b *builder) observe() {
	if b.Observe != nil {
		b.Observe(Progress{b.file, b.size, b.done, len(b.index), b.refused})
	}
}

// parallel calls do for every entry until one call returns an error.
func (b *builder) parallel(ctx context.Context, do func(context.Context, int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	next := make(chan int)
	g.Go(func() error {
		defer close(next)
		for i := range b.folder.Entries {
			select {
			case next <- i:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for range workersOr(b.Workers) {
		g.Go(func() error {
			for i := range next {
				if err := do(ctx, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func (b *builder) path(i int) string {
	return filepath.Join(b.folder.Root, filepath.FromSlash(b.folder.Entries[i].Path))
}

// readFile reads an image file of reasonable size.
func readFile(name string) ([]byte, error) {
	// The largest image in bytes: MaxPixels of uncompressed RGB.
	const most = 3 * MaxPixels
	info, err := os.Stat(name)
	if err != nil {
		return nil, pathless(err)
	}
	if info.Size() > most {
		return nil, fmt.Errorf("%w: a file of %d MB", ErrTooLarge, info.Size()>>20)
	}
	data, err := os.ReadFile(name)
	return data, pathless(err)
}

// pathless drops the path from a file error whose caller names the file.
func pathless(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}
