package imagefolder

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"rarespurious/experiments/seed"
)

// grid is a Folder of n images in every cell, without files.
func grid(contexts, classes []string, n int) *Folder {
	f := &Folder{Contexts: contexts, Classes: classes}
	for c := range contexts {
		for k := range classes {
			for range n {
				f.Entries = append(f.Entries, Entry{Context: c, Class: k})
			}
		}
	}
	return f
}

func TestNewSplit(t *testing.T) {
	f := grid([]string{"autumn", "dim"}, []string{"bear", "dog", "train"}, 124)
	s := NewSplit(f, 1)
	all := slices.Concat(s.Train, s.Test)
	slices.Sort(all)
	for i, j := range all {
		if i != j {
			t.Fatalf("image %d is missing or twice", i)
		}
	}
	if !slices.IsSorted(s.Train) || !slices.IsSorted(s.Test) {
		t.Error("indices should ascend")
	}
	count := map[[2]int]int{}
	for _, i := range s.Train {
		count[[2]int{f.Entries[i].Context, f.Entries[i].Class}]++
	}
	for cell, n := range count {
		if n != 86 { // airplane in autumn: 124 images, of which the paper trains on 86
			t.Errorf("cell %v has %d training images, want 86", cell, n)
		}
	}
	if again := NewSplit(f, 1); !slices.Equal(again.Train, s.Train) {
		t.Error("equal seeds must give equal splits")
	}
	if other := NewSplit(f, 2); slices.Equal(other.Train, s.Train) {
		t.Error("another seed must give another split")
	}
	// The first cell's draw does not depend on the other cells.
	if one := NewSplit(grid([]string{"autumn"}, []string{"bear"}, 124), 1); !slices.Equal(one.Train, s.Train[:86]) {
		t.Error("a cell's split depends on other cells")
	}
}

func TestTrial(t *testing.T) {
	f := grid([]string{"autumn", "dim"}, []string{"bear", "dog", "train"}, 10) // 7 for training
	s := NewSplit(f, 3)
	var before []int
	for k := range 8 {
		sel, err := Trial{"dim", "dog", k, 5}.Select(f, s)
		if err != nil {
			t.Fatal(err)
		}
		if len(sel.Train) != 21+k || sel.Added != k || len(sel.Test) != 6 {
			t.Fatalf("k = %d: %d training images, %d added, %d for testing", k, len(sel.Train), sel.Added, len(sel.Test))
		}
		if !slices.Equal(sel.Train[:len(before)], before) {
			t.Errorf("k = %d does not extend k = %d", k, k-1)
		}
		before = sel.Train
		for j, i := range sel.Train {
			e := f.Entries[i]
			if added := j >= 21; added != (e.Context == 1) || added && e.Class != 1 || !slices.Contains(s.Train, i) {
				t.Errorf("k = %d: wrong image %+v at %d", k, e, j)
			}
		}
		for _, i := range sel.Test {
			if e := f.Entries[i]; e.Context != 1 || e.Class == 1 || !slices.Contains(s.Test, i) {
				t.Errorf("k = %d: wrong test image %+v", k, e)
			}
		}
	}
	distinct := slices.Clone(before)
	slices.Sort(distinct)
	if len(slices.Compact(distinct)) != 28 {
		t.Error("an image was drawn twice")
	}
	a, _ := Trial{"dim", "dog", 0, 5}.Select(f, s)
	b, _ := Trial{"dim", "bear", 0, 9}.Select(f, s)
	if !slices.Equal(a.Train, b.Train) {
		t.Error("without added images the classes of a context should share their training set")
	}
	c, _ := Trial{"dim", "dog", 3, 6}.Select(f, s)
	if slices.Equal(c.Train, before[:24]) {
		t.Error("another seed should choose other images")
	}
}

func TestTrialFaults(t *testing.T) {
	f := grid([]string{"autumn", "dim"}, []string{"bear", "dog"}, 10)
	s := NewSplit(f, 0)
	_, err := Trial{"dim", "dog", 8, 0}.Select(f, s)
	if !errors.Is(err, ErrTooFew) || !strings.Contains(err.Error(), "8 training images are asked for, the cell holds 7") {
		t.Errorf("too many: %v", err)
	}
	for want, trial := range map[string]Trial{
		`no context "sea" (have autumn, dim)`: {"sea", "dog", 0, 0},
		`no class "cat" (have bear, dog)`:     {"dim", "cat", 0, 0},
		"count -1 is negative":                {"dim", "dog", -1, 0},
	} {
		if _, err := trial.Select(f, s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error %v, want %q", trial, err, want)
		}
	}
}

func TestRandomResizedCrop(t *testing.T) {
	rng := seed.Rand(0, "augment")
	const h, w, n = 256, 341, 20000
	var area, logAspect float64
	for range n {
		r := RandomResizedCrop(h, w, rng)
		if r.Top < 0 || r.Left < 0 || r.H < 1 || r.W < 1 || r.Top+r.H > h || r.Left+r.W > w {
			t.Fatalf("%+v leaves the image", r)
		}
		a, ratio := float64(r.H*r.W)/(h*w), float64(r.W)/float64(r.H)
		// Rounding a side of at least 65 moves a product or quotient by 1/65 at most.
		if a < 0.08*(1-1./65) || ratio < 0.75*(1-1./65) || ratio > 4./3*(1+1./65) {
			t.Fatalf("%+v: share %.3f, aspect %.3f", r, a, ratio)
		}
		area += a / n
		logAspect += math.Log(ratio) / n
	}
	// Means of 400,000 windows of this image by torchvision's procedure written
	// in Python; below the .54 of the uniform draw, since large windows often do
	// not fit. The tolerances are four standard errors.
	if math.Abs(area-0.4331) > 0.007 || math.Abs(logAspect-0.0301) > 0.0045 {
		t.Errorf("mean share %.4f, mean log aspect %.4f, want .4331 and .0301", area, logAspect)
	}
	// No draw fits into a ribbon: the largest centred window of aspect 4/3 or 3/4.
	if r := RandomResizedCrop(30, 1000, rng); r != (Rect{0, 480, 30, 40}) {
		t.Errorf("wide: %+v", r)
	}
	if r := RandomResizedCrop(1000, 30, rng); r != (Rect{480, 0, 40, 30}) {
		t.Errorf("tall: %+v", r)
	}
}

func TestCenterCrop(t *testing.T) {
	// 117/2 and 1/2 are halves, which go to the even neighbour.
	for size, want := range map[[3]int]Rect{
		{256, 341, 224}: {16, 58, 224, 224},
		{225, 224, 224}: {0, 0, 224, 224},
		{227, 224, 224}: {2, 0, 224, 224},
	} {
		if got := CenterCrop(size[0], size[1], size[2]); got != want {
			t.Errorf("CenterCrop%v = %+v, want %+v", size, got, want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a crop larger than the image should panic")
		}
	}()
	CenterCrop(100, 300, 224)
}
