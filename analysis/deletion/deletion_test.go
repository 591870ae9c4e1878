package deletion_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"rarespurious/analysis/deletion"
)

// A problem is a linear model's: the mean of a loss of y·(x·θ) or of x·θ − y,
// plus ½·decay‖θ‖².
type problem struct {
	x     [][]float64
	y     []float64
	decay float64
	// slope and bend are the loss's first and second derivative by x·θ.
	slope, bend func(z, y float64) float64
}

func square(z, y float64) float64   { return z - y }
func one(_, _ float64) float64      { return 1 }
func logistic(z, y float64) float64 { return -y / (1 + math.Exp(y*z)) }
func logisticBend(z, _ float64) float64 {
	p := 1 / (1 + math.Exp(-z))
	return p * (1 - p)
}

func draw(rng *rand.Rand, n, d int) (x [][]float64, truth []float64) {
	for range n {
		x = append(x, normals(rng, d))
	}
	return x, normals(rng, d)
}

func ridge(rng *rand.Rand, n, d int) problem {
	p := problem{decay: 0.1, slope: square, bend: one}
	var truth []float64
	p.x, truth = draw(rng, n, d)
	for _, x := range p.x {
		p.y = append(p.y, floats.Dot(x, truth)+rng.NormFloat64())
	}
	return p
}

func logisticRegression(rng *rand.Rand, n, d int) problem {
	p := problem{decay: 0.01, slope: logistic, bend: logisticBend}
	var truth []float64
	p.x, truth = draw(rng, n, d)
	for _, x := range p.x {
		y := 1.0
		if rng.Float64() > 1/(1+math.Exp(-floats.Dot(x, truth))) {
			y = -1
		}
		p.y = append(p.y, y)
	}
	return p
}

// from returns the problem without its first m examples, head only with those.
func (p problem) from(m int) problem { p.x, p.y = p.x[m:], p.y[m:]; return p }
func (p problem) head(m int) problem { p.x, p.y = p.x[:m], p.y[:m]; return p }

// grad returns the mean gradient of the loss, without decay.
func (p problem) grad(theta []float64) []float64 {
	g := make([]float64, len(theta))
	for i, x := range p.x {
		floats.AddScaled(g, p.slope(floats.Dot(x, theta), p.y[i])/float64(len(p.x)), x)
	}
	return g
}

// hessian returns the mean Hessian of the loss, without decay.
func (p problem) hessian(theta []float64) *mat.SymDense {
	h := mat.NewSymDense(len(theta), nil)
	for i, x := range p.x {
		h.SymRankOne(h, p.bend(floats.Dot(x, theta), p.y[i])/float64(len(p.x)), mat.NewVecDense(len(x), x))
	}
	return h
}

// train solves the problem from zero to a gradient of 1e-12.
func (p problem) train(t *testing.T) []float64 {
	t.Helper()
	theta := make([]float64, len(p.x[0]))
	for range 50 {
		g := p.grad(theta)
		floats.AddScaled(g, p.decay, theta)
		if floats.Norm(g, 2) < 1e-12 {
			return theta
		}
		floats.Sub(theta, solve(p.hessian(theta), p.decay, g))
	}
	t.Fatal("no convergence")
	return nil
}

var exact = deletion.CG{Tol: 1e-13, MaxIter: 200}

// influence returns GroupInfluence's θ' with the exact inverse of the curvature.
func (p problem) influence(t *testing.T, theta []float64, m int) []float64 {
	t.Helper()
	moved := newVec(append([]float64(nil), theta...)...)
	h := p.hessian(theta)
	err := deletion.GroupInfluence(ctx, moved, newVec(p.head(m).grad(theta)...), m, len(p.x),
		func(ctx context.Context, dst, v *vec) error {
			o := exact
			o.Damping = p.decay
			_, err := deletion.SolveCG(ctx, dst, v, times(h), o)
			return err
		})
	if err != nil {
		t.Fatal(err)
	}
	return moved.x
}

