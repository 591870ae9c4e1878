package sweep

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"rarespurious/analysis/figure"
	"rarespurious/analysis/table"
	"rarespurious/analysis/theory"
	"rarespurious/experiments/config"
	"rarespurious/experiments/run"
	"rarespurious/nn"
)

// linearPanel is the panel of theory-vs-network that no file names: it compares
// Theorem 1 with what gradient descent makes of examples of its distribution.
const linearPanel = "linear model, trained"

// How the linear model is trained: long enough at rates small enough that what
// is left between it and the closed form is the sample's.
const (
	linearExamples = 50000
	linearDim      = 2 // of each subspace
	linearEpochs   = 12
	linearBatch    = 500
	linearLR       = 0.03
)

// theoryNetwork draws the theory beside trained models: the linear model's three
// quantities by its closed form and by training, then networks' scores over the
// share of the target class that has the pattern, with the shape that the
// theory's difference has at small shares, fitted.
func theoryNetwork(d *drawing) error {
	if err := d.linearPanels(); err != nil {
		return err
	}
	for _, panel := range d.Panels {
		if panel.Title != linearPanel {
			if err := d.networkPanel(panel); err != nil {
				return err
			}
		}
	}
	d.cols = 3
	return nil
}

// linearWants returns the runs of the linear model: every share and noise of
// the figure's theory, with the seeds of its other panels.
func linearWants(f config.Figure) Panel {
	panel := Panel{Title: linearPanel}
	t := f.Theory[0]
	var seeds []int
	for _, p := range f.Panels {
		for _, point := range p.Points {
			if !slices.Contains(seeds, point.Seed) {
				seeds = append(seeds, point.Seed)
			}
		}
	}
	for _, q := range t.Values {
		for _, gamma := range theory.Grid(t.Gamma[0], t.Gamma[1], t.Points) {
			for _, seed := range seeds {
				// The Point only tells the runs apart; half of the examples are
				// of the target class.
				w := Want{Point: config.Point{Measure: measureLinear, Noise: q, Seed: seed, Count: int(math.Round(gamma * linearExamples / 2))}}
				train := &run.Train{
					Data: run.Data{Name: "linear", Seed: seed, Linear: run.Linear{Gamma: gamma, VarInv: t.Inv.Variance, VarSp: t.Sp.Variance,
						Norm2Inv: t.Inv.Norm2, Norm2Sp: t.Sp.Norm2, Dim: linearDim, Examples: linearExamples}},
					Arch: nn.LinearModel(nn.Shape{C: 2 * linearDim, H: 1, W: 1}, 2), Loss: "squared",
					Optimizer: "sgd", LR: linearLR, Momentum: 0.9, Batch: linearBatch, Epochs: linearEpochs,
					Milestones: []int{linearEpochs - 4, linearEpochs - 2}, Gamma: 0.1, Noise: math.Sqrt(q), Seed: seed,
				}
				w.Step = run.Step{From: []run.Step{{Train: train}}, Score: &run.Score{Measure: measureLinear}}
				w.ID = w.Step.ID()
				panel.Wants = append(panel.Wants, w)
			}
		}
	}
	return panel
}

const measureLinear = "linear"

// trainedSeries begins the name of a series of trained linear models, which ends
// with the noise.
const trainedSeries = "trained, noise of variance "

// leastRise of a score is one that has a shape.
const leastRise = 0.05

// The quantities, their values in a Record, and what they are in a CSV.
var linearQuantities = []struct {
	theory.Quantity
	value string
}{
	{theory.CleanAccuracy, "linear_clean_accuracy"},
	{theory.SpuriousAccuracy, "linear_spurious_accuracy"},
	{theory.Difference, "linear_difference"},
}

