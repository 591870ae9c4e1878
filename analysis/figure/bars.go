package figure

import (
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Bars draws groups of bars side by side, one bar per series, from 0.
type Bars struct {
	Title          string
	XLabel, YLabel string
	Groups         []string // names of the groups
	Series         []Series // a point's X is the index of its group
	YLim           [2]float64
	Rules          []float64 // y of dotted lines: chance level
	Note           string    // drawn instead of axes if there is no value; "": "no data"
}

func (p *Bars) title() string                              { return p.Title }
func (p *Bars) size(w, h vg.Length) (vg.Length, vg.Length) { return w, h }
func (p *Bars) draw(c draw.Canvas)                         { drawNote(c, p.Note) }
func (p *Bars) bar() *colourBar                            { return nil }

func (p *Bars) keys() []key {
	var ks []key
	for _, s := range p.Series {
		ks = append(ks, key{name: s.Name, like: s.Like, colour: s.Colour, box: true, starred: starred(s)})
	}
	return ks
}

func (p *Bars) plot(st styles, w, h vg.Length) *axes {
	var y extent
	for _, s := range p.Series {
		for _, pt := range s.Points {
			if Linear.has(pt.Y) {
				y.add(Linear, pt.Y)
				y.add(Linear, pt.Y-pt.SE)
				y.add(Linear, pt.Y+pt.SE)
			}
		}
	}
	if !y.any || len(p.Groups) == 0 {
		return nil
	}
	a := newAxes(p.XLabel, p.YLabel, Category, Linear, w, h)
	a.X.Min, a.X.Max = Category.limits(0, float64(len(p.Groups)-1))
	y.add(Linear, 0)
	a.Y.Min, a.Y.Max = ends(Linear, y, p.YLim)
	if y.lo == 0 && p.YLim == [2]float64{} {
		a.Y.Min = 0
	}
	a.fit()
	a.name(p.Groups)
	a.Add(grid{p.Rules}, bars{p, st})
	return a
}

// bars is Bars as a plot.Plotter.
type bars struct {
	*Bars
	styles styles
}

func (p bars) Plot(c draw.Canvas, axes *plot.Plot) {
	d := newDecorator(c, axes)
	width := .8 / float64(len(p.Series))
	inside := func(y vg.Length) vg.Length { return min(max(y, c.Min.Y), c.Max.Y) }
	for i, s := range p.Series {
		col := p.styles[lookName(s)].colour
		for _, pt := range s.Points {
			left := pt.X - .4 + width*float64(i)
			x0, x1 := d.x(left+.04*width), d.x(left+.96*width)
			if !Linear.has(pt.Y) {
				d.cross((x0+x1)/2, pt, col)
				continue
			}
			c.SetColor(col)
			c.Fill(vg.Rectangle{
				Min: vg.Point{X: x0, Y: inside(d.y(min(0, pt.Y)))},
				Max: vg.Point{X: x1, Y: inside(d.y(max(0, pt.Y)))},
			}.Path())
			d.errorBar((x0+x1)/2, pt, ink)
			if pt.Star || pt.Note != "" {
				d.above((x0+x1)/2, pt, ink)
			}
		}
	}
}
