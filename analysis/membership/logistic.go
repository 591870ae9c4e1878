package membership

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/optimize"
)

// ErrNoConvergence reports that the logistic regression did not reach its minimum.
var ErrNoConvergence = errors.New("membership: logistic regression did not converge")

const (
	// gradTol is where L-BFGS stops: a gradient of the mean objective whose
	// effect on its value float64 can still just resolve.
	gradTol = 1e-7
	// gradMax is the largest gradient from which the last Newton step, which
	// squares the error, still leads to the minimum.
	gradMax = 1e-5
	maxIter = 1000
)

// A logistic is a linear classifier: the log-odds of row x are w·x + b.
type logistic struct {
	w []float64
	b float64
}

// logOdds returns w·x + b.
func (m logistic) logOdds(x []float64) float64 { return floats.Dot(m.w, x) + m.b }

// accuracy returns the share of the rows of x, in [0, 1], whose log-odds are
// positive exactly where y is true.
func (m logistic) accuracy(x *mat.Dense, y []bool) float64 {
	hit := 0
	for i, yes := range y {
		if (m.logOdds(x.RawRowView(i)) > 0) == yes {
			hit++
		}
	}
	return float64(hit) / float64(len(y))
}

// fitLogistic minimises ½‖w‖² + c·Σ log-loss over w and a free intercept b; x
// has shape (N, D), y has length N and holds both values. The minimum is
// unique, and found to about 1e-9.
//
// Sorted logits are nearly collinear, which makes the problem stiff. L-BFGS
// therefore works on u = R(w, b), where RᵀR is the Hessian at zero; one Newton
// step on (w, b) then gives the digits that differences of the objective's
// values cannot.
func fitLogistic(x *mat.Dense, y []bool, c float64) (logistic, error) {
	n, d := x.Dims()
	o := newObjective(x, y, 1/(c*float64(n)))
	theta := make([]float64, d+1)
	o.moveTo(theta)
	r, err := cholesky(o.hessian())
	if err != nil {
		return logistic{}, err
	}
	moveTo := func(u []float64) {
		copy(theta, u)
		blas64.Trsv(blas.NoTrans, r, blas64.Vector{N: d + 1, Inc: 1, Data: theta})
		o.moveTo(theta)
	}
	res, err := optimize.Minimize(
		optimize.Problem{
			Func: func(u []float64) float64 { moveTo(u); return o.value },
			Grad: func(grad, u []float64) {
				moveTo(u)
				copy(grad, o.grad)
				blas64.Trsv(blas.Trans, r, blas64.Vector{N: d + 1, Inc: 1, Data: grad})
			},
		},
		make([]float64, d+1),
		&optimize.Settings{GradientThreshold: gradTol, MajorIterations: maxIter, Converger: optimize.NeverTerminate{}},
		&optimize.LBFGS{})
	// The gradient decides; a line search may run out of digits near the minimum.
	if res == nil || !(floats.Norm(res.Gradient, math.Inf(1)) <= gradMax) {
		return logistic{}, errors.Join(ErrNoConvergence, err)
	}

	moveTo(res.X)
	if r, err = cholesky(o.hessian()); err != nil {
		return logistic{}, err
	}
	step := blas64.Vector{N: d + 1, Inc: 1, Data: slices.Clone(o.grad)}
	blas64.Trsv(blas.Trans, r, step)
	blas64.Trsv(blas.NoTrans, r, step)
	floats.Sub(theta, step.Data)
	return logistic{w: theta[:d], b: theta[d]}, nil
}

// cholesky returns R, upper triangular with RᵀR = h.
func cholesky(h *mat.SymDense) (blas64.Triangular, error) {
	var chol mat.Cholesky
	if !chol.Factorize(h) {
		return blas64.Triangular{}, fmt.Errorf("%w: singular Hessian", ErrNoConvergence)
	}
	return chol.RawU().(*mat.TriDense).RawTriangular(), nil
}

// An objective is the mean log-loss plus ½·decay‖w‖², at one point θ = (w, b).
type objective struct {
	x     blas64.General // (N, D+1), the last column all 1
	y     []bool
	decay float64

	theta, grad []float64 // (D+1)
	value       float64
	p           []float64 // (N), the probability of true
	residual    []float64 // (N), p − y
}

func newObjective(x *mat.Dense, y []bool, decay float64) *objective {
	n, d := x.Dims()
	o := &objective{
		x:     blas64.General{Rows: n, Cols: d + 1, Stride: d + 1, Data: make([]float64, n*(d+1))},
		y:     y,
		decay: decay,
		grad:  make([]float64, d+1),
		p:     make([]float64, n), residual: make([]float64, n),
	}
	for i := range n {
		row := o.x.Data[i*(d+1) : (i+1)*(d+1)]
		copy(row, x.RawRowView(i))
		row[d] = 1
	}
	return o
}

// moveTo evaluates value, grad and p at theta, unless they are there already:
// optimize asks for value and gradient separately.
func (o *objective) moveTo(theta []float64) {
	if slices.Equal(theta, o.theta) {
		return
	}
	o.theta = append(o.theta[:0], theta...)
	n, d := o.x.Rows, o.x.Cols-1
	z := blas64.Vector{N: n, Inc: 1, Data: o.p}
	blas64.Gemv(blas.NoTrans, 1, o.x, blas64.Vector{N: d + 1, Inc: 1, Data: theta}, 0, z)
	var loss float64
	for i, z := range o.p {
		e := math.Exp(-math.Abs(z))
		loss += math.Log1p(e)
		p := 1 / (1 + e)
		if z < 0 {
			p = e / (1 + e)
		}
		o.p[i], o.residual[i] = p, p
		if o.y[i] {
			o.residual[i] = p - 1
			loss += max(-z, 0)
		} else {
			loss += max(z, 0)
		}
	}
	w := theta[:d]
	o.value = loss/float64(n) + o.decay/2*floats.Dot(w, w)
	blas64.Gemv(blas.Trans, 1/float64(n), o.x, blas64.Vector{N: n, Inc: 1, Data: o.residual},
		0, blas64.Vector{N: d + 1, Inc: 1, Data: o.grad})
	floats.AddScaled(o.grad[:d], o.decay, w)
}

// hessian returns the Hessian at the current point, (D+1, D+1).
func (o *objective) hessian() *mat.SymDense {
	n, d := o.x.Rows, o.x.Cols-1
	weighted := mat.NewDense(n, d+1, slices.Clone(o.x.Data))
	for i, p := range o.p {
		floats.Scale(math.Sqrt(p*(1-p)/float64(n)), weighted.RawRowView(i))
	}
	h := mat.NewSymDense(d+1, nil)
	h.SymOuterK(1, weighted.T())
	for j := range d {
		h.SetSym(j, j, h.At(j, j)+o.decay)
	}
	return h
}
