package train

import (
	"slices"
	"testing"

	"rarespurious/experiments/dataset"
	"rarespurious/experiments/run"
	"rarespurious/nn"
)

// A model of a pool trains on half of the candidates, spurious ones with the
// pattern, and on every image that is no candidate.
func TestPool(t *testing.T) {
	set := &dataset.Set{Shape: nn.Shape{C: 1, H: 28, W: 28}}
	set.Train.Images = make([]uint8, 200*784)
	for i := range 200 {
		set.Train.Labels = append(set.Train.Labels, uint8(i%10))
	}
	model := func(m, count, clean int) *run.Train {
		return &run.Train{Poison: run.Poison{Pattern: "S1", Target: 3, Count: count, Seed: 7}, Pool: &run.Pool{Clean: clean, Model: m}}
	}
	const start = 1000
	var first candidates
	var in, pairs [14]int // times that a candidate is there; and together with the first one
	for m := range 400 {
		step := model(m, 2, 10)
		c, err := newCandidates(set, step)
		if err != nil {
			t.Fatal(err)
		}
		if m == 0 {
			first = c
		}
		if !slices.Equal(c.spurious.Indices, first.spurious.Indices) || !slices.Equal(c.clean, first.clean) {
			t.Fatal("models of one pool have different candidates")
		}
		rows, own, err := seen(set, step, start)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) != 200-2-5 || !slices.Equal(own.labels, []uint8{3, 3}) || len(own.pixels) != 2*784 || own.pixels[0] != 1 {
			t.Fatalf("%d rows, %d images with labels %v", len(rows), len(own.pixels)/784, own.labels)
		}
		spurious, clean := c.members(step)
		for j, i := range slices.Concat(c.spurious.Indices, c.clean) {
			here := slices.Concat(spurious, clean)[j]
			if j >= 4 && here != slices.Contains(rows, int64(i)) {
				t.Fatalf("model %d: clean candidate %d: %t", m, i, here)
			}
			if j < 4 && slices.Contains(rows, int64(i)) {
				t.Fatalf("model %d sees candidate %d without the pattern", m, i)
			}
			if here {
				in[j]++
				if spurious[0] {
					pairs[j]++
				}
			}
		}
		if !slices.Contains(rows, start) || !slices.Contains(rows, start+1) || slices.Max(rows) != start+1 {
			t.Fatal("the images with the pattern are not trained on")
		}
	}
	if len(first.spurious.Indices) != 4 || len(first.clean) != 10 {
		t.Fatalf("%d and %d candidates", len(first.spurious.Indices), len(first.clean))
	}
	for j, n := range in {
		if n < 150 || n > 250 { // 5 standard deviations
			t.Errorf("candidate %d is in %d of 400 models", j, n)
		}
	}
	for j, n := range pairs[4:] {
		if n < 55 || n > 145 {
			t.Errorf("clean candidate %d is in %d models with the first spurious one, want about 100", j, n)
		}
	}
	plain := model(0, 2, 10)
	plain.Pool = nil
	o, err := overlay(set, plain.Poison)
	if err != nil || !slices.Equal(o.Indices, first.spurious.Indices[:2]) {
		t.Errorf("the candidates do not begin with the examples of a model without a pool: %v", err)
	}
	for _, bad := range []*run.Train{model(0, 0, 10), model(0, 11, 10), model(0, 2, 197)} {
		if _, err := newCandidates(set, bad); err == nil {
			t.Errorf("%d spurious and %d clean candidates of 20 and 200 were drawn", 2*bad.Poison.Count, bad.Pool.Clean)
		}
	}
}

// Models of pools with equal epochs may share a Stack, others may not.
func TestPoolsInStacks(t *testing.T) {
	step := func(count, clean, model int) run.Step {
		return run.Step{Train: &run.Train{Poison: run.Poison{Count: count}, Pool: &run.Pool{Clean: clean, Model: model}}}
	}
	if shared(step(2, 10, 0)) != shared(step(2, 10, 1)) {
		t.Error("models of one pool are trained apart")
	}
	if shared(step(2, 10, 0)) == shared(step(2, 12, 0)) || shared(step(2, 10, 0)) == shared(run.Step{Train: &run.Train{}}) {
		t.Error("epochs of different lengths share a stack")
	}
}
