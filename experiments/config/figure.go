// Package config reads figure files, and is the only importer of viper.
//
// Its one idea: a file in configs/ is a whole figure, and [Load] leaves nothing
// open. What comes out is a list of [Point] values per panel with every default,
// profile and --set applied; nothing after it consults a file or a flag. Load
// is strict: a key that is not known, a value of another type or out of its
// range is an error that names its place, and all of them are reported at once.
package config

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// A Figure is one figure file under one profile.
type Figure struct {
	File    string // the path it was read from
	Name    string // base name of the file: "fig2"
	Title   string
	Source  string // where the paper has it: "arXiv:2202.05189, Figure 2"
	Kind    string // how it is drawn: a name in package sweep's table
	Profile string
	Note    string   // what the profile leaves out, and why
	Set     []string // what --set changed
	Panels  []Panel  // at least one
	Theory  []Theory // the linear models that the theory's figures show
	View    View
}

// A Panel is one part of the picture.
type Panel struct {
	Title  string
	Points []Point // in the order of the axes, the last fastest
}

// A Theory is one linear model that a figure shows, or one quantity of it
// varied; docs/theory.md has the meaning of its numbers.
type Theory struct {
	Title   string
	Inv, Sp Feature
	Gamma   []float64 // one share, or the two ends of an axis
	Points  int       // on the axis, or in a picture
	Vary    string    // a name in package theory's table
	Values  []float64 // of what is varied
}

// A Feature is the invariant or the spurious part of a Theory's inputs: the
// squared norm of its mean, and its variance per direction.
type Feature struct{ Norm2, Variance float64 }

// A View says how results become a picture.
type View struct {
	Metric  string   // what is drawn, a name among the results' values
	Metrics []string // several, where a kind or the series "metric" draws them
	// X and Series name the fields that make the x axis and the series; several
	// fields, separated by spaces, give values like "3 S3". Series may be
	// "metric".
	X, Series string
	Collapse  string // average each seed's values over this field first
	Scale     string // of x: "linear", "symlog", "log"; "" is the one that suits X
	XLabel    string
	YLabel    string
	YLim      []float64 // two ends of the y axis; empty: from the data
	Labels    []Label   // what values are called in the picture
	Scaled    bool      // heat maps: each from its least to its greatest value
	Cols      int       // panels in a row; 0 is up to three
}

// A Label is what a value of a field or a metric is called.
type Label struct{ Value, Label string }

// Label returns what value is called.
func (v View) Label(value string) string {
	for _, l := range v.Labels {
		if l.Value == value {
			return l.Label
		}
	}
	return value
}

// Options choose among what a file offers.
type Options struct {
	Profile string   // one of [Profiles]
	Set     []string // "key=value", a YAML value; overrides the file in all panels
}

// Load reads the figure file at path. The error, if any, joins [Problem]s.
func Load(path string, o Options) (Figure, error) {
	ps := &problems{file: path}
	if !slices.Contains(Profiles(), o.Profile) {
		return Figure{}, Problem{"--profile", "", "no profile \"" + o.Profile + "\"" + DidYouMean(o.Profile, Profiles()) + " (known: " + strings.Join(Profiles(), ", ") + ")"}
	}
	set, err := parseSets(o.Set)
	if err != nil {
		return Figure{}, err
	}
	f, err := read(path, ps)
	if err != nil {
		return Figure{}, err
	}
	ps.broken = len(ps.list) > 0
	p := f.profile(o.Profile)
	fig := Figure{
		File: path, Name: nameOf(path), Title: f.Title, Source: f.Source, Kind: f.Kind,
		Profile: o.Profile, Note: p.Note, Set: slices.Clone(o.Set), Theory: f.Theory, View: f.View,
	}
	for key, value := range map[string]string{"title": f.Title, "source": f.Source, "kind": f.Kind} {
		if value == "" && !ps.names(key) {
			ps.add(key, "missing")
		}
	}
	f.View.check(ps)
	if len(f.Panels) == 0 {
		f.Panels = []panel{{}}
	}
	checkTitles(f.Panels, p.Panels, o.Profile, ps)
	for i, pl := range f.Panels {
		own := panel{}
		if j := slices.IndexFunc(p.Panels, func(q panel) bool { return q.Title == pl.Title }); j >= 0 {
			own = p.Panels[j]
		}
		if own.Omit {
			continue
		}
		layers := stack(f, i, p, own, o.Profile)
		fig.Panels = append(fig.Panels, Panel{pl.Title, expand(f.Sweep, layers, set, ps)})
	}
	if len(fig.Panels) == 0 {
		ps.add("profiles."+o.Profile, "omits every panel")
	}
	if err := ps.err(); err != nil {
		return Figure{}, sorted(ps.list)
	}
	return fig, nil
}

