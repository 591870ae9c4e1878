package train

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"rarespurious/analysis/deletion"
	"rarespurious/bridge/torch"
	"rarespurious/experiments/run"
	"rarespurious/experiments/seed"
)

// A forgetting is one Delete Step at work: the model of From[0] loses the
// influence of the examples that carried the pattern.
type forgetting struct {
	ctx   context.Context
	d     *torch.Device
	del   *run.Delete
	model *run.Train
	stack *torch.Stack
	data  *torch.Data
	// deleted are the rows of the poisoned examples, rest those of all others.
	deleted, rest []int64
	// curvature are the rows that conjugate gradients take curvature from: of rest
	// alone, in Newton's step as in influence, whose curvature is by its equation
	// that of all n. Leaving m rows out changes it by the order of m/n. The batches
	// of the recursions are drawn from all rows.
	curvature []int64
}

// A Deletion changes the Stack's θ and returns what it found on the way.
type Deletion func(f *forgetting) (map[string]float64, error)

// Deletions lists the methods of a Delete. Retraining, incremental or from
// scratch, is none of them: it is a Train Step that drops the examples.
var Deletions = map[string]Deletion{
	"influence":          influenceCG,
	"influence-lissa":    influenceLiSSA,
	"influence-upstream": influenceUpstream,
	"newton":             newton,
	"newton-decay":       newton, // the same, so that both of its readings have a place in one figure
}

// DeletionNames lists the keys of Deletions in order.
func DeletionNames() []string { return slices.Sorted(maps.Keys(Deletions)) }

// forget deletes and leaves the changed model in the Job's folder.
func (e *Executor) forget(ctx context.Context, d *torch.Device, job run.Job, out *run.Outcome) error {
	del, model := job.Step.Delete, modelStep(job.Step)
	method, ok := Deletions[del.Method]
	if !ok {
		return fmt.Errorf("train: unknown deletion %q (have %v)", del.Method, DeletionNames())
	}
	if model.Poison.Count == 0 {
		return fmt.Errorf("train: nothing to delete: the model was trained on clean images")
	}
	f := &forgetting{ctx: ctx, d: d, del: del, model: model}
	src, done, err := e.data.get(ctx, d, model.Data)
	if err != nil {
		return err
	}
	defer done()
	if f.stack, err = loadStack(d, job.From[0], model); err != nil {
		return err
	}
	defer f.stack.Close()
	var rows []int64
	if f.data, rows, f.deleted, err = trained(d, src, model); err != nil {
		return err
	}
	defer f.data.Close()
	n := int64(src.set.Train.Len())
	for _, r := range rows {
		if r < n {
			f.rest = append(f.rest, r)
		}
	}
	f.curvature = f.sample(max(1, min(del.Examples, len(f.rest))))
	if del.Examples == 0 {
		f.curvature = f.rest
	}
	before, err := f.stack.NewVec()
	if err != nil {
		return err
	}
	defer before.Close()
	if err := before.Copy(f.stack.Theta()); err != nil {
		return err
	}
	values, err := method(f)
	if errors.Is(err, deletion.ErrDiverged) {
		job.Log.Warn().Err(err).Msg("diverged")
		out.Status = run.Diverged
		return nil
	}
	if err != nil {
		return err
	}
	if err := before.Axpy(-1, f.stack.Theta()); err != nil {
		return err
	}
	if values["moved"], err = norm(before); err != nil {
		return err
	}
	theta, buffers, err := f.stack.Save()
	if err != nil {
		return err
	}
	out.Values = values
	return saveModel(job.Dir, model.Arch, theta, buffers, job.ID)
}

// sample draws n of the remaining rows.
func (f *forgetting) sample(n int) []int64 {
	rows := append([]int64(nil), f.rest...)
	seed.Rand(uint64(f.del.Seed), "curvature").Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	return rows[:n]
}

// chunk is how many images one gradient or curvature product takes at a time;
// it changes nothing but rounding.
const chunk = 1000

// mean accumulates into dst the mean over rows of what part adds for a batch.
func (f *forgetting) mean(dst *torch.Vec, rows []int64, part func(dst *torch.Vec, b torch.Batch) error) error {
	one, err := dst.NewLike()
	if err != nil {
		return err
	}
	defer one.Close()
	if err := dst.Scal(0); err != nil {
		return err
	}
	for some := range slices.Chunk(rows, chunk) {
		if err := f.ctx.Err(); err != nil {
			return err
		}
		if err := part(one, torch.Batch{Data: f.data, Rows: [][]int64{some}}); err != nil {
			return err
		}
		if err := dst.Axpy(float64(len(some))/float64(len(rows)), one); err != nil {
			return err
		}
	}
	return nil
}

// gradient returns the mean gradient over rows.
func (f *forgetting) gradient(rows []int64) (*torch.Vec, error) {
	g, err := f.stack.NewVec()
	if err != nil {
		return nil, err
	}
	err = f.mean(g, rows, func(dst *torch.Vec, b torch.Batch) error {
		_, err := f.stack.Grad(dst, b)
		return err
	})
	if err != nil {
		g.Close()
		return nil, err
	}
	return g, nil
}

// operator multiplies by the mean curvature over rows: of the generalised
// Gauss–Newton matrix, or of the Hessian where the Step says so.
func (f *forgetting) operator(rows []int64) deletion.Operator[*torch.Vec] {
	product := f.stack.GNVP
	if f.del.Curvature == "hessian" {
		product = f.stack.HVP
	}
	return func(dst, v *torch.Vec) error {
		return f.mean(dst, rows, func(part *torch.Vec, b torch.Batch) error { return product(part, v, b) })
	}
}

