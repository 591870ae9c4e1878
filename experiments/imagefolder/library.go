package imagefolder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"rarespurious/experiments/dataset"
)

// Names lists the sets of photographs that a [Library] opens:
//
//   - "folder", the user's own, whatever it holds;
//   - "generated", the stand-in that [Generate] makes;
//   - "nico", NICO++, in the user's folder or its sub-folder of that name.
func Names() []string { return []string{"folder", "generated", "nico"} }

// A Library opens sets of photographs, each once. It is safe for concurrent use.
type Library struct {
	Dir      string // the user's folder; "" is none
	CacheDir string // for decoded images and for generated ones
	Orient   bool   // see [Options]
	// Observe is [Options]' Observe. It may be nil.
	Observe func(Progress)

	mu   sync.Mutex
	open map[string]*opening
}

// An opening is a set that was asked for.
type opening struct{ get func() (*Pack, error) }

// Open returns the set of photographs called name, their shorter side scaled to
// short pixels. Others that want the same one meanwhile wait. The Library
// closes it. A set that is not there is an error that wraps
// [dataset.ErrUnavailable] and says what to do.
func (l *Library) Open(ctx context.Context, name string, short int) (*Pack, error) {
	key := fmt.Sprint(name, short)
	l.mu.Lock()
	if l.open == nil {
		l.open = map[string]*opening{}
	}
	o, ok := l.open[key]
	if !ok {
		o = &opening{sync.OnceValues(func() (*Pack, error) { return l.build(ctx, name, short) })}
		l.open[key] = o
	}
	l.mu.Unlock()
	p, err := o.get()
	if err != nil {
		l.mu.Lock()
		if l.open[key] == o { // not one that was opened since
			delete(l.open, key) // an interrupted Build may be tried again
		}
		l.mu.Unlock()
	}
	return p, err
}

// Close closes every set. None of their images may be in use.
func (l *Library) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, o := range l.open {
		if p, err := o.get(); err == nil {
			errs = append(errs, p.Close())
		}
	}
	l.open = nil
	return errors.Join(errs...)
}

func (l *Library) build(ctx context.Context, name string, short int) (*Pack, error) {
	if short < 1 {
		return nil, fmt.Errorf("imagefolder: %s: the images' shorter side must be positive, not %d", name, short)
	}
	if l.CacheDir == "" {
		return nil, fmt.Errorf("imagefolder: %s: %w: decoded images need a cache folder", name, dataset.ErrUnavailable)
	}
	f, err := l.scan(name)
	if err != nil {
		return nil, err
	}
	return Build(ctx, f, filepath.Join(l.CacheDir, "images"), Options{Short: short, Orient: l.Orient, Observe: l.Observe})
}

func (l *Library) scan(name string) (*Folder, error) {
	switch name {
	case "folder":
		if l.Dir == "" {
			return nil, fmt.Errorf("imagefolder: %w: name your folder of <context>/<class>/<image> with --data-dir", dataset.ErrUnavailable)
		}
		return Scan(l.Dir)
	case "generated":
		dir := filepath.Join(l.CacheDir, fmt.Sprintf("generated-%d", drawing))
		if err := Generate(dir, 0, PerCell); err != nil {
			return nil, err
		}
		return Scan(dir)
	case "nico":
		return l.scanNICO()
	}
	return nil, fmt.Errorf("imagefolder: unknown photographs %q (known: %s)", name, strings.Join(Names(), ", "))
}

// scanNICO accepts a folder that has NICO++'s six contexts.
func (l *Library) scanNICO() (*Folder, error) {
	missing := func(why string) error {
		return fmt.Errorf("imagefolder: NICO++: %w: %s; download it (docs/nico.md says where) and name its folder with NICO_DIR or --data-dir",
			dataset.ErrUnavailable, why)
	}
	if l.Dir == "" {
		return nil, missing("no folder was named")
	}
	dir := l.Dir
	if sub := filepath.Join(dir, "nico"); isFolder(sub) {
		dir = sub
	}
	f, err := Scan(dir)
	if errors.Is(err, ErrNoImages) || errors.Is(err, os.ErrNotExist) {
		return nil, missing(err.Error())
	}
	if err != nil {
		return nil, err
	}
	if f.Generated || !slices.Equal(f.Contexts, TextureNames()) {
		return nil, missing(fmt.Sprintf("%s is not NICO++: it has the contexts %s", dir, strings.Join(f.Contexts, ", ")))
	}
	return f, nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
