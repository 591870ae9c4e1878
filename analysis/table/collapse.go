package table

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Collapse averages rows over one field before any statistics, such as each
// seed's score over a list of counts, and returns one row per group of rows
// that agree in all other fields, in order of first appearance, without that
// field. So a standard error is one over seeds, not over counts.
//
// A collapsed row's ID is its members' IDs, separated by spaces; its Values
// are the means of those that every member has; it is Diverged if any member
// is. Every group must have the same values of the field, or the means would
// be of unlike things: else, and for a row without the field, the error wraps
// ErrMissing. Two members with the same value wrap ErrDuplicate.
func Collapse(rows []Row, field string) ([]Row, error) {
	members := map[string][]Row{}
	all := map[string]bool{}
	var keys []string
	for _, r := range rows {
		value, ok := r.Fields[field]
		if !ok {
			return nil, fmt.Errorf("run %s: field %q: %w", r.ID, field, ErrMissing)
		}
		all[value] = true
		k := others(r, field)
		if members[k] == nil {
			keys = append(keys, k)
		}
		members[k] = append(members[k], r)
	}
	out := make([]Row, 0, len(keys))
	for _, k := range keys {
		group := members[k]
		left := maps.Clone(all)
		for _, r := range group {
			if !left[r.Fields[field]] {
				return nil, fmt.Errorf("run %s: %s=%s: %w", r.ID, field, r.Fields[field], ErrDuplicate)
			}
			delete(left, r.Fields[field])
		}
		if len(left) > 0 {
			return nil, fmt.Errorf("beside run %s: %s=%s: %w", group[0].ID, field, slices.Sorted(maps.Keys(left))[0], ErrMissing)
		}
		out = append(out, mean(group, field))
	}
	return out, nil
}

// others returns all fields of r but one as a key.
func others(r Row, field string) string {
	var b strings.Builder
	for _, f := range slices.Sorted(maps.Keys(r.Fields)) {
		if f != field {
			fmt.Fprintf(&b, "%q=%q ", f, r.Fields[f])
		}
	}
	return b.String()
}

func mean(group []Row, field string) Row {
	m := Row{Fields: maps.Clone(group[0].Fields), Values: map[string]float64{}}
	delete(m.Fields, field)
	ids := make([]string, len(group))
	counts := map[string]int{}
	for i, r := range group {
		ids[i] = r.ID
		m.Diverged = m.Diverged || r.Diverged
		for name, y := range r.Values {
			m.Values[name] += y
			counts[name]++
		}
	}
	m.ID = strings.Join(ids, " ")
	for name, n := range counts {
		if n < len(group) {
			delete(m.Values, name)
			continue
		}
		m.Values[name] /= float64(n)
	}
	return m
}
