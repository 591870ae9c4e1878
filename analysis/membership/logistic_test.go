package membership

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gonum.org/v1/gonum/mat"
)

// A reference is what scikit-learn made of a small attack; see its source.
type reference struct {
	Source     string
	Members    Outputs
	NonMembers Outputs `json:"non_members"`
	Mean, Std  []float64
	Fits       []struct {
		C, B, CV float64
		W        []float64
	}
	BestC float64 `json:"best_c"`
	Folds []struct{ Y, Fold []int }
}

func readReference(t *testing.T) reference {
	t.Helper()
	b, err := os.ReadFile("testdata/logistic.json")
	if err != nil {
		t.Fatal(err)
	}
	var ref reference
	if err := json.Unmarshal(b, &ref); err != nil {
		t.Fatal(err)
	}
	return ref
}

func TestTrainEqualsReference(t *testing.T) {
	ref := readReference(t)
	x := features(Outputs{
		Logits: slices.Concat(ref.Members.Logits, ref.NonMembers.Logits),
		Labels: slices.Concat(ref.Members.Labels, ref.NonMembers.Labels),
	})
	y := make([]bool, len(ref.Members.Labels)+len(ref.NonMembers.Labels))
	for i := range ref.Members.Labels {
		y[i] = true
	}
	s := newScaler(x)
	approx(t, "mean", s.mean, ref.Mean, 1e-12)
	approx(t, "std", s.std, ref.Std, 1e-12)
	s.apply(x)
	acc, err := crossValidate(x, y, Strengths, folds)
	if err != nil {
		t.Fatal(err)
	}
	for i, fit := range ref.Fits {
		m, err := fitLogistic(x, y, fit.C)
		if err != nil {
			t.Fatal(err)
		}
		approx(t, "w", m.w, fit.W, 1e-7)
		approx(t, "b", []float64{m.b}, []float64{fit.B}, 1e-7)
		approx(t, "cv", acc[i:i+1], []float64{fit.CV}, 1e-12)
	}
	a, err := Train(ref.Members, ref.NonMembers)
	if err != nil {
		t.Fatal(err)
	}
	// The reference has a tie between the two largest strengths.
	if a.C != ref.BestC {
		t.Errorf("C = %g, want %g", a.C, ref.BestC)
	}
}

func TestStratifyEqualsReference(t *testing.T) {
	for _, f := range readReference(t).Folds {
		y := make([]bool, len(f.Y))
		for i, v := range f.Y {
			y[i] = v == 1
		}
		if diff := cmp.Diff(f.Fold, stratify(y, 3)); diff != "" {
			t.Errorf("folds of %v (-want +got):\n%s", f.Y, diff)
		}
	}
}

// At the minimum of a strictly convex objective the gradient is zero, however
// the data are scaled.
func TestFitLogisticIsStationary(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for name, noise := range map[string]float64{"collinear": 1e-4, "separable": 10, "noise": 0} {
		x, y := sample(rng, 300, 4, noise)
		if name == "separable" {
			for i := range y {
				y[i] = x.At(i, 0) > 0
			}
		}
		for _, c := range Strengths {
			m, err := fitLogistic(x, y, c)
			if err != nil {
				t.Errorf("%s, C = %g: %v", name, c, err)
				continue
			}
			grad := append(slices.Clone(m.w), 0)
			for i, yes := range y {
				p := 1 / (1 + math.Exp(-m.logOdds(x.RawRowView(i))))
				if yes {
					p--
				}
				for j, v := range x.RawRowView(i) {
					grad[j] += c * p * v
				}
				grad[len(m.w)] += c * p
			}
			approx(t, name+" gradient", grad, make([]float64, len(grad)), 1e-7)
		}
	}
}

// A column that is constant on the shadow model carries no weight, whatever it
// holds elsewhere.
func TestConstantColumn(t *testing.T) {
	x := mat.NewDense(4, 2, []float64{0.1, 1, 0.1, 2, 0.1, 3, 0.1, 4})
	s := newScaler(x)
	m, err := fitLogistic(s.apply(x), []bool{false, true, false, true}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if s.std[0] != 1 || math.Abs(m.w[0]) > 1e-12 || m.w[1] <= 0 {
		t.Errorf("std %v, w %v; want std 1 and weight 0 for the constant column", s.std, m.w)
	}
}

func BenchmarkTrain(b *testing.B) {
	rng := rand.New(rand.NewPCG(3, 4))
	x, y := sample(rng, 35000, 11, 0.02)
	for b.Loop() {
		if _, err := crossValidate(x, y, Strengths, folds); err != nil {
			b.Fatal(err)
		}
		if _, err := fitLogistic(x, y, 1); err != nil {
			b.Fatal(err)
		}
	}
}

// sample returns n rows of d features that differ by noise from one another,
// and labels that follow the first weakly.
func sample(rng *rand.Rand, n, d int, noise float64) (*mat.Dense, []bool) {
	x, y := mat.NewDense(n, d, nil), make([]bool, n)
	for i := range n {
		common := rng.NormFloat64()
		for j := range d {
			x.Set(i, j, common+noise*rng.NormFloat64())
		}
		y[i] = rng.Float64() < 1/(1+math.Exp(-x.At(i, 0)))
	}
	return x, y
}

func approx(t *testing.T, what string, got, want []float64, tol float64) {
	t.Helper()
	for i := range want {
		if len(got) != len(want) || !(math.Abs(got[i]-want[i]) <= tol) {
			t.Errorf("%s = %v, want %v within %g", what, got, want, tol)
			return
		}
	}
}
