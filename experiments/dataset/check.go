package dataset

import (
	"crypto/sha256"
	"math"
)

// A Report describes a [Set].
type Report struct {
	Train, Test PartReport
	// Duplicates are the test images that equal a training image, bit for
	// bit, in the order of the test set.
	Duplicates []Duplicate
}

// A PartReport describes a [Part].
type PartReport struct {
	PerClass []int // images, by label
	// Mean and Std, the standard deviation over all pixels, are by channel,
	// of pixels in [0, 1].
	Mean, Std []float64
}

// A Duplicate is a test image and the first training image that equals it.
type Duplicate struct {
	Test, Train int  // positions
	SameLabel   bool // whether their labels agree too
}

// Check counts and measures s.
func Check(s *Set) Report {
	r := Report{Train: describe(s, s.Train), Test: describe(s, s.Test)}
	d := s.Shape.Len()
	image := func(p Part, i int) [sha256.Size]byte { return sha256.Sum256(p.Images[i*d : (i+1)*d]) }
	first := make(map[[sha256.Size]byte]int, s.Train.Len())
	for i := range s.Train.Len() {
		h := image(s.Train, i)
		if _, ok := first[h]; !ok {
			first[h] = i
		}
	}
	for i := range s.Test.Len() {
		if j, ok := first[image(s.Test, i)]; ok {
			r.Duplicates = append(r.Duplicates, Duplicate{i, j, s.Test.Labels[i] == s.Train.Labels[j]})
		}
	}
	return r
}

func describe(s *Set, p Part) PartReport {
	r := PartReport{PerClass: p.Counts(len(s.Classes))}
	area := s.Shape.H * s.Shape.W
	for c := range s.Shape.C {
		var sum, squares uint64 // exact: far from 2⁶⁴ for any set that fits memory
		for i := range p.Len() {
			for _, b := range p.Images[i*s.Shape.Len()+c*area:][:area] {
				sum += uint64(b)
				squares += uint64(b) * uint64(b)
			}
		}
		n := float64(p.Len() * area)
		mean := float64(sum) / n
		r.Mean = append(r.Mean, mean/255)
		r.Std = append(r.Std, math.Sqrt(float64(squares)/n-mean*mean)/255)
	}
	return r
}
