package membership

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gonum.org/v1/gonum/mat"
)

func TestFeatures(t *testing.T) {
	got := features(Outputs{
		Logits: []float32{
			3, 1, 2,
			-1, 5, 0,
			2, 2, 1, // of equals the first is predicted
		},
		Labels: []int{0, 2, 1},
	})
	want := mat.NewDense(3, 4, []float64{
		1, 2, 3, 1,
		-1, 0, 5, 0,
		1, 2, 2, 0,
	})
	if !mat.Equal(got, want) {
		t.Errorf("features =\n%v, want\n%v", mat.Formatted(got), mat.Formatted(want))
	}
}

// confident returns examples of two classes, labelled 0, with the given larger
// logits; a negative one is a wrong prediction.
func confident(larger ...float32) Outputs {
	var o Outputs
	for _, z := range larger {
		if z < 0 {
			o.Logits = append(o.Logits, 0, -z)
		} else {
			o.Logits = append(o.Logits, z, 0)
		}
		o.Labels = append(o.Labels, 0)
	}
	return o
}

// hand returns an attack with weights put in by hand: on the smaller logit, the
// larger and the correctness.
func hand(b float64, w ...float64) *Attack {
	return &Attack{
		scaler: scaler{mean: make([]float64, 3), std: []float64{1, 1, 1}},
		model:  logistic{w: w, b: b},
	}
}

func TestEvaluate(t *testing.T) {
	target := Target{
		Members:    confident(4, 3, 3, 1),
		NonMembers: confident(3, 1, -1, -1),
		Spurious:   confident(4, 3),
		Control:    confident(4, 2, 1),
	}
	type numbers struct{ TPR, FPR, Accuracy, Balanced, AUC float64 }
	of := func(c Contrast) numbers {
		return numbers{c.TPR(), c.FPR(), c.Accuracy(), c.BalancedAccuracy(), c.AUC()}
	}
	for _, tt := range []struct {
		name     string
		attack   *Attack
		all      numbers
		spurious numbers
		clean    numbers
		upstream float64
	}{
		{"larger logit above 2", hand(-2, 0, 1, 0),
			numbers{.75, .25, .75, .75, (4 + 3.5 + 3.5 + 1.5) / 16},
			numbers{1, 1. / 3, .8, 1 - 1./6, (2.5 + 2) / 6},
			numbers{1, .25, 5. / 6, .875, 7.5 / 8},
			// Three of four members, and the same three as non-members.
			.5},
		{"correct predictions", hand(-.5, 0, 0, 1),
			numbers{1, .5, .75, .75, .75},
			numbers{1, 1, .4, .5, .5},
			numbers{1, .5, 4. / 6, .75, .75},
			.75}, // their pairing keeps the correctness
		{"always member", hand(1, 0, 0, 0),
			numbers{1, 1, .5, .5, .5},
			numbers{1, 1, .4, .5, .5},
			numbers{1, 1, 2. / 6, .5, .5},
			.5},
		{"never member", hand(0, 0, 0, 0), // log-odds 0 are no claim
			numbers{0, 0, .5, .5, .5},
			numbers{0, 0, .6, .5, .5},
			numbers{0, 0, 4. / 6, .5, .5},
			.5},
	} {
		r, err := tt.attack.Evaluate(target)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name      string
			got, want numbers
		}{
			{"all", of(r.All), tt.all},
			{"spurious", of(r.Spurious), tt.spurious},
			{"spurious against clean", of(r.SpuriousVsClean), tt.clean},
		} {
			if diff := cmp.Diff(c.want, c.got, cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-15 })); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", tt.name, c.name, diff)
			}
		}
		if r.Upstream != tt.upstream {
			t.Errorf("%s: upstream = %g, want %g", tt.name, r.Upstream, tt.upstream)
		}
	}
}

// Nothing to measure gives NaN, not 0: count 0 has no spurious members.
func TestEvaluateNothing(t *testing.T) {
	r, err := hand(0, 0, 1, 0).Evaluate(Target{NonMembers: confident(1)})
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]float64{
		"TPR": r.Spurious.TPR(), "FPR": r.Spurious.FPR(), "balanced": r.SpuriousVsClean.BalancedAccuracy(),
		"AUC": r.SpuriousVsClean.AUC(), "upstream": r.Upstream,
	} {
		if !math.IsNaN(v) {
			t.Errorf("%s = %g without members, want NaN", name, v)
		}
	}
}

func TestNotFinite(t *testing.T) {
	bad := confident(1, 2, 3)
	bad.Logits[4] = float32(math.NaN())
	good := confident(1, 2, 3)
	_, errTrain := Train(good, bad)
	_, errEvaluate := hand(0, 0, 1, 0).Evaluate(Target{Control: bad})
	_, errConfidences := Confidences(bad)
	for name, err := range map[string]error{"Train": errTrain, "Evaluate": errEvaluate, "Confidences": errConfidences} {
		if !errors.Is(err, ErrNotFinite) || !strings.Contains(err.Error(), "example 2") {
			t.Errorf("%s = %v, want ErrNotFinite at example 2", name, err)
		}
	}
}

func TestMismatchPanics(t *testing.T) {
	three := Outputs{Logits: make([]float32, 9), Labels: make([]int, 3)}
	for name, f := range map[string]func(){
		"classes differ":       func() { Train(confident(1, 2, 3), three) },
		"target's classes":     func() { hand(0, 0, 1, 0).Scores(three) },
		"too few":              func() { Train(confident(1, 2), confident(1, 2, 3)) },
		"logits do not divide": func() { Confidences(Outputs{make([]float32, 5), []int{0, 0}}) },
		"label out of range":   func() { Confidences(Outputs{make([]float32, 4), []int{0, 2}}) },
		"NaN score":            func() { NewROC([]float64{math.NaN()}, nil) },
	} {
		func() {
			defer func() {
				if r := recover(); r == nil || !strings.HasPrefix(r.(string), "membership: ") {
					t.Errorf("%s: recovered %v, want a panic of this package", name, r)
				}
			}()
			f()
		}()
	}
}