// linearPanels draws trained linear models as points on the closed form's lines.
func (d *drawing) linearPanels() error {
	t := d.Figure.Theory[0]
	var rows []table.Row
	for _, r := range d.rows {
		if r.Fields[panelField] == linearPanel {
			count, _ := strconv.Atoi(r.Fields["count"])
			r.Fields[xField] = fmt.Sprint(float64(count) / (linearExamples / 2))
			r.Fields[seriesField] = trainedSeries + r.Fields["noise"]
			rows = append(rows, r)
		}
	}
	var metrics []table.Metric
	for _, q := range linearQuantities {
		metrics = append(metrics, table.Metric{Name: q.value})
	}
	cells, err := table.Build(rows, table.View{Figure: d.Figure.Name, Panel: panelField, Series: seriesField, X: xField,
		Over: []string{"seed"}, Metrics: metrics})
	if err != nil {
		return err
	}
	d.cells = append(d.cells, cells...)
	worst := 0.
	for _, q := range linearQuantities {
		c := &figure.Curves{Title: linearPanel, XLabel: xGamma, YLabel: q.String()}
		series, _ := figure.FromCells(cells, linearPanel, q.value, false)
		for _, s := range series {
			s.Mark = figure.Dots
			line := figure.Series{Like: s.Name, Mark: figure.Line}
			m := linear(t)
			// A noise whose runs all failed has no series.
			if m.Noise, err = strconv.ParseFloat(strings.TrimPrefix(s.Name, trainedSeries), 64); err != nil {
				return err
			}
			for _, gamma := range theory.Grid(t.Gamma[0], t.Gamma[1], 100) {
				m.Gamma = gamma
				exact, err := m.Solve()
				if err != nil {
					return err
				}
				line.Points = append(line.Points, figure.Point{X: gamma, Y: exact.Value(q.Quantity)})
			}
			for _, p := range s.Points {
				m.Gamma = p.X
				exact, err := m.Solve()
				if err != nil {
					return err
				}
				worst = max(worst, math.Abs(p.Y-exact.Value(q.Quantity)))
				d.cells = append(d.cells, computed(d.Figure.Name, linearPanel, closedForm+", noise of variance "+fmt.Sprint(m.Noise),
					fmt.Sprint(p.X), q.value, exact.Value(q.Quantity), 1, nil))
			}
			c.Series = append(c.Series, line, s)
		}
		c.Series = append(c.Series, figure.Series{Name: "line: " + closedForm, Mark: figure.Line, Colour: figure.Grey})
		d.panels = append(d.panels, c)
	}
	d.notes = append(d.notes, fmt.Sprintf("Linear model: %d examples, noise in training only; no mean over seeds is further than %.2g from the closed form.",
		linearExamples, worst))
	return nil
}

// networkPanel draws a panel's scores over γ, which has no 0 on its axis, and
// the theory's shape above the score at 0.
func (d *drawing) networkPanel(panel Panel) error {
	v := d.Figure.View
	c := &figure.Curves{Title: panel.Title, XLabel: xGamma, YLabel: d.yLabel(), YLim: d.yLim(), X: figure.Log, Note: panel.Missing}
	d.panels = append(d.panels, c)
	if len(panel.Wants) == 0 {
		return nil
	}
	size, err := d.classSize(panel.Wants[0].Point)
	if err != nil {
		return err
	}
	var rows []table.Row
	for _, r := range d.rows {
		if r.Fields[panelField] == panel.Title {
			rows = append(rows, r)
		}
	}
	cells, err := d.build(rows, v.Metric)
	if err != nil {
		return err
	}
	d.cells = append(d.cells, cells...)
	all, _ := figure.FromCells(cells, panel.Title, v.Metric, false)
	for _, s := range all {
		var gammas, rises []float64
		at0 := 0.
		for i := range s.Points {
			p := &s.Points[i]
			p.X /= size
			switch {
			case math.IsNaN(p.Y):
			case p.X == 0:
				at0 = p.Y
			default:
				gammas, rises = append(gammas, p.X), append(rises, p.Y-at0)
			}
		}
		c.Series = append(c.Series, s)
		if len(gammas) < 2 || slices.Max(rises) < leastRise {
			continue
		}
		plateau, half := theory.FitPhase(gammas, rises)
		fit := figure.Series{Like: s.Name, Dashed: true, Mark: figure.Line}
		for _, e := range theory.Grid(math.Log(gammas[0]/3), math.Log(3*gammas[len(gammas)-1]), 60) {
			g := math.Exp(e)
			fit.Points = append(fit.Points, figure.Point{X: g, Y: at0 + plateau*g/(g+half)})
		}
		c.Series = append(c.Series, fit)
		d.cells = append(d.cells, computed(d.Figure.Name, panel.Title, s.Name, "", "half_rise", half, 1, nil),
			computed(d.Figure.Name, panel.Title, s.Name, "", "plateau", plateau, 1, nil))
		when := fmt.Sprintf("by γ = %.2g, %.3g examples", half, half*size)
		if half < gammas[0] {
			when = fmt.Sprintf("before the first γ, %.2g", gammas[0])
		}
		d.notes = append(d.notes, fmt.Sprintf("%s, %s: the theory's shape fits best with half of the rise %s.", panel.Title, s.Name, when))
	}
	c.Series = append(c.Series, figure.Series{Name: "dashed: the theory's shape, fitted", Dashed: true, Mark: figure.Line, Colour: figure.Grey})
	return nil
}

// classSize returns the number of training images of p's target class.
func (d *drawing) classSize(p config.Point) (float64, error) {
	set, err := d.lab.Open(p.Dataset)
	if err != nil {
		return 0, err
	}
	labels := set.Train
	if p.Train > 0 {
		labels.Labels = labels.Labels[:p.Train]
	}
	return float64(labels.Counts(len(set.Classes))[p.Target]), nil
}
