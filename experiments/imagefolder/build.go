package imagefolder

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// Options of [Build]. Short and Orient may change pixels and are part of the
// cache's name; the others may not and are not.
type Options struct {
	Short   int  // the shorter side of the cached images; at least 1
	Orient  bool // turn images as their EXIF orientation says; torchvision does not
	Workers int  // 0 means one per core
	// Observe is called before anything is written, with Done 0, and after
	// every image; never concurrently. Nil means nobody is told.
	Observe func(Progress)
}

// Progress of a Build.
type Progress struct {
	File        string // the cache file
	Bytes       int64  // its size on disk when it is done, exact
	Done, Total int    // images
	Refused     error  // why an existing file is replaced; wraps [ErrCorrupt]; nil if there was none
}

// An UnreadableError lists every image of a folder that cannot be used.
type UnreadableError struct {
	Root  string
	Total int // images looked at
	Files []FileError
}

// A FileError is one unreadable image.
type FileError struct {
	Path string // under Root
	Err  error
}

func (e *UnreadableError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "imagefolder: %d of %d images in %s cannot be read; repair or remove them:", len(e.Files), e.Total, e.Root)
	for _, f := range e.Files {
		fmt.Fprintf(&b, "\n\t%s: %v", f.Path, f.Err)
	}
	return b.String()
}

// Unwrap returns the causes, for errors.Is.
func (e *UnreadableError) Unwrap() []error {
	errs := make([]error, len(e.Files))
	for i, f := range e.Files {
		errs[i] = f.Err
	}
	return errs
}

// Build returns the images of f with their shorter side scaled to o.Short,
// aspect kept: from the cache file in dir if it is there and whole, else by
// decoding every image once on all cores and writing that file, in the end
// under its name, so that an interrupted Build leaves a temporary file at most.
// The caller closes the Pack.
//
// It wants no more than a fixed number of pixels decoded at any time, whatever
// the number of workers. An [UnreadableError] lists all images that cannot be
// used; no cache is kept then.
func Build(ctx context.Context, f *Folder, dir string, o Options) (*Pack, error) {
	if o.Short < 1 {
		panic("imagefolder: Options.Short must be positive")
	}
	key := cacheKey(f, o)
	file := filepath.Join(dir, fmt.Sprintf("images-%d-%x.pack", o.Short, key[:8]))
	p := &Pack{Folder: f, Short: o.Short}
	var err error
	if p.data, p.index, err = openPack(file, key, len(f.Entries), workersOr(o.Workers)); err == nil {
		return p, nil
	}
	b := builder{folder: f, Options: o, file: file}
	switch {
	case errors.Is(err, ErrCorrupt):
		b.refused = err
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("imagefolder: %w", err)
	}
	if err := b.build(ctx, key); err != nil {
		return nil, err
	}
	if p.data, err = mapFile(file); err != nil {
		return nil, fmt.Errorf("imagefolder: %w", err)
	}
	p.index = b.index
	return p, nil
}

// cacheKey hashes what the cached pixels are made from. Times stand in for
// contents, as in make.
func cacheKey(f *Folder, o Options) [sha256.Size]byte {
	d := sha256.New()
	fmt.Fprintf(d, "%sshort %d orient %t\n", magic, o.Short, o.Orient)
	for _, e := range f.Entries {
		fmt.Fprintf(d, "%q %d %d\n", e.Path, e.Size, e.ModTime.UnixNano())
	}
	return [sha256.Size]byte(d.Sum(nil))
}
