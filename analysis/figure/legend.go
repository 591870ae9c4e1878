package figure

import (
	"image/color"
	"slices"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// A key is what a panel wants explained about one series.
type key struct {
	name, like  string
	colour      Colour
	mark        Mark
	dashed, box bool
	starred     bool
}

// lookName returns the name under which styles has the look of k.
func (k key) lookName() string { return lookName(Series{Name: k.name, Like: k.like}) }

func lookName(s Series) string {
	if s.Like != "" {
		return s.Like
	}
	return s.Name
}

// A legend explains series, stars and colour bars. Its entries are in a column
// (wrap) or in rows (flow).
type legend struct {
	keys   []key
	bars   []colourBar
	styles styles

	w, h    vg.Length
	entries []entry
}

// An entry is a key's lines at an offset, down and right, from the corner.
type entry struct {
	key   key
	lines []line
	at    vg.Point
}

const keyWidth = vg.Length(20)

// newLegend collects the names and colour bars of all panels, each once. One
// series without a name needs no legend.
func newLegend(f *Figure, st styles) *legend {
	l := &legend{styles: st}
	stars := false
	for _, p := range f.Panels {
		for _, k := range p.keys() {
			stars = stars || k.starred
			seen := slices.ContainsFunc(l.keys, func(o key) bool { return o.name == k.name && o.box == k.box && o.dashed == k.dashed })
			if k.name != "" && !seen {
				l.keys = append(l.keys, k)
			}
		}
		if b := p.bar(); b != nil && !slices.Contains(l.bars, *b) {
			l.bars = append(l.bars, *b)
		}
	}
	if stars {
		l.keys = append(l.keys, key{name: "p < .05", starred: true, mark: -1})
	}
	return l
}

func (l *legend) empty() bool { return len(l.keys) == 0 && len(l.bars) == 0 }

// wrap puts the entries one below the other, their text at most w wide, and
// the colour bars side by side below them.
func (l *legend) wrap(w vg.Length) {
	for _, k := range l.keys {
		lines := paragraph(k.name, small, w)
		l.entries = append(l.entries, entry{k, lines, vg.Point{Y: l.h}})
		l.h += stack(lines) + 1
		for _, line := range lines {
			l.w = max(l.w, keyWidth+small.Width(line.text))
		}
	}
	l.addBars()
}

// flow puts the entries in rows at most w wide, the colour bars below.
func (l *legend) flow(w vg.Length) {
	at, row := vg.Point{}, leading(small)
	for _, k := range l.keys {
		lines := paragraph(k.name, small, w-keyWidth)
		width := vg.Length(0)
		for _, line := range lines {
			width = max(width, keyWidth+small.Width(line.text)+gap)
		}
		if at.X > 0 && at.X+width > w+gap {
			at, row = vg.Point{Y: at.Y + row}, leading(small)
		}
		l.entries = append(l.entries, entry{k, lines, at})
		at.X += width
		row = max(row, stack(lines))
	}
	if len(l.keys) > 0 {
		l.h = at.Y + row
	}
	l.w = w
	l.addBars()
}

// addBars makes room for the colour bars, side by side below the entries.
func (l *legend) addBars() {
	w, h := vg.Length(0), vg.Length(0)
	for _, b := range l.bars {
		bw, bh := b.size()
		w += bw + gap
		h = max(h, bh)
	}
	if len(l.bars) > 0 {
		l.w = max(l.w, w-gap)
		l.h += h
	}
}

// draw draws the legend down and right from its upper left corner.
func (l *legend) draw(c draw.Canvas, at vg.Point) {
	y := at.Y
	for _, e := range l.entries {
		x, top := at.X+e.at.X, at.Y-e.at.Y
		l.swatch(c, e.key, vg.Point{X: x, Y: top - small.Font.Size*.66})
		drawLines(c, e.lines, x+keyWidth, top)
		y = min(y, top-stack(e.lines)-1)
	}
	x := at.X
	for _, b := range l.bars {
		b.draw(c, vg.Point{X: x, Y: y})
		w, _ := b.size()
		x += w + gap
	}
}

// swatch draws a sample of a series whose middle left is at.
func (l *legend) swatch(c draw.Canvas, k key, at vg.Point) {
	const long = keyWidth - 5
	middle := vg.Point{X: at.X + long/2, Y: at.Y}
	if k.mark < 0 {
		drawStar(c, middle, color.Black)
		return
	}
	look := l.styles[k.lookName()]
	if k.box {
		c.SetColor(look.colour)
		c.Fill(vg.Rectangle{Min: vg.Point{X: middle.X - 5, Y: at.Y - 3}, Max: vg.Point{X: middle.X + 5, Y: at.Y + 3}}.Path())
		return
	}
	if k.mark != Dots {
		st := draw.LineStyle{Color: look.colour, Width: lineWidth}
		if k.dashed {
			st.Dashes = dashes
		}
		c.StrokeLine2(st, at.X, at.Y, at.X+long, at.Y)
	}
	if k.mark != Line {
		drawMarker(c, middle, radius, look, k.dashed)
	}
}
