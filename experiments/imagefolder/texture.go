package imagefolder

import (
	"math"
	"math/rand/v2"
)

// An rgb is a colour with channels in [0, 1]; values outside are clipped when
// the picture is done.
type rgb [3]float64

func (a rgb) mix(b rgb, t float64) rgb {
	for i := range a {
		a[i] += (b[i] - a[i]) * t
	}
	return a
}

func (a rgb) scale(t float64) rgb { return rgb{a[0] * t, a[1] * t, a[2] * t} }

func (a rgb) times(b rgb) rgb { return rgb{a[0] * b[0], a[1] * b[1], a[2] * b[2]} }

// A Texture is a context of generated images.
type Texture struct {
	Name  string
	light rgb // multiplies the colours of what stands in it
	// paint returns one background: the colour at (x, y), in pixels, of a
	// picture h pixels high.
	paint func(rng *rand.Rand, h float64) func(x, y float64) rgb
}

// Textures are the contexts that [Generate] draws: NICO++'s six.
var Textures = []Texture{
	{"autumn", rgb{1.05, 0.95, 0.8}, autumn},
	{"dim", rgb{0.5, 0.5, 0.65}, dim},
	{"grass", rgb{0.95, 1.05, 0.85}, grass},
	{"outdoor", rgb{1.05, 1.05, 1}, outdoor},
	{"rock", rgb{0.95, 0.95, 0.95}, rock},
	{"water", rgb{0.85, 0.95, 1.1}, water},
}

// autumn is a ground covered with red, orange and brown leaves.
func autumn(rng *rand.Rand, _ float64) func(x, y float64) rgb {
	n, size := newNoise(rng), uniform(rng, 6, 11)
	leaves := []rgb{{0.75, 0.25, 0.08}, {0.85, 0.5, 0.1}, {0.8, 0.65, 0.2}, {0.45, 0.25, 0.1}, {0.6, 0.15, 0.1}}
	return func(x, y float64) rgb {
		wobble := 4 * n.fractal(x/9, y/9)
		near, next, cell := n.cells((x+wobble)/size, (y+wobble)/size)
		leaf := leaves[int(cell*float64(len(leaves)))]
		vein := 0.7 + 0.3*min((next-near)*4, 1) // dark along the edges
		return leaf.scale(vein * (0.7 + 0.5*n.fractal(x/4, y/4)))
	}
}

// dim is a night with a few distant lights out of focus.
func dim(rng *rand.Rand, h float64) func(x, y float64) rgb {
	n := newNoise(rng)
	type light struct {
		x, y, r float64
		colour  rgb
	}
	lights := make([]light, 2+rng.IntN(5))
	for i := range lights {
		warm := rgb{0.9, 0.6, 0.25}.mix(rgb{0.5, 0.6, 0.9}, rng.Float64())
		lights[i] = light{uniform(rng, 0, 96), uniform(rng, 0, h), uniform(rng, 2, 6), warm}
	}
	top, bottom := rgb{0.05, 0.05, 0.14}, rgb{0.13, 0.1, 0.17}
	return func(x, y float64) rgb {
		c := top.mix(bottom, y/h).scale(0.6 + 0.8*n.fractal(x/12, y/12))
		for _, l := range lights {
			c = c.mix(l.colour, 0.6*coverage(math.Hypot(x-l.x, y-l.y)-l.r, 1.5))
		}
		return c
	}
}

// grass is blades: noise stretched upwards, in greens.
func grass(rng *rand.Rand, h float64) func(x, y float64) rgb {
	n, tilt := newNoise(rng), uniform(rng, -0.3, 0.3)
	dark, bright := rgb{0.08, 0.25, 0.05}, rgb{0.5, 0.72, 0.2}
	return func(x, y float64) rgb {
		x += tilt*y + 3*n.value(x/20, y/20)
		blade := 0.6*n.value(x/1.6, y/9) + 0.4*n.value(x/3.1+40, y/14)
		return dark.mix(bright, blade*blade*1.3).scale(0.8 + 0.3*y/h)
	}
}

// outdoor is a street: sky with clouds, roofs, pavement.
func outdoor(rng *rand.Rand, h float64) func(x, y float64) rgb {
	n, horizon, house := newNoise(rng), h*uniform(rng, 0.5, 0.75), uniform(rng, 9, 18)
	return func(x, y float64) rgb {
		plot := math.Floor(x / house)
		wall := n.lattice(int(plot), 7)
		switch roof := horizon - h*(0.08+0.3*n.lattice(int(plot), 0)); {
		case y > horizon:
			depth := (y - horizon) / (h - horizon)
			return rgb{0.62, 0.58, 0.52}.scale(0.75 + 0.25*depth + 0.15*n.value(x/2, y/2))
		case y > roof:
			c := rgb{0.75, 0.45, 0.35}.mix(rgb{0.8, 0.78, 0.7}, wall)
			if math.Mod(x, 4) > 2.2 && math.Mod(y-roof, 5) > 3 { // windows
				return c.scale(0.55)
			}
			return c
		}
		cloud := n.fractal(x/22, y/12)
		return rgb{0.4, 0.62, 0.92}.mix(rgb{0.97, 0.97, 1}, max(2.2*cloud-0.75, 0.35*y/horizon))
	}
}

