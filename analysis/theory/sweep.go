package theory

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// A Kind says by which formula a [Curve] was computed. Within a panel it is
// meant for the style of the line, as [Curve.Index] is for its colour.
type Kind int

// The kinds. Exact is the closed form of [Model.Solve], with the added noise,
// if there is any, in training and test; the others are beside it.
const (
	Exact         Kind = iota
	TrainingNoise      // the closed form with the noise in training only
	Notebook           // Model.Upstream, with the noise in training and test
	SmallGamma         // plateau·γ/(γ + halfRise), see Model.PhaseTransition
)

// String returns a legend entry.
func (k Kind) String() string {
	switch k {
	case Exact:
		return "closed form"
	case TrainingNoise:
		return TrainingOnly.String()
	case Notebook:
		return "upstream notebook"
	case SmallGamma:
		return "small γ"
	}
	return fmt.Sprintf("Kind(%d)", int(k))
}

// A Curve is one line of a panel: Y[i] over X[i] = γ.
type Curve struct {
	Label string // what the curve varies: "λ = 10"; equal for the kinds of one value
	Index int    // position of the varied value, 0, 1, …
	Kind  Kind
	X, Y  []float64
}

// A Panel is one quantity over γ.
type Panel struct {
	Title    string // what is varied: "penalty λ"
	Quantity Quantity
	Curves   []Curve
}

// A Parameter names the field of a [Model] that a [Sweep] varies.
type Parameter string

// The parameters that can be varied.
const (
	VaryLambda  Parameter = "lambda"
	VaryNoise   Parameter = "noise"
	VaryNorm2Sp Parameter = "norm2_sp"
)

var parameters = map[Parameter]struct {
	title, symbol string
	set           func(*Model, float64)
}{
	VaryLambda:  {"penalty λ", "λ", func(m *Model, v float64) { m.Lambda = v }},
	VaryNoise:   {"variance of the added noise", "Q", func(m *Model, v float64) { m.Noise = v }},
	VaryNorm2Sp: {"squared norm of the spurious feature", "s", func(m *Model, v float64) { m.Norm2Sp = v }},
}

// A Sweep is one row of Figure 10 or 11: the three plotted quantities over
// Gammas, a curve for each of Values.
type Sweep struct {
	Base   Model // its Gamma, NoiseIn and the varied field are not used
	Vary   Parameter
	Values []float64
	Gammas []float64 // in [0, 1]
}

// Panels returns the panels of clean accuracy, spurious accuracy and prediction
// difference, in this order. Each has an Exact curve per value, then the
// TrainingNoise and Notebook curves that differ from it visibly, by more than
// 1e-9 somewhere. The error wraps [ErrModel] or [ErrDegenerate] and names the
// value, or says that Vary is unknown.
func (s Sweep) Panels() ([]Panel, error) {
	vary, ok := parameters[s.Vary]
	if !ok {
		var known []string
		for _, p := range slices.Sorted(maps.Keys(parameters)) {
			known = append(known, string(p))
		}
		return nil, fmt.Errorf("theory: cannot vary %q; known are %s", s.Vary, strings.Join(known, ", "))
	}
	panels := []Panel{{Quantity: CleanAccuracy}, {Quantity: SpuriousAccuracy}, {Quantity: Difference}}
	for i := range panels {
		panels[i].Title = vary.title
	}
	for i, value := range s.Values {
		m := s.Base
		vary.set(&m, value)
		label := fmt.Sprintf("%s = %g", vary.symbol, value)
		for j := range panels {
			curves, err := m.curves(panels[j].Quantity, s.Gammas, label, i)
			if err != nil {
				return nil, err
			}
			panels[j].Curves = append(panels[j].Curves, curves...)
		}
	}
	return panels, nil
}

// curves returns the Exact curve of q and those beside it that differ.
func (m Model) curves(q Quantity, gammas []float64, label string, index int) ([]Curve, error) {
	ways := []struct {
		kind  Kind
		in    Placement
		solve func(Model) (Solution, error)
	}{
		{Exact, TrainingAndTest, Model.Solve},
		{TrainingNoise, TrainingOnly, Model.Solve},
		{Notebook, TrainingAndTest, Model.Upstream},
	}
	var out []Curve
	for _, w := range ways {
		y := make([]float64, len(gammas))
		for i, gamma := range gammas {
			m.Gamma, m.NoiseIn = gamma, w.in
			solution, err := w.solve(m)
			if err != nil {
				return nil, err
			}
			y[i] = solution.Value(q)
		}
		if w.kind == Exact || differ(y, out[0].Y) {
			out = append(out, Curve{Label: label, Index: index, Kind: w.kind, X: gammas, Y: y})
		}
	}
	return out, nil
}

