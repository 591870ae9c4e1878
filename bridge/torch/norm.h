// Batch norm in training with what follows it, in one pass over the images.
#pragma once

#include "shim.h"

#ifdef __cplusplus
extern "C" {
#endif

// Normalises x (N, C, H, W) by its own mean and variance, scales and shifts it,
// adds rest unless that is NULL, and takes ReLU if relu is not 0:
//
//   out = relu((x - mean) / sqrt(var + eps) * gamma + beta + rest)
//
// The running statistics are moved as torch.nn.BatchNorm2d moves them. x and
// rest are on the CPU, both float32 or both bfloat16; out is in channels-last
// order, and fast if they are. The vectors (C) are float32. The gradient is of
// first order only.
int rs_norm(rs_tensor* out, rs_tensor x, rs_tensor rest, rs_tensor gamma, rs_tensor beta,
            rs_tensor running_mean, rs_tensor running_var, double momentum, double eps, int relu);

#ifdef __cplusplus
}
#endif
