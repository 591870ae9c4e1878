// Package deletion removes the influence of training examples from a trained
// network without training it again from the start.
//
// Both ways of doing it are one step of Newton's method, θ' = θ + C⁻¹g, and
// differ in where curvature and gradient are taken: [GroupInfluence] takes the
// curvature of all data and the gradients of the deleted examples, [Newton]
// takes both from the data that remain. What is hard is C⁻¹g, for C is too
// large to write down; [LiSSA] and [CG] need only its products with vectors.
//
// The code is generic over its vectors, see [Vec]: bridge/torch's for networks,
// plain slices for its tests. It draws no random numbers and calls no model;
// the [Operator] that a caller passes does.
package deletion

import (
	"context"
	"errors"
	"fmt"
)

var (
	// ErrDiverged reports an iteration that grew without bound, or met a NaN.
	ErrDiverged = errors.New("deletion: diverged")
	// ErrIndefinite reports a curvature that, with its damping, has an
	// eigenvalue below zero.
	ErrIndefinite = errors.New("deletion: curvature is not positive")
	// ErrNoConvergence reports an iteration that ended short of its tolerance.
	ErrNoConvergence = errors.New("deletion: no convergence")
)

// A Solver sets dst to an estimate of C⁻¹v for a damped curvature C.
type Solver[V any] func(ctx context.Context, dst, v V) error

// GroupInfluence moves theta to a first-order estimate of what training
// without m of the n examples would have given:
//
//	θ' = θ + m/(n−m) · H⁻¹ ḡ
//
// where ḡ is the mean gradient of the loss, without weight decay, over the m
// deleted examples at theta, and solve applies the inverse of H, the mean
// curvature over all n, damped as the caller wishes. (Over the n−m that remain it
// differs by the order of m/n, and is as good where a caller samples it.) It
// leaves theta alone on error, and panics unless 0 < m < n.
//
// Reference: Koh, Ang, Teo and Liang, "On the Accuracy of Influence Functions
// for Measuring Group Effects", NeurIPS 2019, section 2.
func GroupInfluence[V Vec[V]](ctx context.Context, theta, grad V, m, n int, solve Solver[V]) (err error) {
	if m <= 0 || n <= m {
		panic(fmt.Sprintf("deletion: %d examples deleted of %d", m, n))
	}
	w := newWork(ctx, theta)
	defer w.close(&err)
	step := w.zeros()
	w.do(func() error { return solve(ctx, step, grad) })
	w.axpy(theta, float64(m)/float64(n-m), step)
	return w.err
}

// Newton moves theta by one Newton step on the remaining data:
//
//	θ' = θ − (G + (wd + λ)I)⁻¹ (ḡ + wd·θ)
//
// where ḡ is the mean gradient of the remaining data's loss, without weight
// decay, at theta, curvature multiplies by G, the mean curvature of the same
// loss, wd is the weight decay that was trained with, and λ is o.Damping. It
// leaves theta alone on error, and fails as [SolveCG] does.
//
// On a quadratic loss with λ = 0 it arrives where retraining does.
//
// Reference: Guo, Goldstein, Hannun and van der Maaten, "Certified Data Removal
// from Machine Learning Models", ICML 2020, section 3.1, without their noise.
func Newton[V Vec[V]](ctx context.Context, theta, grad V, curvature Operator[V], wd float64, o CG) (s Solution, err error) {
	w := newWork(ctx, theta)
	defer w.close(&err)
	g := w.clone(grad)
	w.axpy(g, wd, theta)
	step := w.zeros()
	o.Damping += wd
	w.do(func() error {
		s, err = SolveCG(ctx, step, g, curvature, o)
		return err
	})
	w.axpy(theta, -1, step)
	return s, w.err
}