// rock is gray stone with dark cracks.
func rock(rng *rand.Rand, _ float64) func(x, y float64) rgb {
	n, size := newNoise(rng), uniform(rng, 15, 26)
	tone := rgb{0.55, 0.54, 0.53}.mix(rgb{0.6, 0.52, 0.45}, rng.Float64())
	return func(x, y float64) rgb {
		wobble := 10 * n.fractal(x/14, y/14)
		near, next, cell := n.cells((x+wobble)/size, (y-wobble)/size)
		crack := min((next-near)*7, 1)
		return tone.scale((0.35 + 0.65*crack) * (0.8 + 0.25*cell) * (0.65 + 0.7*n.fractal(x/5, y/5)))
	}
}

// water is ripples that crowd towards the top, with glints.
func water(rng *rand.Rand, h float64) func(x, y float64) rgb {
	n, phase := newNoise(rng), uniform(rng, 0, 2*math.Pi)
	deep, light := rgb{0.03, 0.25, 0.42}, rgb{0.35, 0.7, 0.8}
	return func(x, y float64) rgb {
		far := math.Sqrt((y + 8) / (h + 8))
		wave := 0.5 + 0.5*math.Sin(phase+60*far+7*n.value(x/18, y/7))
		c := deep.mix(light, 0.75*wave*(0.5+0.7*n.fractal(x/16, y/4)))
		return c.mix(rgb{0.95, 1, 1}, max(wave*n.value(x/3, y/1.5)*3-2.1, 0))
	}
}

// coverage turns a signed distance into how much of a pixel is inside: 1 deep
// inside, 0 far outside, with an edge soft pixels wide.
func coverage(distance, soft float64) float64 {
	return min(max(0.5-distance/soft, 0), 1)
}

// A noise is a random function of the plane.
type noise uint64

func newNoise(rng *rand.Rand) noise { return noise(rng.Uint64()) }

// lattice returns a number in [0, 1) that belongs to the point (x, y).
func (n noise) lattice(x, y int) float64 {
	// The finalizer of D. Stafford's splitmix variant 13 on odd multiples.
	v := uint64(n) + uint64(x)*0x9e3779b97f4a7c15 + uint64(y)*0xd1b54a32d192ed03
	v = (v ^ v>>30) * 0xbf58476d1ce4e5b9
	v = (v ^ v>>27) * 0x94d049bb133111eb
	return float64((v^v>>31)>>11) / (1 << 53)
}

// value interpolates the lattice smoothly.
func (n noise) value(x, y float64) float64 {
	fx, fy := math.Floor(x), math.Floor(y)
	ix, iy := int(fx), int(fy)
	ease := func(t float64) float64 { return t * t * (3 - 2*t) }
	u, v := ease(x-fx), ease(y-fy)
	lerp := func(a, b, t float64) float64 { return a + (b-a)*t }
	return lerp(
		lerp(n.lattice(ix, iy), n.lattice(ix+1, iy), u),
		lerp(n.lattice(ix, iy+1), n.lattice(ix+1, iy+1), u), v)
}

// fractal adds three octaves of value, weighted to stay in [0, 1).
func (n noise) fractal(x, y float64) float64 {
	return (4*n.value(x, y) + 2*n.value(2*x+17, 2*y) + n.value(4*x, 4*y+31)) / 7
}

// cells places one point in every unit square and returns the distances to the
// nearest and the second nearest, and a number in [0, 1) that belongs to the
// nearest.
//
// Reference: S. Worley, "A Cellular Texture Basis Function", 1996.
func (n noise) cells(x, y float64) (near, next, cell float64) {
	near, next = math.Inf(1), math.Inf(1)
	cx, cy := int(math.Floor(x)), int(math.Floor(y))
	for iy := cy - 1; iy <= cy+1; iy++ {
		for ix := cx - 1; ix <= cx+1; ix++ {
			px := float64(ix) + (n+1).lattice(ix, iy)
			py := float64(iy) + (n+2).lattice(ix, iy)
			switch d := math.Hypot(x-px, y-py); {
			case d < near:
				near, next, cell = d, near, (n+3).lattice(ix, iy)
			case d < next:
				next = d
			}
		}
	}
	return near, next, cell
}
