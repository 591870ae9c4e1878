// Package torch runs networks on libtorch, through gotch.
//
// Its unit is a [Stack]: M models of one architecture in lockstep, whose
// parameters are one vector θ of shape (M, P) on the device. Images are on the
// device once, in a [Data]; a model sees them through its own order of
// indices, so a training step moves nothing but that order. Everything else is
// a [Vec], a vector of θ's shape: a gradient, a Hessian-vector product, an
// optimizer's moments.
//
// Libtorch keeps its gradient mode, thread counts and floating-point mode per
// OS thread. So all work happens inside [Run], which locks one thread, prepares
// it, and turns what libtorch throws into an error. A Device and everything
// made from it belong to that call; only a Data may be shared between several.
package torch
