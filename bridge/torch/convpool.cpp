#include "convpool.h"

#include "guard.h"
#include "internal.h"
#include "kernel.h"
#include "sparse.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <vector>

// A max pool hands its gradient to one value of each window, and none where the
// ReLU behind it is off: of windows of 2x2, about an eighth of the values that
// the convolution made get any. Libtorch multiplies all the zeros too; here the
// gradient goes from one value to the next, and does a fraction of the work.

using at::Tensor;

namespace {

// Sizes of a convolution, channels last. An input image has zeros around it.
struct Sizes {
  int64_t c, h, w;    // input: channels, rows and columns
  int64_t o, oh, ow;  // output
  int64_t k, stride, pad;
  int64_t image() const { return h * w * c; }
  int64_t wide() const { return w + 2 * pad; }
  int64_t pixels() const { return (h + 2 * pad) * wide(); }
  int64_t inside() const { return pad * (wide() + 1) * c; }  // where the image begins among the zeros
  int64_t line() const { return k * c; }                     // a row of a window
  int64_t window() const { return k * line(); }              // and all of it
};

// Copies an image to the inside of a padded one.
template <typename T>
void surround(const T* x, T* padded, const Sizes& s) {
  for (int64_t y = 0; y < s.h; y++, x += s.w * s.c) std::copy(x, x + s.w * s.c, padded + s.inside() + y * s.wide() * s.c);
}

// Copies the inside of a padded image out.
template <typename T>
INLINE void extract(const float* padded, T* x, Sizes s) {
  for (int64_t y = 0; y < s.h; y++, x += s.w * s.c) {
    const float* from = padded + s.inside() + y * s.wide() * s.c;
    for (int64_t i = 0; i < s.w * s.c; i++) store(x + i, from[i]);
  }
}
FOR_EACH_CPU void copy_out(const float* padded, float* x, Sizes s) { extract(padded, x, s); }
FOR_EACH_CPU void copy_out(const float* padded, bf16* x, Sizes s) { extract(padded, x, s); }

// Where the window of each output value begins, among the pixels of a padded
// image.
std::vector<int32_t> window_begins(const Sizes& s) {
  std::vector<int32_t> at;
  for (int64_t y = 0; y < s.oh; y++)
    for (int64_t x = 0; x < s.ow; x++) at.push_back(int32_t(s.stride * (y * s.wide() + x)));
  return at;
}

// The gradient of what the convolution made of one image, from the pool's dy and
// the values that its maxima are from: a row per channel, a column per pixel
// where a window begins.
template <typename T>
void collect(sparse::Matrix& grad, const T* dy, const int64_t* from, int64_t pooled, const std::vector<int32_t>& begins,
             const Sizes& s) {
  grad.reset(s.o, pooled);
  for (int64_t o = 0; o < s.o; o++) {
    sparse::Entry* e = grad.next();
    for (int64_t i = o; i < pooled * s.o; i += s.o) {
      const float g = load(dy + i);
      *e = {begins[from[i]], g};
      e += g != 0;
    }
    grad.close(e);
  }
}

// Sets dx, and adds to dw (O, k, k, C), the gradients of a batch's convolution
// with weights w, also (O, k, k, C).
template <typename T>
void gradients(const T* x, const T* w, const T* dy, const int64_t* from, int64_t images, int64_t pooled, const Sizes& s,
               T* dx, float* dw) {
  const std::vector<int32_t> begins = window_begins(s);
  std::vector<T> padded(s.pad > 0 ? s.pixels() * s.c : 0);
  std::vector<float> dpadded(s.pixels() * s.c);
  sparse::Matrix by_channel, by_pixel;
  for (int64_t i = 0; i < images; i++, x += s.image(), dx += s.image(), dy += pooled * s.o, from += pooled * s.o) {
    collect(by_channel, dy, from, pooled, begins, s);
    by_pixel.transpose(by_channel, s.pixels());
    if (s.pad > 0) surround(x, padded.data(), s);
    const T* const in = s.pad > 0 ? padded.data() : x;
    std::fill(dpadded.begin(), dpadded.end(), 0.0f);
    for (int64_t row = 0; row < s.k; row++) {  // of windows
      const int64_t below = row * s.wide() * s.c, inner = row * s.line();
      float* const dline = dpadded.data() + below;
      sparse::product(by_channel, {in + below, s.c}, s.line(), {dw + inner, s.window()}, {dw + inner, s.window()});
      sparse::product(by_pixel, {w + inner, s.window()}, s.line(), {dline, s.c}, {dline, s.c});
    }
    copy_out(dpadded.data(), dx, s);
  }
}

struct ConvPool : torch::autograd::Function<ConvPool> {
  static Tensor forward(torch::autograd::AutogradContext* ctx, const Tensor& images, const Tensor& weight,
                        const Tensor& bias, rs_window conv, rs_window pool) {
    const auto type = images.scalar_type();
    TORCH_CHECK(images.is_cpu() && images.dim() == 4, "conv_pool: not images on the CPU");
    TORCH_CHECK(type == at::kFloat || type == at::kBFloat16, "conv_pool: type of images");
    const auto format = at::MemoryFormat::ChannelsLast;
    const Tensor x = images.contiguous(format), w = weight.to(type);
    const Tensor full = at::conv2d(x, w, bias.to(type), conv.stride, conv.pad);
    auto [y, from] = at::max_pool2d_with_indices(full, {pool.side, pool.side}, {pool.stride, pool.stride}, {pool.pad, pool.pad});
    ctx->save_for_backward({x, w, from.contiguous(format)});
    ctx->saved_data["rows"] = full.size(2);
    ctx->saved_data["columns"] = full.size(3);
    ctx->saved_data["stride"] = conv.stride;
    ctx->saved_data["pad"] = conv.pad;
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx,
                                                 torch::autograd::variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1], &from = saved[2];
    const Tensor dy = grads[0].contiguous(at::MemoryFormat::ChannelsLast);
    auto kept = [&](const char* name) { return ctx->saved_data[name].toInt(); };
    const Sizes s{x.size(1),      x.size(2),       x.size(3),      weight.size(0), kept("rows"), kept("columns"),
                  weight.size(2), kept("stride"), kept("pad")};
    const Tensor w = weight.permute({0, 2, 3, 1}).contiguous();
    Tensor dw = at::zeros(w.sizes(), at::kFloat), dx = at::empty_like(x);
    by_type(x, [&](auto* of) {
      using T = std::remove_pointer_t<decltype(of)>;
      auto data = [](const Tensor& t) { return static_cast<const T*>(t.const_data_ptr()); };
      gradients(data(x), data(w), data(dy), from.const_data_ptr<int64_t>(), x.size(0), dy.size(2) * dy.size(3), s,
                static_cast<T*>(dx.mutable_data_ptr()), dw.mutable_data_ptr<float>());
    });
    const Tensor none;
    return {dx, dw.permute({0, 3, 1, 2}), dy.sum({0, 2, 3}, /*keepdim=*/false, at::kFloat), none, none};
  }
};

}  // namespace

int rs_conv_pool_bf16(void) { return sparse::multiplies_bf16(); }

int rs_conv_pool(rs_tensor* out, rs_tensor x, rs_tensor weight, rs_tensor bias, rs_window conv,
                 rs_window pool) {
  return recorded([&] {
    TORCH_CHECK(tensor(x).size(1) * conv.side % 32 == 0, "conv_pool: ", tensor(x).size(1), " channels");
    *out = new Tensor(ConvPool::apply(tensor(x), tensor(weight), tensor(bias), conv, pool));
  });
}