func differ(a, b []float64) bool {
	for i := range a {
		if math.Abs(a[i]-b[i]) > 1e-9 {
			return true
		}
	}
	return false
}

// figureModel is the base of Figures 7, 9, 10 and 11.
//
// Reference: the authors' notebook plots Figure 11 with these values.
func figureModel() Model { return Model{VarInv: 0.5, VarSp: 0.1, Norm2Inv: 1, Norm2Sp: 5} }

// Figure10 returns the default rows of Figure 10. The paper says only what is
// plotted; which values is our choice: the strength of the spurious feature,
// noise, and the penalty in the two regimes VarInv > VarSp and VarInv < VarSp,
// where it raises and where it lowers the spurious accuracy at small γ.
func Figure10() []Sweep {
	swapped := figureModel()
	swapped.VarInv, swapped.VarSp = swapped.VarSp, swapped.VarInv
	gammas := Grid(0, 0.5, 100)
	lambdas := []float64{0, 1, 10, 100}
	return []Sweep{
		{Base: figureModel(), Vary: VaryNorm2Sp, Values: []float64{1, 5, 25}, Gammas: gammas},
		{Base: figureModel(), Vary: VaryNoise, Values: []float64{0, 0.1, 0.2, 0.3}, Gammas: gammas},
		{Base: figureModel(), Vary: VaryLambda, Values: lambdas, Gammas: gammas},
		{Base: swapped, Vary: VaryLambda, Values: lambdas, Gammas: gammas},
	}
}

// Figure11 returns the two rows of Figure 11, with the values of the authors'
// notebook.
func Figure11() []Sweep { return Figure10()[1:3] }

// A Phase is the picture of the phase transition at small γ.
type Phase struct {
	Model              Model
	Plateau, HalfRise  float64 // see Model.PhaseTransition
	Spurious, Increase Panel   // of spurious accuracy and of prediction difference
}

// PhaseModel returns the model whose transition the authors' notebook plots,
// and our choice of a grid that resolves it: its half-rise is γ = 0.004.
func PhaseModel() (m Model, gammas []float64) {
	return Model{VarInv: 1, VarSp: 0.05, Norm2Inv: 1, Norm2Sp: 25}, Grid(0, 0.3, 601)
}

// PhaseTransition returns the curves of m over gammas, in [0, 1]; m's Gamma and
// NoiseIn are not used. Panel Increase has the SmallGamma curve last. The error
// wraps [ErrModel] or [ErrDegenerate].
func PhaseTransition(m Model, gammas []float64) (Phase, error) {
	plateau, halfRise, err := m.PhaseTransition()
	if err != nil {
		return Phase{}, err
	}
	const title = "phase transition"
	phase := Phase{
		Model: m, Plateau: plateau, HalfRise: halfRise,
		Spurious: Panel{Title: title, Quantity: SpuriousAccuracy},
		Increase: Panel{Title: title, Quantity: Difference},
	}
	for _, panel := range []*Panel{&phase.Spurious, &phase.Increase} {
		if panel.Curves, err = m.curves(panel.Quantity, gammas, panel.Quantity.String(), 0); err != nil {
			return Phase{}, err
		}
	}
	approx := Curve{Label: Difference.String(), Kind: SmallGamma, X: gammas}
	for _, gamma := range gammas {
		y := 0.0
		if gamma > 0 { // 0/0 if halfRise is 0 too: the jump is at once
			y = plateau * gamma / (gamma + halfRise)
		}
		approx.Y = append(approx.Y, y)
	}
	phase.Increase.Curves = append(phase.Increase.Curves, approx)
	return phase, nil
}

// Grid returns n ≥ 2 equally spaced values from lo to hi, both included.
func Grid(lo, hi float64, n int) []float64 {
	if n < 2 {
		panic("theory: a grid needs two values")
	}
	out := make([]float64, n)
	for i := range out {
		out[i] = lo + (hi-lo)*float64(i)/float64(n-1)
	}
	return out
}
