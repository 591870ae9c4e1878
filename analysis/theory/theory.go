// Package theory is the linear model of rare spurious correlations: what ridge
// regression learns when a share of one class carries a spurious feature, in
// closed form, and a Monte-Carlo check of it.
//
// The one idea: the optimal classifier lies in the plane of the two features,
// w = (u·x_inv, v·x_sp), so three numbers u, v, b say everything, and noise and
// the penalty λ enter them only as added variance. docs/theory.md derives it.
//
// Everything here is pure and seeded; figures are returned as numbers, see
// [Sweep], [Phase] and [Picture].
//
// Reference: Yang, Chou and Chaudhuri, "Understanding Rare Spurious
// Correlations in Neural Networks", 2022, section 5 and appendix A.
// https://arxiv.org/abs/2202.05189
package theory

import (
	"errors"
	"fmt"
	"math"
)

// ErrModel reports parameters outside their ranges.
var ErrModel = errors.New("theory: invalid model")

// ErrDegenerate reports parameters, each in its range, for which the optimal
// classifier is not unique or its score has no spread.
var ErrDegenerate = errors.New("theory: degenerate model")

// A Placement says where the added noise of a [Model] is present.
type Placement int

// The placements. TrainingOnly is what noisy-input training of a network does;
// TrainingAndTest is what the authors' notebook plots.
const (
	TrainingOnly Placement = iota
	TrainingAndTest
)

func (p Placement) String() string {
	switch p {
	case TrainingOnly:
		return "noise in training only"
	case TrainingAndTest:
		return "noise in training and test"
	}
	return fmt.Sprintf("Placement(%d)", int(p))
}

// A Model is the distribution of the training data and the penalty of the
// regression.
//
// An input is (x_i, x_s), parts of two orthogonal subspaces. The part x_i is
// N(±m, VarInv·I), + for the label +1 (the target class) and − for −1; the part
// x_s is N(q, VarSp·I) for the share Gamma of the target class and N(0, VarSp·I)
// for all other examples. The two labels are equally likely.
type Model struct {
	Gamma    float64   // share of the target class with the spurious feature, in [0, 1]
	Lambda   float64   // λ of E(w·x+b−y)² + λ‖w‖², ≥ 0; b is not penalised
	VarInv   float64   // A, variance per direction of the invariant subspace, ≥ 0
	VarSp    float64   // B, the same of the spurious subspace, ≥ 0
	Norm2Inv float64   // a = ‖m‖², > 0
	Norm2Sp  float64   // s = ‖q‖², > 0
	Noise    float64   // Q, variance of the noise added in every direction, ≥ 0
	NoiseIn  Placement // where the noise is; it does not matter if Noise is 0
}

// String lists the parameters by the symbols of docs/theory.md.
func (m Model) String() string {
	s := fmt.Sprintf("γ=%g λ=%g A=%g B=%g a=%g s=%g", m.Gamma, m.Lambda, m.VarInv, m.VarSp, m.Norm2Inv, m.Norm2Sp)
	if m.Noise != 0 {
		s += fmt.Sprintf(" Q=%g (%v)", m.Noise, m.NoiseIn)
	}
	return s
}

// Validate returns nil, or every field outside its range, joined; each error
// wraps [ErrModel]. NaN and infinities are outside every range.
func (m Model) Validate() error {
	var errs []error
	check := func(ok bool, name string, value float64, want string) {
		if !ok || math.IsInf(value, 0) {
			errs = append(errs, fmt.Errorf("%w: %s is %g, want %s", ErrModel, name, value, want))
		}
	}
	check(m.Gamma >= 0 && m.Gamma <= 1, "Gamma", m.Gamma, "a share in [0, 1]")
	check(m.Lambda >= 0, "Lambda", m.Lambda, "a finite penalty ≥ 0")
	check(m.VarInv >= 0, "VarInv", m.VarInv, "a finite variance ≥ 0")
	check(m.VarSp >= 0, "VarSp", m.VarSp, "a finite variance ≥ 0")
	check(m.Norm2Inv > 0, "Norm2Inv", m.Norm2Inv, "a finite squared norm > 0")
	check(m.Norm2Sp > 0, "Norm2Sp", m.Norm2Sp, "a finite squared norm > 0")
	check(m.Noise >= 0, "Noise", m.Noise, "a finite variance ≥ 0")
	if m.NoiseIn != TrainingOnly && m.NoiseIn != TrainingAndTest {
		errs = append(errs, fmt.Errorf("%w: NoiseIn is %v", ErrModel, m.NoiseIn))
	}
	return errors.Join(errs...)
}

