package torch

// #include "shim.h"
import "C"

import (
	"errors"
	"sync"
)

// rounding is how GPUs round the operands of float32 products. Libtorch has one
// switch for the process, and rounds those of convolutions unless told not to.
var rounding struct {
	sync.Mutex
	stacks int // that count on it
	tf32   bool
}

// hold sets the switch for s, until release.
func (s *Stack) hold(tf32 bool) error {
	if s.dev.CPU() {
		if tf32 {
			return errors.New("torch: a CPU has no tf32; use float32 or bf16")
		}
		return nil
	}
	rounding.Lock()
	defer rounding.Unlock()
	if rounding.stacks > 0 && rounding.tf32 != tf32 {
		return errors.New("torch: float32 and tf32 cannot be computed at the same time in one process; use --jobs 1")
	}
	on := C.int(0)
	if tf32 {
		on = 1
	}
	must(C.rs_set_tf32(on))
	rounding.stacks++
	rounding.tf32, s.holds = tf32, true
	return nil
}

func (s *Stack) release() {
	if s.holds {
		rounding.Lock()
		rounding.stacks--
		rounding.Unlock()
		s.holds = false
	}
}
