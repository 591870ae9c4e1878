// A convolution with the max pool behind it, in training.
#pragma once

#include "shim.h"

#ifdef __cplusplus
extern "C" {
#endif

// A square window that moves over images; all in pixels.
typedef struct {
  int64_t side, stride, pad;
} rs_window;

// Reports whether this processor can take x as bfloat16 below.
int rs_conv_pool_bf16(void);

// Makes *out = maxpool(conv(x, weight) + bias) of x (N, C, H, W), on the CPU,
// float32 or bfloat16; out has the type of x. weight (O, C, k, k) and bias (O) are
// float32, and k·C is a multiple of 32. It is fast if x is in channels-last order
// and the weights fit in a core's cache. The gradient is of first order only.
int rs_conv_pool(rs_tensor* out, rs_tensor x, rs_tensor weight, rs_tensor bias, rs_window conv,
                 rs_window pool);

#ifdef __cplusplus
}
#endif
