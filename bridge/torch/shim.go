package torch

// #cgo CXXFLAGS: -std=c++17 -O3 -DRSC_NO_COMPAT
// #cgo LDFLAGS: -ltorch_cpu -lc10 -ldl
// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"unsafe"

	"github.com/sugarme/gotch/libtch"
)

// A tensor is gotch's handle on an at::Tensor. It is used instead of gotch's
// ts.Tensor, which allocates 100 kB of Go memory per operation.
type tensor = libtch.Ctensor

// thrown carries an error of libtorch from deep inside a computation to the
// exported function that began it; see catch.
type thrown struct{ err error }

// catch turns a thrown error into *err. It is deferred by exported functions.
func catch(err *error) {
	switch r := recover().(type) {
	case nil:
	case thrown:
		*err = r.err
	default:
		panic(r)
	}
}

// must throws if one of the shim's functions returned a failure.
func must(code C.int) {
	if code != 0 {
		panic(thrown{fault(C.GoString(C.rs_error()))})
	}
}

// throwLast throws gotch's last error on this thread, if there is one.
func throwLast() {
	if p := libtch.GetAndResetLastErr(); p != nil {
		msg := C.GoString((*C.char)(unsafe.Pointer(p)))
		C.free(unsafe.Pointer(p))
		panic(thrown{fault(msg)})
	}
}

// Version returns the version of the libtorch in use: "2.11.0".
func Version() string { return C.GoString(C.rs_version()) }

// CPUCapability returns the instruction set that libtorch's kernels use on
// this machine: "AVX2", "AVX512", "DEFAULT".
func CPUCapability() string { return C.GoString(C.rs_cpu_capability()) }
