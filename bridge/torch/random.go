package torch

// #include "shim.h"
import "C"

import "unsafe"

// A generator makes the normal and Bernoulli numbers of one model's epoch.
type generator struct{ g unsafe.Pointer }

func newGenerator(like tensor, seed uint64) *generator {
	g := new(generator)
	must(C.rs_generator_new(&g.g, shimTensor(like), C.uint64_t(seed)))
	return g
}

func (g *generator) close() {
	C.rs_generator_free(g.g)
	g.g = nil
}

// addNoise returns x + sd·N(0, 1), a fresh draw for every element.
func (s *scope) addNoise(x tensor, sd float64, g *generator) tensor {
	var out C.rs_tensor
	must(C.rs_add_noise(&out, shimTensor(x), C.double(sd), g.g))
	return s.own(tensor(unsafe.Pointer(out)))
}

func (s *scope) dropout(x tensor, rate float64, g *generator) tensor {
	var out C.rs_tensor
	must(C.rs_dropout(&out, shimTensor(x), C.double(rate), g.g))
	return s.own(tensor(unsafe.Pointer(out)))
}

// overlay returns clip(x + delta, 0, 1), computed in float64 and rounded once;
// delta is float64 (C, H, W).
func (s *scope) overlay(x, delta tensor) tensor {
	var out C.rs_tensor
	must(C.rs_overlay(&out, shimTensor(x), shimTensor(delta)))
	return s.own(tensor(unsafe.Pointer(out)))
}
