package figure

import (
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Curves draws series over x: lines with markers and error bars, lines alone
// (ROC curves), or points alone (a scatter plot, with a Line series for a
// boundary).
type Curves struct {
	Title          string
	XLabel, YLabel string
	X, Y           Scale      // Y may not be Category
	Categories     []string   // names of x = 0, 1, 2, … on a Category axis
	XLim, YLim     [2]float64 // ends of the axes, positive on a Log axis; {0, 0}: from the data
	Rules          []float64  // y of dotted lines: chance level
	Series         []Series
	Note           string // drawn instead of axes if there is no point; "": "no data"
}

func (p *Curves) title() string                              { return p.Title }
func (p *Curves) size(w, h vg.Length) (vg.Length, vg.Length) { return w, h }
func (p *Curves) draw(c draw.Canvas)                         { drawNote(c, p.Note) }
func (p *Curves) bar() *colourBar                            { return nil }

func (p *Curves) keys() []key {
	var ks []key
	for _, s := range p.Series {
		ks = append(ks, key{name: s.Name, like: s.Like, colour: s.Colour, mark: s.Mark, dashed: s.Dashed, starred: starred(s)})
	}
	return ks
}

func starred(s Series) bool {
	for _, pt := range s.Points {
		if pt.Star {
			return true
		}
	}
	return false
}

func (p *Curves) plot(st styles, w, h vg.Length) *axes {
	var x, y extent
	for _, s := range p.Series {
		for _, pt := range s.Points {
			x.add(p.X, pt.X)
			if p.X.has(pt.X) && p.Y.has(pt.Y) {
				y.add(p.Y, pt.Y)
				y.add(p.Y, pt.Y-pt.SE)
				y.add(p.Y, pt.Y+pt.SE)
			}
		}
	}
	if !x.any || !y.any {
		return nil
	}
	if p.X == Category {
		x.hi = max(x.hi, float64(len(p.Categories)-1))
	}
	a := newAxes(p.XLabel, p.YLabel, p.X, p.Y, w, h)
	a.X.Min, a.X.Max = ends(p.X, x, p.XLim)
	a.Y.Min, a.Y.Max = ends(p.Y, y, p.YLim)
	a.fit()
	if p.X == Category {
		a.name(p.Categories)
	}
	a.Add(grid{p.Rules}, curves{p, st})
	return a
}

// ends returns lim if it is set, else limits around e. It panics if lim is
// empty or not on the scale.
func ends(s Scale, e extent, lim [2]float64) (float64, float64) {
	if lim != [2]float64{} {
		if !s.has(lim[0]) || !s.has(lim[1]) || lim[0] >= lim[1] {
			panic("figure: limits are no range of the axis")
		}
		return lim[0], lim[1]
	}
	return s.limits(e.lo, e.hi)
}

// curves is Curves as a plot.Plotter.
type curves struct {
	*Curves
	styles styles
}

func (p curves) Plot(c draw.Canvas, axes *plot.Plot) {
	d := newDecorator(c, axes)
	for _, s := range p.Series {
		look := p.styles[lookName(s)]
		p.line(d, s, look)
		for _, pt := range s.Points {
			switch {
			case !p.X.has(pt.X):
			case !p.Y.has(pt.Y):
				if s.Mark != Line {
					d.cross(d.x(pt.X), pt, look.colour)
				}
			case c.ContainsX(d.x(pt.X)):
				d.errorBar(d.x(pt.X), pt, look.colour)
				p.mark(d, s, pt, look)
			}
		}
	}
	for _, s := range p.Series { // last, so that no line crosses them
		for _, pt := range s.Points {
			if (pt.Star || pt.Note != "") && p.X.has(pt.X) && p.Y.has(pt.Y) && c.ContainsX(d.x(pt.X)) {
				d.above(d.x(pt.X), pt, p.styles[lookName(s)].colour)
			}
		}
	}
}

// line draws a series' line in pieces without missing points, clipped.
func (p curves) line(d decorator, s Series, look look) {
	if s.Mark == Dots {
		return
	}
	st := draw.LineStyle{Color: look.colour, Width: lineWidth}
	if s.Dashed {
		st.Dashes = dashes
	}
	var piece []vg.Point
	flush := func() {
		if len(piece) > 1 {
			d.c.StrokeLines(st, d.c.ClipLinesXY(piece)...)
		}
		piece = nil
	}
	for _, pt := range s.Points {
		if !p.X.has(pt.X) || !p.Y.has(pt.Y) {
			flush()
			continue
		}
		piece = append(piece, vg.Point{X: d.x(pt.X), Y: d.y(pt.Y)})
	}
	flush()
}

func (p curves) mark(d decorator, s Series, pt Point, look look) {
	at := vg.Point{X: d.x(pt.X), Y: d.y(pt.Y)}
	if s.Mark == Line || !d.c.Contains(at) {
		return
	}
	r := radius
	if s.Mark == Dots {
		r = 1.6
	}
	drawMarker(d.c, at, r, look, s.Dashed)
}

// drawMarker draws a marker, open if it is a companion's.
func drawMarker(c draw.Canvas, at vg.Point, r vg.Length, look look, open bool) {
	c.SetColor(look.colour)
	look.marker.draw(c, at, r)
	if open {
		c.SetColor(color.White)
		look.marker.draw(c, at, r*.55)
	}
}
