package table

import (
	"cmp"
	"math"
	"slices"
	"strconv"
)

// Number parses an x value as a finite number. "none", "inf" and other text
// are categories, for which ok is false.
func Number(x string) (v float64, ok bool) {
	v, err := strconv.ParseFloat(x, 64)
	return v, err == nil && !math.IsInf(v, 0) && !math.IsNaN(v)
}

// order sorts groups by first appearance of panel, then of series, then by x:
// categories as listed, numbers by value, other text by first appearance.
func order(groups []group, categories []string) {
	panel, series, text := ranks{}, ranks{}, ranks{}
	for _, g := range groups {
		panel.add(g.panel)
		series.add(g.series)
		text.add(g.x)
	}
	// class and value order x values between and within the three kinds.
	place := func(x string) (class int, value float64) {
		if i := slices.Index(categories, x); i >= 0 {
			return 0, float64(i)
		}
		if v, ok := Number(x); ok {
			return 1, v
		}
		return 2, float64(text[x])
	}
	slices.SortStableFunc(groups, func(a, b group) int {
		ca, va := place(a.x)
		cb, vb := place(b.x)
		return cmp.Or(
			cmp.Compare(panel[a.panel], panel[b.panel]),
			cmp.Compare(series[a.series], series[b.series]),
			cmp.Compare(ca, cb), cmp.Compare(va, vb))
	})
}

// ranks numbers names in the order in which they are added.
type ranks map[string]int

func (r ranks) add(name string) {
	if _, ok := r[name]; !ok {
		r[name] = len(r)
	}
}
