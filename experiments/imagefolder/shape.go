package imagefolder

import "math"

// A Shape is a class of generated objects.
type Shape struct {
	Name string
	// distance is negative inside, positive outside and near the edge about
	// the distance to it, for an object of radius about 1 around the origin;
	// y points down.
	distance func(x, y float64) float64
}

// Shapes are the classes that [Generate] draws. Some are alike on purpose.
var Shapes = []Shape{
	{"arrow", arrow},
	{"crescent", crescent},
	{"cross", cross},
	{"disc", func(x, y float64) float64 { return math.Hypot(x, y) - 0.9 }},
	{"heart", heart},
	{"hexagon", func(x, y float64) float64 { return polygon(x, y, 6, 0.85) }},
	{"ring", func(x, y float64) float64 { return math.Abs(math.Hypot(x, y)-0.72) - 0.24 }},
	{"square", func(x, y float64) float64 { return box(x, y, 0.8, 0.8) }},
	{"star", star},
	{"triangle", func(x, y float64) float64 { return polygon(x, y+0.1, 3, 0.55) }},
}

// box is a rectangle of half width a and half height b.
func box(x, y, a, b float64) float64 { return max(math.Abs(x)-a, math.Abs(y)-b) }

// polygon has n equal sides at distance r from the origin, one of them below.
func polygon(x, y float64, n int, r float64) float64 {
	d := math.Inf(-1)
	for i := range n {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / float64(n))
		d = max(d, x*sin+y*cos-r)
	}
	return d
}

func arrow(x, y float64) float64 {
	head := max(math.Abs(y)*0.8+x*0.6-0.6, -x)
	return min(head, box(x+0.45, y, 0.5, 0.26))
}

func crescent(x, y float64) float64 {
	return max(math.Hypot(x, y)-0.95, 0.8-math.Hypot(x-0.45, y))
}

func cross(x, y float64) float64 {
	return min(box(x, y, 0.95, 0.3), box(x, y, 0.3, 0.95))
}

func heart(x, y float64) float64 {
	x, y = math.Abs(x), y-0.15
	const side = 0.85 // half the diagonal of the square below the two discs
	square := (x + math.Abs(y) - side) / math.Sqrt2
	return min(square, math.Hypot(x-side/2, y+side/2)-side/math.Sqrt2)
}

// star has five points at radius 1 and five notches at radius .42; folding the
// plane leaves one edge.
func star(x, y float64) float64 {
	const half = math.Pi / 5
	angle := math.Mod(math.Atan2(y, x)+4*math.Pi, 2*half)
	angle = min(angle, 2*half-angle)
	sin, cos := math.Sincos(angle)
	r := math.Hypot(x, y)
	px, py := r*cos, r*sin // the point at (1, 0), the notch at .42 along half
	nx, ny := 0.42*math.Sin(half), 1-0.42*math.Cos(half)
	return ((px-1)*nx + py*ny) / math.Hypot(nx, ny)
}
