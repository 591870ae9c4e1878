package theory

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distmat"
)

// Settings say how large a Monte-Carlo check is.
type Settings struct {
	Samples int    // training examples per repeat; even, so that the classes are equally large
	Moments bool   // draw the examples' moments, from their exact law, in place of the examples; see Simulate
	Repeats int    // independent repeats that are averaged, ≥ 1
	Dim     int    // dimension of each of the two subspaces, ≥ 1
	Tests   int    // examples per test distribution and repeat; 0 takes the exact accuracy of the fitted classifier
	Seed    uint64 // of everything that is drawn
	Workers int    // repeats that run at a time; 0 means GOMAXPROCS. No result depends on it
}

// DefaultSettings are large enough for [Tolerance] at every quantity of
// [CheckModels]: no standard error exceeds a quarter of it. A rare and long
// spurious feature needs that many: at γ = 0.002 one run of 10⁶ examples is off
// by .015 in the prediction difference.
func DefaultSettings() Settings {
	return Settings{Samples: 1_000_000_000, Moments: true, Repeats: 20, Dim: 2, Tests: 500_000}
}

func (s Settings) validate() error {
	switch {
	case s.Samples < 2 || s.Samples%2 != 0:
		return fmt.Errorf("theory: Samples is %d, want an even number ≥ 2", s.Samples)
	case s.Repeats < 1:
		return fmt.Errorf("theory: Repeats is %d, want at least 1", s.Repeats)
	case s.Dim < 1:
		return fmt.Errorf("theory: Dim is %d, want at least 1", s.Dim)
	case s.Tests < 0:
		return fmt.Errorf("theory: Tests is %d, want 0 or more", s.Tests)
	case s.Workers < 0:
		return fmt.Errorf("theory: Workers is %d, want 0 or more", s.Workers)
	}
	return nil
}

// A Row compares one quantity of one model with its simulation.
type Row struct {
	Model     Model
	Quantity  Quantity
	Theory    float64
	Simulated float64 // mean over the repeats
	StdErr    float64 // standard error of that mean; NaN for one repeat
}

// Error returns Simulated − Theory.
func (r Row) Error() float64 { return r.Simulated - r.Theory }

// OK reports whether the two agree within [Tolerance].
func (r Row) OK() bool { return math.Abs(r.Error()) <= Tolerance }

// Simulate fits ridge regression to samples of m, Repeats times, and returns
// one Row per [Quantity], in their order.
//
// The number of examples of each branch is fixed at its expectation, rounded.
// Drawing it too would only add variance: one run would be off by several 1e-3.
// Ridge regression sees a branch through the sums of its examples and of their
// products alone. With s.Moments these are drawn directly (a Gaussian and a
// Wishart variate), which is the same fit in distribution for any number of
// examples at no cost; otherwise they are added up example by example.
//
// The error wraps [ErrModel] or [ErrDegenerate], says which setting is wrong,
// or is ctx's.
func Simulate(ctx context.Context, m Model, s Settings) ([]Row, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	theory, err := m.Solve()
	if err != nil {
		return nil, err
	}
	fitted := make([]Solution, s.Repeats)
	errs := make([]error, s.Repeats)
	repeats := make(chan int)
	var wg sync.WaitGroup
	for range min(s.workers(), s.Repeats) {
		wg.Go(func() {
			for i := range repeats {
				if errs[i] = ctx.Err(); errs[i] == nil {
					fitted[i], errs[i] = m.repeat(s, i)
				}
			}
		})
	}
	for i := range s.Repeats {
		repeats <- i
	}
	close(repeats)
	wg.Wait()
	// A cancelled context stops every repeat; it is one error, not twenty.
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	var rows []Row
	values := make([]float64, s.Repeats)
	for q := range quantities {
		for i, f := range fitted {
			values[i] = f.Value(Quantity(q))
		}
		mean, sd := stat.MeanStdDev(values, nil)
		rows = append(rows, Row{
			Model: m, Quantity: Quantity(q), Theory: theory.Value(Quantity(q)),
			Simulated: mean, StdErr: sd / math.Sqrt(float64(s.Repeats)),
		})
	}
	return rows, nil
}

func (s Settings) workers() int {
	if s.Workers > 0 {
		return s.Workers
	}
	return runtime.GOMAXPROCS(0)
}

// repeat draws one training set, fits it and measures the classifier. Every
// model and repeat has streams of its own, so that their errors are independent.
func (m Model) repeat(s Settings, i int) (Solution, error) {
	rng := stream(s.Seed, fmt.Sprintf("theory/train/%v/%d", m, i))
	draw := drawGram
	if s.Moments {
		draw = drawMoments
	}
	f, err := fit(m, s.Samples, s.Dim, func(n int) *mat.SymDense { return draw(rng, n, 2*s.Dim) })
	if err != nil {
		return Solution{}, err
	}
	result := m.Evaluate(f.w, f.b)
	if s.Tests > 0 {
		rng := stream(s.Seed, fmt.Sprintf("theory/test/%v/%d", m, i))
		result.CleanAccuracy = f.drawAccuracy(m, CleanTest, s.Tests, rng)
		result.SpuriousAccuracy = f.drawAccuracy(m, SpuriousTest, s.Tests, rng)
	}
	return result, nil
}

// A classifier is a fitted sign(w·x + b). The first half of w and of mean
// belongs to the invariant subspace, the second to the spurious one.
type classifier struct {
	w    []float64
	b    float64
	mean []float64 // (m, q)
}

