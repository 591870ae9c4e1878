package figure

import (
	"image"
	"image/draw"

	"golang.org/x/image/font"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
	plotfont "gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
)

// outlined is a canvas that makes up for what the backends lack.
//
// It draws text as filled outlines. So all formats look the same wherever they
// are opened, no font need be installed or embedded, and any letter of the font
// may be used: the PDF backend by itself knows only those of code page 1252,
// which lacks ≠, ε and γ.
type outlined struct {
	vg.Canvas

	// widths are those of the images drawn so far, in pixels. The PDF library
	// lists images by width, and those of one width in map order, so that two
	// PDFs of one figure would differ: every image gets a width of its own.
	widths map[int]bool

	// flip turns images upside down, for the PDF backend, which turns the page
	// to have the origin at the bottom and forgets to turn images back.
	flip bool
}

// DrawImage draws img in rect, with white columns to the right of it that make
// its width its own.
func (o outlined) DrawImage(rect vg.Rectangle, img image.Image) {
	box := img.Bounds()
	w := box.Dx()
	for o.widths[w] {
		w++
	}
	o.widths[w] = true
	out := image.NewRGBA(image.Rect(0, 0, w, box.Dy()))
	draw.Draw(out, out.Bounds(), image.White, image.Point{}, draw.Src)
	draw.Draw(out, out.Bounds(), img, box.Min, draw.Src)
	if o.flip {
		row := make([]uint8, out.Stride)
		for y := range box.Dy() / 2 {
			a, b := out.Pix[y*out.Stride:][:out.Stride], out.Pix[(box.Dy()-1-y)*out.Stride:][:out.Stride]
			copy(row, a)
			copy(a, b)
			copy(b, row)
		}
	}
	rect.Max.X = rect.Min.X + rect.Size().X*vg.Length(w)/vg.Length(box.Dx())
	o.Canvas.DrawImage(rect, out)
}

// FillString draws txt with its first baseline point at pt.
func (o outlined) FillString(face plotfont.Face, pt vg.Point, txt string) {
	var (
		buf   sfnt.Buffer
		path  vg.Path
		last  sfnt.GlyphIndex
		em    = fixed.Int26_6(face.Face.UnitsPerEm()) // so that all numbers are in font units
		scale = face.Font.Size / vg.Length(em)
	)
	for i, r := range txt {
		glyph, err := face.Face.GlyphIndex(&buf, r)
		if err != nil {
			panic("figure: font: " + err.Error())
		}
		if i > 0 {
			if kern, err := face.Face.Kern(&buf, last, glyph, em, font.HintingNone); err == nil {
				pt.X += vg.Length(kern) * scale
			}
		}
		segments, err := face.Face.LoadGlyph(&buf, glyph, em, nil)
		if err != nil {
			panic("figure: font: " + err.Error())
		}
		path = appendGlyph(path, segments, pt, scale)
		advance, err := face.Face.GlyphAdvance(&buf, glyph, em, font.HintingNone)
		if err != nil {
			panic("figure: font: " + err.Error())
		}
		pt.X += vg.Length(advance) * scale
		last = glyph
	}
	if len(path) > 0 {
		o.Fill(path)
	}
}

// appendGlyph appends a glyph's contours, whose y runs down, to path.
func appendGlyph(path vg.Path, segments sfnt.Segments, at vg.Point, scale vg.Length) vg.Path {
	open := false
	for _, s := range segments {
		p := [3]vg.Point{}
		for i, a := range s.Args {
			p[i] = vg.Point{X: at.X + vg.Length(a.X)*scale, Y: at.Y - vg.Length(a.Y)*scale}
		}
		switch s.Op {
		case sfnt.SegmentOpMoveTo:
			if open {
				path.Close()
			}
			path.Move(p[0])
			open = true
		case sfnt.SegmentOpLineTo:
			path.Line(p[0])
		case sfnt.SegmentOpQuadTo:
			path.QuadTo(p[0], p[1])
		case sfnt.SegmentOpCubeTo:
			path.CubeTo(p[0], p[1], p[2])
		}
	}
	if open {
		path.Close()
	}
	return path
}
