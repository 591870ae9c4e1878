#include "shim.h"

#include "guard.h"
#include "sparse.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <dlfcn.h>
#include <malloc.h>
#include <torch/headeronly/version.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

using at::Tensor;

thread_local std::string rs_last_error;

namespace {

Tensor& tensor(rs_tensor t) { return *static_cast<Tensor*>(t); }
rs_tensor give(Tensor t) { return new Tensor(std::move(t)); }

// Copies host to a device. From pinned memory the copy does not wait for the
// work that the GPU has still to do, and so neither does a training step.
Tensor copied(const Tensor& host, at::Device device) {
  if (device.is_cuda()) return host.pin_memory().to(device, /*non_blocking=*/true);
  return host.to(device, /*non_blocking=*/false, /*copy=*/true);
}

// ---- images -----------------------------------------------------------------

struct Plane {  // one image in memory, as float or as bytes
  const uint8_t* bytes = nullptr;
  const float* floats = nullptr;
};

Plane plane(const rs_images& images, int64_t row) {
  const Tensor& base = tensor(images.base);
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

void copy_plane(float* out, Plane p, int64_t size) {
  if (p.floats) {
    std::copy(p.floats, p.floats + size, out);
    return;
  }
  for (int64_t i = 0; i < size; i++) out[i] = float(p.bytes[i]) / 255.0f;
}

void check_order(const rs_images& images, const int64_t* order, int64_t n) {
  const int64_t rows = tensor(images.base).size(0) + (images.extra ? tensor(images.extra).size(0) : 0);
  for (int64_t i = 0; i < n; i++)
    TORCH_CHECK(order[i] >= 0 && order[i] < rows, "image ", order[i], " of ", rows);
}

// Gathers on the CPU: one pass over the pixels, whatever is asked.
Tensor gather_cpu(const rs_images& images, const int64_t* order, int64_t n, const uint8_t* shifts,
                  bool channels_last) {
  const Tensor& base = tensor(images.base);
  const int64_t C = base.size(1), H = base.size(2), W = base.size(3), size = C * H * W;
  auto format = channels_last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
  Tensor out = at::empty({n, C, H, W}, at::TensorOptions(at::kFloat).memory_format(format));
  float* const first = out.mutable_data_ptr<float>();
  const bool planar = !channels_last || C == 1;
  each_plane(images, order, n, [&](int64_t i, Plane p) {
    float* const to = first + i * size;
    if (planar && !shifts) {
      copy_plane(to, p, size);
      return;
    }
    const int code = shifts ? shifts[i] : 18 * 4 + 2 * 4;
    const int64_t dy = code / 18 - 4, dx = code % 18 / 2 - 4;
    const bool flip = code & 1;
    for (int64_t c = 0; c < C; c++)
      for (int64_t y = 0; y < H; y++)
        for (int64_t x = 0; x < W; x++) {
          const int64_t sy = y + dy, sx = (flip ? W - 1 - x : x) + dx;
          float value = 0;
          if (sy >= 0 && sy < H && sx >= 0 && sx < W) {
            const int64_t at = (c * H + sy) * W + sx;
            value = p.floats ? p.floats[at] : float(p.bytes[at]) / 255.0f;
          }
          to[planar ? (c * H + y) * W + x : (y * W + x) * C + c] = value;
        }
  });
  return out;
}

// The same by tensor operations, for any device.
Tensor gather_any(const rs_images& images, const int64_t* order, int64_t n, const uint8_t* shifts,
                  bool channels_last) {
  const Tensor& base = tensor(images.base);
  const int64_t rows = base.size(0), H = base.size(2), W = base.size(3);
  auto device = base.device();
  Tensor index = copied(at::from_blob(const_cast<int64_t*>(order), {n}, at::kLong), device);
  Tensor x = base.index_select(0, index.clamp_max(rows - 1));
  // Divided by a number, a GPU multiplies by its reciprocal, which is not the same.
  if (base.scalar_type() == at::kByte) x = x.to(at::kFloat).div_(at::full({}, 255, x.options().dtype(at::kFloat)));
  if (images.extra && tensor(images.extra).size(0) > 0) {
    Tensor extra = tensor(images.extra).index_select(0, (index - rows).clamp_min(0));
    x = at::where((index >= rows).view({n, 1, 1, 1}), extra, x);
  }
  if (shifts) {
    Tensor code = copied(at::from_blob(const_cast<uint8_t*>(shifts), {n}, at::kByte), device).to(at::kLong);
    auto axis = [&](const Tensor& start, int64_t len) {
      return start.view({n, 1}) + at::arange(len, at::TensorOptions(at::kLong).device(device)).view({1, len});
    };
    Tensor dy = code.div(18, "floor"), dx = code.remainder(18).div(2, "floor"), flip = code.remainder(2);
    Tensor ys = axis(dy, H), xs = axis(dx, W);
    xs = at::where(flip.view({n, 1}) == 1, xs.flip({1}), xs);
    Tensor padded = at::constant_pad_nd(x, {4, 4, 4, 4});
    Tensor images_axis = at::arange(n, at::TensorOptions(at::kLong).device(device)).view({n, 1, 1});
    x = padded.permute({0, 2, 3, 1})
            .index({images_axis, ys.view({n, H, 1}), xs.view({n, 1, W})})
            .permute({0, 3, 1, 2});
  }
  return x.contiguous(channels_last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
}

// ---- updates ----------------------------------------------------------------

// Updates parts of one flat vector; state_step holds the number of updates.
void update(at::TensorList theta, at::TensorList grad, at::TensorList m, at::TensorList v,
            const Tensor& state_step, const rs_hyper& h) {
  if (h.sgd) {
    if (h.momentum == 0) m = {};  // no buffers, or _fused_sgd_ refuses
    at::_fused_sgd_(theta, grad, m, h.weight_decay, h.momentum, h.lr, /*dampening=*/0,
                    /*nesterov=*/false, /*maximize=*/false, /*is_first_step=*/false);
    return;
  }
  std::vector<Tensor> steps(theta.size(), state_step);
  at::_fused_adam_(theta, grad, m, v, {}, steps, h.lr, h.beta1, h.beta2, h.weight_decay, h.eps,
                   /*amsgrad=*/false, /*maximize=*/false);
}

void clip_norm(const Tensor& grad, double limit) {
  // As torch.nn.utils.clip_grad_norm_ does it, 1e-6 included.
  Tensor factor = (limit / (grad.norm() + 1e-6)).clamp_max(1.0);
  const_cast<Tensor&>(grad).mul_(factor);
}

void clip(const Tensor& grad, const rs_hyper& h) {
  if (h.clip_value > 0) const_cast<Tensor&>(grad).clamp_(-h.clip_value, h.clip_value);
  if (h.clip_norm > 0) clip_norm(grad, h.clip_norm);
}

}  // namespace

const char* rs_error(void) { return rs_last_error.c_str(); }
const char* rs_version(void) { return TORCH_VERSION; }
const char* rs_cpu_capability(void) {
  static const std::string name = at::get_cpu_capability();
  return name.c_str();
}

void rs_thread_init(int threads) {
  // A step frees hundreds of megabytes of activations that the next one needs
  // again. Left to itself, malloc returns them to the kernel, and fetching them
  // back page by page costs a sixth of the training time of a ResNet.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  at::set_num_threads(threads);
  at::globalContext().setFlushDenormal(true);
}

int rs_load_cuda(void) {
  // Not after a look at hasCUDA: its first answer is kept for good.
  if (!dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL)) {
    const char* why = dlerror();
    rs_last_error = why ? why : "dlopen failed";
    return 1;
  }
  return 0;
}

int rs_set_tf32(int on) {
  return guarded([&] {
    at::globalContext().setAllowTF32CuDNN(on);
    at::globalContext().setAllowTF32CuBLAS(on);
  });
}

int rs_cuda_device_count(void) {
  int n = 0;
  guarded([&] { n = at::hasCUDA() ? int(at::detail::getCUDAHooks().deviceCount()) : 0; });
  return n;
}

int rs_copy_to(rs_tensor* out, rs_tensor host, int device) {
  return guarded([&] { *out = give(copied(tensor(host), at::Device(at::kCUDA, device))); });
}

int rs_axpby(rs_tensor y, double a, rs_tensor x, double b) {
  return guarded([&] {
    Tensor& to = tensor(y);
    const Tensor& from = tensor(x);
    if (b == 0) {
      to.copy_(from);
      if (a != 1) to.mul_(a);
      return;
    }
    if (b != 1) to.mul_(b);
    if (a != 0) to.add_(from, a);
  });
}

int rs_dot(double* out, rs_tensor x, rs_tensor y) {
  return guarded([&] {
    *out = (tensor(x).to(at::kDouble) * tensor(y).to(at::kDouble)).sum().item<double>();
  });
}

int rs_gather(rs_tensor* out, rs_images images, const int64_t* order, int64_t n,
              const uint8_t* shifts, int channels_last) {
  return guarded([&] {
    check_order(images, order, n);
    auto gather = tensor(images.base).is_cpu() ? gather_cpu : gather_any;
    *out = give(gather(images, order, n, shifts, channels_last));
  });
}

int rs_scale(rs_tensor* out, const uint8_t* pixels, const rs_photo* photos, int64_t n, int64_t side,
             int device, int channels_last) {
  return guarded([&] {
    const at::Device place = device < 0 ? at::Device(at::kCPU) : at::Device(at::kCUDA, device);
    int64_t total = 0;
    for (int64_t i = 0; i < n; i++) total += int64_t(3) * photos[i].h * photos[i].w;
    // One copy to the device for the whole batch.
    Tensor bytes = at::from_blob(const_cast<uint8_t*>(pixels), {total}, at::kByte);
    if (device >= 0) bytes = copied(bytes, place);
    auto format = channels_last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
    Tensor all = at::empty({n, 3, side, side}, at::TensorOptions(at::kFloat).device(place).memory_format(format));
    int64_t start = 0;
    for (int64_t i = 0; i < n; i++) {
      const int64_t h = photos[i].h, w = photos[i].w;
      Tensor x = bytes.narrow(0, start, 3 * h * w).view({1, 3, h, w}).to(at::kFloat);
      if (h != side || w != side) x = at::_upsample_bilinear2d_aa(x, {side, side}, /*align_corners=*/false);
      if (photos[i].flip) x = x.flip({3});
      all.narrow(0, i, 1).copy_(x);
      start += 3 * h * w;
    }
    *out = give(all.div_(255));
  });
}

int rs_overlay(rs_tensor* out, rs_tensor x, rs_tensor delta) {
  return guarded([&] {
    *out = give(tensor(x).to(at::kDouble).add_(tensor(delta)).clamp_(0, 1).to(at::kFloat));
  });
}

int rs_generator_new(void** out, rs_tensor like, uint64_t seed) {
  return guarded([&] {
    auto device = tensor(like).device();
    at::Generator g = device.is_cpu() ? at::detail::createCPUGenerator(seed)
                                      : at::globalContext().defaultGenerator(device).clone();
    g.set_current_seed(seed);
    *out = new at::Generator(std::move(g));
  });
}

void rs_generator_free(void* generator) { delete static_cast<at::Generator*>(generator); }

int rs_add_noise(rs_tensor* out, rs_tensor x, double sd, void* generator) {
  return guarded([&] {
    auto& g = *static_cast<at::Generator*>(generator);
    *out = give(at::empty_like(tensor(x)).normal_(0, sd, g).add_(tensor(x)));
  });
}

int rs_dropout(rs_tensor* out, rs_tensor x, double rate, void* generator) {
  return recorded([&] {
    auto& g = *static_cast<at::Generator*>(generator);
    Tensor keep = at::empty_like(tensor(x).detach()).bernoulli_(1 - rate, g).div_(1 - rate);
    *out = give(tensor(x) * keep);
  });
}

int rs_update(rs_tensor theta, rs_tensor grad, rs_tensor m, rs_tensor v, int64_t step,
              rs_hyper hyper) {
  return guarded([&] {
    clip(tensor(grad), hyper);
    Tensor count = at::full({}, double(step), tensor(theta).options());
    update({tensor(theta)}, {tensor(grad)}, {tensor(m)}, {tensor(v)}, count, hyper);
  });
}

// ---- a multilayer perceptron, written out -------------------------------------

namespace {

// A batch of images by their lit pixels, and what a layer's products with them
// are summed in, (batch, out) float32.
struct Lit {
  sparse::Matrix by_image, by_pixel;
  Tensor sums;
};

// A layer's views into the flat vectors, and what its products read and write.
// Products are of one type, float32 or bfloat16; where a tensor has that type
// already, its copy for the products is the tensor itself.
struct Layer {
  Tensor w, b;    // (out, in), or (in, out) of a first layer on sparse images; (out)
  Tensor gw, gb;  // gradients
  Tensor mw, mb, vw, vb;
  Tensor low_w, low_b, low_gw;  // w, b and gw as the products have them
  Tensor in, din;               // (batch, in): the input and its gradient; the first layer has no din
  Tensor out, dout;             // (batch, out)
  Lit* lit = nullptr;           // in place of in, if this is a first layer on sparse images
};

// A perceptron's widths, and how its products are taken.
struct Net {
  const int64_t* dims;
  int layers;
  bool bf16, sparse;