// newton returns Newton's θ' on all but the first m examples.
func (p problem) newton(t *testing.T, theta []float64, m int) []float64 {
	t.Helper()
	moved, rest := newVec(append([]float64(nil), theta...)...), p.from(m)
	if _, err := deletion.Newton(ctx, moved, newVec(rest.grad(theta)...), times(rest.hessian(theta)), p.decay, exact); err != nil {
		t.Fatal(err)
	}
	return moved.x
}

// On ridge regression all has a closed form. Newton on the remaining data IS
// retraining; influence misses it by the change of curvature.
func TestRidge(t *testing.T) {
	const n, d, m = 40, 5, 4
	p := ridge(rand.New(rand.NewPCG(1, 2)), n, d)
	// θ = (XᵀX/n + decay·I)⁻¹ Xᵀy/n.
	closed := func(p problem) []float64 {
		xy := make([]float64, d)
		for i, x := range p.x {
			floats.AddScaled(xy, p.y[i]/float64(len(p.x)), x)
		}
		return solve(p.hessian(xy), p.decay, xy)
	}
	theta, retrained := closed(p), closed(p.from(m))
	near(t, "trained", p.train(t), theta, 1e-12)
	near(t, "Newton", p.newton(t, theta, m), retrained, 1e-12)

	// Σ over the deleted of (H + decay·I)⁻¹ x (x·θ − y) / (n − m).
	want := append([]float64(nil), theta...)
	for i := range m {
		step := solve(p.hessian(theta), p.decay, p.x[i])
		floats.AddScaled(want, (floats.Dot(p.x[i], theta)-p.y[i])/(n-m), step)
	}
	first := p.influence(t, theta, m)
	near(t, "influence", first, want, 1e-12)
	if before, after := floats.Distance(theta, retrained, 2), floats.Distance(first, retrained, 2); !(after < before/2) {
		t.Errorf("influence is %g from retraining, doing nothing %g", after, before)
	}
}

// On logistic regression influence is the derivative of training by the deleted
// examples' weight, and Newton's error is of second order.
func TestLogisticRegression(t *testing.T) {
	const n, d, m = 400, 5, 8
	p := logisticRegression(rand.New(rand.NewPCG(3, 4)), n, d)
	theta := p.train(t)

	// Train with the deleted examples' weight at 1 ± ε, by way of the slope.
	weighted := func(w float64) []float64 {
		q := p
		q.x = append(append([][]float64(nil), p.x...), p.x[:m]...)
		q.y = append([]float64(nil), p.y...)
		for _, y := range p.y[:m] {
			q.y = append(q.y, y*2) // a mark: these count w − 1 times
		}
		scale := func(f func(z, y float64) float64) func(z, y float64) float64 {
			share := float64(len(q.x)) / n // grad divides by more than n
			return func(z, y float64) float64 {
				if math.Abs(y) == 2 {
					return (w - 1) * share * f(z, y/2)
				}
				return share * f(z, y)
			}
		}
		q.slope, q.bend = scale(p.slope), scale(p.bend)
		return q.train(t)
	}
	const eps = 1e-4
	slope := weighted(1 - eps)
	floats.Sub(slope, weighted(1+eps))
	floats.Scale(1/(2*eps), slope)
	step := p.influence(t, theta, m)
	floats.Sub(step, theta)
	floats.Scale(float64(n-m)/n, step) // 1/n is the derivative's factor
	near(t, "influence", step, slope, 1e-8)

	// Iterated, Newton arrives at the retrained model, squaring the error.
	retrained := p.from(m).train(t)
	moved, dist := theta, floats.Distance(theta, retrained, 2)
	for range 3 {
		moved = p.newton(t, moved, m)
		next := floats.Distance(moved, retrained, 2)
		if next > 5*dist*dist && next > 1e-11 {
			t.Errorf("Newton went from %g to %g of the retrained model", dist, next)
		}
		dist = next
	}
	near(t, "Newton, iterated", moved, retrained, 1e-11)
}

