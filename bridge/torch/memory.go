package torch

// #cgo CFLAGS: -D_GNU_SOURCE
// #include <dlfcn.h>
// #include <stddef.h>
//
// // What libtorch_cuda.so was linked to, whatever its version, is in the process
// // once that library is loaded.
// static size_t cuda_free_memory(int device) {
//   int (*set)(int) = (int (*)(int))dlsym(RTLD_DEFAULT, "cudaSetDevice");
//   int (*info)(size_t*, size_t*) = (int (*)(size_t*, size_t*))dlsym(RTLD_DEFAULT, "cudaMemGetInfo");
//   size_t left = 0, total = 0;
//   if (!set || !info || set(device) != 0 || info(&left, &total) != 0) return 0;
//   return left;
// }
import "C"

// FreeMemory returns how many bytes of a GPU's memory nobody uses, or 0 if that
// is not known; of the CPU it is not.
func (d *Device) FreeMemory() int64 {
	if d.CPU() {
		return 0
	}
	return int64(C.cuda_free_memory(C.int(d.index)))
}
