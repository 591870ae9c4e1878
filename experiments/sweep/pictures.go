package sweep

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"rarespurious/analysis/figure"
	"rarespurious/analysis/metric"
	"rarespurious/analysis/table"
	"rarespurious/experiments/config"
	"rarespurious/experiments/pattern"
	"rarespurious/experiments/poison"
	"rarespurious/nn"
)

// images shows the first selected example, as it is and with each pattern.
func images(d *drawing) error {
	d.legend = figure.NoLegend
	for _, panel := range d.Panels {
		pic := &figure.Images{Title: panel.Title, Cols: d.Figure.View.Cols, Note: panel.Missing}
		for i, w := range panel.Wants {
			set, err := d.lab.Open(w.Point.Dataset)
			if err != nil {
				return err
			}
			x, h, wd := w.Point, set.Shape.H, set.Shape.W
			chosen, err := poison.Select(set.Train.Labels, x.Target, 1, uint32(x.Seed))
			if err != nil {
				return err
			}
			clean := toFloat(set.Train.Gather(chosen, set.Shape.Len()).Images)
			if i == 0 {
				pic.Images = append(pic.Images, figure.Image{Caption: "clean", H: h, W: wd, C: set.Shape.C, Pix: interleave(clean, set.Shape.C)})
			}
			p, err := pattern.New(x.Pattern, set.Shape, uint32(x.Seed))
			if err != nil {
				return err
			}
			with := make([]float32, len(clean))
			p.Apply(with, clean)
			pic.Images = append(pic.Images, figure.Image{Caption: d.Figure.View.Label(x.Pattern), H: h, W: wd, C: set.Shape.C, Pix: interleave(with, set.Shape.C)})
			d.cells = append(d.cells, computed(d.Figure.Name, panel.Title, x.Pattern, "", "pattern_norm",
				metric.PatternNorm(clean, with, len(clean)), 1, nil))
		}
		d.panels = append(d.panels, pic)
	}
	d.cols = 1
	return nil
}

func toFloat(b []uint8) []float32 {
	x := make([]float32, len(b))
	for i, v := range b {
		x[i] = float32(v) / 255
	}
	return x
}

// interleave turns (C, H, W) into (H, W, C).
func interleave(x []float32, c int) []float32 {
	out := make([]float32, len(x))
	n := len(x) / c
	for i, v := range x {
		out[i%n*c+i/n] = v
	}
	return out
}

// The importance measure's artifact: one float32 per input element, signed
// maxima first, then magnitudes.
const importanceFile = "importance.f32"

// The range of the paper's colour map.
const importanceMin, importanceMax = -.5, 6.5

// heatmaps shows the importance of each pixel for one model per x.
func heatmaps(d *drawing) error {
	v := d.Figure.View
	i := 0 // of rows, which skip failed runs
	for _, panel := range d.Panels {
		if panel.Missing != "" {
			d.panels = append(d.panels, &figure.Heat{Title: panel.Title, Note: panel.Missing})
		}
		for _, w := range panel.Wants {
			heat := &figure.Heat{Title: d.heatTitle(panel.Title, w.Point), Map: figure.YlOrRd,
				Min: importanceMin, Max: importanceMax, Unit: "largest outgoing weight", Note: "no result"}
			if v.Scaled {
				heat.Min, heat.Max, heat.Unit = 0, 1, "scaled to [0, 1]"
			}
			if i < len(d.rows) && d.rows[i].ID == w.ID.Full() {
				row := d.rows[i]
				i++
				if !row.Diverged {
					if err := d.heat(heat, w, row); err != nil {
						return err
					}
				}
			}
			d.panels = append(d.panels, heat)
		}
	}
	d.cols = max(d.cols, 1)
	var err error
	d.cells, err = table.Build(d.rows, table.View{Figure: d.Figure.Name, Panel: panelField, Series: seriesField, X: xField,
		Over: []string{"seed"}, Metrics: present(d.rows, []string{importanceUnder, importanceElsewhere})})
	return err
}

func (d *drawing) heatTitle(panel string, p config.Point) string {
	title := d.Figure.View.Label(joined(p.Fields(), d.Figure.View.X))
	if d.Figure.View.X == "count" {
		title += " spurious examples"
	}
	if panel != "" {
		title = panel + ", " + title
	}
	return title
}

// heat reads a model's map into h and adds its means to row.
func (d *drawing) heat(h *figure.Heat, w Want, row table.Row) error {
	set, err := d.lab.Open(w.Point.Dataset)
	if err != nil {
		return err
	}
	values, _, err := d.importances(w, set.Shape)
	if err != nil {
		return err
	}
	under, elsewhere, err := parted(values, w.Point, set.Shape)
	if err != nil {
		return err
	}
	row.Values[importanceUnder], row.Values[importanceElsewhere] = metric.Mean(under), metric.Mean(elsewhere)
	h.Rows, h.Cols, h.Values = set.Shape.H, set.Shape.W, values
	if d.Figure.View.Scaled {
		low, high := slices.Min(values), slices.Max(values)
		for i := range values {
			values[i] = (values[i] - low) / (high - low)
		}
	}
	return nil
}

// importances reads a model's two maps, row by row: the largest of each pixel's
// outgoing weights, with its sign, and the largest magnitude.
func (d *drawing) importances(w Want, s nn.Shape) (signed, magnitude []float64, err error) {
	f, err := d.lab.File(w.ID, importanceFile)
	if err != nil {
		return nil, nil, err
	}
	b, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, nil, err
	}
	n := s.Len()
	if s.C != 1 || len(b) != 8*n {
		return nil, nil, fmt.Errorf("run %v: %s has %d bytes, not two maps of %v", w.ID, importanceFile, len(b), s)
	}
	values := make([]float64, 2*n)
	for i := range values {
		values[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])))
	}
	return values[:n], values[n:], nil
}

// parted returns the values of the pixels that p's pattern changes, and of all
// others.
func parted(values []float64, p config.Point, s nn.Shape) (under, elsewhere []float64, err error) {
	pat, err := pattern.New(p.Pattern, s, uint32(p.Seed))
	if err != nil {
		return nil, nil, err
	}
	for i, delta := range pat.Delta() {
		if delta != 0 {
			under = append(under, values[i])
		} else {
			elsewhere = append(elsewhere, values[i])
		}
	}
	return under, elsewhere, nil
}
