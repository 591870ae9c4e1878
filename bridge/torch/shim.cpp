#include "shim.h"

#include "guard.h"
#include "internal.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <dlfcn.h>
#include <malloc.h>
#include <torch/headeronly/version.h>

#include <string>
#include <vector>

using at::Tensor;

thread_local std::string rs_last_error;

namespace {

rs_tensor give(Tensor t) { return new Tensor(std::move(t)); }

// Copies host to a device. From pinned memory the copy does not wait for the
// work that the GPU has still to do, and so neither does a training step.
Tensor copied(const Tensor& host, at::Device device) {
  if (device.is_cuda()) return host.pin_memory().to(device, /*non_blocking=*/true);
  return host.to(device, /*non_blocking=*/false, /*copy=*/true);
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

}  // namespace

void update(at::TensorList theta, at::TensorList grad, at::TensorList m, at::TensorList v,
            const Tensor& step, const rs_hyper& h) {
  if (h.sgd) {
    if (h.momentum == 0) m = {};  // no buffers, or _fused_sgd_ refuses
    at::_fused_sgd_(theta, grad, m, h.weight_decay, h.momentum, h.lr, /*dampening=*/0,
                    /*nesterov=*/false, /*maximize=*/false, /*is_first_step=*/false);
    return;
  }
  std::vector<Tensor> steps(theta.size(), step);
  at::_fused_adam_(theta, grad, m, v, {}, steps, h.lr, h.beta1, h.beta2, h.weight_decay, h.eps,
                   /*amsgrad=*/false, /*maximize=*/false);
}

void clip(const Tensor& grad, const rs_hyper& h) {
  Tensor& g = const_cast<Tensor&>(grad);
  if (h.clip_value > 0) g.clamp_(-h.clip_value, h.clip_value);
  // As torch.nn.utils.clip_grad_norm_ does it, 1e-6 included.
  if (h.clip_norm > 0) g.mul_((h.clip_norm / (g.norm() + 1e-6)).clamp_max(1.0));
}

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
