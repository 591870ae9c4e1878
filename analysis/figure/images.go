package figure

import (
	"image/color"
	"math"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// An Image is a small picture with a caption.
type Image struct {
	Caption  string
	H, W, C  int       // C = 1: shown through the panel's colour map; C = 3: RGB
	Pix      []float32 // (H, W, C) row-major in [0, 1]; values beyond are clamped
	Emphasis bool      // the caption is bold
}

// Images draws a grid of images, each with its caption below, without axes.
type Images struct {
	Title  string
	Images []Image
	Cols   int // images in a row; 0: all
	Map    Map // for images of one channel
	Note   string
}

func (p *Images) title() string                           { return p.Title }
func (p *Images) plot(styles, vg.Length, vg.Length) *axes { return nil }
func (p *Images) keys() []key                             { return nil }
func (p *Images) bar() *colourBar                         { return nil }

const (
	imageGap   = vg.Length(5)
	imageLeast = 18 * mm
)

func (p *Images) columns() int {
	if p.Cols > 0 {
		return p.Cols
	}
	return len(p.Images)
}

// size asks for as much width as gives every column imageLeast.
func (p *Images) size(w, h vg.Length) (vg.Length, vg.Length) {
	if len(p.Images) == 0 {
		return w, h
	}
	n := vg.Length(p.columns())
	w = max(w, n*imageLeast+(n-1)*imageGap)
	h = 0
	for row := range p.rows() {
		image, caption := p.row(row, w)
		h += image + caption + imageGap
	}
	return w, h - imageGap
}

func (p *Images) rows() int { return (len(p.Images) + p.columns() - 1) / p.columns() }

// side returns the width of one column.
func (p *Images) side(w vg.Length) vg.Length {
	n := vg.Length(p.columns())
	return (w - (n-1)*imageGap) / n
}

// row returns the heights of a row's images and of their captions.
func (p *Images) row(row int, w vg.Length) (image, caption vg.Length) {
	side := p.side(w)
	for i := row * p.columns(); i < min(len(p.Images), (row+1)*p.columns()); i++ {
		im := p.Images[i]
		if im.W > 0 {
			image = max(image, side*vg.Length(im.H)/vg.Length(im.W))
		}
		if im.Caption != "" {
			caption = max(caption, 2+stack(im.caption(side)))
		}
	}
	return image, caption
}

func (im Image) caption(w vg.Length) []line {
	if im.Emphasis {
		return paragraph(im.Caption, smallBold, w)
	}
	return paragraph(im.Caption, small, w)
}

// draw panics if an image's Pix is not H × W × C, or C is neither 1 nor 3. An
// image of no pixels is left blank.
func (p *Images) draw(c draw.Canvas) {
	if len(p.Images) == 0 {
		drawNote(c, p.Note)
		return
	}
	w := c.Size().X
	side, top := p.side(w), c.Max.Y
	for row := range p.rows() {
		height, caption := p.row(row, w)
		for col := range p.columns() {
			i := row*p.columns() + col
			if i >= len(p.Images) {
				break
			}
			im := p.Images[i]
			x := c.Min.X + vg.Length(col)*(side+imageGap)
			box := draw.Canvas{Canvas: c.Canvas, Rectangle: vg.Rectangle{
				Min: vg.Point{X: x, Y: top - height}, Max: vg.Point{X: x + side, Y: top},
			}}
			im.draw(box, p.Map)
			drawCentred(c, im.caption(side), x+side/2, top-height-2)
		}
		top -= height + caption + imageGap
	}
}

func (im Image) draw(c draw.Canvas, m Map) {
	if im.C != 1 && im.C != 3 || len(im.Pix) != im.H*im.W*im.C {
		panic("figure: image is not H × W × 1 or H × W × 3")
	}
	if len(im.Pix) == 0 {
		return
	}
	drawPixels(c, im.W, im.H, func(x, y int) color.RGBA {
		px := im.Pix[(y*im.W+x)*im.C:]
		if im.C == 1 {
			return m.at(float64(px[0]))
		}
		return color.RGBA{byteOf(px[0]), byteOf(px[1]), byteOf(px[2]), 255}
	})
}

func byteOf(v float32) uint8 {
	if v != v {
		return absent.R
	}
	return uint8(math.Round(255 * float64(min(max(v, 0), 1))))
}
