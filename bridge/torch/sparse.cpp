#include "sparse.h"

#include <cstdlib>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#include <immintrin.h>
#define HAS_BF16_CPU
#endif

namespace sparse {

void Matrix::reset(int64_t rows, int64_t columns) {
  starts.assign(1, 0);
  starts.reserve(rows + 1);
  if (int64_t(entries.size()) < rows * columns) entries.resize(rows * columns);
}

void Matrix::transpose(const Matrix& m, int64_t columns) {
  // starts[c + 1] is where column c begins, then where its next entry goes, and
  // in the end where it ends.
  const Entry* const all = m.entries.data();
  const int64_t n = m.starts.back();
  starts.assign(columns + 2, 0);
  for (int64_t i = 0; i < n; i++) starts[all[i].column + 2]++;
  for (int64_t c = 0; c < columns; c++) starts[c + 2] += starts[c + 1];
  if (int64_t(entries.size()) < n) entries.resize(n);
  for (int64_t r = 0; r < m.rows(); r++)
    for (const Entry *e = m.begin(r), *end = m.end(r); e < end; e++)
      entries[starts[e->column + 1]++] = {int32_t(r), e->value};
  starts.pop_back();
}

namespace {

// An array lies in registers only if loops over it are unrolled early.
#define UNROLL _Pragma("GCC unroll 16")

// Sixteen numbers, in as many registers as they need.
typedef float Lane __attribute__((vector_size(64), aligned(4), may_alias));

INLINE const Lane& lane(const float* p) { return *reinterpret_cast<const Lane*>(p); }
INLINE Lane& lane(float* p) { return *reinterpret_cast<Lane*>(p); }

// Takes a part of a row, whose sums stay in registers: 32 N numbers of y.
template <typename T>
using Part = void(const Entry* e, const Entry* end, Dense<const T> x, const float* start, float* y);

template <int N>
INLINE void part(const Entry* e, const Entry* end, Dense<const float> x, const float* start, float* y) {
  Lane sum[2 * N];
  UNROLL for (int j = 0; j < 2 * N; j++) sum[j] = Lane{};
  for (; e < end; e++) {
    const float* from = x.data + e->column * x.stride;
    UNROLL for (int j = 0; j < 2 * N; j++) sum[j] += e->value * lane(from + 16 * j);
  }
  if (start) {
    UNROLL for (int j = 0; j < 2 * N; j++) sum[j] += lane(start + 16 * j);
  }
  UNROLL for (int j = 0; j < 2 * N; j++) lane(y + 16 * j) = sum[j];
}

#define PART(name, N)                                                                                             \
  FOR_EACH_CPU void name(const Entry* e, const Entry* end, Dense<const float> x, const float* start, float* y) {  \
    part<N>(e, end, x, start, y);                                                                                 \
  }
PART(eight, 8)
PART(three, 3)
PART(one, 1)
#undef PART

#ifdef HAS_BF16_CPU
// The same for bfloat16, by an instruction that multiplies pairs of them and adds
// up both products: it takes two entries, whose rows of x are interleaved before.
template <int N>
__attribute__((target("avx512f,avx512bw,avx512bf16"))) void pairs(const Entry* e, const Entry* end, Dense<const bf16> x,
                                                                  const float* start, float* y) {
  __m512 low[N], high[N];  // sums of the first, third, … and of the other fours of numbers
  UNROLL for (int j = 0; j < N; j++) low[j] = high[j] = _mm512_setzero_ps();
  for (; e < end; e += 2) {
    const Entry second = e + 1 < end ? e[1] : Entry{e->column, 0};
    const bf16 *a = x.data + e->column * x.stride, *b = x.data + second.column * x.stride;
    uint32_t u, v;
    std::memcpy(&u, &e->value, 4);
    std::memcpy(&v, &second.value, 4);
    const auto values = (__m512bh)_mm512_set1_epi32(int(u >> 16 | (v & 0xffff0000)));
    UNROLL for (int j = 0; j < N; j++) {
      const __m512i p = _mm512_loadu_si512(a + 32 * j), q = _mm512_loadu_si512(b + 32 * j);
      low[j] = _mm512_dpbf16_ps(low[j], (__m512bh)_mm512_unpacklo_epi16(p, q), values);
      high[j] = _mm512_dpbf16_ps(high[j], (__m512bh)_mm512_unpackhi_epi16(p, q), values);
    }
  }
  const __m512i first = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
  const __m512i second = _mm512_add_epi32(first, _mm512_set1_epi32(8));
  UNROLL for (int j = 0; j < N; j++) {
    __m512 one = _mm512_permutex2var_ps(low[j], first, high[j]), two = _mm512_permutex2var_ps(low[j], second, high[j]);
    if (start) {
      one = _mm512_add_ps(one, _mm512_loadu_ps(start + 32 * j));
      two = _mm512_add_ps(two, _mm512_loadu_ps(start + 32 * j + 16));
    }
    _mm512_storeu_ps(y + 32 * j, one);
    _mm512_storeu_ps(y + 32 * j + 16, two);
  }
}
#endif

template <typename T>
void each_part(const Matrix& m, Dense<const T> x, int64_t width, Dense<const float> start, Dense<float> y,
               Part<T>* of_eight, Part<T>* of_three, Part<T>* of_one) {
  for (int64_t r = 0; r < m.rows(); r++) {
    const Entry *e = m.begin(r), *end = m.end(r);
    if (e == end && start.data == y.data) continue;
    for (int64_t c = 0; c < width;) {
      const int64_t blocks = (width - c) / 32, n = blocks >= 8 ? 8 : blocks >= 3 ? 3 : 1;
      Part<T>* const of = n == 8 ? of_eight : n == 3 ? of_three : of_one;
      of(e, end, {x.data + c, x.stride}, start.data ? start.data + r * start.stride + c : nullptr, y.data + r * y.stride + c);
      c += 32 * n;
    }
  }
}

}  // namespace

void product(const Matrix& m, Dense<const float> x, int64_t width, Dense<const float> start, Dense<float> y) {
  each_part<float>(m, x, width, start, y, eight, three, one);
}

bool multiplies_bf16() {
#ifdef HAS_BF16_CPU
  return __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

void product(const Matrix& m, Dense<const bf16> x, int64_t width, Dense<const float> start, Dense<float> y) {
#ifdef HAS_BF16_CPU
  each_part<bf16>(m, x, width, start, y, pairs<8>, pairs<3>, pairs<1>);
#else
  std::abort();
#endif
}

}  // namespace sparse
