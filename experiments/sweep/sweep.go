// Package sweep turns a figure file into Steps and their Records into a
// picture.
//
// Its one idea: a figure is a function of Records alone. [New] lowers every
// Point of a figure to the Step whose numbers it wants; equal Steps are one, so
// figures share models without knowing of each other. [Plan.Draw] projects the
// Records back onto the Points, builds a table that refuses to mix unlike runs,
// and draws it. It trains nothing and holds no state.
package sweep

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"rarespurious/experiments/config"
	"rarespurious/experiments/dataset"
	"rarespurious/experiments/imagefolder"
	"rarespurious/experiments/pretrained"
	"rarespurious/experiments/run"
)

// A Lab is where figures find what no Record holds.
type Lab struct {
	// Open returns a data set in memory. An error that wraps
	// [dataset.ErrUnavailable] leaves the panels that need it out.
	Open func(name string) (*dataset.Set, error)
	// File opens an artifact of a run: a Store's Open. Only Draw calls it.
	File func(id run.ID, name string) (io.ReadCloser, error)
	// Photos returns a set of photographs, their shorter side scaled to short
	// pixels, and Weights pretrained weights of a network. Their errors may wrap
	// [dataset.ErrUnavailable] as Open's.
	Photos  func(name string, short int) (*Photos, error)
	Weights func(network string) (pretrained.Weights, error)
	// Measures and Deletions are the names that package train knows.
	Measures, Deletions []string
}

// A Plan is a figure whose Points are Steps.
type Plan struct {
	Figure config.Figure
	Panels []Panel
	// Notes say which panels are left out, and why.
	Notes []string

	lab Lab
}

// A Panel is one part of the picture.
type Panel struct {
	Title   string
	Missing string // why it is left out: then it has no Wants
	Wants   []Want
}

// A Want is a Point and the Step whose Record has its numbers. Kinds of figures
// that need no runs have empty Steps.
type Want struct {
	Point config.Point
	Step  run.Step
	ID    run.ID // of Step: it takes a while to compute
}

// New plans f. Whatever can be known to be wrong before any work is in its
// error: an unknown kind or measure, more examples than the class has. Such
// errors wrap [config.ErrInvalid]. A panel whose data cannot be had is left out
// with a Note, in the profile "paper" it is an error that wraps
// [dataset.ErrUnavailable] and says what to do.
func New(f config.Figure, lab Lab) (*Plan, error) {
	k, ok := kinds[f.Kind]
	if !ok {
		names := Kinds()
		return nil, config.Problem{File: f.File, Path: "kind",
			What: fmt.Sprintf("%q is not known%s (known: %v)", f.Kind, config.DidYouMean(f.Kind, names), names)}
	}
	p := &Plan{Figure: f, lab: lab}
	c := &checker{lab: lab, file: f.File, sizes: map[sizeKey][]int{}}
	c.view(f, k)
	c.theory(f)
	c.items(f)
	var unavailable []error
	for _, in := range f.Panels {
		out := Panel{Title: in.Title}
		for _, point := range in.Points {
			w, err := c.want(in.Title, point, k)
			if errors.Is(err, imagefolder.ErrTooFew) {
				p.Notes = append(p.Notes, err.Error())
				continue
			}
			if errors.Is(err, dataset.ErrUnavailable) {
				out = Panel{Title: in.Title, Missing: "no data: " + point.Dataset}
				p.Notes = append(p.Notes, fmt.Sprintf("panel %q is left out: %v", in.Title, err))
				unavailable = append(unavailable, err)
				break
			}
			if err != nil {
				return nil, fmt.Errorf("%s: panel %q: %w", f.File, in.Title, err)
			}
			out.Wants = append(out.Wants, w)
		}
		p.Panels = append(p.Panels, out)
	}
	if err := errors.Join(c.problems...); err != nil {
		return nil, err
	}
	if k.also != nil {
		p.Panels = append(p.Panels, k.also(f))
	}
	if f.Profile == "paper" && len(unavailable) > 0 {
		return nil, fmt.Errorf("%s: %w", f.File, errors.Join(unique(unavailable)...))
	}
	return p, nil
}

// LeftOut returns the titles of the panels whose data is not here.
func (p *Plan) LeftOut() []string {
	var titles []string
	for _, panel := range p.Panels {
		if panel.Missing != "" {
			titles = append(titles, panel.Title)
		}
	}
	return titles
}

// LeaveOut leaves the panels with these titles out, as if their data were not
// here.
func (p *Plan) LeaveOut(titles []string) {
	for i, panel := range p.Panels {
		if slices.Contains(titles, panel.Title) {
			p.Panels[i] = Panel{Title: panel.Title, Missing: "left out"}
		}
	}
}

// want lowers p if nothing is wrong with it.
func (c *checker) want(panel string, p config.Point, k kind) (Want, error) {
	w := Want{Point: p}
	if k.photos {
		step, err := c.trial(panel, p)
		if err == nil && step.Kind() != "empty" {
			w.Step, w.ID = step, step.ID()
		}
		return w, err
	}
	if p.Photos() {
		c.bad("kind", "does not draw photographs (the kind trials does)")
		return w, nil
	}
	set, err := c.lab.open(p.Dataset, k)
	if err != nil {
		return w, err
	}
	if p.Measure == measureNorm && k.norms {
		k.runs = false
	}
	if c.point(panel, p, set, k) && k.runs {
		w.Step = Lower(p, set)
		w.ID = w.Step.ID()
	}
	return w, nil
}

// open returns a data set, without its images if k does not look at them.
func (l Lab) open(name string, k kind) (*dataset.Set, error) {
	if k.sizes {
		return shapeOf(name)
	}
	return l.Open(name)
}

// shapeOf returns the data set called name without images.
func shapeOf(name string) (*dataset.Set, error) {
	s, err := dataset.Find(name)
	return &dataset.Set{Name: s.Name, Shape: s.Shape, Classes: s.Classes}, err
}

// unique drops errors with the text of an earlier one.
func unique(errs []error) (out []error) {
	for _, err := range errs {
		if !slices.ContainsFunc(out, func(e error) bool { return e.Error() == err.Error() }) {
			out = append(out, err)
		}
	}
	return out
}

// Steps returns the Steps whose Records Draw wants, each once, in the order of
// the figure.
func (p *Plan) Steps() []run.Step {
	var steps []run.Step
	seen := map[run.ID]bool{}
	for _, panel := range p.Panels {
		for _, w := range panel.Wants {
			if w.Step.Kind() != "empty" && !seen[w.ID] {
				seen[w.ID] = true
				steps = append(steps, w.Step)
			}
		}
	}
	return steps
}

// Models returns the training Steps behind Steps, each once.
func (p *Plan) Models() []run.Step {
	var models []run.Step
	seen := map[run.ID]bool{}
	var visit func(s run.Step)
	visit = func(s run.Step) {
		for _, from := range s.From {
			visit(from)
		}
		if id := s.ID(); s.Train != nil && !seen[id] {
			seen[id] = true
			models = append(models, s)
		}
	}
	for _, s := range p.Steps() {
		visit(s)
	}
	return models
}

// Kinds returns the names of the kinds of figures, sorted.
func Kinds() []string { return slices.Sorted(maps.Keys(kinds)) }