// variances returns the variances per direction, invariant and spurious, of
// the training or of the test data, with the added noise where there is any.
func (m Model) variances(d Distribution) (inv, sp float64) {
	if d == Training || m.NoiseIn == TrainingAndTest {
		return m.VarInv + m.Noise, m.VarSp + m.Noise
	}
	return m.VarInv, m.VarSp
}

// A Solution is the optimal classifier sign(w·x + b), w = (U·m, V·q), and what
// it does on the two test distributions.
type Solution struct {
	U, V, B          float64
	CleanAccuracy    float64 // on the two classes without the spurious feature, in [0, 1]
	SpuriousAccuracy float64 // on the class −1 with the spurious feature, in [0, 1]
	Difference       float64 // rise of the score w·x + b by the spurious feature, w·q
}

// Solve returns Theorem 1 in closed form, by our own derivation. The error
// wraps [ErrModel] or [ErrDegenerate].
func (m Model) Solve() (Solution, error) {
	t, err := m.terms()
	if err != nil {
		return Solution{}, err
	}
	a, s := m.Norm2Inv, m.Norm2Sp
	A, B := m.variances(CleanTest)
	return t.solution(a, s, math.Sqrt(t.u*t.u*a*A+t.v*t.v*s*B), t.v*s, m)
}

// Upstream returns what the formulas in the authors' notebook give. They share
// U, V and B with [Model.Solve] and differ in two places: the spread of the
// score has the squared norms squared, and the denominator of the difference
// has s where a is right. Both agree with Solve if the two norms are 1.
//
// Reference: the regularization notebook of the authors' code release, the cell
// that defines the three plotted quantities.
func (m Model) Upstream() (Solution, error) {
	t, err := m.terms()
	if err != nil {
		return Solution{}, err
	}
	a, s := m.Norm2Inv, m.Norm2Sp
	A, B := m.variances(CleanTest)
	spread := math.Sqrt(t.u*t.u*a*a*A + t.v*t.v*s*s*B)
	difference := t.p * t.shrink * s / (s*t.inv + t.shrink*t.sp)
	return t.solution(a, s, spread, difference, m)
}

// PhaseTransition returns the two numbers that describe the jump of the
// prediction difference at small γ, where it is close to
// plateau·γ/(γ + halfRise), never below it, and above it at most by the factor
// 1/(1−γ). Gamma and the placement of the noise do not matter. The error wraps
// [ErrModel].
func (m Model) PhaseTransition() (plateau, halfRise float64, err error) {
	if err := m.Validate(); err != nil {
		return 0, 0, err
	}
	A, B := m.variances(Training)
	plateau = (A + m.Lambda) / (m.Norm2Inv + A + m.Lambda)
	return plateau, 2 * (B + m.Lambda) / m.Norm2Sp, nil
}

// terms are the parts of the closed form that both formulas share.
type terms struct {
	p       float64 // share of ALL examples with the spurious feature
	shrink  float64 // A + λ
	inv, sp float64 // p(1−2p)s + B + λ and p(1−p)s + B + λ
	u, v, b float64
}

func (m Model) terms() (terms, error) {
	if err := m.Validate(); err != nil {
		return terms{}, err
	}
	a, s := m.Norm2Inv, m.Norm2Sp
	A, B := m.variances(Training)
	p := m.Gamma / 2
	t := terms{
		p:      p,
		shrink: A + m.Lambda,
		inv:    p*(1-2*p)*s + B + m.Lambda,
		sp:     p*(1-p)*s + B + m.Lambda,
	}
	det := a*t.inv + t.shrink*t.sp
	if !(det > 0) || math.IsInf(det, 0) {
		return terms{}, fmt.Errorf("%w: %v: the optimal classifier is not unique (determinant %g)", ErrDegenerate, m, det)
	}
	t.u = t.inv / det
	t.v = p * t.shrink / det
	t.b = -p * s * t.v
	return t, nil
}

// solution completes the classifier by the accuracies that a Gaussian score of
// the given standard deviation has. It refuses a score without spread, since
// the accuracies jump there.
func (t terms) solution(a, s, spread, difference float64, m Model) (Solution, error) {
	if !(spread > 0) || math.IsInf(spread, 0) {
		return Solution{}, fmt.Errorf("%w: %v: the score's standard deviation on test data is %g", ErrDegenerate, m, spread)
	}
	return Solution{
		U: t.u, V: t.v, B: t.b,
		CleanAccuracy:    phi((t.u*a+t.b)/spread)/2 + phi((t.u*a-t.b)/spread)/2,
		SpuriousAccuracy: phi((t.u*a - t.v*s - t.b) / spread),
		Difference:       difference,
	}, nil
}

// phi is the distribution function of N(0, 1).
func phi(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
