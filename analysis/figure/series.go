package figure

import (
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// A Point is one value of a series. A Y that is NaN or infinite is missing: a
// curve breaks there, and a cross at the panel's foot says that something
// belongs there.
type Point struct {
	X, Y float64
	SE   float64 // half the length of the error bar; no bar for 0 and NaN
	Star bool    // significant at the level .05
	Note string  // a few letters beside the point: "3 of 5"
}

// A Series is the points of one name. Series of one name look the same in all
// panels, and are explained once.
type Series struct {
	Name   string // in the legend; "" is not explained
	Points []Point
	Mark   Mark   // how a curve is drawn; Bars do not read it
	Dashed bool   // a dashed line with open markers: the companion of another series
	Like   string // take colour and marker from the series of this name
	Colour Colour // Auto: the next of the palette
}

// A Mark is how a curve is drawn.
type Mark int

const (
	LinePoints Mark = iota
	Line
	Dots // points alone: a scatter plot
)

const (
	radius    = vg.Length(2.3) // of markers
	lineWidth = vg.Length(1.1)
	barWidth  = vg.Length(.7)
	capWidth  = vg.Length(3.5)
)

var dashes = []vg.Length{3, 2}

// A decorator draws what points carry besides themselves.
type decorator struct {
	c       draw.Canvas
	x, y    func(float64) vg.Length
	missing map[vg.Length]int // crosses drawn so far, by place
}

func newDecorator(c draw.Canvas, p *plot.Plot) decorator {
	x, y := p.Transforms(&c)
	return decorator{c, x, y, map[vg.Length]int{}}
}

// errorBar draws the bar of one standard error, clipped to the panel.
func (d decorator) errorBar(at vg.Length, pt Point, col color.Color) {
	if !(pt.SE > 0) || math.IsInf(pt.SE, 0) {
		return
	}
	st := draw.LineStyle{Color: col, Width: barWidth}
	clip := func(v float64) (y vg.Length, inside bool) {
		y = d.y(v)
		if math.IsNaN(float64(y)) || y < d.c.Min.Y {
			return d.c.Min.Y, false // a log axis has no place for it
		}
		return min(y, d.c.Max.Y), y <= d.c.Max.Y
	}
	low, lowIn := clip(pt.Y - pt.SE)
	high, highIn := clip(pt.Y + pt.SE)
	d.c.StrokeLine2(st, at, low, at, high)
	if lowIn {
		d.c.StrokeLine2(st, at-capWidth/2, low, at+capWidth/2, low)
	}
	if highIn {
		d.c.StrokeLine2(st, at-capWidth/2, high, at+capWidth/2, high)
	}
}

// above draws star and note over a point and its bar, inside the panel.
func (d decorator) above(at vg.Length, pt Point, col color.Color) {
	y := d.y(pt.Y)
	if pt.SE > 0 {
		y = d.y(pt.Y + pt.SE)
	}
	y = max(min(y, d.c.Max.Y), d.c.Min.Y)
	if pt.Star {
		y += starRadius + 1.5
		drawStar(d.c, vg.Point{X: at, Y: y}, col)
		y += starRadius
	}
	if pt.Note == "" {
		return
	}
	st := small
	st.Color, st.XAlign, st.YAlign = col, draw.XCenter, draw.YBottom
	half := st.Width(pt.Note) / 2
	at = max(min(at, d.c.Max.X-half), d.c.Min.X+half)
	d.c.FillText(st, vg.Point{X: at, Y: min(y+radius+1, d.c.Max.Y-leading(st))}, pt.Note)
}

// cross marks a missing value at the panel's foot, with the point's note; those
// of one place stand one above the other.
func (d decorator) cross(at vg.Length, pt Point, col color.Color) {
	if !d.c.ContainsX(at) {
		return
	}
	const r = 2
	y := d.c.Min.Y + 4 + 6*vg.Length(d.missing[at])
	d.missing[at]++
	st := draw.LineStyle{Color: col, Width: lineWidth}
	d.c.StrokeLine2(st, at-r, y-r, at+r, y+r)
	d.c.StrokeLine2(st, at-r, y+r, at+r, y-r)
	if pt.Note != "" {
		st := small
		st.Color, st.YAlign = col, draw.YCenter
		x := at + r + 1
		if x+st.Width(pt.Note) > d.c.Max.X {
			st.XAlign, x = draw.XRight, at-r-1
		}
		d.c.FillText(st, vg.Point{X: x, Y: y}, pt.Note)
	}
}

const starRadius = vg.Length(2.2)

func drawStar(c draw.Canvas, at vg.Point, col color.Color) {
	st := draw.LineStyle{Color: col, Width: .8}
	for i := range 3 {
		sin, cos := math.Sincos(math.Pi/2 + float64(i)*math.Pi/3)
		dx, dy := starRadius*vg.Length(cos), starRadius*vg.Length(sin)
		c.StrokeLine2(st, at.X-dx, at.Y-dy, at.X+dx, at.Y+dy)
	}
}

// extent returns the least and the greatest of the values given to add.
type extent struct {
	lo, hi float64
	any    bool
}

func (e *extent) add(s Scale, v float64) {
	if !s.has(v) {
		return
	}
	if !e.any {
		e.lo, e.hi, e.any = v, v, true
	}
	e.lo, e.hi = min(e.lo, v), max(e.hi, v)
}
