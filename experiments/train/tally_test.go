package train

import (
	"maps"
	"slices"
	"testing"

	"rarespurious/experiments/imagefolder"
)

// Two contexts of three classes with two test images each. In dim, of the four
// images that are no bears three are taken for bears; one image of the six is
// taken for what it is.
func TestTally(t *testing.T) {
	f := &imagefolder.Folder{Contexts: []string{"autumn", "dim"}, Classes: []string{"bear", "cow", "dog"}}
	var g gallery
	for i := range 12 {
		f.Entries = append(f.Entries, imagefolder.Entry{Context: i / 6, Class: i % 6 / 2})
		g.split.Test = append(g.split.Test, i)
	}
	g.pack = &imagefolder.Pack{Folder: f}
	s, err := g.trial("dim", "bear", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	taken := map[int]int{
		0: 0, 1: 0, 2: 1, 3: 1, 4: 2, 5: 0, // autumn: five right
		6: 1, 7: 2, 8: 0, 9: 0, 10: 0, 11: 2,
	}
	values, bits := g.tally(taken, s, "dim", "bear")
	want := map[string]float64{"trial_share": 3. / 4, "context_accuracy": 1. / 6, "other_accuracy": 5. / 6}
	if !maps.Equal(values, want) || !slices.Equal(bits, []float64{1, 1, 1, 0}) {
		t.Errorf("%v and bits %v, want %v", values, bits, want)
	}
	if rows, labels := g.tested(5); !slices.Equal(rows, []int64{0, 2, 4, 7, 9}) || !slices.Equal(labels, []uint8{0, 1, 2, 0, 1}) {
		t.Errorf("five of the test images: %v of classes %v", rows, labels)
	}
}
