package figure

import (
	"image/color"
	"strings"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

var (
	ink  = color.Gray{Y: 0}
	soft = color.Gray{Y: 90}
)

// The text styles: 8 pt is the smallest that a paper's column bears.
var (
	figureTitle = style(10, true, ink)
	panelTitle  = style(9, false, ink)
	axisLabel   = style(9, false, ink)
	small       = style(8, false, ink)
	smallBold   = style(8, true, ink)
	subtitle    = style(8, false, soft)
)

func style(size float64, bold bool, c color.Color) text.Style {
	f := font.Font{Typeface: "Liberation", Variant: "Sans", Size: vg.Length(size)}
	if bold {
		f.Weight = xfont.WeightBold
	}
	return text.Style{Color: c, Font: f, YAlign: draw.YTop, Handler: plot.DefaultTextHandler}
}

// leading is the distance from a line's top to the next one's.
func leading(st text.Style) vg.Length { return 1.25 * st.Font.Size }

// A line is one line of text.
type line struct {
	text  string
	style text.Style
}

// paragraph breaks txt into lines no wider than w: at newlines, between words,
// and within a word that is wider than w alone.
func paragraph(txt string, st text.Style, w vg.Length) []line {
	var lines []line
	for part := range strings.SplitSeq(txt, "\n") {
		rest := ""
		for _, word := range strings.Fields(part) {
			if joined := strings.TrimSpace(rest + " " + word); st.Width(joined) <= w {
				rest = joined
				continue
			}
			if rest != "" {
				lines = append(lines, line{rest, st})
			}
			for rest = word; st.Width(rest) > w; {
				head := head(rest, st, w)
				lines, rest = append(lines, line{head, st}), rest[len(head):]
			}
		}
		lines = append(lines, line{rest, st})
	}
	return lines
}

// head returns the longest start of word that is not wider than w, at least
// one letter.
func head(word string, st text.Style, w vg.Length) string {
	end := 0
	for i, r := range word {
		next := i + len(string(r))
		if end > 0 && st.Width(word[:next]) > w {
			break
		}
		end = next
	}
	return word[:end]
}

func header(title, sub string, w vg.Length) []line {
	var lines []line
	if title != "" {
		lines = paragraph(title, figureTitle, w)
	}
	if sub != "" {
		lines = append(lines, paragraph(sub, subtitle, w)...)
	}
	return lines
}

// stack returns the height of lines one below the other.
func stack(lines []line) vg.Length {
	h := vg.Length(0)
	for _, l := range lines {
		h += leading(l.style)
	}
	return h
}

// drawLines draws lines down from top, from the left edge x.
func drawLines(c draw.Canvas, lines []line, x, top vg.Length) {
	for _, l := range lines {
		c.FillText(l.style, vg.Point{X: x, Y: top}, l.text)
		top -= leading(l.style)
	}
}

// drawCentred draws lines down from top, centred on x.
func drawCentred(c draw.Canvas, lines []line, x, top vg.Length) {
	for _, l := range lines {
		l.style.XAlign = draw.XCenter
		c.FillText(l.style, vg.Point{X: x, Y: top}, l.text)
		top -= leading(l.style)
	}
}

// drawNote fills c with a pale frame and the note of a panel without data.
func drawNote(c draw.Canvas, note string) {
	if note == "" {
		note = "no data"
	}
	c.SetColor(color.Gray{Y: 246})
	c.Fill(c.Rectangle.Path())
	lines := paragraph(note, subtitle, c.Size().X-2*margin)
	drawCentred(c, lines, c.Center().X, c.Center().Y+stack(lines)/2)
}
