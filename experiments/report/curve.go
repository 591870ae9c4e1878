package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"math"
	"slices"
)

// losses returns the mean loss of each epoch in a run's log, in order. Of an
// epoch that was repeated after a checkpoint the later line counts.
func losses(log []byte) []float64 {
	byEpoch := map[int]float64{}
	for line := range bytes.Lines(log) {
		var e struct {
			Epoch int
			Loss  *float64
		}
		if json.Unmarshal(line, &e) == nil && e.Loss != nil {
			byEpoch[e.Epoch] = *e.Loss
		}
	}
	var y []float64
	for _, epoch := range slices.Sorted(maps.Keys(byEpoch)) {
		y = append(y, byEpoch[epoch])
	}
	return y
}

// curve draws positive losses on a logarithmic scale, nothing if there are
// fewer than two. All it writes are numbers.
func curve(y []float64) template.HTML {
	y = slices.DeleteFunc(slices.Clone(y), func(v float64) bool { return v <= 0 })
	if len(y) < 2 {
		return ""
	}
	low, high := math.Log(slices.Min(y)), math.Log(slices.Max(y))
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg viewBox="0 0 640 220" role="img" aria-label="loss by epoch"><text x="0" y="14">%.3g</text><text x="0" y="200">%.3g</text><text x="640" y="213" text-anchor="end">%d epochs, log scale</text><polyline points="`, slices.Max(y), slices.Min(y), len(y))
	for i, v := range y {
		fmt.Fprintf(&b, "%.1f,%.1f ", 70+565*float64(i)/float64(len(y)-1), 195-185*(math.Log(v)-low)/max(high-low, 1e-12))
	}
	b.WriteString(`"/></svg>`)
	return template.HTML(b.String())
}
