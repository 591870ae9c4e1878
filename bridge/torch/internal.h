// What the shim's C++ files share.
#pragma once

#include "shim.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdint>

inline at::Tensor& tensor(rs_tensor t) { return *static_cast<at::Tensor*>(t); }

struct Plane {  // one image in memory, as float or as bytes
  const uint8_t* bytes = nullptr;
  const float* floats = nullptr;
};

// Returns the (C, H, W) values of a row of base, or of extra, which is behind it.
inline Plane plane(const rs_images& images, int64_t row) {
  const at::Tensor& base = tensor(images.base);
  const int64_t size = base.numel() / base.size(0);
  Plane p;
  if (row >= base.size(0)) {
    p.floats = tensor(images.extra).const_data_ptr<float>() + (row - base.size(0)) * size;
  } else if (base.scalar_type() == at::kByte) {
    p.bytes = base.const_data_ptr<uint8_t>() + row * size;
  } else {
    p.floats = base.const_data_ptr<float>() + row * size;
  }
  return p;
}

// Calls f(i, image order[i]) for each of a batch's images. They lie anywhere in
// memory, so one that comes soon is asked for before.
template <typename F>
void each_plane(const rs_images& images, const int64_t* order, int64_t n, F f) {
  const int64_t size = tensor(images.base).numel() / tensor(images.base).size(0);
  for (int64_t i = 0; i < n; i++) {
    if (i + 4 < n) {
      const Plane p = plane(images, order[i + 4]);
      const char* at = p.bytes ? reinterpret_cast<const char*>(p.bytes) : reinterpret_cast<const char*>(p.floats);
      for (int64_t b = 0; b < (p.bytes ? size : 4 * size); b += 64) __builtin_prefetch(at + b);
    }
    f(i, plane(images, order[i]));
  }
}

// Sets out (size) to an image, bytes divided by 255.
inline void copy_plane(float* out, Plane p, int64_t size) {
  if (p.floats) {
    std::copy(p.floats, p.floats + size, out);
    return;
  }
  for (int64_t i = 0; i < size; i++) out[i] = float(p.bytes[i]) / 255.0f;
}

// Throws if order[0..n) names an image that there is not.
inline void check_order(const rs_images& images, const int64_t* order, int64_t n) {
  const int64_t rows = tensor(images.base).size(0) + (images.extra ? tensor(images.extra).size(0) : 0);
  for (int64_t i = 0; i < n; i++)
    TORCH_CHECK(order[i] >= 0 && order[i] < rows, "image ", order[i], " of ", rows);
}

// Updates parts of one flat vector; step, on the device, counts updates.
void update(at::TensorList theta, at::TensorList grad, at::TensorList m, at::TensorList v, const at::Tensor& step,
            const rs_hyper& h);

// Clips a gradient in place.
void clip(const at::Tensor& grad, const rs_hyper& h);
