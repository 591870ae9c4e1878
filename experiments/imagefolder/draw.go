package imagefolder

import (
	"image"
	"image/color"
	"math"
	"math/rand/v2"
)

// drawing is raised when the pictures of a seed change, so that an older
// folder is not taken for the present one.
const drawing = 1

// A canvas is a picture being painted, row-major.
type canvas struct {
	h, w int
	pix  []rgb
}

// paint sets the pixels of a window to what colour returns for their centres
// and old colours.
func (c *canvas) paint(in Rect, colour func(x, y float64, old rgb) rgb) {
	for y := in.Top; y < in.Top+in.H; y++ {
		row := c.pix[y*c.w:][:c.w]
		for x := in.Left; x < in.Left+in.W; x++ {
			row[x] = colour(float64(x)+0.5, float64(y)+0.5, row[x])
		}
	}
}

func (c *canvas) all() Rect { return Rect{0, 0, c.h, c.w} }

// around is the part of the square of half side r about (x, y) that is on the
// canvas.
func (c *canvas) around(x, y, r float64) Rect {
	top, left := max(int(y-r), 0), max(int(x-r), 0)
	return Rect{top, left, min(int(y+r)+1, c.h) - top, min(int(x+r)+1, c.w) - left}
}

func (c *canvas) image() image.Image {
	m := image.NewRGBA(image.Rect(0, 0, c.w, c.h))
	level := func(v float64) uint8 { return uint8(255*min(max(v, 0), 1) + 0.5) }
	for i, p := range c.pix {
		m.SetRGBA(i%c.w, i/c.w, color.RGBA{level(p[0]), level(p[1]), level(p[2]), 255})
	}
	return m
}

// drawImage paints one object of the class before the context's background.
func drawImage(class Shape, context Texture, rng *rand.Rand) *canvas {
	c := &canvas{h: 64 + rng.IntN(33), w: 64 + rng.IntN(33)}
	c.pix = make([]rgb, c.h*c.w)
	h, w := float64(c.h), float64(c.w)
	ground := context.paint(rng, h)
	c.paint(c.all(), func(x, y float64, _ rgb) rgb { return ground(x, y) })

	for range rng.IntN(4) { // small things that are not the object
		c.scatter(context, rng)
	}
	at := newPose(rng, h, w)
	c.place(class, context, at, rng)
	for range rng.IntN(2) { // the background covers parts of the object
		angle, reach := uniform(rng, 0, 2*math.Pi), uniform(rng, 0.5, 1.1)
		cx, cy := at.x+at.r*reach*math.Cos(angle), at.y+at.r*reach*math.Sin(angle)
		r := at.r * uniform(rng, 0.2, 0.45)
		c.paint(c.around(cx, cy, r+2), func(x, y float64, old rgb) rgb {
			return old.mix(ground(x, y), coverage(math.Hypot(x-cx, y-cy)-r, 2))
		})
	}
	grain := uniform(rng, 0.01, 0.03)
	c.paint(c.all(), func(_, _ float64, old rgb) rgb {
		g := grain * rng.NormFloat64()
		return rgb{old[0] + g, old[1] + g, old[2] + g}
	})
	return c
}

// scatter paints a blot of any colour.
func (c *canvas) scatter(context Texture, rng *rand.Rand) {
	cx, cy := uniform(rng, 0, float64(c.w)), uniform(rng, 0, float64(c.h))
	a, b := uniform(rng, 1, 5), uniform(rng, 1, 5)
	colour := anyColour(rng).times(context.light)
	round := rng.IntN(2) == 0
	c.paint(c.around(cx, cy, max(a, b)+2), func(x, y float64, old rgb) rgb {
		d := box(x-cx, y-cy, a, b)
		if round {
			d = math.Hypot(x-cx, y-cy) - a
		}
		return old.mix(colour, 0.8*coverage(d, 1.5))
	})
}

// place paints the object and its shadow.
func (c *canvas) place(class Shape, context Texture, at pose, rng *rand.Rand) {
	colour, other := anyColour(rng), anyColour(rng)
	n := newNoise(rng)
	stripes, angle := rng.IntN(3) == 0, uniform(rng, 0, math.Pi)
	sin, cos := math.Sincos(angle)
	cover := func(x, y float64) float64 {
		u, v := at.local(x, y)
		return coverage(class.distance(u, v)*at.r, 1.2)
	}
	// A pose lengthens an object, which reaches 1.35 at most, to less than 2.
	c.paint(c.around(at.x, at.y, 2*at.r+3), func(x, y float64, old rgb) rgb {
		old = old.scale(1 - 0.35*cover(x-2, y-2.5))
		inside := cover(x, y)
		if inside == 0 {
			return old
		}
		skin := colour.mix(other, 0.5*n.fractal(x/10, y/10))
		if stripes && math.Mod(x*cos+y*sin+200, 8) < 3 {
			skin = other
		}
		u, v := at.local(x, y)
		skin = skin.scale(0.95 - 0.15*u - 0.2*v + 0.25*(n.value(x/2, y/2)-0.5))
		return old.mix(skin.times(context.light), inside)
	})
}

// A pose maps the picture onto an object's own coordinates.
type pose struct {
	x, y, r    float64 // centre and radius in pixels
	a, b, c, d float64 // (u, v) = (a·x + b·y, c·x + d·y) / r, from the centre
}

// newPose turns, stretches and places an object inside h by w pixels.
func newPose(rng *rand.Rand, h, w float64) pose {
	p := pose{r: min(h, w) * uniform(rng, 0.3, 0.45)}
	p.x, p.y = uniform(rng, p.r, w-p.r), uniform(rng, p.r, h-p.r)
	sin, cos := math.Sincos(uniform(rng, -0.35, 0.35))
	stretch, shear := math.Exp(uniform(rng, -0.15, 0.15)), uniform(rng, -0.15, 0.15)
	p.a, p.b = cos*stretch, sin*stretch
	p.c, p.d = -sin/stretch+shear*p.a, cos/stretch+shear*p.b
	return p
}

func (p pose) local(x, y float64) (u, v float64) {
	x, y = (x-p.x)/p.r, (y-p.y)/p.r
	return p.a*x + p.b*y, p.c*x + p.d*y
}

// anyColour is neither very dark nor very pale.
func anyColour(rng *rand.Rand) rgb {
	hue, strength, value := uniform(rng, 0, 6), uniform(rng, 0.3, 0.95), uniform(rng, 0.5, 1)
	var c rgb
	for i := range c {
		// A channel is full within 60 degrees of its own hue and falls off
		// linearly over the next 60.
		away := math.Abs(math.Remainder(hue-2*float64(i), 6))
		c[i] = value * (1 - strength*min(max(away-1, 0), 1))
	}
	return c
}
