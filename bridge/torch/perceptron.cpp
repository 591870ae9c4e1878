#include "guard.h"
#include "internal.h"
#include "sparse.h"

#include <ATen/CPUGeneratorImpl.h>

#include <cmath>
#include <cstring>
#include <vector>

// A multilayer perceptron's epoch, written out: forward, backward and update.
//
// What a layer reads is mostly zeros: few pixels of MNIST are lit, and after an
// epoch ReLU lets one unit in ten through. Where it is so, products go from one
// number that is not 0 to the next.

using at::Tensor;

namespace {

// Below this share of numbers that are not 0, skipping the others is faster.
constexpr double few = 0.3;

// A layer's views into the flat vectors, and what its products read and write.
// Products are of one type, float32 or bfloat16; where a tensor has that type
// already, its copy for the products is the tensor itself.
struct Layer {
  // Whether the weights of one input lie together, as products with few of them
  // want it: w is (in, out) then, else (out, in).
  bool by_input;
  Tensor w, gw, mw, vw;         // weights, their gradient and its moments
  Tensor b, gb, mb, vb;         // biases (out), theirs
  Tensor low_w, low_b, low_gw;  // w, b and gw as the products have them
  Tensor in, din;               // (batch, in): the input and its gradient; the first layer has no din
  Tensor out, dout;             // (batch, out)
  Tensor sums;                  // out in float32
  // in by its numbers that are not 0, if they are few.
  bool sparse = false;
  sparse::Matrix by_row, by_column;
  // doutᵀ likewise; only where in is not.
  bool sparse_dout = false;
  sparse::Matrix by_unit;
};

// A perceptron's widths, and how its products are taken.
struct Net {
  const int64_t* dims;
  int layers;
  bool bf16;
  bool skips;        // whether layers may skip zeros,
  bool dark_images;  // and the first does

