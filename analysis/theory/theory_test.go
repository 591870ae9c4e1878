package theory

import (
	"errors"
	"math"
	"strings"
	"testing"
)

// near reports whether got is want within a relative tolerance; tol is absolute
// for |want| ≤ 1.
func near(got, want, tol float64) bool {
	return math.Abs(got-want) <= tol*max(1, math.Abs(want))
}

func solve(t *testing.T, m Model) Solution {
	t.Helper()
	s, err := m.Solve()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// base and sharp are the models of Figure 11 and of the phase transition.
func base() Model  { return figureModel() }
func sharp() Model { m, _ := PhaseModel(); return m }

// with returns m at γ and λ.
func with(m Model, gamma, lambda float64) Model {
	m.Gamma, m.Lambda = gamma, lambda
	return m
}

// models spans both signs of A − B, small and large norms, λ = 0 and not, and
// both ends of γ.
func models() []Model {
	var out []Model
	for _, m := range []Model{
		base(), sharp(),
		{VarInv: 0.1, VarSp: 0.5, Norm2Inv: 1, Norm2Sp: 5},
		{VarInv: 2, VarSp: 0.3, Norm2Inv: 3, Norm2Sp: 0.7},
		{VarInv: 0.4, VarSp: 0, Norm2Inv: 0.5, Norm2Sp: 2, Noise: 0.2},
	} {
		for _, gamma := range []float64{0, 1e-3, 0.1, 0.5, 1} {
			for _, lambda := range []float64{0, 0.3, 10} {
				out = append(out, with(m, gamma, lambda))
			}
		}
	}
	return out
}

// The numbers are 12 significant digits of a computation at 40 digits by a
// separate symbolic derivation.
func TestSolve(t *testing.T) {
	for _, c := range []struct {
		gamma, lambda, varInv, varSp, norm2Inv, norm2Sp float64
		want                                            Solution
	}{
		{0, 0, 0.5, 0.1, 1, 5, Solution{0.666666666667, 0, 0, 0.921350396475, 0.921350396475, 0}},
		{0.1, 0, 0.5, 0.1, 1, 5, Solution{0.658227848101, 0.0506329113924, -0.0126582278481, 0.920660715508, 0.814563190215, 0.253164556962}},
		{0.5, 0, 0.5, 0.1, 1, 5, Solution{0.582914572864, 0.100502512563, -0.125628140704, 0.908867957422, 0.688846568333, 0.502512562814}},
		{0.1, 0, 0.8, 0.4, 1, 5, Solution{0.550660792952, 0.0352422907489, -0.00881057268722, 0.866968993758, 0.780593102918, 0.176211453744}},
		{0.1, 1, 0.5, 0.1, 1, 5, Solution{0.397748592871, 0.0225140712946, -0.00562851782364, 0.920976668724, 0.849039922768, 0.112570356473}},
		{0.2, 10, 0.5, 0.1, 1, 5, Solution{0.0865800865801, 0.00865800865801, -0.00432900432900, 0.919799159786, 0.780521978379, 0.0432900432900}},
		{0.002, 0, 1, 0.05, 1, 25, Solution{0.499916624979, 0.00667000166750, -0.000166750041688, 0.841317814086, 0.747519285814, 0.166750041688}},
		{0.3, 0, 1, 0.05, 1, 25, Solution{0.452431289641, 0.0253699788584, -0.0951374207188, 0.835580424127, 0.424179213020, 0.634249471459}},
	} {
		m := Model{Gamma: c.gamma, Lambda: c.lambda, VarInv: c.varInv, VarSp: c.varSp, Norm2Inv: c.norm2Inv, Norm2Sp: c.norm2Sp}
		expect(t, m, solve(t, m), c.want, 1e-12)
	}
}

// As TestSolve: noise in training leaves the test variances alone.
func TestSolveTrainingNoise(t *testing.T) {
	for _, c := range []struct {
		noise, gamma float64
		want         Solution
	}{
		{0.1, 0.1, Solution{0.618181818182, 0.0436363636364, -0.0109090909091, 0.920769480675, 0.825801425771, 0.218181818182}},
		{0.2, 0.5, Solution{0.516399162596, 0.0976971388695, -0.122121423587, 0.906380890226, 0.656792421855, 0.488485694348}},
		{0.3, 0, Solution{0.555555555556, 0, 0, 0.921350396475, 0.921350396475, 0}},
	} {
		m := with(base(), c.gamma, 0)
		m.Noise = c.noise
		expect(t, m, solve(t, m), c.want, 1e-12)
	}
}

// The numbers are those of the notebook's own pictures, to their digits.
func TestUpstream(t *testing.T) {
	for _, c := range []struct {
		model                       Model
		clean, spurious, difference float64
	}{
		{with(base(), 0.5, 0), 0.8977, 0.6795, 0.1508},
		{with(sharp(), 0.3, 0), 0.8252, 0.4275, 0.0535},
	} {
		got, err := c.model.Upstream()
		if err != nil {
			t.Fatal(err)
		}
		right := solve(t, c.model)
		want := Solution{right.U, right.V, right.B, c.clean, c.spurious, c.difference}
		expect(t, c.model, got, want, 0.5e-4)
	}
}

func expect(t *testing.T, m Model, got, want Solution, tol float64) {
	t.Helper()
	for q := range quantities {
		if g, w := got.Value(Quantity(q)), want.Value(Quantity(q)); !near(g, w, tol) {
			t.Errorf("%v: %v = %.12g, want %.12g", m, Quantity(q), g, w)
		}
	}
}

func TestUpstreamAgreesAtUnitNorms(t *testing.T) {
	for _, m := range models() {
		m.Norm2Inv, m.Norm2Sp, m.NoiseIn = 1, 1, TrainingAndTest
		got, err := m.Upstream()
		if err != nil {
			t.Fatal(err)
		}
		expect(t, m, got, solve(t, m), 1e-14)
	}
}

// loss is the penalised population loss of any w and b in 2 + 3 dimensions,
// written out branch by branch: squared mean error plus variance.
func loss(m Model, w []float64, b float64) float64 {
	total := m.Lambda * dot(w, w)
	for _, br := range []struct{ share, inv, sp, y float64 }{
		{(1 - m.Gamma) / 2, 1, 0, 1},
		{m.Gamma / 2, 1, 1, 1},
		{0.5, -1, 0, -1},
	} {
		mean := features(m, br.inv, br.sp)
		bias := dot(w, mean) + b - br.y
		variance := (m.VarInv+m.Noise)*dot(w[:2], w[:2]) + (m.VarSp+m.Noise)*dot(w[2:], w[2:])
		total += br.share * (bias*bias + variance)
	}
	return total
}

// features returns (inv·m, sp·q) for an m and a q that lie on no axis.
func features(m Model, inv, sp float64) []float64 {
	a, s := math.Sqrt(m.Norm2Inv), math.Sqrt(m.Norm2Sp)
	return []float64{0.6 * a * inv, -0.8 * a * inv, s * sp / 3, 2 * s * sp / 3, -2 * s * sp / 3}
}

func dot(x, y []float64) float64 {
	var sum float64
	for i := range x {
		sum += x[i] * y[i]
	}
	return sum
}

// The loss is a quadratic, so central differences are exact up to rounding.
func TestSolveIsStationary(t *testing.T) {
	const h = 0.5
	for _, m := range models() {
		s := solve(t, m)
		at := append(features(m, s.U, s.V), s.B)
		for i := range at {
			f := func(step float64) float64 {
				x := append([]float64(nil), at...)
				x[i] += step
				return loss(m, x[:5], x[5])
			}
			if g := (f(h) - f(-h)) / (2 * h); math.Abs(g) > 1e-13*max(1, f(h)) {
				t.Errorf("%v: derivative %d at the solution is %g", m, i, g)
			}
		}
	}
}

func TestNoSpuriousExamples(t *testing.T) {
	for _, m := range models() {
		m.Gamma = 0
		s := solve(t, m)
		want := phi(math.Sqrt(m.Norm2Inv / m.VarInv))
		if s.V != 0 || s.B != 0 || s.Difference != 0 {
			t.Errorf("%v: v = %g, b = %g, difference = %g, want 0", m, s.V, s.B, s.Difference)
		}
		if !near(s.CleanAccuracy, want, 1e-15) || !near(s.SpuriousAccuracy, want, 1e-15) {
			t.Errorf("%v: accuracies %g and %g, want %g", m, s.CleanAccuracy, s.SpuriousAccuracy, want)
		}
	}
}

// rho is the ratio u·p/v, which does not need v > 0.
func rho(m Model) float64 {
	return (m.Gamma*(1-m.Gamma)*m.Norm2Sp/2 + m.VarSp + m.Noise + m.Lambda) / (m.VarInv + m.Noise + m.Lambda)
}

// At γ(1−γ)s/2 = A − B no penalty changes an accuracy; below, it raises the
// spurious accuracy, above, it lowers it.
func TestRoleOfLambda(t *testing.T) {
	even := with(base(), 0.2, 0) // γ(1−γ)s/2 = .4 = A − B
	want := solve(t, even)
	for _, lambda := range []float64{1e-3, 1, 100, 1e6} {
		m := with(even, even.Gamma, lambda)
		got := solve(t, m)
		if !near(got.CleanAccuracy, want.CleanAccuracy, 1e-14) || !near(got.SpuriousAccuracy, want.SpuriousAccuracy, 1e-14) {
			t.Errorf("λ = %g: accuracies %.15g and %.15g, want %.15g and %.15g", lambda,
				got.CleanAccuracy, got.SpuriousAccuracy, want.CleanAccuracy, want.SpuriousAccuracy)
		}
	}
	for gamma, sign := range map[float64]float64{0.1: 1, 0.19: 1, 0.21: -1, 0.5: -1} {
		rise := solve(t, with(base(), gamma, 1)).SpuriousAccuracy - solve(t, with(base(), gamma, 0)).SpuriousAccuracy
		if rise*sign <= 0 {
			t.Errorf("γ = %g: λ = 1 changes the spurious accuracy by %g", gamma, rise)
		}
	}
}

// Two models with equal γ, s and test data but another λ and another training
// noise have the same accuracies as soon as their rho agree.
func TestAccuraciesDependOnLambdaThroughRho(t *testing.T) {
	for _, m := range models() {
		r := rho(m)
		s := solve(t, m)
		A, B, a, p := m.VarInv, m.VarSp, m.Norm2Inv, m.Gamma/2
		sd := math.Sqrt(r*r*a*A + p*p*m.Norm2Sp*B)
		clean := phi((r*a-p*p*m.Norm2Sp)/sd)/2 + phi((r*a+p*p*m.Norm2Sp)/sd)/2
		spurious := phi((r*a - p*(1-p)*m.Norm2Sp) / sd)
		if !near(s.CleanAccuracy, clean, 1e-14) || !near(s.SpuriousAccuracy, spurious, 1e-14) {
			t.Errorf("%v: accuracies %.15g and %.15g, by rho %.15g and %.15g", m, s.CleanAccuracy, s.SpuriousAccuracy, clean, spurious)
		}
	}
}

// For this loss, noise of variance Q in training is the penalty λ = Q.
func TestTrainingNoiseIsPenalty(t *testing.T) {
	for _, m := range models() {
		noisy, penalised := m, m
		noisy.Noise, noisy.Lambda = m.Noise+m.Lambda, 0
		penalised.Noise, penalised.Lambda = 0, m.Noise+m.Lambda
		if noisy.Noise > 0 {
			expect(t, m, solve(t, noisy), solve(t, penalised), 1e-14)
		}
	}
}

// Noise in the test as well changes the accuracies alone.
func TestNoiseInTest(t *testing.T) {
	m := base()
	m.Noise = 0.3
	training := solve(t, m)
	m.NoiseIn = TrainingAndTest
	both := solve(t, m)
	if both.U != training.U || both.Difference != training.Difference {
		t.Error("noise in the test changed the classifier")
	}
	// Without spurious examples the accuracy is Φ(√(a/(A+Q))) = Φ(√1.25).
	if want := phi(math.Sqrt(1.25)); !near(both.CleanAccuracy, want, 1e-15) {
		t.Errorf("clean accuracy %g, want %g", both.CleanAccuracy, want)
	}
	added := base()
	added.VarInv, added.VarSp = added.VarInv+0.3, added.VarSp+0.3
	expect(t, m, both, solve(t, added), 1e-15)
}

// More penalty lowers the difference exactly where
// (A+λ)(a+A+λ) > a(γ(1−γ)s/2 + B + λ), the sign of its derivative.
func TestPenaltyOnDifference(t *testing.T) {
	const h = 1e-4
	var lowered, raised int
	for _, m := range models() {
		if m.Gamma == 0 {
			continue // the difference is 0 for every λ
		}
		A, B := m.VarInv+m.Noise+m.Lambda, m.VarSp+m.Noise+m.Lambda
		condition := A*(m.Norm2Inv+A) - m.Norm2Inv*(m.Gamma*(1-m.Gamma)*m.Norm2Sp/2+B)
		change := solve(t, with(m, m.Gamma, m.Lambda+h)).Difference - solve(t, m).Difference
		if condition*change >= 0 {
			t.Errorf("%v: the condition is %g, λ + %g changes the difference by %g", m, condition, h, change)
		}
		if change < 0 {
			lowered++
		} else {
			raised++
		}
	}
	if lowered == 0 || raised == 0 {
		t.Errorf("%d models where λ lowers the difference and %d where it raises it: both are needed", lowered, raised)
	}
}

func TestPhaseTransition(t *testing.T) {
	for _, m := range models() {
		plateau, halfRise, err := m.PhaseTransition()
		if err != nil {
			t.Fatal(err)
		}
		for _, gamma := range []float64{1e-9, 1e-6, 1e-3, halfRise / 2, halfRise, 0.2, 0.9} {
			if gamma <= 0 || gamma >= 1 {
				continue
			}
			got := solve(t, with(m, gamma, m.Lambda)).Difference
			low := plateau * gamma / (gamma + halfRise)
			if high := low / (1 - gamma); got < low*(1-1e-12) || got > high*(1+1e-12) {
				t.Errorf("%v at γ = %g: difference %g outside [%g, %g]", m, gamma, got, low, high)
			}
		}
	}
	// A feature with a large signal-to-noise ratio rises to half of the plateau
	// at an arbitrarily small share.
	m := Model{VarInv: 1, VarSp: 1e-3, Norm2Inv: 1, Norm2Sp: 1e6}
	plateau, halfRise, _ := m.PhaseTransition()
	if plateau != 0.5 || halfRise != 2e-9 {
		t.Fatalf("plateau %g and half-rise %g, want 0.5 and 2e-9", plateau, halfRise)
	}
	if got := solve(t, with(m, halfRise, 0)).Difference; !near(got, 0.25, 1e-8) {
		t.Errorf("difference %g at the half-rise, want 0.25", got)
	}
}

func TestValidate(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		name string
		edit func(*Model)
		want error
	}{
		{"Gamma", func(m *Model) { m.Gamma = -0.1 }, ErrModel},
		{"Gamma", func(m *Model) { m.Gamma = 1.1 }, ErrModel},
		{"Gamma", func(m *Model) { m.Gamma = nan }, ErrModel},
		{"Lambda", func(m *Model) { m.Lambda = -1 }, ErrModel},
		{"Lambda", func(m *Model) { m.Lambda = inf }, ErrModel},
		{"VarInv", func(m *Model) { m.VarInv = -1 }, ErrModel},
		{"VarInv", func(m *Model) { m.VarInv = nan }, ErrModel},
		{"VarSp", func(m *Model) { m.VarSp = -1 }, ErrModel},
		{"VarSp", func(m *Model) { m.VarSp = inf }, ErrModel},
		{"Norm2Inv", func(m *Model) { m.Norm2Inv = 0 }, ErrModel},
		{"Norm2Inv", func(m *Model) { m.Norm2Inv = nan }, ErrModel},
		{"Norm2Sp", func(m *Model) { m.Norm2Sp = 0 }, ErrModel},
		{"Norm2Sp", func(m *Model) { m.Norm2Sp = -inf }, ErrModel},
		{"Noise", func(m *Model) { m.Noise = -0.1 }, ErrModel},
		{"NoiseIn", func(m *Model) { m.NoiseIn = 7 }, ErrModel},
		// D = 0: nothing fixes v; D = ∞: overflow.
		{"determinant", func(m *Model) { m.VarInv, m.VarSp, m.Gamma = 0, 0, 0 }, ErrDegenerate},
		{"determinant", func(m *Model) { m.Norm2Sp, m.Norm2Inv = math.MaxFloat64, math.MaxFloat64 }, ErrDegenerate},
		// R = 0: test data without variance where the classifier looks.
		{"standard deviation", func(m *Model) { m.VarInv, m.Gamma = 0, 0 }, ErrDegenerate},
		{"standard deviation", func(m *Model) { m.VarInv, m.VarSp, m.Noise = 0, 0, 1 }, ErrDegenerate},
	} {
		m := with(base(), 0.1, 0)
		c.edit(&m)
		for name, f := range map[string]func() (Solution, error){"Solve": m.Solve, "Upstream": m.Upstream} {
			got, err := f()
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.name) {
				t.Errorf("%s of %v: error %v, want %v that names %q", name, m, err, c.want, c.name)
			}
			if got != (Solution{}) {
				t.Errorf("%s of %v: a solution %v beside the error", name, m, got)
			}
		}
	}
	err := Model{Gamma: 2, Norm2Inv: 1}.Validate()
	if err == nil || !strings.Contains(err.Error(), "Gamma") || !strings.Contains(err.Error(), "Norm2Sp") {
		t.Errorf("error %v, want one that names both faults", err)
	}
}

// The edges at which R > 0 still holds.
func TestEdges(t *testing.T) {
	m := with(base(), 0.1, 1)
	m.VarInv = 0 // λ > 0, B > 0, γ > 0
	solve(t, m)
	m = with(base(), 0.1, 0)
	m.VarSp = 0 // A > 0, γ > 0
	solve(t, m)
	m = with(base(), 1, 0)
	if s := solve(t, m); s.U <= 0 {
		t.Errorf("u = %g at γ = 1", s.U)
	}
}
