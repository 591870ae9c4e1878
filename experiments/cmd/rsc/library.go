package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"rarespurious/experiments/atomicfile"
	"rarespurious/experiments/dataset"
	"rarespurious/experiments/run"
	"rarespurious/experiments/sweep"
	"rarespurious/experiments/train"
)

// A library opens data sets for planning and drawing.
//
// Planning needs labels and the digest only. They are kept in the cache beside
// the sizes and times of the files that they come from, so that a figure whose
// runs are all stored opens no data set.
type library struct {
	ctx    context.Context
	o      dataset.Options
	facts  string // folder for what planning needs
	whole  bool   // images are wanted too
	opened map[string]*dataset.Set
	absent map[string]error          // data sets that cannot be had, and why
	photos func(sweep.Lab) sweep.Lab // completes a lab
}

func (a *app) library(ctx context.Context) *library {
	l := &library{ctx: ctx, o: a.data(), opened: map[string]*dataset.Set{}, absent: map[string]error{},
		photos: func(lab sweep.Lab) sweep.Lab { return a.photoLab(ctx, lab) }}
	if a.cache != "" {
		l.facts = filepath.Join(a.cache, "facts")
	}
	return l
}

// lab returns what package sweep asks for. s may be nil until Draw.
func (l *library) lab(s func() *run.Store) sweep.Lab {
	return l.photos(sweep.Lab{
		Open:     l.open,
		File:     func(id run.ID, name string) (io.ReadCloser, error) { return s().Open(id, name) },
		Measures: train.MeasureNames(), Deletions: train.DeletionNames(),
	})
}

// open returns a data set, without its images unless l.whole is set.
func (l *library) open(name string) (*dataset.Set, error) {
	if err := l.absent[name]; err != nil {
		return nil, err
	}
	if s := l.opened[name]; s != nil && (s.Train.Images != nil || !l.whole) {
		return s, nil
	}
	var s *dataset.Set
	if !l.whole {
		s = l.recall(name)
	}
	if s == nil {
		var err error
		if s, err = dataset.Open(l.ctx, name, l.o); err != nil {
			if errors.Is(err, dataset.ErrUnavailable) {
				l.absent[name] = err
			}
			return nil, err
		}
		l.remember(name, s)
	}
	l.opened[name] = s
	return s, nil
}

// path returns the file for what planning needs to know of a data set. Its name
// changes with every file that the data set may be read from.
func (l *library) path(name string) string {
	src, err := dataset.Find(name)
	if err != nil || l.facts == "" {
		return ""
	}
	h := sha256.New()
	for _, root := range []string{l.o.Dir, filepath.Join(l.o.CacheDir, name)} {
		if root == "" {
			continue
		}
		for _, sub := range src.Folders {
			dir, err := filepath.Abs(filepath.Join(root, sub))
			if err != nil {
				return ""
			}
			entries, _ := os.ReadDir(dir) // an absent folder has no files
			for _, e := range entries {
				if info, err := os.Stat(filepath.Join(dir, e.Name())); err == nil && info.Mode().IsRegular() {
					fmt.Fprintln(h, dir, e.Name(), info.Size(), info.ModTime().UnixNano())
				}
			}
		}
	}
	return filepath.Join(l.facts, name+"-"+hex.EncodeToString(h.Sum(nil)[:8])+".json")
}

// recall returns what remember wrote, nil if there is nothing of use.
func (l *library) recall(name string) *dataset.Set {
	b, err := os.ReadFile(l.path(name))
	if err != nil {
		return nil
	}
	s := new(dataset.Set)
	if json.Unmarshal(b, s) != nil || s.Name != name || len(s.Digest) != 2*sha256.Size {
		return nil
	}
	return s
}

// remember writes s without its images. That it cannot is no fault: the data
// are then opened the next time too.
func (l *library) remember(name string, s *dataset.Set) {
	path := l.path(name)
	if path == "" || os.MkdirAll(l.facts, 0o755) != nil {
		return
	}
	bare := *s
	bare.Train.Images, bare.Test.Images = nil, nil
	b, err := json.Marshal(bare)
	if err != nil {
		return
	}
	_ = atomicfile.Write(path, b) // see above
}

// why says which data sets could not be had, nil if all could.
func (l *library) why() error {
	var errs []error
	for _, name := range sortedKeys(l.absent) {
		errs = append(errs, l.absent[name])
	}
	return errors.Join(errs...)
}
