package torch

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"github.com/sugarme/gotch/libtch"
)

// ErrNoDevice reports that the machine, or the libtorch in use, lacks a device.
var ErrNoDevice = errors.New("torch: no such device")

// A Device is where tensors live, together with the locked OS thread that
// works on them. It is valid inside the [Run] that made it.
type Device struct {
	name  string
	index int32 // as gotch has it: -1 is the CPU, else the number of a GPU
}

func (d *Device) String() string { return d.name }

// CPU reports whether d is the CPU.
func (d *Device) CPU() bool { return d.index < 0 }

// Options say how a Run prepares its thread.
type Options struct {
	// Threads is libtorch's number of threads for one operation on the CPU; 0
	// means 1. With one, results are the same bits whatever runs beside.
	Threads int
}

// Run calls f on a fresh OS thread that nothing else uses, with the device
// called name: "cpu", "cuda" or "cuda:N". It returns f's error, or one that
// wraps [ErrNoDevice], or what libtorch threw; a panic inside f becomes an
// error with its stack, so that one bad run does not end a sweep.
//
// The thread ends with the call. That matters: libtorch's gradient mode and
// error state must not leak into another goroutine's thread.
func Run(name string, o Options, f func(*Device) error) error {
	index, err := parseDevice(name)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		result := errors.New("torch: the work ended its goroutine")
		defer func() { done <- result }()
		result = protect(func() error {
			C.rs_thread_init(C.int(max(1, o.Threads)))
			if err := openDevice(name, index); err != nil {
				return err
			}
			return f(&Device{name: name, index: index})
		})
	}()
	return <-done
}

func protect(f func() error) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case thrown:
			err = r.err
		default:
			stack := make([]byte, 16<<10)
			err = fmt.Errorf("torch: panic: %v\n%s", r, stack[:runtime.Stack(stack, false)])
		}
	}()
	return f()
}

func parseDevice(name string) (int32, error) {
	switch {
	case name == "cpu":
		return -1, nil
	case name == "cuda":
		return 0, nil
	}
	if n, ok := strings.CutPrefix(name, "cuda:"); ok {
		if i, err := strconv.ParseUint(n, 10, 8); err == nil {
			return int32(i), nil
		}
	}
	return 0, fmt.Errorf("%w: %q (want cpu, cuda or cuda:N)", ErrNoDevice, name)
}

// openDevice loads libtorch's CUDA half when a GPU is asked for: the program
// is linked without it and runs on machines that have none.
func openDevice(name string, index int32) error {
	if index < 0 {
		return nil
	}
	if C.rs_load_cuda() != 0 {
		return fmt.Errorf("%w: %s needs libtorch_cuda.so of libtorch %s: make setup CUDA=1 fetches it, or put the folder of one, such as site-packages/torch/lib of that PyTorch, on LD_LIBRARY_PATH, or use cpu (%s)",
			ErrNoDevice, name, Version(), C.GoString(C.rs_error()))
	}
	if n := int32(C.rs_cuda_device_count()); index >= n {
		return fmt.Errorf("%w: %s: libtorch sees %d GPUs (driver, CUDA_VISIBLE_DEVICES?)", ErrNoDevice, name, n)
	}
	return nil
}

// CUDADevices reports how many GPUs libtorch sees, and why none if it cannot
// look.
func CUDADevices() (int, error) {
	if C.rs_load_cuda() != 0 {
		return 0, fmt.Errorf("%w: %s", ErrNoDevice, C.GoString(C.rs_error()))
	}
	return int(C.rs_cuda_device_count()), nil
}

func freeArray(p *libtch.Ctensor) { C.free(unsafe.Pointer(p)) }