  // The last layer, whose products are a few per cent of the work, stays
  // float32: logits are not rounded.
  at::ScalarType type(int l) const { return bf16 && l + 1 < layers ? at::kBFloat16 : at::kFloat; }
};

std::vector<Layer> cut(const Tensor& theta, const Tensor& grad, const Tensor& m, const Tensor& v,
                       const Net& shape, int64_t batch, Lit* lit) {
  const auto [dims, layers, bf16, sparse] = shape;
  std::vector<Layer> net(layers);
  int64_t at = 0;
  for (int l = 0; l < layers; l++) {
    const int64_t in = dims[l], width = dims[l + 1];
    const auto type = shape.type(l);
    const int64_t rows = sparse && l == 0 ? in : width;
    auto matrix = [&](const Tensor& t) { return t.narrow(0, at, in * width).view({rows, in * width / rows}); };
    auto vector = [&](const Tensor& t) { return t.narrow(0, at + in * width, width); };
    auto low = [&](const Tensor& t) { return type == at::kFloat ? t : at::empty_like(t, type); };
    auto fresh = [&](int64_t columns) { return at::empty({batch, columns}, theta.options().dtype(type)); };
    Layer& n = net[l];
    n = Layer{matrix(theta), vector(theta), matrix(grad), vector(grad), matrix(m), vector(m), matrix(v), vector(v)};
    n.low_w = low(n.w), n.low_b = low(n.b), n.low_gw = low(n.gw);
    n.out = fresh(width);
    n.dout = l + 1 < layers ? fresh(width) : n.out;  // logits become their gradient in place
    if (l == 0) {
      if (sparse) {
        n.lit = lit;
        lit->sums = type == at::kFloat ? n.out : at::empty({batch, width}, theta.options());
      } else {
        n.in = fresh(in);
      }
    } else if (net[l - 1].out.scalar_type() == type) {
      n.in = net[l - 1].out, n.din = net[l - 1].dout;
    } else {
      n.in = fresh(in), n.din = fresh(in);
    }
    at += in * width + width;
  }
  TORCH_CHECK(at == theta.numel(), "widths give ", at, " parameters, theta has ", theta.numel());
  return net;
}

// Sets to to from, in to's type, unless they are one tensor.
void convert(const Tensor& from, Tensor& to) {
  if (!to.is_same(from)) to.copy_(from);
}

// Below this share of lit pixels, going from one to the next is faster than a
// product with all of them. Measured: MNIST has .19, Fashion-MNIST .50.
constexpr double sparse_below = 0.3;

// What pixels stand for, as float32 and as bfloat16.
struct Pixels {
  float exact[256], rounded[256];
  Pixels() {
    for (int b = 0; b < 256; b++) {
      exact[b] = float(b) / 255.0f;
      rounded[b] = at::BFloat16(exact[b]);
    }
  }
};

// Makes m the images by their lit pixels, rounded to bfloat16 if asked.
void collect(sparse::Matrix& m, const rs_images& images, const int64_t* order, int64_t n, int64_t pixels, bool bf16) {
  static const Pixels table;
  const float* const value = bf16 ? table.rounded : table.exact;
  m.reset(n, pixels);
  each_plane(images, order, n, [&](int64_t, Plane p) {
    sparse::Entry* e = m.next();
    for (int64_t j = 0; j < pixels; j += 8) {
      const int64_t end = std::min(j + 8, pixels);
      uint64_t eight = 1;
      if (p.bytes && end == j + 8) std::memcpy(&eight, p.bytes + j, 8);
      if (eight == 0) continue;  // most are dark
      for (int64_t at = j; at < end; at++) {
        const float v = p.bytes ? value[p.bytes[at]] : bf16 ? float(at::BFloat16(p.floats[at])) : p.floats[at];
        *e = {int32_t(at), v};
        e += v != 0;
      }
    }
    m.close(e);
  });
}

// y = m·x + start, where x is float32 or bfloat16; see sparse::product.
void product(const sparse::Matrix& m, const Tensor& x, const float* start, Tensor& y) {
  by_type(x, [&](auto* of) {
    using T = std::remove_pointer_t<decltype(of)>;
    const sparse::Dense<const T> rows{static_cast<const T*>(x.const_data_ptr()), x.size(1)};
    sparse::product(m, rows, x.size(1), {start, 0}, {y.mutable_data_ptr<float>(), y.size(1)});
  });
}

// out = in·wᵀ + b
void forward(Layer& n) {
  convert(n.w, n.low_w);
  if (n.lit) {
    product(n.lit->by_image, n.low_w, n.b.const_data_ptr<float>(), n.lit->sums);
    convert(n.lit->sums, n.out);
    return;
  }
  convert(n.b, n.low_b);
  at::addmm_out(n.out, n.low_b, n.in, n.low_w.t());
}

// gw = doutᵀ·in, and gb
void gradient(Layer& n) {
  if (n.lit) {
    n.lit->by_pixel.transpose(n.lit->by_image, n.w.size(0));
    product(n.lit->by_pixel, n.dout, nullptr, n.gw);
  } else {
    at::mm_out(n.low_gw, n.dout.t(), n.in);
    convert(n.low_gw, n.gw);
  }
  at::sum_out(n.gb, n.dout, {0}, /*keepdim=*/false, at::kFloat);
}

// Turns a matrix of so many rows, the first part of a flat vector, over.
void transpose_first(const Tensor& flat, int64_t rows, int64_t columns) {
  Tensor first = flat.narrow(0, 0, rows * columns);
  first.copy_(first.view({rows, columns}).t().reshape({-1}));
}

// Turns logits z (n, k) into the gradient of the mean cross entropy, in place,
// and returns the sum of the losses.
double softmax_cross_entropy(Tensor& z, const int64_t* labels, const int64_t* order) {
  const int64_t n = z.size(0), k = z.size(1);
  float* row = z.mutable_data_ptr<float>();
  double loss = 0;
  for (int64_t i = 0; i < n; i++, row += k) {
    const int64_t y = labels[order[i]];
    float top = row[0], sum = 0;
    for (int64_t j = 1; j < k; j++) top = std::max(top, row[j]);
    const float of_label = row[y] - top;
    for (int64_t j = 0; j < k; j++) sum += row[j] = std::exp(row[j] - top);
    loss += std::log(sum) - of_label;
    for (int64_t j = 0; j < k; j++) row[j] = (row[j] / sum - (j == y)) / float(n);
  }
  return loss;
}

}  // namespace

int rs_mlp_epoch(rs_tensor theta, rs_tensor m, rs_tensor v, int64_t* step, const int64_t* dims,
                 int layers, rs_images images, const int64_t* labels, const int64_t* order,
                 int64_t n, int64_t batch, rs_hyper hyper, uint64_t seed, int bf16, double* loss) {
  return guarded([&] {
    check_order(images, order, n);
    const bool dark = images.lit < sparse_below && dims[1] % 32 == 0 && hyper.noise == 0;
    const Net shape{dims, layers, bf16 != 0, dark && (!bf16 || sparse::multiplies_bf16())};
    Tensor grad = at::empty_like(tensor(theta));
    std::vector<Layer> net;
    Tensor x, noise;
    Lit lit;
    at::Generator generator = at::detail::createCPUGenerator(seed);
    Tensor count = at::zeros({}, grad.options());
    // A lit pixel's weights must lie together.
    auto turn = [&](int64_t rows, int64_t columns) {
      if (!shape.sparse) return;
      for (const Tensor& t : {tensor(theta), tensor(m), tensor(v)}) transpose_first(t, rows, columns);
    };
    turn(dims[1], dims[0]);

    double total = 0;
    for (int64_t start = 0; start < n; start += batch) {
      const int64_t size = std::min(batch, n - start);
      if (start == 0 || size < batch) {  // the first batch and the last
        net = cut(tensor(theta), grad, tensor(m), tensor(v), shape, size, &lit);
        x = net[0].in;
        if (!shape.sparse && shape.type(0) != at::kFloat) x = at::empty({size, dims[0]}, grad.options());
        noise = hyper.noise > 0 ? at::empty_like(x) : Tensor();
      }
      if (shape.sparse) {
        collect(lit.by_image, images, order + start, size, dims[0], shape.type(0) != at::kFloat);
      } else {
        float* row = x.mutable_data_ptr<float>();
        each_plane(images, order + start, size,
                   [&](int64_t i, Plane p) { copy_plane(row + i * dims[0], p, dims[0]); });
        if (noise.defined()) x.add_(noise.normal_(0, hyper.noise, generator));
        convert(x, net[0].in);
      }

      for (int l = 0; l < layers; l++) {
        if (l > 0) convert(net[l - 1].out, net[l].in);
        forward(net[l]);
        if (l + 1 < layers) net[l].out.relu_();
      }

      total += softmax_cross_entropy(net[layers - 1].out, labels, order + start);
      count.fill_(double(++*step));
      for (int l = layers - 1; l >= 0; l--) {
        gradient(net[l]);
        if (l > 0) {
          Layer& below = net[l - 1];
          at::mm_out(net[l].din, net[l].dout, net[l].low_w);
          convert(net[l].din, below.dout);
          at::threshold_backward_out(below.dout, below.dout, below.out, 0);
        }
        if (hyper.clip_norm > 0) continue;  // needs the whole gradient first
        // Updated here, the layer's gradient is still in the cache.
        if (hyper.clip_value > 0) {
          net[l].gw.clamp_(-hyper.clip_value, hyper.clip_value);
          net[l].gb.clamp_(-hyper.clip_value, hyper.clip_value);
        }
        update({net[l].w, net[l].b}, {net[l].gw, net[l].gb}, {net[l].mw, net[l].mb},
               {net[l].vw, net[l].vb}, count, hyper);
      }
      if (hyper.clip_norm > 0) {
        clip(grad, hyper);
        update({tensor(theta)}, {grad}, {tensor(m)}, {tensor(v)}, count, hyper);
      }
    }
    turn(dims[0], dims[1]);
    *loss = total / double(n);
  });
}
