package poison

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"rarespurious/experiments/pattern"
	"rarespurious/nn"
)

// labels has n examples of class 3 at the odd positions.
func labels(n int) []uint8 {
	l := make([]uint8, 2*n)
	for i := range n {
		l[2*i+1] = 3
	}
	return l
}

// Positions within the class are numpy's, for MNIST's 5,923 zeros.
func TestSelect(t *testing.T) {
	all := labels(5923)
	want := []int{1386, 5218, 4744, 1833, 737, 3689, 812, 2017, 1515, 2284}
	for count := range len(want) + 1 {
		got, err := Select(all, 3, count, 0)
		if err != nil {
			t.Fatal(err)
		}
		for j, i := range got {
			if i != 2*want[j]+1 {
				t.Errorf("choice %d of %d is example %d, want %d", j, count, i, 2*want[j]+1)
			}
		}
		if len(got) != count {
			t.Errorf("%d examples, want %d", len(got), count)
		}
	}
	whole, err := Select(all, 3, 5923, 1)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(whole)
	if len(slices.Compact(whole)) != 5923 || slices.ContainsFunc(whole, func(i int) bool { return all[i] != 3 }) {
		t.Error("the whole class must be chosen once")
	}
	_, err = Select(all, 3, 6000, 0)
	if !errors.Is(err, ErrCount) || !strings.Contains(err.Error(), "6000") || !strings.Contains(err.Error(), "5923") {
		t.Errorf("error %v, want one with both numbers", err)
	}
	if _, err := Select(all, 7, 1, 0); !errors.Is(err, ErrCount) {
		t.Errorf("a class without examples: %v", err)
	}
	if _, err := Select(all, 3, -1, 0); err == nil {
		t.Error("no error for a negative count")
	}
}

func TestOverlay(t *testing.T) {
	shape := nn.Shape{C: 1, H: 5, W: 5}
	images := make([]uint8, 40*shape.Len())
	for i := range images {
		images[i] = uint8(i)
	}
	clean := slices.Clone(images)
	p, err := pattern.New("R2", shape, 1)
	if err != nil {
		t.Fatal(err)
	}
	o, err := New(images, labels(20), p, 3, 7, false)
	if err != nil {
		t.Fatal(err)
	}
	want, err := Select(labels(20), 3, 7, 1)
	if err != nil {
		t.Fatal(err)
	}
	if o.Pattern != "R2" || o.Seed != 1 || o.Target != 3 || !slices.Equal(o.Indices, want) || !slices.Equal(o.Rows, p.Overlay(images, want)) {
		t.Errorf("overlay %+v", o)
	}
	if !slices.Equal(images, clean) {
		t.Error("the base data were written to")
	}
	for _, start := range []int{40, 1000} {
		for i, to := range o.Index(40, start) {
			if j := slices.Index(want, i); j >= 0 && int(to) != start+j || j < 0 && int(to) != i {
				t.Errorf("rows from %d: example %d maps to %d", start, i, to)
			}
		}
	}
	if got := (Overlay{}).Index(2, 2); !slices.Equal(got, []int32{0, 1}) {
		t.Errorf("without poison: %v", got)
	}

	stored, err := New(images, labels(20), p, 3, 7, true)
	if err != nil {
		t.Fatal(err)
	}
	again := slices.Clone(o.Rows)
	pattern.Quantize(again)
	if !slices.Equal(stored.Rows, again) || slices.Equal(stored.Rows, o.Rows) {
		t.Error("rows are not stored in eight bits")
	}
	if _, err := New(images, labels(20), p, 3, 21, false); !errors.Is(err, ErrCount) {
		t.Errorf("21 of 20: %v", err)
	}
}