func (f classifier) half() int    { return len(f.w) / 2 }
func (f classifier) inv() float64 { return floats.Dot(f.w[:f.half()], f.mean[:f.half()]) } // w·m
func (f classifier) sp() float64  { return floats.Dot(f.w[f.half():], f.mean[f.half():]) } // w·q

// score returns w·x + b at the mean of a branch.
func (f classifier) score(b branch) float64 {
	return float64(b.class)*f.inv() + b.sp()*f.sp() + f.b
}

// accuracy returns the exact accuracy on d.
func (f classifier) accuracy(m Model, d Distribution) float64 {
	inv, sp := m.variances(d)
	wi, ws := f.w[:f.half()], f.w[f.half():]
	spread := math.Sqrt(floats.Dot(wi, wi)*inv + floats.Dot(ws, ws)*sp)
	var sum float64
	for _, b := range m.branches(d) {
		sum += b.share * phi(float64(b.class)*f.score(b)/spread)
	}
	return sum
}

// drawAccuracy estimates the accuracy on d from n examples.
func (f classifier) drawAccuracy(m Model, d Distribution, n int, rng *rand.Rand) float64 {
	inv, sp := m.variances(d)
	scaled := make([]float64, len(f.w))
	for j, w := range f.w {
		scaled[j] = w * math.Sqrt(pick(j < f.half(), inv, sp))
	}
	branches := m.branches(d)
	var hit int
	for i, count := range counts(branches, n) {
		class, score := float64(branches[i].class), f.score(branches[i])
		for range count {
			x := score
			for _, w := range scaled {
				x += w * rng.NormFloat64()
			}
			if class*x > 0 {
				hit++
			}
		}
	}
	return float64(hit) / float64(n)
}

// fit solves the normal equations of (1/n)Σ(w·x+b−y)² + λ‖w‖² in 2·dim
// dimensions. The samples enter only through gram, which is asked once per
// branch for Σ (z,1)(z,1)ᵀ over its examples, z standard normal: with
// (x,1) = T(z,1), where T scales z and adds the branch's mean, the branch
// contributes T·gram·Tᵀ.
func fit(m Model, n, dim int, gram func(n int) *mat.SymDense) (classifier, error) {
	d := 2 * dim
	mean := m.mean(dim)
	inv, sp := m.variances(Training)
	normal := mat.NewDense(d+1, d+1, nil)
	rhs := mat.NewVecDense(d+1, nil)
	branches := m.branches(Training)
	for i, count := range counts(branches, n) {
		affine := mat.NewDense(d+1, d+1, nil)
		affine.Set(d, d, 1)
		for j := range d {
			affine.Set(j, j, math.Sqrt(pick(j < dim, inv, sp)))
			affine.Set(j, d, mean[j]*pick(j < dim, float64(branches[i].class), branches[i].sp()))
		}
		var sum mat.Dense
		sum.Product(affine, gram(count), affine.T())
		normal.Add(normal, &sum)
		rhs.AddScaledVec(rhs, float64(branches[i].class), sum.ColView(d))
	}
	normal.Scale(1/float64(n), normal)
	rhs.ScaleVec(1/float64(n), rhs)
	for j := range d {
		normal.Set(j, j, normal.At(j, j)+m.Lambda)
	}
	var solution mat.VecDense
	if err := solution.SolveVec(normal, rhs); err != nil {
		return classifier{}, fmt.Errorf("%w: %v: %d samples do not determine the classifier: %w", ErrDegenerate, m, n, err)
	}
	raw := solution.RawVector().Data
	return classifier{w: raw[:d], b: raw[d], mean: mean}, nil
}

// drawGram returns Σ (z,1)(z,1)ᵀ over n draws of z ~ N(0, I_d); nothing of the
// samples is kept, so n may be large.
func drawGram(rng *rand.Rand, n, d int) *mat.SymDense {
	sums := make([]float64, (d+1)*(d+1))
	z := make([]float64, d+1)
	z[d] = 1
	for range n {
		for j := range d {
			z[j] = rng.NormFloat64()
		}
		for j, zj := range z {
			row := sums[j*(d+1)+j : (j+1)*(d+1)]
			for k, zk := range z[j:] {
				row[k] += zj * zk
			}
		}
	}
	// A SymDense reads the upper triangle alone.
	return mat.NewSymDense(d+1, sums)
}

// drawMoments has the law of drawGram at a cost that does not grow with n. The
// sum Σz ~ N(0, nI) is independent of the scatter Σ(z−z̄)(z−z̄)ᵀ, which is a
// Wishart variate of n−1 degrees of freedom.
func drawMoments(rng *rand.Rand, n, d int) *mat.SymDense {
	if n <= d {
		return drawGram(rng, n, d) // the scatter would be singular
	}
	identity := mat.NewSymDense(d, nil)
	for j := range d {
		identity.SetSym(j, j, 1)
	}
	wishart, ok := distmat.NewWishart(identity, float64(n-1), rng)
	if !ok {
		panic("theory: the identity is not positive definite")
	}
	var scatter mat.SymDense
	wishart.RandSymTo(&scatter)
	gram := mat.NewSymDense(d+1, nil)
	gram.SetSym(d, d, float64(n))
	for j := range d {
		gram.SetSym(j, d, math.Sqrt(float64(n))*rng.NormFloat64())
	}
	for j := range d {
		for k := range j + 1 {
			gram.SetSym(j, k, scatter.At(j, k)+gram.At(j, d)*gram.At(k, d)/float64(n))
		}
	}
	return gram
}

func pick(first bool, a, b float64) float64 {
	if first {
		return a
	}
	return b
}
