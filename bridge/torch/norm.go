package torch

// #include "norm.h"
import "C"

import (
	"unsafe"

	"rarespurious/nn"
)

// fuses reports whether batch norms are computed together with what follows
// them. It is so in training on a CPU, whose gradients are of first order.
func (f *pass) fuses() bool { return f.train && f.models == 1 && f.dev.CPU() }

// norm returns what batch norm n makes of x in training, with rest added unless
// it is nil, and through ReLU if relu.
func (f *pass) norm(n *node, x, rest tensor, relu bool) tensor {
	var add C.rs_tensor
	if rest != nil {
		add = shimTensor(rest)
	}
	var activate C.int
	if relu {
		activate = 1
	}
	var out C.rs_tensor
	must(C.rs_norm(&out, shimTensor(x), add, shimTensor(f.params[n.param]), shimTensor(f.params[n.param+1]),
		shimTensor(f.stats[n.buffer]), shimTensor(f.stats[n.buffer+1]), nn.BatchNormMomentum, nn.BatchNormEps, activate))
	return f.own(tensor(unsafe.Pointer(out)))
}
