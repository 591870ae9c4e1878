package figure

import (
	"image/color"
	"math"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// axes are a plot with labels of our own: gonum's are placed as if every scale
// were linear, and make room where none is needed.
type axes struct {
	*plot.Plot
	xLabel, yLabel string
	size           vg.Point // of the box with all labels
}

var (
	gridStyle = draw.LineStyle{Color: color.Gray{Y: 225}, Width: .4}
	ruleStyle = draw.LineStyle{Color: color.Gray{Y: 120}, Width: .7, Dashes: []vg.Length{1.5, 1.5}}
)

// newAxes returns axes for a box of the given size.
func newAxes(xLabel, yLabel string, x, y Scale, w, h vg.Length) *axes {
	a := &axes{plot.New(), xLabel, yLabel, vg.Point{X: w, Y: h}}
	a.BackgroundColor = nil
	for _, v := range []struct {
		axis     *plot.Axis
		scale    Scale
		length   vg.Length
		vertical bool
	}{{&a.X, x, w - 46, false}, {&a.Y, y, h - 36, true}} { // fit measures them
		v.axis.Tick.Label.Font = small.Font
		v.axis.Tick.Length = 3
		v.axis.Padding = 0
		v.axis.Scale = v.scale.normalizer()
		v.axis.Tick.Marker = ticker{v.scale, v.length, small, v.vertical}
	}
	return a
}

// fit gives the tickers the lengths of the axes, once their ends are known.
func (a *axes) fit() {
	data := a.data(draw.Canvas{Rectangle: vg.Rectangle{Max: a.size}}).Size()
	for _, v := range []struct {
		axis   *plot.Axis
		length vg.Length
	}{{&a.Y, data.Y}, {&a.X, data.X}} {
		t := v.axis.Tick.Marker.(ticker)
		t.length = v.length
		v.axis.Tick.Marker = t
	}
}

// inner returns the part of c without the labels, and with room for a star
// above a bar that ends at the top.
func (a *axes) inner(c draw.Canvas) draw.Canvas {
	left, bottom := vg.Length(0), vg.Length(0)
	if a.yLabel != "" {
		left = leading(axisLabel) + 4
	}
	if a.xLabel != "" {
		bottom = leading(axisLabel) + 1
	}
	return draw.Crop(c, left, 0, bottom, -2)
}

// data returns the data area within c.
func (a *axes) data(c draw.Canvas) draw.Canvas { return a.DataCanvas(a.inner(c)) }

// draw draws the plot with its labels on c and returns the data area.
func (a *axes) draw(c draw.Canvas) draw.Canvas {
	a.Draw(a.inner(c))
	data := a.data(c)
	st := axisLabel
	st.XAlign, st.YAlign = draw.XCenter, draw.YBottom
	descent := st.FontExtents().Descent
	if a.xLabel != "" {
		c.FillText(st, vg.Point{X: data.Center().X, Y: c.Min.Y + descent}, a.xLabel)
	}
	if a.yLabel != "" {
		st.Rotation, st.YAlign = math.Pi/2, draw.YTop
		c.FillText(st, vg.Point{X: c.Min.X, Y: data.Center().Y}, a.yLabel)
	}
	return data
}

// name writes names at x = 0, 1, 2, …: each broken between words into lines as
// narrow as its place, or all of them slanted where neighbours would touch, and
// then only every so many where there is no room for all. It comes after fit.
func (a *axes) name(names []string) {
	place := a.X.Tick.Marker.(ticker).length / vg.Length(max(1, len(names)))
	ticks := make([]plot.Tick, len(names))
	last := -place
	slant := false
	for i, name := range names {
		var parts []string
		width := vg.Length(0)
		for _, l := range paragraph(name, small, max(place-2, widestWord(name, small))) {
			parts, width = append(parts, l.text), max(width, small.Width(l.text))
		}
		ticks[i] = plot.Tick{Value: float64(i), Label: strings.Join(parts, "\n")}
		slant = slant || last+width/2+2 > place && i > 0
		last = width / 2
	}
	if slant {
		step := max(1, int(math.Ceil(float64(leading(small)/place))))
		for i, name := range names {
			if ticks[i].Label = name; i%step != 0 {
				ticks[i].Label = ""
			}
		}
		st := &a.X.Tick.Label
		st.Rotation, st.XAlign, st.YAlign = math.Pi/4, draw.XRight, draw.YTop
	}
	a.X.Tick.Marker = plot.ConstantTicks(ticks)
}

func widestWord(txt string, st text.Style) vg.Length {
	w := vg.Length(0)
	for word := range strings.FieldsSeq(txt) {
		w = max(w, st.Width(word))
	}
	return w
}

// grid draws pale lines at the labelled marks, and dotted ones at the given
// heights.
type grid struct{ heights []float64 }

func (g grid) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	marks := p.X.Tick.Marker
	if u, ok := marks.(unlabelled); ok {
		marks = u.Ticker
	}
	for _, t := range marks.Ticks(p.X.Min, p.X.Max) {
		if at := x(t.Value); t.Label != "" && c.ContainsX(at) {
			c.StrokeLine2(gridStyle, at, c.Min.Y, at, c.Max.Y)
		}
	}
	for _, t := range p.Y.Tick.Marker.Ticks(p.Y.Min, p.Y.Max) {
		if at := y(t.Value); t.Label != "" && c.ContainsY(at) {
			c.StrokeLine2(gridStyle, c.Min.X, at, c.Max.X, at)
		}
	}
	for _, v := range g.heights {
		if at := y(v); c.ContainsY(at) {
			c.StrokeLine2(ruleStyle, c.Min.X, at, c.Max.X, at)
		}
	}
}
