package theory

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

func panels(t *testing.T, s Sweep) []Panel {
	t.Helper()
	p, err := s.Panels()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// curve returns the only curve of p with the index and kind, or nil.
func curve(t *testing.T, p Panel, index int, kind Kind) []float64 {
	t.Helper()
	var y []float64
	for _, c := range p.Curves {
		if c.Index == index && c.Kind == kind {
			if y != nil {
				t.Fatalf("%v of %q twice", kind, c.Label)
			}
			y = c.Y
		}
	}
	return y
}

func TestFigures10And11(t *testing.T) {
	if got := len(Figure10()); got != 4 {
		t.Errorf("Figure 10 has %d rows, want 4", got)
	}
	if got := len(Figure11()); got != 2 {
		t.Errorf("Figure 11 has %d rows, want 2", got)
	}
	for _, s := range slices.Concat(Figure10(), Figure11()) {
		if len(s.Gammas) != 100 || s.Gammas[0] != 0 || s.Gammas[99] != 0.5 {
			t.Errorf("%d values of γ, want 100 of [0, 0.5]", len(s.Gammas))
		}
		row := panels(t, s)
		for i, want := range []Quantity{CleanAccuracy, SpuriousAccuracy, Difference} {
			p := row[i]
			if p.Quantity != want || p.Title == "" {
				t.Errorf("panel %d is %v, titled %q, want %v", i, p.Quantity, p.Title, want)
			}
			for j := range s.Values {
				if curve(t, p, j, Exact) == nil {
					t.Errorf("%v: no exact curve of value %d", want, j)
				}
			}
			for _, c := range p.Curves {
				if len(c.X) != 100 || len(c.Y) != 100 || c.Label == "" {
					t.Errorf("curve %q has %d and %d values", c.Label, len(c.X), len(c.Y))
				}
			}
		}
	}
}

func TestSweepCurves(t *testing.T) {
	noise := panels(t, Figure11()[0])
	spurious := noise[1]
	m := with(base(), 0.5, 0)
	m.Noise = 0.3
	if got, want := last(curve(t, spurious, 3, TrainingNoise)), solve(t, m).SpuriousAccuracy; got != want {
		t.Errorf("noise in training: %g, want %g", got, want)
	}
	m.NoiseIn = TrainingAndTest
	if got, want := last(curve(t, spurious, 3, Exact)), solve(t, m).SpuriousAccuracy; got != want {
		t.Errorf("noise in both: %g, want %g", got, want)
	}
	up, _ := m.Upstream()
	if got := last(curve(t, spurious, 3, Notebook)); got != up.SpuriousAccuracy {
		t.Errorf("notebook: %g, want %g", got, up.SpuriousAccuracy)
	}
	if curve(t, spurious, 0, TrainingNoise) != nil {
		t.Error("a curve for the placement of no noise")
	}
	if curve(t, noise[2], 3, TrainingNoise) != nil {
		t.Error("the placement of noise has two differences, although it changes no classifier")
	}
	// Both norms are 1 in the first curve of Figure 10.
	norm := panels(t, Figure10()[0])[0]
	if curve(t, norm, 0, Notebook) != nil || curve(t, norm, 1, Notebook) == nil {
		t.Error("the notebook's curve must be there exactly where it differs")
	}
}

// What Figure 11 shows by the right formula: more noise or penalty lowers the
// difference at every γ; by the notebook's, the order turns within the picture.
func TestFigure11Order(t *testing.T) {
	for _, s := range Figure11() {
		difference := panels(t, s)[2]
		for i := 1; i < len(s.Values); i++ {
			more, less := curve(t, difference, i, Exact), curve(t, difference, i-1, Exact)
			for j := 1; j < len(more); j++ {
				if more[j] >= less[j] {
					t.Errorf("%s, γ = %g: difference %g ≥ %g", s.Vary, s.Gammas[j], more[j], less[j])
				}
			}
		}
	}
	noise := panels(t, Figure11()[0])[2]
	none, some := curve(t, noise, 0, Notebook), curve(t, noise, 3, Notebook)
	if some[1] >= none[1] || last(some) <= last(none) {
		t.Error("the notebook's curves for noise do not cross")
	}
}

func TestSweepRefuses(t *testing.T) {
	s := Figure11()[0]
	s.Vary = "nois"
	if _, err := s.Panels(); err == nil || !strings.Contains(err.Error(), `"nois"`) || !strings.Contains(err.Error(), "norm2_sp") {
		t.Errorf("error %v, want the unknown name and the known ones", err)
	}
	s = Figure11()[0]
	s.Values = []float64{-1}
	if _, err := s.Panels(); !errors.Is(err, ErrModel) {
		t.Errorf("error %v, want ErrModel", err)
	}
}

func TestPhaseFigure(t *testing.T) {
	m, gammas := PhaseModel()
	phase, err := PhaseTransition(m, gammas)
	if err != nil {
		t.Fatal(err)
	}
	if phase.Plateau != 0.5 || !near(phase.HalfRise, 0.004, 1e-15) {
		t.Errorf("plateau %g, half-rise %g, want 0.5 and 0.004", phase.Plateau, phase.HalfRise)
	}
	want := solve(t, with(m, 0.3, 0))
	if got := last(curve(t, phase.Increase, 0, Exact)); !near(got, want.Difference, 1e-12) {
		t.Errorf("difference %g at γ = 0.3, want %g", got, want.Difference)
	}
	if got := last(curve(t, phase.Spurious, 0, Exact)); !near(got, want.SpuriousAccuracy, 1e-12) {
		t.Errorf("spurious accuracy %g at γ = 0.3, want %g", got, want.SpuriousAccuracy)
	}
	small := curve(t, phase.Increase, 0, SmallGamma)
	if small[0] != 0 || !near(small[8], 0.25, 1e-12) { // gammas[8] is the half-rise
		t.Errorf("small γ: %g and %g, want 0 and 0.25", small[0], small[8])
	}
	m.VarInv = -1
	if _, err := PhaseTransition(m, gammas); !errors.Is(err, ErrModel) {
		t.Errorf("error %v, want ErrModel", err)
	}
}

func TestDraw(t *testing.T) {
	const n = 40_000
	m := PictureModel()
	m.Noise = 0.2
	s := solve(t, m)
	for d, accuracy := range map[Distribution]float64{CleanTest: s.CleanAccuracy, SpuriousTest: s.SpuriousAccuracy, Training: math.NaN()} {
		p, err := Draw(m, d, n, 1)
		if err != nil {
			t.Fatal(err)
		}
		if d != Training && !near(p.Accuracy, accuracy, 1e-14) {
			t.Errorf("%v: accuracy %g, want %g", d, p.Accuracy, accuracy)
		}
		var points, right int
		for _, c := range p.Clouds {
			if len(c.X) != len(c.Y) {
				t.Fatalf("%d and %d coordinates", len(c.X), len(c.Y))
			}
			points += len(c.X)
			for i, x := range c.X {
				if float64(c.Class)*(p.Line.WX*x+p.Line.WY*c.Y[i]+p.Line.Bias) > 0 {
					right++
				}
			}
		}
		if points != n {
			t.Errorf("%v: %d points, want %d", d, points, n)
		}
		// Five standard deviations of a share.
		if got := float64(right) / n; math.Abs(got-p.Accuracy) > 5*0.5/math.Sqrt(n) {
			t.Errorf("%v: %g of the points are on the right side, accuracy says %g", d, got, p.Accuracy)
		}
	}
}

func TestFigures7And9(t *testing.T) {
	seven, err := Figure7(PictureModel(), 1000, 1)
	if err != nil {
		t.Fatal(err)
	}
	nine, err := Figure9(PictureModel(), 1000, 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(seven) != 2 || len(nine) != 4 {
		t.Fatalf("%d and %d pictures, want 2 and 4", len(seven), len(nine))
	}
	if clean := nine[0]; clean.Line.WY != 0 || clean.Line.Bias != 0 || len(clean.Clouds[1].X) != 0 {
		t.Error("the picture of γ = 0 has spurious examples or a classifier that uses them")
	}
	if training := nine[1]; training.Line.WY <= 0 || len(training.Clouds[1].X) != 50 || !training.Clouds[1].Spurious {
		t.Error("the picture of training does not show 50 of 1000 spurious examples")
	}
	again, _ := Figure7(PictureModel(), 1000, 1)
	other, _ := Figure7(PictureModel(), 1000, 2)
	if !slices.Equal(seven[0].Clouds[0].X, again[0].Clouds[0].X) || slices.Equal(seven[0].Clouds[0].X, other[0].Clouds[0].X) {
		t.Error("the points do not follow the seed")
	}
	if _, err := Figure9(Model{}, 10, 1); !errors.Is(err, ErrModel) {
		t.Errorf("error %v, want ErrModel", err)
	}
}

func TestClip(t *testing.T) {
	for _, c := range []struct {
		line Line
		want [4]float64
		ok   bool
	}{
		{Line{1, 0, -0.5}, [4]float64{0.5, -1, 0.5, 1}, true}, // x = 0.5
		{Line{0, 1, 0.5}, [4]float64{1, -0.5, -1, -0.5}, true},
		{Line{1, 1, 0}, [4]float64{1, -1, -1, 1}, true},
		{Line{1, 1, -1}, [4]float64{1, 0, 0, 1}, true}, // cuts a corner
		{Line{1, 1, -3}, [4]float64{}, false},
		{Line{1, 0, -2}, [4]float64{}, false},
		{Line{0, 0, 1}, [4]float64{}, false},
	} {
		x0, y0, x1, y1, ok := c.line.Clip(-1, 1, -1, 1)
		if got := [4]float64{x0, y0, x1, y1}; got != c.want || ok != c.ok {
			t.Errorf("%v: %v %v, want %v %v", c.line, got, ok, c.want, c.ok)
		}
	}
}

func last(x []float64) float64 { return x[len(x)-1] }
