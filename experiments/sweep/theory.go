package sweep

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"rarespurious/analysis/figure"
	"rarespurious/analysis/theory"
	"rarespurious/experiments/config"
)

// Names of the theory's lines that vary nothing.
const (
	closedForm = "closed form"
	notebook   = "formula of the authors' notebook"
	smallGamma = "approximation at small γ"
	xGamma     = "γ, share of the target class"
)

// theory checks the linear models of a figure, as many as its kind draws.
func (c *checker) theory(f config.Figure) {
	want := map[string]int{"theory-phase": 1, "theory-mechanism": 2, "theory-distributions": 1, "theory-vs-network": 1}[f.Kind]
	if f.Kind == "theory-sweep" {
		want = max(1, len(f.Theory))
	}
	if len(f.Theory) != want {
		c.bad("theory", "has %d models, kind %s draws %d", len(f.Theory), f.Kind, want)
		return
	}
	for i, t := range f.Theory {
		at := fmt.Sprintf("theory[%d]", i)
		m := linear(t)
		for _, m.Gamma = range t.Gamma {
			if err := m.Validate(); err != nil {
				c.bad(at, "%v", err)
			}
		}
		axis := f.Kind == "theory-sweep" || f.Kind == "theory-phase" || f.Kind == "theory-vs-network" || i == 1
		switch {
		case axis && (len(t.Gamma) != 2 || t.Gamma[0] >= t.Gamma[1] || t.Points < 2):
			c.bad(at+".gamma", "give the two ends of the axis, the lower first, and at least 2 points")
		case !axis && (len(t.Gamma) != 1 || t.Points < 1):
			c.bad(at+".gamma", "give one share, and at least 1 point")
		case f.Kind == "theory-sweep":
			if _, err := row(t).Panels(); err != nil {
				c.bad(at, "%v", err)
			}
		case f.Kind == "theory-vs-network":
			if t.Vary != string(theory.VaryNoise) {
				c.bad(at+".vary", "%q cannot be trained, only %s", t.Vary, theory.VaryNoise)
			}
			for _, m.Noise = range t.Values {
				if err := m.Validate(); err != nil {
					c.bad(at+".values", "%v", err)
				}
			}
		}
	}
}

// linear returns the model that t describes; its Gamma is not set.
func linear(t config.Theory) theory.Model {
	return theory.Model{Norm2Inv: t.Inv.Norm2, VarInv: t.Inv.Variance, Norm2Sp: t.Sp.Norm2, VarSp: t.Sp.Variance}
}

func row(t config.Theory) theory.Sweep {
	return theory.Sweep{Base: linear(t), Vary: theory.Parameter(t.Vary), Values: t.Values,
		Gammas: theory.Grid(t.Gamma[0], t.Gamma[1], t.Points)}
}

// theorySweep draws clean accuracy, spurious accuracy and prediction difference
// over γ, a row of panels per model. Noise that is added makes two rows: noise
// in training and test, as the authors' notebook has it, and in training only,
// which is what training a network on noisy inputs does.
func theorySweep(d *drawing) error {
	d.cols = 3
	for _, t := range d.Figure.Theory {
		panels, err := row(t).Panels()
		if err != nil {
			return err
		}
		d.theoryRow(t.Title, panels, theory.Exact)
		if t.Vary == string(theory.VaryNoise) {
			d.theoryRow(t.Title, panels, theory.TrainingNoise)
		}
	}
	// One entry explains all dashed lines.
	last := d.panels[len(d.panels)-1].(*figure.Curves)
	last.Series = append(last.Series, figure.Series{Name: "dashed: " + notebook, Dashed: true, Mark: figure.Line, Colour: figure.Grey})
	return nil
}

// theoryRow draws the curves of one kind, with the notebook's beside the exact
// ones, on axes that hold the curves of all kinds.
func (d *drawing) theoryRow(title string, panels []theory.Panel, kind theory.Kind) {
	if panels[0].Title == "variance of the added noise" {
		title += map[theory.Kind]string{theory.Exact: ", in training and test", theory.TrainingNoise: ", in training only"}[kind]
	}
	for _, p := range panels {
		c := &figure.Curves{Title: title, XLabel: xGamma, YLabel: p.Quantity.String(), YLim: limits(p.Curves)}
		for i, curve := range p.Curves {
			// Where the noise is makes no difference to some: their exact curve
			// stands for both.
			alone := i+1 == len(p.Curves) || p.Curves[i+1].Kind != theory.TrainingNoise || p.Curves[i+1].Index != curve.Index
			switch {
			case curve.Kind == kind || curve.Kind == theory.Exact && alone:
				d.line(c, curve, curve.Label, "", false)
			case curve.Kind == theory.Notebook && kind == theory.Exact:
				d.line(c, curve, "", curve.Label, true)
			}
		}
		d.panels = append(d.panels, c)
	}
}

// line adds a curve to a panel, and its values to the CSV. Curves of one index
// have one colour, whatever they vary.
func (d *drawing) line(c *figure.Curves, curve theory.Curve, name, like string, dashed bool) {
	s := figure.Series{Name: name, Like: like, Dashed: dashed, Mark: figure.Line, Colour: figure.Colour(1 + curve.Index)}
	series := curve.Label
	if curve.Kind != theory.Exact {
		series += ", " + curve.Kind.String()
	}
	for i, x := range curve.X {
		s.Points = append(s.Points, figure.Point{X: x, Y: curve.Y[i]})
		d.cells = append(d.cells, computed(d.Figure.Name, c.Title, series, strconv.FormatFloat(x, 'g', 10, 64), c.YLabel, curve.Y[i], 1, nil))
	}
	c.Series = append(c.Series, s)
}

