package table

import (
	"math"

	"rarespurious/analysis/metric"
)

// test returns the unadjusted p-values of Welch's and of the paired test of
// rows against base, NaN where no test applies.
func test(rows, base []Row, over []string, m Metric) (welch, paired float64) {
	welch, paired = math.NaN(), math.NaN()
	if m.Test == Untested {
		return welch, paired
	}
	sign := 1.0
	if m.Test == Less {
		sign = -1
	}
	partner := map[string]float64{}
	var a, b, pa, pb []float64
	for _, r := range base {
		if !r.Diverged {
			y := sign * r.Values[m.Name]
			b = append(b, y)
			partner[keyOf(r, over)] = y
		}
	}
	for _, r := range rows {
		if r.Diverged {
			continue
		}
		y := sign * r.Values[m.Name]
		a = append(a, y)
		if z, ok := partner[keyOf(r, over)]; ok {
			pa, pb = append(pa, y), append(pb, z)
		}
	}
	if min(len(a), len(b)) >= MinSeeds {
		welch = metric.Welch(a, b).P
	}
	if len(pa) >= MinSeeds {
		paired = metric.PairedT(pa, pb).P
	}
	return welch, paired
}

// adjust applies Holm's method to the tests of every step-th cell from first:
// those of one metric.
func adjust(cells []Cell, first, step int) {
	var p, pTest []float64
	for i := first; i < len(cells); i += step {
		p, pTest = append(p, cells[i].P), append(pTest, cells[i].PTest)
	}
	p, pTest = metric.Holm(p), metric.Holm(pTest)
	for j := range p {
		c := &cells[first+j*step]
		c.P, c.PTest = p[j], pTest[j]
	}
}
