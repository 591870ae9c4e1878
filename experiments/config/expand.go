package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// A layer is one place that may say something about a panel's Points. A later
// layer overrules an earlier one.
type layer struct {
	base  string // path of the settings
	set   settings
	at    string // path of the lists
	sweep lists
	when  []rule
}

// stack returns the layers of panel i: the figure, the panel, the profile, the
// profile's word on the panel.
func stack(f file, i int, p profile, own panel, name string) []layer {
	at := fmt.Sprintf("panels[%d]", i)
	pr := "profiles." + name
	j := slices.IndexFunc(p.Panels, func(q panel) bool { return q.Title == own.Title })
	mine := fmt.Sprintf("%s.panels[%d]", pr, j)
	return []layer{
		{"base", f.Base, "", nil, f.When},
		{at + ".set", f.Panels[i].Set, at + ".sweep", f.Panels[i].Sweep, f.Panels[i].When},
		{pr + ".base", p.Base, pr + ".sweep", p.Sweep, p.When},
		{mine + ".set", own.Set, mine + ".sweep", own.Sweep, own.When},
	}
}

// expand returns the Points of one panel, checked. There are none if no layer
// says anything.
func expand(axes []Axis, layers []layer, set lists, ps *problems) []Point {
	axes = slices.DeleteFunc(slices.Clone(axes), func(a Axis) bool { return len(a.Values) == 0 }) // reported by decode
	origin := map[string]string{}
	base := defaults
	for i, a := range axes {
		if _, twice := origin[a.Field]; twice {
			ps.add(fmt.Sprintf("sweep[%d].field", i), "%q is swept twice", a.Field)
		}
		origin[a.Field] = fmt.Sprintf("sweep[%d].values", i)
	}
	var rules []rule
	for _, l := range layers {
		for _, key := range slices.Sorted(maps.Keys(l.set)) {
			if slices.ContainsFunc(axes, func(a Axis) bool { return a.Field == key }) {
				ps.add(l.base+"."+key, "is swept: give its values under sweep")
			}
			base.put(key, l.set[key])
			origin[key] = l.base + "." + key
		}
		for _, key := range slices.Sorted(maps.Keys(l.sweep)) {
			i := slices.IndexFunc(axes, func(a Axis) bool { return a.Field == key })
			if i < 0 {
				ps.add(l.at+"."+key, "is not swept by the figure")
				continue
			}
			axes[i].Values = l.sweep[key]
			origin[key] = l.at + "." + key
		}
		rules = append(rules, l.when...)
	}
	if len(origin) == 0 && len(set) == 0 {
		return nil // a figure that needs no runs
	}
	fixed := override(&base, &axes, set, ps)
	for key := range set {
		origin[key] = key
	}
	points := product(base, axes)
	for i := range points {
		for _, r := range rules {
			if r.matches(&points[i]) {
				for key, v := range r.Set {
					points[i].put(key, v)
				}
			}
		}
		for key, v := range fixed {
			points[i].put(key, v)
		}
	}
	report(points, origin, set, ps)
	return points
}

// override applies --set and returns the fields that it fixes: rules must not
// change them.
func override(base *Point, axes *[]Axis, set lists, ps *problems) settings {
	fixed := settings{}
	for _, key := range slices.Sorted(maps.Keys(set)) {
		i := slices.IndexFunc(*axes, func(a Axis) bool { return a.Field == key })
		switch {
		case i >= 0 && len(set[key]) > 1:
			(*axes)[i].Values = set[key]
		case i >= 0:
			(*axes)[i].Values = set[key]
			fixed[key] = set[key][0]
		case len(set[key]) == 1:
			base.put(key, set[key][0])
			fixed[key] = set[key][0]
		default:
			ps.add("", "--set %s: is a list, but the figure does not sweep it", key)
		}
	}
	return fixed
}

// product returns base with every combination of the axes' values.
func product(base Point, axes []Axis) []Point {
	points := []Point{base}
	for _, a := range axes {
		var next []Point
		for _, p := range points {
			for _, v := range a.Values {
				p.put(a.Field, v)
				next = append(next, p)
			}
		}
		points = next
	}
	return points
}

func (p *Point) put(key string, v any) {
	if v != nil {
		p.field(key).Set(reflect.ValueOf(v))
	}
}

func (r rule) matches(p *Point) bool {
	for key, v := range r.If {
		if !reflect.DeepEqual(p.field(key).Interface(), v) {
			return false
		}
	}
	return true
}

// report adds what is wrong with the Points, each fault once, at the place that
// set the value.
func report(points []Point, origin map[string]string, set lists, ps *problems) {
	for _, p := range points {
		for _, f := range p.check() {
			if ps.broken && strings.HasPrefix(f.what, "missing") {
				continue
			}
			at := origin[f.key]
			switch {
			case ps.file == commandLine:
				at = f.key
			case set[f.key] != nil:
				at = commandLine + " " + at
			case at == "":
				at = "base." + f.key
			case strings.HasPrefix(f.what, "missing"):
				at = strings.TrimSuffix(at, ".values")
			}
			ps.add(at, "%s", f.what)
		}
	}
}

func path(list string, i int, key string) string { return fmt.Sprintf("%s[%d].%s", list, i, key) }
