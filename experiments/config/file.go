package config

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/viper"
)

// file is a figure file as it is written; configs/README.md describes it.
type file struct {
	Like                string // another file of the same folder, whose keys count where this one has none
	Title, Source, Kind string
	Base                settings
	When                []rule
	Panels              []panel
	Sweep               []Axis
	Theory              []Theory
	View                View
	Profiles            struct{ Smoke, Quick, Paper profile }
}

// A rule sets fields of those Points that have certain values.
type rule struct{ If, Set settings }

// A panel overrides what the whole figure says. Omit is for profiles.
type panel struct {
	Title string
	Set   settings
	Sweep lists
	When  []rule
	Omit  bool
}

// A profile overrides the figure and its panels, which it names by their title.
type profile struct {
	Note   string
	Base   settings
	Sweep  lists
	When   []rule
	Panels []panel
}

// An Axis varies one field of a Point. Its values are of the field's type.
type Axis struct {
	Field  string
	Values []any
}

// Profiles are the names of the profiles, from the smallest on.
func Profiles() []string { return []string{"smoke", "quick", "paper"} }

func (f *file) profile(name string) profile {
	return map[string]profile{"smoke": f.Profiles.Smoke, "quick": f.Profiles.Quick, "paper": f.Profiles.Paper}[name]
}

// read returns the file at path, joined with the one it is like. What does not
// fit is left out and added to ps; the error says that there is no YAML file.
func read(path string, ps *problems) (f file, err error) {
	m, err := parse(path)
	if err != nil {
		return f, err
	}
	decode("", m, reflect.ValueOf(&f).Elem(), ps)
	if f.Like == "" {
		return f, nil
	}
	base := filepath.Join(filepath.Dir(path), f.Like+".yaml")
	parent, err := parse(base)
	if err != nil {
		return f, err
	}
	theirs := problems{file: base}
	var p, both file
	decode("", parent, reflect.ValueOf(&p).Elem(), &theirs)
	if p.Like != "" {
		ps.add("like", "%s is itself like another file", f.Like)
		return f, ps.err()
	}
	ps.list = append(ps.list, theirs.list...)
	decode("", join(parent, m), reflect.ValueOf(&both).Elem(), &problems{}) // each was checked on its own
	return both, nil
}

// parse reads one YAML file. viper folds keys to lower case and drops those
// without a value from its maps; here they stay, with nil.
func parse(path string) (map[string]any, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, Problem{path, "", "there is no such file" + DidYouMean(nameOf(path), neighbours(path))}
	} else if err != nil {
		return nil, Problem{path, "", err.Error()}
	}
	m, err := parseYAML(text)
	if err != nil {
		return nil, Problem{path, "", err.Error()}
	}
	return m, nil
}

const delimiter = "\x00" // no key contains it, so a dot in one is a letter like others

func parseYAML(text []byte) (map[string]any, error) {
	v := viper.NewWithOptions(viper.KeyDelimiter(delimiter))
	v.SetConfigType("yaml")
	if err := v.ReadConfig(bytes.NewReader(text)); err != nil {
		return nil, errors.New(strings.Join(strings.Fields(strings.TrimPrefix(err.Error(), "While parsing config: ")), " "))
	}
	m := map[string]any{}
	for _, key := range v.AllKeys() {
		inner := m
		parts := strings.Split(key, delimiter)
		for _, part := range parts[:len(parts)-1] {
			next, ok := inner[part].(map[string]any)
			if !ok {
				next = map[string]any{}
				inner[part] = next
			}
			inner = next
		}
		inner[parts[len(parts)-1]] = v.Get(key)
	}
	return m, nil
}

// join returns the keys of both, b's where both have one; maps are joined
// likewise, lists are not.
func join(a, b map[string]any) map[string]any {
	m := maps.Clone(a)
	for key, v := range b {
		inner, ok := v.(map[string]any)
		if old, both := m[key].(map[string]any); ok && both {
			v = join(old, inner)
		}
		m[key] = v
	}
	return m
}

// Names returns the names of the figure files in dir, sorted.
func Names(dir string) []string { return neighbours(filepath.Join(dir, "x.yaml")) }

func neighbours(path string) []string {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".yaml" {
			names = append(names, nameOf(e.Name()))
		}
	}
	return slices.Clip(names)
}

func nameOf(path string) string {
	return strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
}
