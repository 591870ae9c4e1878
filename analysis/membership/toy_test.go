package membership

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// A toy draws examples of pure noise with random labels, which a model of more
// weights than examples can only learn by heart.
type toy struct{ *rand.Rand }

const toyDim, toyClasses = 200, 4

type toySet struct {
	x *mat.Dense // (N, toyDim)
	y []int
}

func (t toy) draw(n int) toySet {
	s := toySet{mat.NewDense(n, toyDim, nil), make([]int, n)}
	for i := range n {
		for j := range toyDim {
			s.x.Set(i, j, t.NormFloat64())
		}
		s.y[i] = t.IntN(toyClasses)
	}
	return s
}

// subset returns the examples marked in keep.
func (s toySet) subset(keep []bool) toySet {
	var sub toySet
	var data []float64
	for i, k := range keep {
		if k {
			data = append(data, s.x.RawRowView(i)...)
			sub.y = append(sub.y, s.y[i])
		}
	}
	sub.x = mat.NewDense(len(sub.y), toyDim, data)
	return sub
}

// fit returns the weights (toyDim, toyClasses) of the ridge regression on
// one-hot labels, nearly an interpolation.
func (s toySet) fit() *mat.Dense {
	n := len(s.y)
	gram := mat.NewSymDense(n, nil)
	gram.SymOuterK(1, s.x)
	onehot := mat.NewDense(n, toyClasses, nil)
	for i, y := range s.y {
		gram.SetSym(i, i, gram.At(i, i)+1)
		onehot.Set(i, y, 1)
	}
	var chol mat.Cholesky
	chol.Factorize(gram)
	var a, w mat.Dense
	if err := chol.SolveTo(&a, onehot); err != nil {
		panic(err)
	}
	w.Mul(s.x.T(), &a)
	return &w
}

// outputs returns what the model w says about s.
func (s toySet) outputs(w *mat.Dense) Outputs {
	var z mat.Dense
	z.Mul(s.x, w)
	o := Outputs{Labels: s.y}
	for _, v := range z.RawMatrix().Data {
		o.Logits = append(o.Logits, float32(v))
	}
	return o
}

// nullError is the standard deviation of the AUC where members and non-members
// are alike.
//
// Reference: Mann and Whitney, 1947.
func nullError(members, nonMembers int) float64 {
	m, n := float64(members), float64(nonMembers)
	return math.Sqrt((m + n + 1) / (12 * m * n))
}

func TestAttackFindsMembersOfOverfittedModel(t *testing.T) {
	rng := toy{rand.New(rand.NewPCG(5, 6))}
	shadow, target := rng.draw(150), rng.draw(150)
	shadowModel, targetModel := shadow.fit(), target.fit()
	a, err := Train(shadow.outputs(shadowModel), rng.draw(150).outputs(shadowModel))
	if err != nil {
		t.Fatal(err)
	}
	r, err := a.Evaluate(Target{Members: target.outputs(targetModel), NonMembers: rng.draw(150).outputs(targetModel)})
	if err != nil {
		t.Fatal(err)
	}
	if auc := r.All.AUC(); auc < 0.9 {
		t.Errorf("AUC = %.3f on an overfitted model, want > .9", auc)
	}
	if acc := r.All.BalancedAccuracy(); acc < 0.8 || acc != r.All.Accuracy() {
		t.Errorf("balanced accuracy %.3f, accuracy %.3f; want equal and > .8", acc, r.All.Accuracy())
	}
}

// Where members are drawn like non-members, the AUC is .5 within its
// confidence interval, for an attack that has learnt something real.
func TestAttackOnNull(t *testing.T) {
	rng := toy{rand.New(rand.NewPCG(7, 8))}
	shadow := rng.draw(150)
	model := shadow.fit()
	a, err := Train(shadow.outputs(model), rng.draw(150).outputs(model))
	if err != nil {
		t.Fatal(err)
	}
	const n, trials = 200, 25
	var mean float64
	outside := 0
	for range trials {
		r, err := a.Evaluate(Target{Members: rng.draw(n).outputs(model), NonMembers: rng.draw(n).outputs(model)})
		if err != nil {
			t.Fatal(err)
		}
		mean += r.All.AUC() / trials
		if math.Abs(r.All.AUC()-0.5) > 1.96*nullError(n, n) {
			outside++
		}
	}
	if se := nullError(n, n) / math.Sqrt(trials); math.Abs(mean-0.5) > 1.96*se {
		t.Errorf("mean AUC = %.4f, want .5 ± %.4f", mean, 1.96*se)
	}
	if outside > 4 { // binomial(25, .05): more than 4 in 1 of 140
		t.Errorf("%d of %d AUCs outside their 95 %% interval", outside, trials)
	}
}

// toyModels trains models on random halves of n candidates.
func (t toy) models(tb testing.TB, n, models int) []Model {
	candidates := t.draw(n)
	ms := make([]Model, models)
	for m := range ms {
		in := make([]bool, n)
		for i := range in {
			in[i] = t.IntN(2) == 0
		}
		phi, err := Confidences(candidates.outputs(candidates.subset(in).fit()))
		if err != nil {
			tb.Fatal(err)
		}
		ms[m] = Model{Phi: phi, In: in}
	}
	return ms
}

var liras = map[string]LiRA{
	"online":         {},
	"online pooled":  {Pooled: true},
	"offline":        {Offline: true},
	"offline pooled": {Offline: true, Pooled: true},
}

func TestLiRAFindsMembersOfOverfittedModels(t *testing.T) {
	models := toy{rand.New(rand.NewPCG(9, 10))}.models(t, 200, 16)
	for name, l := range liras {
		in, out, absent, err := l.LeaveOneOut(models)
		if err != nil || absent != 0 || len(in)+len(out) != 200*16 {
			t.Fatalf("%s: %d in, %d out, %d absent, error %v", name, len(in), len(out), absent, err)
		}
		if auc := NewROC(in, out).AUC(); auc < 0.9 {
			t.Errorf("%s: AUC = %.3f on overfitted models, want > .9", name, auc)
		}
	}
}

// The same confidences with the membership marks drawn anew.
func TestLiRAOnNull(t *testing.T) {
	rng := toy{rand.New(rand.NewPCG(11, 12))}
	models := rng.models(t, 200, 16)
	for _, m := range models {
		for i := range m.In {
			m.In[i] = rng.IntN(2) == 0
		}
	}
	for name, l := range liras {
		in, out, _, err := l.LeaveOneOut(models)
		if err != nil {
			t.Fatal(err)
		}
		if auc, ci := NewROC(in, out).AUC(), 1.96*nullError(len(in), len(out)); math.Abs(auc-0.5) > ci {
			t.Errorf("%s: AUC = %.4f, want .5 ± %.4f", name, auc, ci)
		}
	}
}
