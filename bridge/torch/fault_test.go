package torch

import (
	"errors"
	"testing"
)

// The first two texts are libtorch 2.11's, the third is from its documentation
// of CUDA's allocator.
func TestFault(t *testing.T) {
	for _, c := range []struct {
		text, want string
		memory     bool
	}{
		{"[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 210453397504 bytes. Error code 12 (Cannot allocate memory)\nframe #0: c10::ThrowEnforceNotMet(char const*, int) + 0x6a (0x7f7e in libc10.so)\nframe #1: x",
			"torch: not enough memory for 210 GB more; " + less, true},
		{"The size of tensor a (3) must match the size of tensor b (4) at non-singleton dimension 0\nException raised from infer_size_impl at ExpandUtils.cpp:31 (most recent call first):\nframe #0: x",
			"torch: The size of tensor a (3) must match the size of tensor b (4) at non-singleton dimension 0", false},
		{"CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 79.15 GiB of which 5.12 MiB is free.",
			"torch: not enough memory for 20.00 MiB more; " + less, true},
		{"std::bad_alloc", "torch: not enough memory; " + less, true},
		{"first\nsecond", "torch: first\nsecond", false},
	} {
		err := fault(c.text)
		if err.Error() != c.want || errors.Is(err, ErrMemory) != c.memory {
			t.Errorf("%.40s… became %q, want %q", c.text, err, c.want)
		}
	}
}
