package dataset

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Options say where [Open] may look.
type Options struct {
	// Dir is the user's own folder, tried first: the data set's files, or its
	// archive, in it or in a sub-folder with the data set's name. "" is none.
	// Files in it need not be the published ones.
	Dir string
	// CacheDir keeps what was fetched, in a folder per data set. "" is none:
	// nothing is fetched.
	CacheDir string
	// Offline forbids fetching.
	Offline bool
	// Progress is called, from one goroutine at a time, while something is
	// fetched. May be nil.
	Progress func(Progress)
}

// Progress tells how far a fetch is.
type Progress struct {
	Source string // the data set's name
	File   string // "" for a whole package
	From   string // address or package
	Done   int64  // bytes
	Total  int64  // bytes; 0 is unknown
}

// ErrUnavailable reports a data set that could not be had from anywhere.
var ErrUnavailable = errors.New("data not available")

// An UnavailableError lists the places that were tried, in order, and wraps
// [ErrUnavailable].
type UnavailableError struct {
	Source Source
	Tried  []Attempt
	// Remedy is what the user can do by hand: a sentence.
	Remedy string
}

// An Attempt is one place that did not have a data set.
type Attempt struct {
	Place string
	Err   error
}

func (e *UnavailableError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "dataset: %s: %v; tried", e.Source.Name, ErrUnavailable)
	for i, a := range e.Tried {
		fmt.Fprintf(&b, " (%d) %s: %v;", i+1, a.Place, a.Err)
	}
	return b.String() + " " + e.Remedy
}

func (e *UnavailableError) Unwrap() error { return ErrUnavailable }

// Open returns the data set called name in the [Table]. It looks in o.Dir,
// then in the cache, and then fetches into the cache.
//
// The error for a broken file in o.Dir names it and wraps [ErrMalformed]; a
// broken file in the cache is fetched again. If no place has the data, the
// error is an [*UnavailableError]. If ctx ends, the error wraps its cause, and
// the next call goes on with what was fetched.
func Open(ctx context.Context, name string, o Options) (*Set, error) {
	return open(ctx, Table, name, o)
}

func open(ctx context.Context, table []Source, name string, o Options) (*Set, error) {
	s, err := find(table, name)
	if err != nil {
		return nil, err
	}
	var tried []Attempt
	note := func(place string, err error) { tried = append(tried, Attempt{place, err}) }
	wrap := func(err error) error { return fmt.Errorf("dataset: %s: %w", name, err) }

	if o.Dir != "" {
		blobs, from, err := search(table, s, o.Dir)
		if err == nil {
			return assemble(s, blobs, from)
		}
		if !errors.Is(err, errAbsent) {
			return nil, wrap(err)
		}
		note(o.Dir, err)
	}
	if o.CacheDir != "" {
		dir := filepath.Join(o.CacheDir, name)
		blobs, from, err := cached(s, dir)
		if err == nil {
			return assemble(s, blobs, from)
		}
		note(dir, err)
		if !o.Offline {
			blobs, attempts, err := fetch(ctx, s, dir, o.Progress)
			if err != nil {
				return nil, wrap(err)
			}
			if blobs != nil {
				return assemble(s, blobs, dir)
			}
			tried = append(tried, attempts...)
		}
	}
	return nil, &UnavailableError{s, tried, remedy(s, o)}
}

func remedy(s Source, o Options) string {
	var files []string
	for _, f := range s.downloads() {
		files = append(files, f.Name)
	}
	what := "get " + strings.Join(files, ", ") + " from " + s.URL
	if o.Offline {
		what = "allow fetching, or " + what
	}
	return what + " and name their folder with --data-dir"
}

// search looks for s in the places of a user's folder. A folder that holds
// another data set under the same file names does not count.
func search(table []Source, s Source, root string) ([]blob, string, error) {
	if err := notFolder(root); err != nil {
		return nil, "", err
	}
	absent := errAbsent
	for _, sub := range s.Folders {
		dir := filepath.Join(root, sub)
		blobs, err := readFolder(s, dir)
		if errors.Is(err, errAbsent) {
			continue
		}
		if err != nil {
			return nil, "", err
		}
		if other := owner(table, blobs[0]); other != "" && other != s.Name {
			absent = fmt.Errorf("%w: %s is of %s", errAbsent, blobs[0].path, other)
			continue
		}
		return blobs, dir, nil
	}
	return nil, "", absent
}

// owner returns the name of the source that published b, or "".
func owner(table []Source, b blob) string {
	for _, s := range table {
		for _, f := range s.Files {
			if b.sum == f.MD5 || b.sum == f.Content {
				return s.Name
			}
		}
	}
	return ""
}

// cached returns the files of s in the cache folder dir, if all are there and
// as published.
func cached(s Source, dir string) ([]blob, string, error) {
	first := errAbsent
	for _, sub := range s.Folders {
		from := filepath.Join(dir, sub)
		blobs, err := readFolder(s, from)
		if err == nil {
			err = published(blobs)
		}
		if err == nil {
			return blobs, from, nil
		}
		if first == errAbsent {
			first = err
		}
	}
	return nil, "", first
}

// published fails unless every file is as published.
func published(blobs []blob) error {
	for _, b := range blobs {
		if !b.official {
			return b.malformed(fmt.Errorf("md5 %s, want %s", b.sum, cmp.Or(b.file.Content, b.file.MD5)))
		}
	}
	return nil
}

func assemble(s Source, blobs []blob, from string) (*Set, error) {
	train, test, err := s.decode(s, blobs)
	if err != nil {
		return nil, fmt.Errorf("dataset: %s: %w", s.Name, err)
	}
	set := &Set{
		Name: s.Name, Shape: s.Shape, Classes: s.Classes, From: from,
		Official: !slices.ContainsFunc(blobs, func(b blob) bool { return !b.official }),
	}
	return set.with(train, test), nil
}
