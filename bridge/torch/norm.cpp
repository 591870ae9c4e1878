#include "norm.h"

#include "guard.h"
#include "internal.h"
#include "kernel.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

// libtorch's kernels for batch norm, ReLU and the sum of a residual block each
// read and write the activations once or more, and on a CPU that traffic is a
// fifth of a ResNet's training time. Here two passes forward and two backward
// do all of it.

using at::Tensor;

namespace {

// Images as rows of channels, several rows side by side so that a line fills
// vector registers also where channels are few. What is left over is a last line
// that is shorter.
struct Shape {
  int64_t rows, channels;
  int64_t width() const { return channels * std::max<int64_t>(1, 64 / channels); }
  int64_t size() const { return rows * channels; }
};

// A block of lines is summed in float32, the blocks in float64.
constexpr int64_t block = 64;

struct Pair {
  float first, second;
};

// Adds the sums of the columns of a line of width w to the channels' totals.
INLINE void fold(const float* line, int64_t w, int64_t channels, double* total) {
  for (int64_t j = 0; j < w; j++) total[j % channels] += line[j];
}

// Adds two sums per channel: pair(i, j) gives what value i, in column j of its
// line, adds to the first and to the second.
template <typename F>
INLINE void sum_pairs(Shape s, double* first, double* second, F pair) {
  const int64_t w = s.width(), n = s.size();
  std::vector<float> a(w), b(w);
  float *__restrict pa = a.data(), *__restrict pb = b.data();
  for (int64_t at = 0; at < n;) {
    std::fill(a.begin(), a.end(), 0.0f);
    std::fill(b.begin(), b.end(), 0.0f);
    for (int64_t line = 0; line < block && at < n; line++) {
      const int64_t len = std::min(w, n - at);
      for (int64_t j = 0; j < len; j++) {
        const Pair p = pair(at + j, j);
        pa[j] += p.first;
        pb[j] += p.second;
      }
      at += len;
    }
    fold(pa, w, s.channels, first);
    fold(pb, w, s.channels, second);
  }
}

// sum = Σ(x - shift), square = Σ(x - shift)² per channel.
template <typename T>
INLINE void moments(const T* __restrict x, Shape s, const float* __restrict shift, double* sum, double* square) {
  sum_pairs(s, sum, square, [=](int64_t i, int64_t j) __attribute__((always_inline)) {
    const float v = load(x + i) - shift[j];
    return Pair{v, v * v};
  });
}

// Constants of one batch norm, per column of a line.
struct Columns {
  const float *__restrict mean, *__restrict scale, *__restrict offset;
};

// y = relu((x - mean)·scale + offset + rest)
template <typename T>
INLINE void normalise(const T* __restrict x, const T* __restrict rest, T* __restrict y, Shape s, Columns c, bool relu) {
  const int64_t w = s.width(), n = s.size();
  const float least = relu ? 0.0f : -INFINITY;
  for (int64_t at = 0; at < n; at += w) {
    const int64_t len = std::min(w, n - at);
    for (int64_t j = 0; j < len; j++) {
      float v = (load(x + at + j) - c.mean[j]) * c.scale[j] + c.offset[j];
      if (rest) v += load(rest + at + j);
      store(y + at + j, v < least ? least : v);  // not a number stays what it is
    }
  }
}

// Value i of what the gradient dy of an output is before ReLU; j is its column.
// Where something was added, the output y tells which units are off; else x
// does, which is read anyway.
template <typename T, bool relu, bool added>
INLINE float behind(const T* dy, const T* y, const T* x, const Columns& c, int64_t i, int64_t j) {
  const float v = load(dy + i);
  if (!relu) return v;
  const float out = added ? load(y + i) : (load(x + i) - c.mean[j]) * c.scale[j] + c.offset[j];
  return out > 0 ? v : 0.0f;
}

// sum = Σg, dot = Σ g·(x - mean), where g is dy before ReLU; it is written where
// something was added, whose gradient it is.
template <typename T, bool relu, bool added>
INLINE void gradients(const T* __restrict dy, const T* __restrict y, const T* __restrict x, T* __restrict g, Shape s,
                      Columns c, double* sum, double* dot) {
  sum_pairs(s, sum, dot, [=](int64_t i, int64_t j) __attribute__((always_inline)) {
    const float v = behind<T, relu, added>(dy, y, x, c, i, j);
    if (added) store(g + i, v);
    return Pair{v, v * (load(x + i) - c.mean[j])};
  });
}

// dx = g·scale + (x - mean)·slope + shift, where g is dy before ReLU.
template <typename T, bool relu>
INLINE void spread(const T* __restrict dy, const T* __restrict x, T* __restrict dx, Shape s, Columns c,
                   const float* __restrict slope, const float* __restrict shift) {
  const int64_t w = s.width(), n = s.size();
  for (int64_t at = 0; at < n; at += w) {
    const int64_t len = std::min(w, n - at);
    for (int64_t j = 0; j < len; j++) {
      const int64_t i = at + j;
      const float v = behind<T, relu, false>(dy, nullptr, x, c, i, j);
      store(dx + i, v * c.scale[j] + (load(x + i) - c.mean[j]) * slope[j] + shift[j]);
    }
  }
}

#define BOTH(T)                                                                                                   \
  FOR_EACH_CPU void moments_of(const T* x, Shape s, const float* shift, double* sum, double* square) {            \
    moments(x, s, shift, sum, square);                                                                            \
  }                                                                                                               \
  FOR_EACH_CPU void normalise_all(const T* x, const T* rest, T* y, Shape s, Columns c, bool relu) {               \
    normalise(x, rest, y, s, c, relu);                                                                            \
  }                                                                                                               \
  FOR_EACH_CPU void gradients_of(const T* dy, const T* y, const T* x, T* g, Shape s, Columns c, bool relu,        \
                                 double* sum, double* dot) {                                                      \
    if (relu && g) return gradients<T, true, true>(dy, y, x, g, s, c, sum, dot);                                  \
    if (relu) return gradients<T, true, false>(dy, y, x, g, s, c, sum, dot);                                      \
    gradients<T, false, false>(dy, y, x, g, s, c, sum, dot);                                                      \
  }                                                                                                               \
  FOR_EACH_CPU void spread_all(const T* dy, const T* x, T* dx, Shape s, Columns c, bool relu, const float* slope, \
                               const float* shift) {                                                              \
    if (relu) return spread<T, true>(dy, x, dx, s, c, slope, shift);                                              \
    spread<T, false>(dy, x, dx, s, c, slope, shift);                                                              \
  }
BOTH(float)
BOTH(bf16)
#undef BOTH

// Values per channel, repeated over a line.
template <typename F>
std::vector<float> line(Shape s, F of) {
  std::vector<float> v(s.width());
  for (int64_t j = 0; j < int64_t(v.size()); j++) v[j] = float(of(j % s.channels));
  return v;
}

// The constants of (x - mean)/deviation·gamma + beta.
struct Affine {
  std::vector<float> mean, scale, offset;
  Affine(Shape s, const float* m, const float* inverse, const float* gamma, const float* beta)
      : mean(line(s, [&](int64_t c) { return m[c]; })),
        scale(line(s, [&](int64_t c) { return inverse[c] * gamma[c]; })),
        offset(line(s, [&](int64_t c) { return beta[c]; })) {}
  Columns columns() const { return {mean.data(), scale.data(), offset.data()}; }
};

Shape shape(const Tensor& x) { return {x.size(0) * x.size(2) * x.size(3), x.size(1)}; }

template <typename T>
T* data(const Tensor& t) {
  return t.defined() ? static_cast<T*>(t.data_ptr()) : nullptr;
}

struct Norm : torch::autograd::Function<Norm> {
  static Tensor forward(torch::autograd::AutogradContext* ctx, const Tensor& images, const std::optional<Tensor>& added,
                        const Tensor& gamma, const Tensor& beta, Tensor running_mean, Tensor running_var,
                        double momentum, double eps, bool relu) {
    TORCH_CHECK(images.is_cpu() && images.dim() == 4, "norm: not images on the CPU");
    TORCH_CHECK(images.scalar_type() == at::kFloat || images.scalar_type() == at::kBFloat16, "norm: type of images");
    TORCH_CHECK(!added || (added->sizes() == images.sizes() && added->scalar_type() == images.scalar_type()),
                "norm: what is added is unlike the images");
    const auto format = at::MemoryFormat::ChannelsLast;
    const Tensor x = images.contiguous(format), rest = added ? added->contiguous(format) : Tensor();
    const Shape s = shape(x);
    TORCH_CHECK(s.rows > 1, "norm: one value per channel has no variance");
    const int64_t C = s.channels;
    const auto g = gamma.contiguous(), b = beta.contiguous();
    const float *pg = g.const_data_ptr<float>(), *pb = b.const_data_ptr<float>();

    Tensor y = at::empty_like(x), mean = at::empty({C}, at::kFloat), inverse = at::empty({C}, at::kFloat);
    float *pm = mean.mutable_data_ptr<float>(), *pi = inverse.mutable_data_ptr<float>();  // 1/deviation
    std::vector<double> sum(C), square(C);
    by_type(x, [&](auto* of) {
      using T = std::remove_pointer_t<decltype(of)>;
      // Moments about the first value lose no digits where the mean is large.
      const T* in = data<T>(x);
      moments_of(in, s, line(s, [&](int64_t c) { return load(in + c); }).data(), sum.data(), square.data());
      float *rm = running_mean.mutable_data_ptr<float>(), *rv = running_var.mutable_data_ptr<float>();
      const double n = double(s.rows);
      for (int64_t c = 0; c < C; c++) {
        const double by = sum[c] / n, var = std::max(0.0, square[c] / n - by * by);
        pm[c] = float(load(in + c) + by);
        pi[c] = float(1 / std::sqrt(var + eps));
        rm[c] = float((1 - momentum) * rm[c] + momentum * pm[c]);
        rv[c] = float((1 - momentum) * rv[c] + momentum * var * n / (n - 1));
      }
      normalise_all(in, data<T>(rest), data<T>(y), s, Affine(s, pm, pi, pg, pb).columns(), relu);
    });
    ctx->save_for_backward({x, relu && rest.defined() ? y : Tensor(), g, b, mean, inverse});
    ctx->saved_data["relu"] = relu;
    ctx->saved_data["rest"] = rest.defined();
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx,
                                                 torch::autograd::variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor &x = saved[0], &y = saved[1], &gamma = saved[2], &beta = saved[3], &mean = saved[4], &inverse = saved[5];
    const bool relu = ctx->saved_data["relu"].toBool(), rest = ctx->saved_data["rest"].toBool();
    const Tensor dy = grads[0].contiguous(at::MemoryFormat::ChannelsLast);
    const Shape s = shape(x);
    const int64_t C = s.channels;
    const float *pg = gamma.const_data_ptr<float>(), *pi = inverse.const_data_ptr<float>();
    const Affine affine(s, mean.const_data_ptr<float>(), pi, pg, beta.const_data_ptr<float>());
    Tensor dgamma = at::empty({C}, at::kFloat), dbeta = at::empty({C}, at::kFloat), dx = at::empty_like(x);
    float *pdg = dgamma.mutable_data_ptr<float>(), *pdb = dbeta.mutable_data_ptr<float>();
    // The gradient of what was added, which is dy itself without ReLU.
    Tensor drest = !rest ? Tensor() : relu ? at::empty_like(x) : dy;
    std::vector<double> sum(C), dot(C);
    by_type(x, [&](auto* of) {
      using T = std::remove_pointer_t<decltype(of)>;
      T* g = relu ? data<T>(drest) : nullptr;
      gradients_of(data<T>(dy), data<T>(y), data<T>(x), g, s, affine.columns(), relu, sum.data(), dot.data());
      for (int64_t c = 0; c < C; c++) {
        pdb[c] = float(sum[c]);
        pdg[c] = float(dot[c] * pi[c]);
      }
      // dx = γ/σ · (g - Σg/n - (x - mean)/σ² · Σg(x - mean)/n)
      auto share = [&](int64_t c) { return double(pg[c]) * pi[c] / double(s.rows); };
      spread_all(g ? g : data<T>(dy), data<T>(x), data<T>(dx), s, affine.columns(), relu && !g,
                 line(s, [&](int64_t c) { return -share(c) * pi[c] * pi[c] * dot[c]; }).data(),
                 line(s, [&](int64_t c) { return -share(c) * sum[c]; }).data());
    });
    return {dx, drest, dgamma, dbeta, Tensor(), Tensor(), Tensor(), Tensor(), Tensor()};
  }
};

}  // namespace

int rs_norm(rs_tensor* out, rs_tensor x, rs_tensor rest, rs_tensor gamma, rs_tensor beta,
            rs_tensor running_mean, rs_tensor running_var, double momentum, double eps, int relu) {
  return recorded([&] {
    // Vectors (B, C) are images of one pixel.
    const bool vectors = tensor(x).dim() == 2;
    auto images = [&](rs_tensor t) { return vectors ? tensor(t).unsqueeze(-1).unsqueeze(-1) : tensor(t); };
    Tensor y = Norm::apply(images(x), rest ? std::optional(images(rest)) : std::nullopt, tensor(gamma), tensor(beta),
                           tensor(running_mean), tensor(running_var), momentum, eps, relu != 0);
    *out = new Tensor(vectors ? y.flatten(1) : y);
  });
}
