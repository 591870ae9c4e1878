package run

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// A Comparison says how two Records of one Step differ.
type Comparison struct {
	ID          ID           `json:"id"`
	MustAgree   bool         `json:"must_agree"` // both ran where the bits must be the same
	Differences []Difference `json:"differences,omitempty"`
}

// A Difference is one number, digest or status that is not the same; "" is an
// absent one.
type Difference struct {
	Name   string `json:"name"`
	Stored string `json:"stored"`
	Again  string `json:"again"`
}

// Compare compares status and values of two Records of one Step. With a
// tolerance of 0 values must have the same bits, and files but for the log the
// same digests; otherwise values may differ by tolerance, relative to the
// larger of the two and 1, and files by anything.
func Compare(stored, again Record, tolerance float64) Comparison {
	c := Comparison{ID: stored.ID, MustAgree: stored.Env.SameBits(again.Env)}
	note := func(name, a, b string) {
		if a != b {
			c.Differences = append(c.Differences, Difference{name, a, b})
		}
	}
	note("status", string(stored.Status), string(again.Status))
	for _, name := range keys(stored.Values, again.Values) {
		a, inA := stored.Values[name]
		b, inB := again.Values[name]
		if inA && inB && math.Abs(a-b) <= tolerance*max(1, math.Abs(a), math.Abs(b)) && tolerance > 0 {
			continue
		}
		note(name, number(a, inA), number(b, inB))
	}
	if tolerance == 0 {
		for _, name := range keys(stored.Files, again.Files) {
			if name != eventsFile {
				note(name, stored.Files[name], again.Files[name])
			}
		}
	}
	return c
}

// Same reports whether there is no difference.
func (c Comparison) Same() bool { return len(c.Differences) == 0 }

// String lists the differences.
func (c Comparison) String() string {
	if c.Same() {
		return "the same bits"
	}
	var parts []string
	for _, d := range c.Differences {
		parts = append(parts, d.Name+" was "+cmp.Or(d.Stored, "absent")+", is "+cmp.Or(d.Again, "absent"))
	}
	return strings.Join(parts, "; ")
}

// number writes v so that different bits give different texts.
func number(v float64, there bool) string {
	if !there {
		return ""
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// keys returns the keys of both maps, sorted.
func keys[V any](a, b map[string]V) []string {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]V{}
	}
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}