// checkTitles compares the panels of a profile with the figure's.
func checkTitles(panels, own []panel, profile string, ps *problems) {
	var titles []string
	for i, p := range panels {
		if slices.Contains(titles, p.Title) {
			ps.add(path("panels", i, "title"), "%q is another panel's too", p.Title)
		}
		if p.Omit {
			ps.add(path("panels", i, "omit"), "is for profiles")
		}
		titles = append(titles, p.Title)
	}
	for i, p := range own {
		if !slices.Contains(titles, p.Title) {
			ps.add(path("profiles."+profile+".panels", i, "title"), "no panel %q%s", p.Title, DidYouMean(p.Title, titles))
		}
	}
}

func (v View) check(ps *problems) {
	for _, f := range []struct{ key, names string }{{"x", v.X}, {"series", v.Series}, {"collapse", v.Collapse}} {
		for _, name := range strings.Fields(f.names) {
			if _, ok := fieldIndex[name]; !ok && (f.key != "series" || name != "metric") {
				ps.add("view."+f.key, "%q is no field%s", name, DidYouMean(name, Keys()))
			}
		}
	}
	if scales := []string{"", "linear", "symlog", "log"}; !slices.Contains(scales, v.Scale) {
		ps.add("view.scale", "%q is not known%s (known: linear, symlog, log)", v.Scale, DidYouMean(v.Scale, scales[1:]))
	}
	if len(v.YLim) != 0 && (len(v.YLim) != 2 || v.YLim[0] >= v.YLim[1]) {
		ps.add("view.ylim", "is not two ends of an axis, the lower first")
	}
	if v.Cols < 0 {
		ps.add("view.cols", "%d is negative", v.Cols)
	}
}

// sorted joins problems in the order of their places, since maps have none.
func sorted(list []error) error {
	slices.SortStableFunc(list, func(a, b error) int { return cmp.Compare(a.(Problem).Path, b.(Problem).Path) })
	ps := problems{list: list}
	return ps.err()
}

// commandLine is the file of a Problem that no file has.
const commandLine = "--set"

// NewPoint returns a single Point made of "key=value" pairs alone: an
// experiment without a figure.
func NewPoint(set []string) (Point, error) {
	values, err := parseSets(set)
	if err != nil {
		return Point{}, err
	}
	ps := &problems{file: commandLine}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if len(values[key]) != 1 {
			ps.add(key, "is a list: a single model has one value")
		}
	}
	if err := ps.err(); err != nil {
		return Point{}, err
	}
	p := expand(nil, nil, values, ps)
	return p[0], ps.err()
}

// parseSets returns the values of each key that --set gives; a later one counts.
func parseSets(set []string) (lists, error) {
	ps := &problems{file: commandLine}
	out := lists{}
	for _, s := range set {
		key, value, ok := strings.Cut(s, "=")
		if _, known := fieldIndex[key]; !ok || !known {
			if !ok {
				ps.add("", "%q is not key=value", s)
			} else {
				ps.add(key, "no such key%s", DidYouMean(key, Keys()))
			}
			continue
		}
		m, err := parseYAML([]byte("value: " + value))
		if err != nil || len(m) != 1 {
			ps.add(key, "%q is no YAML value", value)
			continue
		}
		list, ok := m["value"].([]any)
		if ok && !(defaultsOf(key).Kind() == reflect.Slice && !nested(list)) {
			out[key] = decodeFields(key, key, list, ps)
		} else {
			out[key] = []any{decodeField(key, key, m["value"], ps)}
		}
	}
	return out, ps.err()
}

func defaultsOf(key string) reflect.Value { var p Point; return p.field(key) }

// nested reports whether list holds lists.
func nested(list []any) bool {
	return slices.ContainsFunc(list, func(v any) bool { _, ok := v.([]any); return ok })
}
