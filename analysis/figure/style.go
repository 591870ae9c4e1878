package figure

import (
	"image/color"
	"math"

	"gonum.org/v1/plot/palette/brewer"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// A Colour is a colour of the palette for series. Auto is the next one that no
// earlier name has.
type Colour int

const (
	Auto Colour = iota
	Blue
	Vermilion
	Green
	Purple
	Orange
	Sky
	Black
	Grey
)

// palette holds colours that people with any colour vision can tell apart,
// without the yellow, which white paper swallows.
//
// Reference: M. Okabe and K. Ito, "Color Universal Design", 2008.
var palette = [...]color.RGBA{
	Blue: {0x00, 0x72, 0xb2, 255}, Vermilion: {0xd5, 0x5e, 0x00, 255}, Green: {0x00, 0x9e, 0x73, 255},
	Purple: {0xcc, 0x79, 0xa7, 255}, Orange: {0xe6, 0x9f, 0x00, 255}, Sky: {0x56, 0xb4, 0xe9, 255},
	Black: {0, 0, 0, 255}, Grey: {0x80, 0x80, 0x80, 255},
}

// A look is how a series is drawn in all panels.
type look struct {
	colour color.RGBA
	marker marker
}

// styles holds the look of every series name of a figure.
type styles map[string]look

// assign gives the names of all panels' series a colour and a marker each, in
// order of first appearance. The number of markers, 7, and that of colours, 8,
// have no common factor: no two of 56 names look the same.
func assign(panels []Panel) styles {
	st := styles{}
	for _, p := range panels {
		for _, k := range p.keys() {
			name := k.lookName()
			if _, ok := st[name]; ok {
				continue
			}
			i := len(st)
			colour := k.colour
			if colour == Auto {
				colour = Colour(1 + i%(len(palette)-1))
			}
			st[name] = look{palette[colour], marker(i % len(markers))}
		}
	}
	return st
}

// A marker is an index into markers.
type marker int

// markers are outlines in units of the marker's radius.
var markers = [...][]vg.Point{
	nil, // a circle
	{{X: -.85, Y: -.85}, {X: .85, Y: -.85}, {X: .85, Y: .85}, {X: -.85, Y: .85}},
	{{X: -1, Y: -.75}, {X: 1, Y: -.75}, {X: 0, Y: 1.1}},
	{{X: 0, Y: -1.2}, {X: 1.1, Y: 0}, {X: 0, Y: 1.2}, {X: -1.1, Y: 0}},
	{{X: -1, Y: .75}, {X: 1, Y: .75}, {X: 0, Y: -1.1}},
	{{X: -.4, Y: -1.1}, {X: .4, Y: -1.1}, {X: .4, Y: -.4}, {X: 1.1, Y: -.4}, {X: 1.1, Y: .4}, {X: .4, Y: .4},
		{X: .4, Y: 1.1}, {X: -.4, Y: 1.1}, {X: -.4, Y: .4}, {X: -1.1, Y: .4}, {X: -1.1, Y: -.4}, {X: -.4, Y: -.4}},
	{{X: 0, Y: 1.2}, {X: 1.1, Y: .4}, {X: .7, Y: -1}, {X: -.7, Y: -1}, {X: -1.1, Y: .4}},
}

func (m marker) draw(c draw.Canvas, at vg.Point, radius vg.Length) {
	var p vg.Path
	if m == 0 {
		p.Move(vg.Point{X: at.X + radius, Y: at.Y})
		p.Arc(at, radius, 0, 2*math.Pi)
	}
	for i, q := range markers[m] {
		q = at.Add(q.Scale(radius))
		if i == 0 {
			p.Move(q)
		} else {
			p.Line(q)
		}
	}
	p.Close()
	c.Fill(p)
}

// A Map is a colour map from [0, 1].
type Map int

const (
	Viridis Map = iota
	YlOrRd
)

// viridis is matplotlib's map at ten equidistant values.
//
// Reference: S. van der Walt and N. Smith, "mpl colormaps", 2015 (CC0).
var viridis = []color.RGBA{
	{0x44, 0x01, 0x54, 255}, {0x48, 0x28, 0x78, 255}, {0x3e, 0x4a, 0x89, 255}, {0x31, 0x68, 0x8e, 255}, {0x26, 0x82, 0x8e, 255},
	{0x1f, 0x9e, 0x89, 255}, {0x35, 0xb7, 0x79, 255}, {0x6d, 0xcd, 0x59, 255}, {0xb4, 0xde, 0x2c, 255}, {0xfd, 0xe7, 0x25, 255},
}

// ylOrRd is ColorBrewer's map of nine classes, which matplotlib interpolates.
var ylOrRd = func() []color.RGBA {
	p, err := brewer.GetPalette(brewer.TypeSequential, "YlOrRd", 9)
	if err != nil {
		panic("figure: " + err.Error())
	}
	var cs []color.RGBA
	for _, c := range p.Colors() {
		cs = append(cs, color.RGBAModel.Convert(c).(color.RGBA))
	}
	return cs
}()

// absent is the colour of a NaN, in no map.
var absent = color.RGBA{200, 200, 200, 255}

// at returns the colour of v, clamped to [0, 1]; grey for NaN.
func (m Map) at(v float64) color.RGBA {
	if math.IsNaN(v) {
		return absent
	}
	stops := viridis
	if m == YlOrRd {
		stops = ylOrRd
	}
	v = min(max(v, 0), 1) * float64(len(stops)-1)
	i := min(int(v), len(stops)-2)
	f := v - float64(i)
	mix := func(a, b uint8) uint8 { return uint8(math.Round(float64(a) + f*(float64(b)-float64(a)))) }
	a, b := stops[i], stops[i+1]
	return color.RGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), 255}
}
