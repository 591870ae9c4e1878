// Package report writes what a results folder holds as pages for a browser.
//
// Its one idea: the pages are a view. They are made from the store and the
// figures' files alone, link to them by relative paths, need no network and no
// script, and can be deleted and written again at any time.
package report

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"rarespurious/analysis/table"
	"rarespurious/experiments/atomicfile"
	"rarespurious/experiments/run"
)

// Folder is where the pages of runs are, beside index.html.
const Folder = "report"

// A Figure is one that was drawn into a folder of its Name.
type Figure struct {
	Name    string
	Profile string
	Notes   []string // which parts are left out, and why
	State   string   // what an audit found; empty if there was none
	Picture string   // relative path; empty if there is no picture
	Cells   []table.Cell
	// Published are the numbers that the paper prints of this figure.
	Published []Comparison
	Runs      map[string]string // page of each run that is stored, by the ID in Cells
}

type index struct {
	Audit   *run.AuditReport
	Figures []Figure
	Runs    []run.Record
	// Published counts the paper's numbers among the figures', Differing those
	// that ours do not agree with.
	Published, Differing int
}

type page struct {
	run.Record
	Config string
	Log    string
	Curve  template.HTML
	Gone   map[string]bool // files that are not there
}

// Write writes index.html and a page per run of s and returns the path of the
// former. The audit is of s; what was found about figures belongs into it too.
// Each file appears as a whole or not at all, index.html last. A run that
// cannot be read has no page: the audit tells why. A figure whose table cannot
// be read is named with the reason in its place. The error may say that ctx
// ended.
func Write(ctx context.Context, s *run.Store, audit *run.AuditReport, figures []Figure) (string, error) {
	if err := os.MkdirAll(filepath.Join(s.Dir(), Folder), 0o755); err != nil {
		return "", fmt.Errorf("report: %w", err)
	}
	ids, err := s.IDs()
	if err != nil {
		return "", fmt.Errorf("report: %w", err)
	}
	x := index{Audit: audit}
	pages := map[string]string{}
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		r, err := s.Get(id)
		if err != nil {
			continue
		}
		p, err := newPage(s, r)
		if err == nil {
			err = write(filepath.Join(s.Dir(), Folder, id.Full()+".html"), "run", p)
		}
		if err != nil {
			return "", fmt.Errorf("report: run %v: %w", id, err)
		}
		x.Runs = append(x.Runs, r)
		pages[id.String()] = Folder + "/" + id.Full() + ".html"
	}
	for _, f := range figures {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if err := f.complete(s.Dir()); err != nil {
			f.State = "its table cannot be read: " + err.Error()
		}
		f.Runs = pages
		x.Published += len(f.Published)
		x.Differing += differing(f.Published)
		x.Figures = append(x.Figures, f)
	}
	path := filepath.Join(s.Dir(), "index.html")
	if err := write(path, "index", x); err != nil {
		return "", fmt.Errorf("report: %w", err)
	}
	return path, nil
}

// complete reads the figure's table and finds its picture.
func (f *Figure) complete(dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, f.Name, f.Name+".csv"))
	if at := (*fs.PathError)(nil); errors.As(err, &at) {
		err = at.Err // the page has no absolute paths
	}
	if err != nil {
		return err
	}
	if f.Cells, err = table.ReadCSV(bytes.NewReader(b)); err != nil {
		return err
	}
	f.Published = compare(f.Name, f.Cells)
	for _, ext := range []string{".svg", ".png"} {
		name := f.Name + "/" + f.Name + ext
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			f.Picture = name
			break
		}
	}
	return nil
}

func newPage(s *run.Store, r run.Record) (page, error) {
	p := page{Record: r, Config: string(r.Step.Canonical()), Gone: map[string]bool{}}
	for name := range r.Files {
		if _, err := os.Stat(filepath.Join(s.Path(r.ID), name)); err != nil {
			p.Gone[name] = true
		}
	}
	log, err := os.ReadFile(filepath.Join(s.Path(r.ID), "events.jsonl"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	p.Log, p.Curve = string(log), curve(losses(log))
	return p, nil
}

// write writes a page.
func write(path, name string, data any) error {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, data); err != nil {
		return err
	}
	return atomicfile.Write(path, b.Bytes())
}

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"num": func(v float64) string {
		if v != v {
			return "–"
		}
		if v == math.Trunc(v) && math.Abs(v) < 1e15 { // a count
			return strconv.FormatFloat(v, 'f', -1, 64)
		}
		return strconv.FormatFloat(v, 'g', 4, 64)
	},
	"exact":     func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) },
	"signed":    func(v float64) string { return strconv.FormatFloat(v, 'g', 2, 64) },
	"differing": differing,
	"sorted":    func(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) },
}).Parse(style + indexPage + runPage))
