package torch_test

import (
	"errors"
	"strings"
	"testing"

	"rarespurious/bridge/torch"
)

// Without a GPU every CUDA device is refused in one sentence that says what to
// do; with some, those behind the last.
func TestCUDADevices(t *testing.T) {
	n, why := torch.CUDADevices()
	for _, name := range []string{"cuda", "cuda:0", "cuda:9", "cuda:255"} {
		err := torch.Run(name, torch.Options{}, func(*torch.Device) error { return nil })
		if err == nil && n > 0 {
			continue
		}
		if !errors.Is(err, torch.ErrNoDevice) || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want one line that names it and wraps ErrNoDevice", name, err)
		}
		if why == nil {
			continue // libtorch_cuda.so is there
		}
		for _, word := range []string{"libtorch_cuda.so", "LD_LIBRARY_PATH", torch.Version(), "use cpu"} {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %v does not speak of %s", name, err, word)
			}
		}
	}
}

func TestDeviceNames(t *testing.T) {
	for _, name := range []string{"gpu", "cuda:256", "cuda:-1", "cuda:", "cuda:0x1", "cuda:1 ", "CUDA:0", "cpu:0", ""} {
		err := torch.Run(name, torch.Options{}, func(*torch.Device) error { return nil })
		if !errors.Is(err, torch.ErrNoDevice) || !strings.Contains(err.Error(), "want cpu, cuda or cuda:N") {
			t.Errorf("%q: %v, want ErrNoDevice with the names there are", name, err)
		}
	}
}

// Nothing is known of a CPU's free memory: no Stack is sized by it.
func TestFreeMemory(t *testing.T) {
	onCPU(t, func(d *torch.Device) error {
		if n := d.FreeMemory(); n != 0 {
			t.Errorf("%d bytes free", n)
		}
		return nil
	})
}