// limits returns a y axis that holds all curves, with some room.
func limits(curves []theory.Curve) [2]float64 {
	low, high := math.Inf(1), math.Inf(-1)
	for _, c := range curves {
		low, high = min(low, slices.Min(c.Y)), max(high, slices.Max(c.Y))
	}
	room := max(.04*(high-low), 1e-3)
	return [2]float64{low - room, high + room}
}

// theoryPhase draws the phase transition: two quantities over one γ axis, on
// the whole of it and near 0.
func theoryPhase(d *drawing) error {
	t := d.Figure.Theory[0]
	d.cols, d.shareX = 2, true
	phase, err := theory.PhaseTransition(linear(t), theory.Grid(t.Gamma[0], t.Gamma[1], t.Points))
	if err != nil {
		return err
	}
	near := theory.Grid(t.Gamma[0], t.Gamma[0]+nearHalfRises*phase.HalfRise, t.Points)
	zoom, err := theory.PhaseTransition(linear(t), near)
	if err != nil {
		return err
	}
	d.phase("", phase.Spurious)
	d.phase("near γ = 0", zoom.Spurious)
	d.phase("", phase.Increase)
	d.phase("near γ = 0", zoom.Increase)
	d.notes = append(d.notes, halfRise(phase))
	return nil
}

// nearHalfRises is how much of the transition counts as near 0.
const nearHalfRises = 5

func halfRise(p theory.Phase) string {
	return fmt.Sprintf("The difference rises to half of its plateau, %.3g, by γ = %.3g.", p.Plateau, p.HalfRise)
}

// phase adds a panel whose curves are named by their formulas.
func (d *drawing) phase(title string, p theory.Panel) {
	c := &figure.Curves{Title: title, XLabel: xGamma, YLabel: p.Quantity.String()}
	names := map[theory.Kind]string{theory.Exact: closedForm, theory.Notebook: notebook, theory.SmallGamma: smallGamma}
	for _, curve := range p.Curves {
		curve.Index = int(curve.Kind)
		d.line(c, curve, names[curve.Kind], "", curve.Kind != theory.Exact)
	}
	d.panels = append(d.panels, c)
}

// theoryMechanism draws the training and the spurious test distribution, and
// what happens in between: the phase transition, of the second model.
func theoryMechanism(d *drawing) error {
	t, of := d.Figure.Theory[0], d.Figure.Theory[1]
	m := linear(t)
	m.Gamma = t.Gamma[0]
	pictures, err := theory.Figure7(m, t.Points, 0)
	if err != nil {
		return err
	}
	d.pictures(pictures)
	phase, err := theory.PhaseTransition(linear(of), theory.Grid(of.Gamma[0], of.Gamma[1], of.Points))
	if err != nil {
		return err
	}
	d.phase(of.Title, phase.Increase)
	d.notes = append(d.notes, halfRise(phase))
	return nil
}

// theoryDistributions draws the four distributions of the model: training
// without and with spurious examples, clean and spurious test.
func theoryDistributions(d *drawing) error {
	t := d.Figure.Theory[0]
	m := linear(t)
	m.Gamma = t.Gamma[0]
	pictures, err := theory.Figure9(m, t.Points, 0)
	if err != nil {
		return err
	}
	d.cols = 2
	d.pictures(pictures)
	return nil
}

// pictures draws samples and the classifier, all on one pair of axes.
func (d *drawing) pictures(all []theory.Picture) {
	var xs, ys []float64
	for _, p := range all {
		for _, c := range p.Clouds {
			xs, ys = append(xs, c.X...), append(ys, c.Y...)
		}
	}
	x := [2]float64{slices.Min(xs) - .2, slices.Max(xs) + .2}
	y := [2]float64{slices.Min(ys) - .2, slices.Max(ys) + .2}
	colours := map[string]figure.Colour{}
	for _, p := range all {
		c := &figure.Curves{Title: fmt.Sprintf("%s: accuracy %.3f", p.Title, p.Accuracy),
			XLabel: "invariant feature", YLabel: "spurious feature", XLim: x, YLim: y}
		for _, cloud := range p.Clouds {
			if colours[cloud.Label] == figure.Auto {
				colours[cloud.Label] = figure.Colour(1 + len(colours))
			}
			s := figure.Series{Name: cloud.Label, Mark: figure.Dots, Colour: colours[cloud.Label]}
			for i := range cloud.X {
				s.Points = append(s.Points, figure.Point{X: cloud.X[i], Y: cloud.Y[i]})
			}
			c.Series = append(c.Series, s)
		}
		if x0, y0, x1, y1, ok := p.Line.Clip(x[0], x[1], y[0], y[1]); ok {
			c.Series = append(c.Series, figure.Series{Name: "classifier", Mark: figure.Line, Colour: figure.Black,
				Points: []figure.Point{{X: x0, Y: y0}, {X: x1, Y: y1}}})
		}
		d.panels = append(d.panels, c)
		d.cells = append(d.cells, computed(d.Figure.Name, p.Title, "", "", "accuracy", p.Accuracy, 1, nil))
	}
}
