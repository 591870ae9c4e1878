#include "sparse.h"

#include <cstdlib>

#if defined(__x86_64__) && defined(__GNUC__) && __GNUC__ >= 11 && !defined(__clang__)
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

// Takes a part of a row of a product, whose sums stay in registers.
template <typename T>
using Part = void(const Entry* e, const Entry* end, Dense<const T> x, const float* start, float* y);

// N lanes of it.
template <int N>
INLINE void lanes(const Entry* e, const Entry* end, Dense<const float> x, const float* start, float* y) {
  Lane sum[N];
  UNROLL for (int j = 0; j < N; j++) sum[j] = Lane{};
  for (; e < end; e++) {
    const float* from = x.data + e->column * x.stride;
    UNROLL for (int j = 0; j < N; j++) sum[j] += e->value * lane(from + 16 * j);
  }
  if (start) {
    UNROLL for (int j = 0; j < N; j++) sum[j] += lane(start + 16 * j);
  }
  UNROLL for (int j = 0; j < N; j++) lane(y + 16 * j) = sum[j];
}

#define LANES(name, N)                                                                                            \
  FOR_EACH_CPU void name(const Entry* e, const Entry* end, Dense<const float> x, const float* start, float* y) {  \
    lanes<N>(e, end, x, start, y);                                                                                \
  }
LANES(lanes16, 16)
LANES(lanes6, 6)
LANES(lanes1, 1)
#undef LANES

FOR_EACH_CPU float inner_of(const float* x, const float* y, int64_t width) {
  Lane even{}, odd{};  // two sums, so that one is not waited for
  int64_t j = 0;
  for (; j + 32 <= width; j += 32) {
    even += lane(x + j) * lane(y + j);
    odd += lane(x + j + 16) * lane(y + j + 16);
  }
  if (j < width) even += lane(x + j) * lane(y + j);
  even += odd;
  float four[4];
  UNROLL for (int i = 0; i < 4; i++) four[i] = (even[i] + even[i + 4]) + (even[i + 8] + even[i + 12]);
  return (four[0] + four[1]) + (four[2] + four[3]);
}

#ifdef HAS_BF16_CPU
#define BF16_CPU __attribute__((target("avx512f,avx512bw,avx512bf16")))

// N times 32 numbers of a part, by an instruction that multiplies pairs of
// bfloat16 and adds up both products: it takes two entries, whose rows of x are
// interleaved before.
template <int N>
BF16_CPU void pairs(const Entry* e, const Entry* end, Dense<const bf16> x, const float* start, float* y) {
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

BF16_CPU float inner_of(const bf16* x, const bf16* y, int64_t width) {
  __m512 sum = _mm512_setzero_ps();
  for (int64_t j = 0; j < width; j += 32)
    sum = _mm512_dpbf16_ps(sum, (__m512bh)_mm512_loadu_si512(x + j), (__m512bh)_mm512_loadu_si512(y + j));
  return _mm512_reduce_add_ps(sum);
}
#endif

// Cuts rows into parts of a large, a middle and a small number of units.
template <typename T>
struct Cut {
  int64_t unit, large, middle;
  Part<T>*of_large, *of_middle, *of_one;
};

template <typename T>
void each_part(const Cut<T>& cut, const Matrix& m, Dense<const T> x, int64_t width, Dense<const float> start,
               Dense<float> y) {
  for (int64_t r = 0; r < m.rows(); r++) {
    const Entry *e = m.begin(r), *end = m.end(r);
    if (e == end && start.data == y.data) continue;
    for (int64_t c = 0; c < width;) {
      const int64_t left = (width - c) / cut.unit;
      const int64_t n = left >= cut.large ? cut.large : left >= cut.middle ? cut.middle : 1;
      Part<T>* const part = n == cut.large ? cut.of_large : n == cut.middle ? cut.of_middle : cut.of_one;
      const float* const from = start.data ? start.data + r * start.stride + c : nullptr;
      part(e, end, {x.data + c, x.stride}, from, y.data + r * y.stride + c);
      c += n * cut.unit;
    }
  }
}

template <typename T>
void each_inner(Matrix& m, Dense<const T> x, Dense<const T> y, int64_t width) {
  for (int64_t r = 0; r < m.rows(); r++)
    for (Entry* e = m.begin(r); e < m.end(r); e++) {
      T rounded;
      store(&rounded, inner_of(x.data + r * x.stride, y.data + e->column * y.stride, width));
      e->value = load(&rounded);
    }
}

}  // namespace

void product(const Matrix& m, Dense<const float> x, int64_t width, Dense<const float> start, Dense<float> y) {
  each_part({16, 16, 6, lanes16, lanes6, lanes1}, m, x, width, start, y);
}

void inner(Matrix& m, Dense<const float> x, Dense<const float> y, int64_t width) { each_inner(m, x, y, width); }

#ifdef HAS_BF16_CPU
bool multiplies_bf16() { return __builtin_cpu_supports("avx512bf16"); }

void product(const Matrix& m, Dense<const bf16> x, int64_t width, Dense<const float> start, Dense<float> y) {
  each_part({32, 8, 3, pairs<8>, pairs<3>, pairs<1>}, m, x, width, start, y);
}

void inner(Matrix& m, Dense<const bf16> x, Dense<const bf16> y, int64_t width) { each_inner(m, x, y, width); }
#else
bool multiplies_bf16() { return false; }
void product(const Matrix&, Dense<const bf16>, int64_t, Dense<const float>, Dense<float>) { std::abort(); }
void inner(Matrix&, Dense<const bf16>, Dense<const bf16>, int64_t) { std::abort(); }
#endif

}  // namespace sparse