  // The last layer, whose products are a few per cent of the work, stays
  // float32: logits are not rounded.
  at::ScalarType type(int l) const { return bf16 && l + 1 < layers ? at::kBFloat16 : at::kFloat; }
  bool by_input(int l) const { return skips && dims[l + 1] % 32 == 0 && (l > 0 || dark_images); }
};

// Sets to to from, in to's type, unless they are one tensor.
void convert(const Tensor& from, Tensor& to) {
  if (!to.is_same(from)) to.copy_(from);
}

std::vector<Layer> cut(const Tensor& theta, const Tensor& grad, const Tensor& m, const Tensor& v, const Net& shape,
                       int64_t batch) {
  std::vector<Layer> net(shape.layers);
  int64_t at = 0;
  for (int l = 0; l < shape.layers; l++) {
    const int64_t in = shape.dims[l], width = shape.dims[l + 1];
    const auto type = shape.type(l);
    Layer& n = net[l];
    n.by_input = shape.by_input(l);
    auto matrix = [&](const Tensor& t) {
      return t.narrow(0, at, in * width).view({n.by_input ? in : width, n.by_input ? width : in});
    };
    auto vector = [&](const Tensor& t) { return t.narrow(0, at + in * width, width); };
    auto low = [&](const Tensor& t) { return type == at::kFloat ? t : at::empty_like(t, type); };
    auto fresh = [&](int64_t columns, at::ScalarType type) {
      return at::empty({batch, columns}, theta.options().dtype(type));
    };
    n.w = matrix(theta), n.gw = matrix(grad), n.mw = matrix(m), n.vw = matrix(v);
    n.b = vector(theta), n.gb = vector(grad), n.mb = vector(m), n.vb = vector(v);
    n.low_w = low(n.w), n.low_b = low(n.b), n.low_gw = low(n.gw);
    n.out = fresh(width, type);
    n.dout = l + 1 < shape.layers ? fresh(width, type) : n.out;  // logits become their gradient in place
    n.sums = type == at::kFloat ? n.out : fresh(width, at::kFloat);
    if (l == 0) {
      if (!n.by_input) n.in = fresh(in, type);
    } else if (net[l - 1].out.scalar_type() == type) {
      n.in = net[l - 1].out, n.din = net[l - 1].dout;
    } else {
      n.in = fresh(in, type), n.din = fresh(in, type);
    }
    at += in * width + width;
  }
  TORCH_CHECK(at == theta.numel(), "widths give ", at, " parameters, theta has ", theta.numel());
  return net;
}

// Turns the matrices that lie by input over, from (out, in) in the flat vector t
// or back.
void turn(const Tensor& t, const Net& shape, bool back) {
  int64_t at = 0;
  for (int l = 0; l < shape.layers; l++) {
    const int64_t in = shape.dims[l], width = shape.dims[l + 1];
    if (shape.by_input(l)) {
      Tensor w = t.narrow(0, at, in * width);
      w.copy_(w.view({back ? in : width, back ? width : in}).t().reshape({-1}));
    }
    at += in * width + width;
  }
}

template <typename T>
sparse::Dense<const T> rows(const Tensor& t) {
  return {static_cast<const T*>(t.const_data_ptr()), t.size(1)};
}
sparse::Dense<float> sums(Tensor& t) { return {t.mutable_data_ptr<float>(), t.size(1)}; }

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

// Makes m the matrix x (n, width).
template <typename T>
void collect(sparse::Matrix& m, const T* x, int64_t n, int64_t width) {
  m.reset(n, width);
  for (int64_t i = 0; i < n; i++, x += width) {
    sparse::Entry* e = m.next();
    for (int64_t j = 0; j < width; j++) {
      const float v = load(x + j);
      *e = {int32_t(j), v};
      e += v != 0;
    }
    m.close(e);
  }
}

// in = what the layer below gives.
void read(Layer& n, const Layer& below) {
  convert(below.out, n.in);
  if (!n.by_input) return;
  by_type(n.in, [&](auto* of) {
    collect(n.by_row, static_cast<decltype(of)>(n.in.data_ptr()), n.in.size(0), n.in.size(1));
  });
  n.sparse = n.by_row.size() < few * n.in.numel();
}

// out = in·wᵀ + b
void forward(Layer& n) {
  convert(n.w, n.low_w);
  if (n.sparse) {
    by_type(n.out, [&](auto* of) {
      using T = std::remove_pointer_t<decltype(of)>;
      sparse::product(n.by_row, rows<T>(n.low_w), n.w.size(1), {n.b.const_data_ptr<float>(), 0}, sums(n.sums));
    });
    convert(n.sums, n.out);
    return;
  }
  convert(n.b, n.low_b);
  at::addmm_out(n.out, n.low_b, n.in, n.by_input ? n.low_w : n.low_w.t());
}

// gw = doutᵀ·in, and gb
void gradient(Layer& n) {
  at::sum_out(n.gb, n.dout, {0}, /*keepdim=*/false, at::kFloat);
  if (n.sparse) {
    n.by_column.transpose(n.by_row, n.w.size(0));
    by_type(n.dout, [&](auto* of) {
      using T = std::remove_pointer_t<decltype(of)>;
      sparse::product(n.by_column, rows<T>(n.dout), n.w.size(1), {nullptr, 0}, sums(n.gw));
    });
    return;
  }
  if (n.sparse_dout) {
    by_type(n.in, [&](auto* of) {
      using T = std::remove_pointer_t<decltype(of)>;
      sparse::product(n.by_unit, rows<T>(n.in), n.w.size(1), {nullptr, 0}, sums(n.gw));
    });
    return;
  }
  if (n.by_input) {
    at::mm_out(n.low_gw, n.in.t(), n.dout);
  } else {
    at::mm_out(n.low_gw, n.dout.t(), n.in);
  }
  convert(n.low_gw, n.gw);
}

// Makes below.dout the gradient of below.out before ReLU: dout·w where the unit
// is on, else 0. It ends the use of n.by_row.
void descend(Layer& n, Layer& below) {
  below.sparse_dout = n.sparse && !below.by_input && below.w.size(1) % (below.in.element_size() == 4 ? 16 : 32) == 0;
  if (n.sparse) {
    below.dout.zero_();
    by_type(n.dout, [&](auto* of) {
      using T = std::remove_pointer_t<decltype(of)>;
      sparse::inner(n.by_row, rows<T>(n.dout), rows<T>(n.low_w), n.w.size(1));
      T* to = static_cast<T*>(below.dout.mutable_data_ptr());
      for (int64_t i = 0; i < n.by_row.rows(); i++, to += below.dout.size(1))
        for (const sparse::Entry* e = n.by_row.begin(i); e < n.by_row.end(i); e++) store(to + e->column, e->value);
    });
    if (below.sparse_dout) below.by_unit.transpose(n.by_row, n.w.size(0));
    return;
  }
  at::mm_out(n.din, n.dout, n.by_input ? n.low_w.t() : n.low_w);
  convert(n.din, below.dout);
  at::threshold_backward_out(below.dout, below.dout, below.out, 0);
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
    const Net shape{dims, layers, bf16 != 0, !bf16 || sparse::multiplies_bf16(), images.lit < few && hyper.noise == 0};
    Tensor grad = at::empty_like(tensor(theta));
    std::vector<Layer> net;
    Tensor x, noise;
    at::Generator generator = at::detail::createCPUGenerator(seed);
    Tensor count = at::zeros({}, grad.options());
    const Tensor vectors[] = {tensor(theta), tensor(m), tensor(v)};
    for (const Tensor& t : vectors) turn(t, shape, false);

    double total = 0;
    for (int64_t start = 0; start < n; start += batch) {
      const int64_t size = std::min(batch, n - start);
      if (start == 0 || size < batch) {  // the first batch and the last
        net = cut(tensor(theta), grad, tensor(m), tensor(v), shape, size);
        net[0].sparse = net[0].by_input;
        x = net[0].in;
        if (!net[0].sparse && shape.type(0) != at::kFloat) x = at::empty({size, dims[0]}, grad.options());
        noise = hyper.noise > 0 ? at::empty_like(x) : Tensor();
      }
      if (net[0].sparse) {
        collect(net[0].by_row, images, order + start, size, dims[0], shape.type(0) != at::kFloat);
      } else {
        float* const to = x.mutable_data_ptr<float>();
        each_plane(images, order + start, size, [&](int64_t i, Plane p) { copy_plane(to + i * dims[0], p, dims[0]); });
        if (noise.defined()) x.add_(noise.normal_(0, hyper.noise, generator));
        convert(x, net[0].in);
      }

      for (int l = 0; l < layers; l++) {
        if (l > 0) read(net[l], net[l - 1]);
        forward(net[l]);
        if (l + 1 < layers) net[l].out.relu_();
      }

      total += softmax_cross_entropy(net[layers - 1].out, labels, order + start);
      count.fill_(double(++*step));
      for (int l = layers - 1; l >= 0; l--) {
        Layer& layer = net[l];
        gradient(layer);
        if (l > 0) descend(layer, net[l - 1]);
        if (hyper.clip_norm > 0) continue;  // needs the whole gradient first
        // Updated here, the layer's gradient is still in the cache.
        for (const Tensor& g : {layer.gw, layer.gb}) clip(g, hyper);
        update({layer.w, layer.b}, {layer.gw, layer.gb}, {layer.mw, layer.mb}, {layer.vw, layer.vb}, count, hyper);
      }
      if (hyper.clip_norm > 0) {
        clip(grad, hyper);
        update({tensor(theta)}, {grad}, {tensor(m)}, {tensor(v)}, count, hyper);
      }
    }
    for (const Tensor& t : vectors) turn(t, shape, true);
    *loss = total / double(n);
  });
}
