// Package figure draws pictures from numbers; it is the only importer of
// gonum/plot.
//
// Its one idea: a [Figure] is a plain value (a title, panels in a grid, one
// legend) and says nothing about drawing. It sees means and errors, never
// runs, so restyling recomputes nothing. Everything that must hold for every
// picture is decided here, once: text of at least 8 pt at the size at which
// the picture is printed, one colour and marker per series name in all panels,
// a legend beside the panels and never on the data, a subtitle that says which
// profile made the numbers, missing values that show, and the same bytes from
// the same value.
//
// There is no panel with two y axes: where two lines of different units cross
// depends on the scales alone, and readers see meaning in it. Stack two panels
// with [Figure.ShareX] instead.
package figure

import (
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// A Figure is one picture.
type Figure struct {
	Title    string
	Subtitle string  // profile and notes, small; lines break where needed and at newlines
	Panels   []Panel // row by row
	Cols     int     // panels in a row; 0: up to three

	Legend Place // where series, colour bars and stars are explained

	// ShareX gives the panels of a column one x range, and tick labels and an
	// x label only at the bottom. It concerns Curves and Bars.
	ShareX bool

	// PanelWidth and PanelHeight are a panel's size with its axes, without its
	// title, in millimetres; 0: 84 × 60 for one column of panels, 58 × 48 for
	// more. Tables are as large as their text, images and heat maps as high as
	// their width asks.
	PanelWidth, PanelHeight float64
}

// A Place is where the legend goes.
type Place int

const (
	Right Place = iota
	Below
	NoLegend
)

// A Panel is a [Curves], [Bars], [Heat], [Images] or [Table]. Without data it
// draws its note instead.
type Panel interface {
	title() string
	// size returns the room the panel wants, given the default.
	size(w, h vg.Length) (vg.Length, vg.Length)
	// plot returns axes with the panel's data for a box of the given size;
	// nil if the panel has no axes or no data.
	plot(st styles, w, h vg.Length) *axes
	// draw draws a panel that has no axes.
	draw(c draw.Canvas)
	// keys returns the legend's entries.
	keys() []key
	// bar returns the colour bar, nil if the panel has none.
	bar() *colourBar
}

const (
	margin = vg.Length(6)
	gap    = vg.Length(10)
	mm     = vg.Millimeter
)

// A cell is where a panel goes: its title's box and its body's.
type cell struct {
	titleTop vg.Length
	body     vg.Rectangle
}

// A page is a figure with every size decided.
type page struct {
	*Figure
	w, h   vg.Length
	header []line
	cells  []cell
	legend *legend
	at     vg.Point // the legend's upper left corner
	styles styles
}

// layOut measures everything from the top: header, rows of panels, legend.
func (f *Figure) layOut() *page {
	p := &page{Figure: f, styles: assign(f.Panels)}
	p.legend = newLegend(f, p.styles)
	cols := f.columns()
	widths, heights := f.sizes(cols)

	grid := gap * vg.Length(max(0, len(widths)-1))
	for _, w := range widths {
		grid += w
	}
	p.w = 2*margin + grid
	if f.Legend == Right && !p.legend.empty() {
		p.legend.wrap(40 * mm)
		p.at.X = p.w
		p.w += p.legend.w + margin
	}
	p.header = header(f.Title, f.Subtitle, p.w-2*margin)

	// y runs down from the top here, and is turned round at the end.
	y := margin + stack(p.header)
	if len(p.header) > 0 {
		y += gap / 2
	}
	p.at.Y = y
	for row, h := range heights {
		band := vg.Length(0)
		for col := range cols {
			if i := row*cols + col; i < len(f.Panels) && f.Panels[i].title() != "" {
				band = max(band, 3+stack(paragraph(f.Panels[i].title(), panelTitle, widths[col])))
			}
		}
		x := margin
		for col := range cols {
			if row*cols+col < len(f.Panels) {
				p.cells = append(p.cells, cell{y, vg.Rectangle{
					Min: vg.Point{X: x, Y: y + band}, Max: vg.Point{X: x + widths[col], Y: y + band + h},
				}})
				x += widths[col] + gap
			}
		}
		y += band + h + gap
	}
	if len(heights) > 0 {
		y -= gap
	}
	if !p.legend.empty() {
		switch f.Legend {
		case Right:
			y = max(y, p.at.Y+p.legend.h)
		case Below:
			p.legend.flow(p.w - 2*margin)
			p.at = vg.Point{X: margin, Y: y + gap/2}
			y = p.at.Y + p.legend.h
		}
	}
	p.h = y + margin
	p.turn()
	return p
}

// turn makes y run up from the bottom, as in package vg.
func (p *page) turn() {
	p.at.Y = p.h - p.at.Y
	for i := range p.cells {
		c := &p.cells[i]
		c.titleTop = p.h - c.titleTop
		c.body.Min.Y, c.body.Max.Y = p.h-c.body.Max.Y, p.h-c.body.Min.Y
	}
}

func (f *Figure) columns() int {
	if f.Cols > 0 {
		return f.Cols
	}
	return max(1, min(3, len(f.Panels)))
}

// sizes returns the widths of the columns and the heights of the rows.
func (f *Figure) sizes(cols int) (widths, heights []vg.Length) {
	w, h := 58*mm, 48*mm
	if cols == 1 {
		w, h = 84*mm, 60*mm
	}
	if f.PanelWidth > 0 {
		w = vg.Length(f.PanelWidth) * mm
	}
	if f.PanelHeight > 0 {
		h = vg.Length(f.PanelHeight) * mm
	}
	widths = make([]vg.Length, min(cols, len(f.Panels)))
	heights = make([]vg.Length, (len(f.Panels)+cols-1)/cols)
	for i, p := range f.Panels {
		pw, _ := p.size(w, h)
		widths[i%cols] = max(widths[i%cols], pw)
	}
	for i, p := range f.Panels {
		_, ph := p.size(widths[i%cols], h)
		heights[i/cols] = max(heights[i/cols], ph)
	}
	return widths, heights
}

// draw draws the page on c, which has the page's size.
func (p *page) draw(c draw.Canvas) {
	drawLines(c, p.header, margin, p.h-margin)
	plots := make([]*axes, len(p.Panels))
	for i, panel := range p.Panels {
		size := p.cells[i].body.Size()
		plots[i] = panel.plot(p.styles, size.X, size.Y)
	}
	cols := p.columns()
	if p.ShareX {
		shareX(plots, cols)
	}
	boxes := align(c, plots, p.cells, cols)
	for i, panel := range p.Panels {
		cell := p.cells[i]
		middle := cell.body.Min.X + cell.body.Size().X/2
		if plots[i] != nil {
			data := plots[i].draw(boxes[i])
			middle = data.Center().X
		} else {
			panel.draw(boxes[i])
		}
		drawTitle(c, panel.title(), cell, middle)
	}
	if p.Legend != NoLegend {
		p.legend.draw(c, p.at)
	}
}

// drawTitle centres a panel's title on x, as far as the panel's box allows.
func drawTitle(c draw.Canvas, title string, box cell, x vg.Length) {
	if title == "" {
		return
	}
	lines := paragraph(title, panelTitle, box.body.Size().X)
	half := vg.Length(0)
	for _, l := range lines {
		half = max(half, l.style.Width(l.text)/2)
	}
	x = max(box.body.Min.X+half, min(box.body.Max.X-half, x))
	drawCentred(c, lines, x, box.titleTop)
}

// shareX gives each column's plots one x range and labels only the lowest.
func shareX(plots []*axes, cols int) {
	lowest := map[int]*axes{}
	for i, p := range plots {
		if p == nil {
			continue
		}
		if above := lowest[i%cols]; above != nil {
			p.X.Min, p.X.Max = min(p.X.Min, above.X.Min), max(p.X.Max, above.X.Max)
			above.xLabel = ""
			above.X.Tick.Marker = unlabelled{above.X.Tick.Marker}
		}
		lowest[i%cols] = p
	}
	for i, p := range plots {
		if p != nil {
			p.X.Min, p.X.Max = lowest[i%cols].X.Min, lowest[i%cols].X.Max
		}
	}
}

// align crops the panels' boxes so that the data areas of a column begin and
// end at one x, and those of a row at one y, whatever the tick labels' widths.
func align(c draw.Canvas, plots []*axes, cells []cell, cols int) []draw.Canvas {
	boxes := make([]draw.Canvas, len(plots))
	inset := make([]vg.Rectangle, len(plots)) // distances from box to data area
	column, row := map[int]vg.Rectangle{}, map[int]vg.Rectangle{}
	for i, p := range plots {
		boxes[i] = draw.Canvas{Canvas: c.Canvas, Rectangle: cells[i].body}
		if p == nil {
			continue
		}
		data := p.data(boxes[i])
		inset[i] = vg.Rectangle{Min: data.Min.Sub(boxes[i].Min), Max: boxes[i].Max.Sub(data.Max)}
		column[i%cols] = widest(column[i%cols], inset[i])
		row[i/cols] = widest(row[i/cols], inset[i])
	}
	for i, p := range plots {
		if p != nil {
			x, y, in := column[i%cols], row[i/cols], inset[i]
			boxes[i] = draw.Crop(boxes[i], x.Min.X-in.Min.X, in.Max.X-x.Max.X, y.Min.Y-in.Min.Y, in.Max.Y-y.Max.Y)
		}
	}
	return boxes
}

func widest(a, b vg.Rectangle) vg.Rectangle {
	return vg.Rectangle{
		Min: vg.Point{X: max(a.Min.X, b.Min.X), Y: max(a.Min.Y, b.Min.Y)},
		Max: vg.Point{X: max(a.Max.X, b.Max.X), Y: max(a.Max.Y, b.Max.Y)},
	}
}
