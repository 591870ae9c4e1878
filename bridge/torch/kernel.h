// What the shim's own loops over numbers are written with.
#pragma once

#include <cstdint>
#include <cstring>

// Loops are compiled for several instruction sets, and the processor's own is
// taken when the program starts.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EACH_CPU __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_EACH_CPU
#endif
#define INLINE inline __attribute__((always_inline))

struct bf16 {
  uint16_t bits;
};

INLINE float load(const float* p) { return *p; }
INLINE float load(const bf16* p) {
  const uint32_t u = uint32_t(p->bits) << 16;
  float f;
  std::memcpy(&f, &u, 4);
  return f;
}
INLINE void store(float* p, float v) { *p = v; }
INLINE void store(bf16* p, float v) {  // to the nearest, ties to even
  uint32_t u;
  std::memcpy(&u, &v, 4);
  const uint32_t rounded = (u + 0x7fff + ((u >> 16) & 1)) >> 16;
  p->bits = uint16_t(v != v ? 0x7fc0 : rounded);
}

// Calls f with a null pointer of the type that x's values have, float or bf16.
template <typename Tensor, typename F>
void by_type(const Tensor& x, F f) {
  if (x.element_size() == 4) {
    f(static_cast<float*>(nullptr));
  } else {
    f(static_cast<bf16*>(nullptr));
  }
}