// LiSSA in place of conjugate gradients gives the same influence.
func TestInfluenceByLiSSA(t *testing.T) {
	const n, d, m = 200, 4, 5
	p := logisticRegression(rand.New(rand.NewPCG(5, 6)), n, d)
	theta := p.train(t)
	moved := newVec(append([]float64(nil), theta...)...)
	op := times(p.hessian(theta))
	err := deletion.GroupInfluence(ctx, moved, newVec(p.head(m).grad(theta)...), m, n,
		func(ctx context.Context, dst, v *vec) error {
			scale, err := deletion.LargestEigenvalue(ctx, v, 1e-2, op)
			if err != nil {
				return err
			}
			return deletion.SolveLiSSA(ctx, dst, v, always(op), deletion.LiSSA{Depth: 3000, Repeats: 1, Damping: p.decay, Scale: scale})
		})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "influence", moved.x, p.influence(t, theta, m), 1e-10)
}

// A pattern in pixels that are 0 in all remaining data: they give no curvature
// there, so a Newton step shrinks that weight by wd/(wd + λ), and influence, by
// the curvature of all data, does not reach zero.
func TestPatternOutsideTheRest(t *testing.T) {
	const n, m = 100, 2
	p := ridge(rand.New(rand.NewPCG(7, 8)), n, 3)
	for i, x := range p.x {
		x[2] = 0
		if i < m {
			x[2] = 1
			p.y[i] += 3
		}
	}
	theta := p.train(t)
	rest := p.from(m)
	moved := newVec(append([]float64(nil), theta...)...)
	o := exact
	o.Damping = 0.025
	if _, err := deletion.Newton(ctx, moved, newVec(rest.grad(theta)...), times(rest.hessian(theta)), p.decay, o); err != nil {
		t.Fatal(err)
	}
	near(t, "pattern's weight", moved.x[2:], []float64{theta[2] * 0.025 / (0.025 + p.decay)}, 1e-12)
}

func TestBadSettingsPanic(t *testing.T) {
	x, op := newVec(1), times(mat.NewSymDense(1, []float64{1}))
	influence := func(m, n int) func() { return func() { deletion.GroupInfluence(ctx, x, x, m, n, nil) } }
	lissa := func(o deletion.LiSSA) func() { return func() { deletion.SolveLiSSA(ctx, x, x, always(op), o) } }
	cg := func(o deletion.CG) func() { return func() { deletion.SolveCG(ctx, x, x, op, o) } }
	for name, f := range map[string]func(){
		"none deleted":     influence(0, 3),
		"all deleted":      influence(3, 3),
		"no depth":         lissa(deletion.LiSSA{Repeats: 1, Scale: 1}),
		"no repeats":       lissa(deletion.LiSSA{Depth: 1, Scale: 1}),
		"no scale":         lissa(deletion.LiSSA{Depth: 1, Repeats: 1}),
		"negative damping": lissa(deletion.LiSSA{Depth: 1, Repeats: 1, Scale: 1, Damping: -1}),
		"upstream scale":   func() { deletion.SolveUpstream(ctx, x, x, always(op), deletion.Upstream{Depth: 1, Repeats: 1}) },
		"no tolerance":     cg(deletion.CG{MaxIter: 1}),
		"no iterations":    cg(deletion.CG{Tol: 1}),
		"no operators":     func() { deletion.LargestEigenvalue(ctx, x, 0.1) },
		"no steps":         func() { deletion.Extremes(ctx, x, op, 0) },
	} {
		func() {
			defer func() {
				if r := recover(); r == nil || !strings.HasPrefix(fmt.Sprint(r), "deletion: ") {
					t.Errorf("%s: recovered %v, want a panic of this package", name, r)
				}
			}()
			f()
		}()
	}
}
