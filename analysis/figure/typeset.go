package figure

import (
	"slices"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Table is a picture of a small table: a header between rules, then rows.
// A column is aligned to the left if any of its cells begins with a letter, to
// the right otherwise.
type Table struct {
	Title  string
	Header []string
	Rows   [][]string // cells missing at a row's end are blank
	Note   string     // drawn instead if there are no rows; "": "no data"
}

func (p *Table) title() string                           { return p.Title }
func (p *Table) plot(styles, vg.Length, vg.Length) *axes { return nil }
func (p *Table) keys() []key                             { return nil }
func (p *Table) bar() *colourBar                         { return nil }

const columnGap = vg.Length(10)

func (p *Table) size(w, h vg.Length) (vg.Length, vg.Length) {
	if len(p.Rows) == 0 {
		return w, h
	}
	total := -columnGap
	for _, cw := range p.widths() {
		total += cw + columnGap
	}
	return max(w, total), leading(small)*vg.Length(len(p.Rows)+1) + 12
}

// columns returns the table by columns, header first.
func (p *Table) columns() [][]string {
	n := len(p.Header)
	for _, r := range p.Rows {
		n = max(n, len(r))
	}
	cols := make([][]string, n)
	for i := range cols {
		for _, r := range slices.Concat([][]string{p.Header}, p.Rows) {
			if i < len(r) {
				cols[i] = append(cols[i], r[i])
			} else {
				cols[i] = append(cols[i], "")
			}
		}
	}
	return cols
}

func (p *Table) widths() []vg.Length {
	var ws []vg.Length
	for _, col := range p.columns() {
		w := smallBold.Width(col[0])
		for _, cell := range col[1:] {
			w = max(w, small.Width(cell))
		}
		ws = append(ws, w)
	}
	return ws
}

func (p *Table) draw(c draw.Canvas) {
	if len(p.Rows) == 0 {
		drawNote(c, p.Note)
		return
	}
	ws := p.widths()
	total := -columnGap
	for _, w := range ws {
		total += w + columnGap
	}
	left := c.Center().X - total/2
	top := c.Max.Y - 1
	rule := func(y, width vg.Length) {
		c.StrokeLine2(draw.LineStyle{Color: ink, Width: width}, left-4, y, left+total+4, y)
	}
	under := top - leading(small) - 4
	rule(top, .9)
	rule(under, .5)
	rule(under-leading(small)*vg.Length(len(p.Rows))-5, .9)
	x := left
	for i, col := range p.columns() {
		right := !slices.ContainsFunc(col[1:], startsWithLetter)
		for j, cell := range col {
			st, y := small, under-3-leading(small)*vg.Length(j-1)
			if j == 0 {
				st, y = smallBold, top-3
			}
			at := vg.Point{X: x, Y: y}
			if right {
				st.XAlign, at.X = draw.XRight, x+ws[i]
			}
			c.FillText(st, at, cell)
		}
		x += ws[i] + columnGap
	}
}

func startsWithLetter(cell string) bool {
	cell = strings.TrimSpace(cell)
	return cell != "" && cell != "NaN" && (cell[0]|0x20 >= 'a' && cell[0]|0x20 <= 'z' || cell[0] >= 0x80)
}
