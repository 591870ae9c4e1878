package membership

import (
	"errors"
	"math"
	"testing"
)

func TestConfidences(t *testing.T) {
	big := float32(math.MaxFloat32)
	for _, tt := range []struct {
		logits []float32
		label  int
		want   float64
	}{
		{[]float32{0, 0}, 0, 0},
		{[]float32{0, 0, 0}, 1, -math.Ln2}, // p = 1/3
		{[]float32{2, 1}, 0, 1},
		{[]float32{2, 1}, 1, -1},
		{[]float32{50, 0, 0}, 0, 50 - math.Ln2}, // 1 − p = 2e-22 is lost in p
		{[]float32{1000, 0, 0}, 0, 1000 - math.Ln2},
		{[]float32{0, 1000, 1000}, 0, -1000 - math.Ln2},
		{[]float32{-1000, -1001}, 0, 1},
		{[]float32{big, -big}, 0, 2 * float64(big)},
		{[]float32{big, -big, big}, 1, -2 * float64(big)},
	} {
		got, err := Confidences(Outputs{tt.logits, []int{tt.label}})
		if err != nil {
			t.Fatal(err)
		}
		approx(t, "φ", got, []float64{tt.want}, 1e-15*(1+math.Abs(tt.want)))
	}
}

// lira's toy: candidate 0 has in-confidences 1, 3 (mean 2, variance 2) and
// out-confidences −1, 1 (0, 2); candidate 1 has in 0, 4 (2, 8), out −2, 2 (0, 8).
var toyShadows = []Model{
	{Phi: []float64{1, -2}, In: []bool{true, false}},
	{Phi: []float64{3, 2}, In: []bool{true, false}},
	{Phi: []float64{-1, 0}, In: []bool{false, true}},
	{Phi: []float64{1, 4}, In: []bool{false, true}},
}

func TestLiRAScores(t *testing.T) {
	target := Model{Phi: []float64{2, 2}, In: []bool{true, false}}
	for name, want := range map[string][]float64{
		// φ = μ_in: the difference is (φ − μ_out)²/2σ².
		"online":        {4. / 4, 4. / 16},
		"online pooled": {4. / 10, 4. / 10}, // σ² = (2 + 8)/2
		// Φ(√2), Φ(√½), Φ(2/√5): from the error function at 1, ½, √.4.
		"offline":        {math.Log((1 + 0.8427007929497149) / 2), math.Log((1 + 0.5204998778130465) / 2)},
		"offline pooled": {math.Log((1 + math.Erf(math.Sqrt(.4))) / 2), math.Log((1 + math.Erf(math.Sqrt(.4))) / 2)},
	} {
		got, err := liras[name].Scores(target, toyShadows)
		if err != nil {
			t.Fatal(err)
		}
		approx(t, name, got, want, 1e-14)
	}
}

// Exchanging the roles of in and out turns the online score's sign.
func TestLiRASwapped(t *testing.T) {
	swapped := make([]Model, len(toyShadows))
	for i, m := range toyShadows {
		swapped[i] = Model{Phi: m.Phi, In: []bool{!m.In[0], !m.In[1]}}
	}
	target := Model{Phi: []float64{0.3, -7}, In: []bool{true, false}}
	a, err := LiRA{}.Scores(target, toyShadows)
	if err != nil {
		t.Fatal(err)
	}
	b, err := LiRA{}.Scores(target, swapped)
	if err != nil {
		t.Fatal(err)
	}
	approx(t, "swapped", b, []float64{-a[0], -a[1]}, 1e-14)
}

// A candidate without the models that its distributions need is absent, and
// the others are not.
func TestLiRAAbsent(t *testing.T) {
	models := []Model{
		{Phi: []float64{1, 0}, In: []bool{true, false}},
		{Phi: []float64{3, 1}, In: []bool{true, false}},
		{Phi: []float64{-1, 0}, In: []bool{false, false}},
		{Phi: []float64{1, 2}, In: []bool{false, true}},
		{Phi: []float64{0, 1}, In: []bool{false, false}},
		{Phi: []float64{2, 1}, In: []bool{true, false}},
	}
	for name, want := range map[string]struct{ in, out int }{
		"online":         {3, 3},     // candidate 1 is in for one model only
		"online pooled":  {3, 3 + 5}, // one model is enough for a mean, none is not
		"offline":        {3 + 1, 8}, // only models without it are asked
		"offline pooled": {3 + 1, 8},
	} {
		in, out, absent, err := liras[name].LeaveOneOut(models)
		if err != nil {
			t.Fatal(err)
		}
		if len(in) != want.in || len(out) != want.out || absent != 12-want.in-want.out {
			t.Errorf("%s: %d in, %d out, %d absent; want %d, %d, the rest", name, len(in), len(out), absent, want.in, want.out)
		}
	}
}

// A model without others to compare it with has nothing but absent candidates.
func TestLiRAOfOneModel(t *testing.T) {
	in, out, absent, err := LiRA{}.LeaveOneOut(toyShadows[:1])
	if err != nil || len(in)+len(out) != 0 || absent != 2 {
		t.Errorf("LeaveOneOut = %v, %v, %d, %v; want 2 absent", in, out, absent, err)
	}
}

// Models that agree to the last bit still order the candidates.
func TestLiRAWithoutVariance(t *testing.T) {
	shadows := []Model{
		{Phi: []float64{1e38}, In: []bool{true}}, {Phi: []float64{1e38}, In: []bool{true}},
		{Phi: []float64{-1e38}, In: []bool{false}}, {Phi: []float64{-1e38}, In: []bool{false}},
	}
	for name, l := range liras {
		var scores []float64
		for _, phi := range []float64{-1e38, 1e38} {
			s, err := l.Scores(Model{Phi: []float64{phi}, In: []bool{true}}, shadows)
			if err != nil {
				t.Fatal(err)
			}
			scores = append(scores, s[0])
		}
		if !(scores[0] < scores[1]) || math.IsInf(scores[0], 0) || math.IsInf(scores[1], 0) {
			t.Errorf("%s: scores %v, want finite and rising", name, scores)
		}
	}
}

func TestLiRANotFinite(t *testing.T) {
	target := Model{Phi: []float64{2, math.Inf(1)}, In: []bool{true, false}}
	if _, err := (LiRA{}).Scores(target, toyShadows); !errors.Is(err, ErrNotFinite) {
		t.Errorf("Scores = %v, want ErrNotFinite", err)
	}
	if _, _, _, err := (LiRA{}).LeaveOneOut([]Model{toyShadows[0], target}); !errors.Is(err, ErrNotFinite) {
		t.Errorf("LeaveOneOut = %v, want ErrNotFinite", err)
	}
}

func TestLogPhi(t *testing.T) {
	// From SciPy 1.17.1, scipy.stats.norm.logcdf.
	for z, want := range map[float64]float64{
		-1e4: -50000010.12927892,
		-40:  -804.6084420137539,
		-31:  -484.8539636271794,
		-29:  -424.78741990973026,
		-5:   -15.064998393988727,
		0:    -0.6931471805599453,
		5:    -2.8665161296376294e-07,
		10:   -7.61985302416047e-24,
		30:   -4.906713927147908e-198,
	} {
		if got := logPhi(z); math.Abs(got/want-1) > 1e-12 {
			t.Errorf("logPhi(%g) = %v, want %v", z, got, want)
		}
	}
	for z := -45.0; z < 8; z += 0.01 {
		if !(logPhi(z) < logPhi(z+0.01)) {
			t.Errorf("logPhi falls at %g", z)
		}
	}
}
