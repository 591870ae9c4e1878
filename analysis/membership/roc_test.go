package membership

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestROC(t *testing.T) {
	for _, tt := range []struct {
		name                string
		members, nonMembers []float64
		points              []Point
		auc                 float64
	}{
		{"perfect", []float64{3, 2}, []float64{1, 0}, []Point{{0, 0}, {2, 0}, {2, 2}}, 1},
		{"swapped", []float64{1, 0}, []float64{3, 2}, []Point{{0, 0}, {0, 2}, {2, 2}}, 0},
		{"all equal", []float64{1, 1, 1}, []float64{1, 1}, []Point{{0, 0}, {3, 2}}, 0.5},
		{"one tie", []float64{2, 1}, []float64{1, 0}, []Point{{0, 0}, {1, 0}, {2, 1}, {2, 2}}, 0.875},
		{"infinite", []float64{math.Inf(1)}, []float64{math.Inf(-1)}, []Point{{0, 0}, {1, 0}, {1, 1}}, 1},
		{"no members", nil, []float64{1}, []Point{{0, 0}, {0, 1}}, math.NaN()},
		{"nobody", nil, nil, []Point{{0, 0}}, math.NaN()},
	} {
		r := NewROC(tt.members, tt.nonMembers)
		if diff := cmp.Diff(tt.points, r.Points); diff != "" {
			t.Errorf("%s: points (-want +got):\n%s", tt.name, diff)
		}
		if auc := r.AUC(); auc != tt.auc && !(math.IsNaN(auc) && math.IsNaN(tt.auc)) {
			t.Errorf("%s: AUC = %g, want %g", tt.name, auc, tt.auc)
		}
	}
}

func TestAUCIsTheProbabilityOfScoringAbove(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		members, nonMembers := make([]float64, 1+rng.IntN(20)), make([]float64, 1+rng.IntN(20))
		for i := range members {
			members[i] = float64(rng.IntN(6))
		}
		for i := range nonMembers {
			nonMembers[i] = float64(rng.IntN(5))
		}
		var above float64
		for _, m := range members {
			for _, n := range nonMembers {
				switch {
				case m > n:
					above++
				case m == n:
					above += 0.5
				}
			}
		}
		want := above / float64(len(members)*len(nonMembers))
		if auc := NewROC(members, nonMembers).AUC(); auc != want {
			t.Errorf("AUC(%v, %v) = %v, want %v", members, nonMembers, auc, want)
		}
	}
}

func TestTPRAt(t *testing.T) {
	ramp := func(n int) []float64 { // n−1, …, 0
		s := make([]float64, n)
		for i := range s {
			s[i] = float64(n - 1 - i)
		}
		return s
	}
	for _, tt := range []struct {
		name                string
		members, nonMembers []float64
		fpr, want           float64
	}{
		// 1 % of 1,000 is 10: 999 … 990 may be called, 989 may not.
		{"at the limit", []float64{990, 989.5, 989, 0}, ramp(1000), 0.01, 0.5},
		{"perfect", []float64{2000, 2001}, ramp(1000), 0.01, 1},
		{"swapped", []float64{-1, -2}, ramp(1000), 0.01, 0},
		{"all equal", make([]float64, 5), make([]float64, 1000), 0.01, 0},
		{"all allowed", make([]float64, 5), make([]float64, 1000), 1, 1},
		{"rounding", []float64{71, 70.5, 70}, ramp(100), 0.29, 2. / 3},
		{"1 % of the pattern's", []float64{3000}, ramp(1700), 0.01, 1},
		{".1 % of the pattern's", []float64{3000}, ramp(1700), 0.001, math.NaN()},
		{".1 % of the clean", []float64{30000}, ramp(17500), 0.001, 1},
		{"no members", nil, ramp(1000), 0.01, math.NaN()},
	} {
		got := NewROC(tt.members, tt.nonMembers).TPRAt(tt.fpr)
		if got != tt.want && !(math.IsNaN(got) && math.IsNaN(tt.want)) {
			t.Errorf("%s: TPRAt(%g) = %g, want %g", tt.name, tt.fpr, got, tt.want)
		}
	}
}

// The curve goes on where a rate no longer means anything, and is the rate
// where it does.
func TestCurve(t *testing.T) {
	r := ROC{Members: 4, NonMembers: 100, Points: []Point{{0, 0}, {1, 0}, {1, 5}, {3, 5}, {3, 20}, {4, 20}, {4, 100}}}
	for fpr, want := range map[float64]float64{0: .25, .049: .25, .05: .75, .19: .75, .2: 1, 1: 1} {
		if got := r.Curve(fpr); got != want {
			t.Errorf("Curve(%g) = %g, want %g", fpr, got, want)
		}
		if got := r.TPRAt(fpr); fpr >= .1 && got != want || fpr < .1 && !math.IsNaN(got) {
			t.Errorf("TPRAt(%g) = %g beside a curve at %g", fpr, got, want)
		}
	}
	if got := (ROC{NonMembers: 1, Points: []Point{{}, {0, 1}}}).Curve(.5); !math.IsNaN(got) {
		t.Errorf("%g of no members", got)
	}
}
