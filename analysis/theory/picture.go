package theory

import (
	"fmt"
	"math"
)

// A Picture is a sample of one distribution in the plane of the two features,
// with the classifier that [Model.Solve] gives: one panel of Figure 7 or 9.
//
// X is the coordinate along the invariant feature m, Y along the spurious
// feature q, both in units of length; a branch's mean is at (±√a, 0) or
// (±√a, √s).
type Picture struct {
	Title    string // "training, γ = 0.1"
	Clouds   []Cloud
	Line     Line    // where the classifier changes sides
	Accuracy float64 // exact accuracy of the classifier on the distribution
}

// A Cloud is the sample of one branch. It has no points if γ leaves it none.
type Cloud struct {
	Label    string // "y = +1 with the spurious feature"
	Class    int    // the true label, +1 or −1
	Spurious bool
	X, Y     []float64
}

// A Line is the set of points with WX·x + WY·y + Bias = 0; the classifier says
// +1 where this is positive.
type Line struct {
	WX, WY, Bias float64
}

// Draw samples n points of d. The branches get their expected shares of n,
// rounded. The error wraps [ErrModel] or [ErrDegenerate]; n < 1 panics.
func Draw(m Model, d Distribution, n int, seed uint64) (Picture, error) {
	if n < 1 {
		panic("theory: a picture needs a point")
	}
	s, err := m.Solve()
	if err != nil {
		return Picture{}, err
	}
	a, q := math.Sqrt(m.Norm2Inv), math.Sqrt(m.Norm2Sp)
	line := Line{WX: s.U * a, WY: s.V * q, Bias: s.B}
	picture := Picture{Title: fmt.Sprintf("%v, γ = %g", d, m.Gamma), Line: line}

	inv, sp := m.variances(d)
	spread := math.Hypot(line.WX*math.Sqrt(inv), line.WY*math.Sqrt(sp))
	rng := stream(seed, "theory/picture/"+d.String())
	branches := m.branches(d)
	for i, count := range counts(branches, n) {
		b := branches[i]
		x, y := float64(b.class)*a, b.sp()*q
		picture.Accuracy += b.share * phi(float64(b.class)*(line.WX*x+line.WY*y+line.Bias)/spread)
		cloud := Cloud{Label: fmt.Sprintf("y = %+d", b.class), Class: b.class, Spurious: b.spurious}
		if b.spurious {
			cloud.Label += " with the spurious feature"
		}
		for range count {
			cloud.X = append(cloud.X, x+math.Sqrt(inv)*rng.NormFloat64())
			cloud.Y = append(cloud.Y, y+math.Sqrt(sp)*rng.NormFloat64())
		}
		picture.Clouds = append(picture.Clouds, cloud)
	}
	return picture, nil
}

// PictureModel returns our choice for Figures 7 and 9: the model of Figure 11
// at γ = 0.1, past the half-rise of 0.04.
func PictureModel() Model {
	m := figureModel()
	m.Gamma = 0.1
	return m
}

// Figure7 returns the pictures of training and of the spurious test, n points
// each; the third panel is [PhaseTransition].
func Figure7(m Model, n int, seed uint64) ([]Picture, error) {
	return drawAll(n, seed, scene{m, Training}, scene{m, SpuriousTest})
}

// Figure9 returns the four pictures of the model, n points each: training at
// γ = 0, training at m.Gamma, and the two tests with m's classifier.
func Figure9(m Model, n int, seed uint64) ([]Picture, error) {
	clean := m
	clean.Gamma = 0
	return drawAll(n, seed, scene{clean, Training}, scene{m, Training}, scene{m, CleanTest}, scene{m, SpuriousTest})
}

type scene struct {
	Model
	Distribution
}

func drawAll(n int, seed uint64, scenes ...scene) ([]Picture, error) {
	var out []Picture
	for _, s := range scenes {
		p, err := Draw(s.Model, s.Distribution, n, seed)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// Clip returns the part of l inside the box, from one border to another. ok is
// false if they do not meet or l is no line (WX = WY = 0).
func (l Line) Clip(xmin, xmax, ymin, ymax float64) (x0, y0, x1, y1 float64, ok bool) {
	n2 := l.WX*l.WX + l.WY*l.WY
	if n2 == 0 {
		return 0, 0, 0, 0, false
	}
	// The point nearest to the origin and the direction; then, per axis, the
	// range of t for which point + t·direction lies between the borders.
	px, py := -l.Bias*l.WX/n2, -l.Bias*l.WY/n2
	dx, dy := -l.WY, l.WX
	from, to := math.Inf(-1), math.Inf(1)
	for _, axis := range [][4]float64{{px, dx, xmin, xmax}, {py, dy, ymin, ymax}} {
		p, d, lo, hi := axis[0], axis[1], axis[2], axis[3]
		if d == 0 {
			if p < lo || p > hi {
				return 0, 0, 0, 0, false
			}
			continue
		}
		t0, t1 := (lo-p)/d, (hi-p)/d
		from, to = max(from, min(t0, t1)), min(to, max(t0, t1))
	}
	if from >= to {
		return 0, 0, 0, 0, false
	}
	return px + from*dx, py + from*dy, px + to*dx, py + to*dy, true
}
