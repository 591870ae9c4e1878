#pragma once
// TorchScript modules that were not written by Python: made from a state dict
// and source text.
#include "shim.h"
#ifdef __cplusplus
extern "C" {
#endif

// Saves at path a module in inference mode that has the n given tensors, under
// dotted names like those of a state dict, the first params of them as
// parameters and the rest as buffers, and the methods that source defines.
// Returns 0, or 1 and leaves a message, per thread, for rs_error.
int rs_script_save(const char* path, const char** names, const rs_tensor* tensors, int n, int params,
                   const char* source);

#ifdef __cplusplus
}
#endif
