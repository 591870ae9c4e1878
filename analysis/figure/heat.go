package figure

import (
	"image"
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Heat draws a matrix in colours, row 0 on top, square cells, without axes.
// Figures of several Heats share one colour bar per map and range.
type Heat struct {
	Title      string
	Rows, Cols int
	Values     []float64 // Rows × Cols, row-major; NaN is grey
	Min, Max   float64   // the map's range; values beyond are clamped
	Map        Map
	Unit       string // beside the colour bar
	Note       string // drawn instead if there are no values; "": "no data"
}

func (p *Heat) title() string                           { return p.Title }
func (p *Heat) plot(styles, vg.Length, vg.Length) *axes { return nil }
func (p *Heat) keys() []key                             { return nil }

func (p *Heat) empty() bool { return p.Rows*p.Cols == 0 || len(p.Values) == 0 }

func (p *Heat) bar() *colourBar {
	if p.empty() || p.Min >= p.Max {
		return nil
	}
	return &colourBar{p.Map, p.Min, p.Max, p.Unit}
}

func (p *Heat) size(w, h vg.Length) (vg.Length, vg.Length) {
	if p.empty() {
		return w, h
	}
	return w, min(w*vg.Length(p.Rows)/vg.Length(p.Cols), 2*h)
}

// draw panics if Values is not Rows × Cols.
func (p *Heat) draw(c draw.Canvas) {
	if p.empty() {
		drawNote(c, p.Note)
		return
	}
	if len(p.Values) != p.Rows*p.Cols {
		panic("figure: heat map is not Rows × Cols")
	}
	drawPixels(c, p.Cols, p.Rows, func(x, y int) color.RGBA {
		return p.Map.at((p.Values[y*p.Cols+x] - p.Min) / (p.Max - p.Min))
	})
}

// drawPixels draws w × h pixels as large as c allows, square and centred.
// They are enlarged before they are embedded, since viewers blur what they
// enlarge themselves.
func drawPixels(c draw.Canvas, w, h int, at func(x, y int) color.RGBA) {
	const enough = 320 // pixels on a side, so that blurred borders are thin
	k := max(1, (enough+max(w, h)-1)/max(w, h))
	img := image.NewRGBA(image.Rect(0, 0, w*k, h*k))
	for y := range h {
		for x := range w {
			col := at(x, y)
			for dy := range k {
				for dx := range k {
					img.SetRGBA(x*k+dx, y*k+dy, col)
				}
			}
		}
	}
	size := c.Size()
	side := min(size.X/vg.Length(w), size.Y/vg.Length(h))
	half := vg.Point{X: side * vg.Length(w) / 2, Y: side * vg.Length(h) / 2}
	c.DrawImage(vg.Rectangle{Min: c.Center().Sub(half), Max: c.Center().Add(half)}, img)
}

// A colourBar explains the colours of heat maps of one map and range.
type colourBar struct {
	colours  Map
	min, max float64
	unit     string
}

const (
	colourBarWidth  = vg.Length(9)
	colourBarHeight = vg.Length(100)
)

// size returns the room for the bar with its labels.
func (b colourBar) size() (w, h vg.Length) {
	for _, t := range b.ticks() {
		w = max(w, small.Width(t.Label))
	}
	h = colourBarHeight + leading(small)
	if b.unit != "" {
		h += leading(small)
		w = max(w, small.Width(b.unit)-colourBarWidth-5)
	}
	return colourBarWidth + 5 + w, h
}

func (b colourBar) ticks() []plot.Tick {
	return ticker{Linear, colourBarHeight, small, true}.Ticks(b.min, b.max)
}

// draw draws the bar down and right from its upper left corner.
func (b colourBar) draw(c draw.Canvas, at vg.Point) {
	if b.unit != "" {
		c.FillText(small, at, b.unit)
		at.Y -= leading(small)
	}
	top := at.Y - leading(small)/2
	const steps = 256
	img := image.NewRGBA(image.Rect(0, 0, 24, steps))
	for y := range steps {
		for x := range 24 {
			img.SetRGBA(x, y, b.colours.at(1-float64(y)/(steps-1)))
		}
	}
	box := vg.Rectangle{
		Min: vg.Point{X: at.X, Y: top - colourBarHeight},
		Max: vg.Point{X: at.X + colourBarWidth, Y: top},
	}
	c.DrawImage(box, img)
	st := small
	st.YAlign = draw.YCenter
	for _, t := range b.ticks() {
		if t.Label == "" {
			continue
		}
		y := box.Min.Y + colourBarHeight*vg.Length((t.Value-b.min)/(b.max-b.min))
		c.StrokeLine2(draw.LineStyle{Color: ink, Width: .5}, box.Max.X, y, box.Max.X+2, y)
		c.FillText(st, vg.Point{X: box.Max.X + 4, Y: y}, t.Label)
	}
}