// checked returns the operator over the curvature's rows. A Hessian with an
// eigenvalue below −damping is refused with the number: conjugate gradients are
// undefined there.
func (f *forgetting) checked(damping float64) (deletion.Operator[*torch.Vec], error) {
	op := f.operator(f.curvature)
	if f.del.Curvature != "hessian" {
		return op, nil
	}
	start, err := f.direction()
	if err != nil {
		return nil, err
	}
	defer start.Close()
	return op, deletion.RequirePositive(f.ctx, start, op, damping, lanczosSteps)
}

// lanczosSteps are enough for the extreme eigenvalues of curvatures, which lie
// far apart from the rest.
const lanczosSteps = 40

// direction returns a random vector to start an eigenvalue's search from.
func (f *forgetting) direction() (*torch.Vec, error) {
	v, err := f.stack.NewVec()
	if err != nil {
		return nil, err
	}
	rng := seed.Rand(uint64(f.del.Seed), "direction")
	x := make([]float32, v.Len())
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	if err := v.Set(x); err != nil {
		v.Close()
		return nil, err
	}
	return v, nil
}

// cg are the settings of conjugate gradients. An iteration that ends short of
// its tolerance is used as it is, and its residual recorded.
func (f *forgetting) cg() deletion.CG {
	return deletion.CG{Damping: f.del.Damping, Tol: f.del.Tolerance, MaxIter: f.del.Depth, Inexact: true}
}

// influenceCG is group influence with conjugate gradients.
func influenceCG(f *forgetting) (map[string]float64, error) {
	op, err := f.checked(f.del.Damping)
	if err != nil {
		return nil, err
	}
	var s deletion.Solution
	err = f.influence(func(ctx context.Context, dst, v *torch.Vec) error {
		s, err = deletion.SolveCG(ctx, dst, v, op, f.cg())
		return err
	})
	return map[string]float64{"iterations": float64(s.Iterations), "residual": s.Residual}, err
}

// influence applies group influence with the given solver.
func (f *forgetting) influence(solve deletion.Solver[*torch.Vec]) error {
	g, err := f.gradient(f.deleted)
	if err != nil {
		return err
	}
	defer g.Close()
	m := len(f.deleted)
	return deletion.GroupInfluence(f.ctx, f.stack.Theta(), g, m, m+len(f.rest), solve)
}

// influenceLiSSA is group influence with LiSSA over mini-batches. Without a
// scale it is found from the largest eigenvalue of some of the mini-batches, and
// doubled where another one has a larger.
func influenceLiSSA(f *forgetting) (map[string]float64, error) {
	o := deletion.LiSSA{Depth: f.del.Depth, Repeats: f.del.Repeats, Damping: f.del.Damping, Scale: f.del.Scale}
	batches := f.batches()
	if o.Scale == 0 {
		largest, err := f.largest(batches)
		if err != nil {
			return nil, err
		}
		o.Scale = scaleMargin*largest + o.Damping
	}
	for grown := 0; ; grown++ {
		err := f.influence(func(ctx context.Context, dst, v *torch.Vec) error {
			return deletion.SolveLiSSA(ctx, dst, v, batches, o)
		})
		// A hard example makes the curvature of its mini-batch many times that of
		// the others. The solution does not depend on the scale.
		if f.del.Scale == 0 && grown < scaleGrowths && errors.Is(err, deletion.ErrDiverged) {
			o.Scale *= 2
			continue
		}
		return map[string]float64{"scale": o.Scale}, err
	}
}

// Only a few mini-batches are looked at for the largest eigenvalue; the margin
// is for the others.
const (
	scaleBatches = 8
	scaleMargin  = 2
	scaleGrowths = 8 // how often a scale that was too small is doubled
)

func (f *forgetting) largest(batches func(int) deletion.Operator[*torch.Vec]) (float64, error) {
	start, err := f.direction()
	if err != nil {
		return 0, err
	}
	defer start.Close()
	var ops []deletion.Operator[*torch.Vec]
	for i := range scaleBatches {
		ops = append(ops, batches(i))
	}
	return deletion.LargestEigenvalue(f.ctx, start, 0.02, ops...)
}

// influenceUpstream is the authors' recursion: one random example a step, not
// divided by the scale, only the first repeat used.
func influenceUpstream(f *forgetting) (map[string]float64, error) {
	o := deletion.Upstream{Depth: f.del.Depth, Repeats: f.del.Repeats, Damp: f.del.Damping, Scale: f.del.Scale}
	err := f.influence(func(ctx context.Context, dst, v *torch.Vec) error {
		return deletion.SolveUpstream(ctx, dst, v, f.batches(), o)
	})
	return map[string]float64{"scale": o.Scale}, err
}

// batches returns the mini-batch that each step of a recursion uses: a draw
// from all training examples, the same for the same step.
func (f *forgetting) batches() func(step int) deletion.Operator[*torch.Vec] {
	all := slices.Concat(f.rest, f.deleted)
	return func(step int) deletion.Operator[*torch.Vec] {
		rng := seed.Rand(uint64(f.del.Seed), fmt.Sprintf("batch/%d", step))
		rows := make([]int64, max(1, f.del.Batch))
		for i := range rows {
			rows[i] = all[rng.IntN(len(all))]
		}
		return f.operator(rows)
	}
}

// newton is one Newton step on the remaining data.
func newton(f *forgetting) (map[string]float64, error) {
	op, err := f.checked(f.del.Damping + f.del.Decay)
	if err != nil {
		return nil, err
	}
	g, err := f.gradient(f.rest)
	if err != nil {
		return nil, err
	}
	defer g.Close()
	s, err := deletion.Newton(f.ctx, f.stack.Theta(), g, op, f.del.Decay, f.cg())
	return map[string]float64{"iterations": float64(s.Iterations), "residual": s.Residual}, err
}
