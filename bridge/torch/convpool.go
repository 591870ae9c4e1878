package torch

// #include "convpool.h"
import "C"

import "unsafe"

// poolsSparsely reports whether the gradient of convolution n, in front of a max
// pool, is taken value by value: if the processor can, rows of windows fill
// vector registers, and weights a core's cache at most.
func (f *pass) poolsSparsely(n *node) bool {
	weights := n.in.C * n.K * n.K * n.Out
	return f.fuses() && n.Bias && n.in.C*n.K%32 == 0 && weights <= 64<<10 && (!f.bf16 || convPoolTakesBF16())
}

func convPoolTakesBF16() bool { return C.rs_conv_pool_bf16() != 0 }

// convPool returns what convolution n and the max pool behind it make of x in
// training.
func (f *pass) convPool(n, pool *node, x tensor) tensor {
	window := func(n *node) C.rs_window {
		return C.rs_window{side: C.int64_t(n.K), stride: C.int64_t(n.Stride), pad: C.int64_t(n.Pad)}
	}
	var out C.rs_tensor
	must(C.rs_conv_pool(&out, shimTensor(x), shimTensor(f.params[n.param]), shimTensor(f.params[n.param+1]), window(n), window(pool)))
	return f.own(tensor(unsafe.Pointer(out)))
}
