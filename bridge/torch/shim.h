#pragma once
// The few things that gotch has no function for, as C functions over libtorch.
//
// Tensors are at::Tensor*, as in gotch's C API; the caller owns them. Every
// function that can fail returns 0, or 1 and leaves a message, per thread, for
// rs_error.
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

typedef void* rs_tensor;

const char* rs_error(void);
const char* rs_version(void);
const char* rs_cpu_capability(void);

// Prepares the calling OS thread: its number of intra-op threads, and denormal
// numbers flushed to zero (dead units fill Adam's second moment with them).
void rs_thread_init(int threads);

// Loads libtorch's CUDA library, whose static initialisers register the backend.
// It must come before the process's first gradient: autograd counts the devices
// once.
int rs_load_cuda(void);
int rs_cuda_device_count(void);

// Says whether GPUs round the operands of float32 products, the process over.
int rs_set_tf32(int on);

// Makes *out a copy of a tensor of the CPU on a GPU, without waiting for it.
int rs_copy_to(rs_tensor* out, rs_tensor host, int device);

// Sets y to a x + b y; b = 0 copies, whatever y held. Sets *out to x . y, in double.
int rs_axpby(rs_tensor y, double a, rs_tensor x, double b);
int rs_dot(double* out, rs_tensor x, rs_tensor y);

// The images that a gather reads.
typedef struct {
  rs_tensor base;   // (N, C, H, W), uint8 in 0..255 or float32
  rs_tensor extra;  // (K, C, H, W) float32: rows N.. of the index; may be NULL
  double lit;       // share of base's pixels that are not 0
} rs_images;

// Makes *out (n, C, H, W) float32, images order[0..n): uint8 pixels are divided
// by 255. shifts, unless NULL, holds one code per image: 18*dy + 2*dx + flip,
// dy and dx in 0..8: pad by 4 zeros, crop at (dy, dx), then mirror if flip.
int rs_gather(rs_tensor* out, rs_images images, const int64_t* order, int64_t n,
              const uint8_t* shifts, int channels_last);

// One image, of (3, h, w) bytes, and whether it is mirrored after scaling.
typedef struct {
  int32_t h, w, flip;
} rs_photo;

// Makes *out (n, 3, side, side) float32 in [0, 1] on a device (-1: the CPU), the
// images that follow one another in pixels, each scaled by antialiased bilinear
// interpolation.
int rs_scale(rs_tensor* out, const uint8_t* pixels, const rs_photo* photos, int64_t n, int64_t side,
             int device, int channels_last);

// Makes *out = clip(float64(x) + delta, 0, 1) as float32; delta is float64 (C, H, W).
int rs_overlay(rs_tensor* out, rs_tensor x, rs_tensor delta);

// A generator of normal and Bernoulli numbers for one model and epoch.
int rs_generator_new(void** out, rs_tensor like, uint64_t seed);
void rs_generator_free(void* generator);
// Makes *out = x + sd * N(0, 1), elementwise.
int rs_add_noise(rs_tensor* out, rs_tensor x, double sd, void* generator);
// Makes *out = x with elements zeroed with probability rate, the rest scaled.
int rs_dropout(rs_tensor* out, rs_tensor x, double rate, void* generator);

// How one model is updated.
typedef struct {
  int sgd;              // 0: Adam with coupled L2; 1: SGD with momentum
  double lr, weight_decay;
  double beta1, beta2, eps;  // Adam
  double momentum;           // SGD
  double clip_value, clip_norm;  // off when 0
  double noise;              // standard deviation of input noise; off when 0
} rs_hyper;

// Updates theta (P) in place from gradient grad (P), which it may overwrite
// when it clips. m, v: first and second moments; SGD uses only m. step counts
// updates, this one included.
int rs_update(rs_tensor theta, rs_tensor grad, rs_tensor m, rs_tensor v, int64_t step,
              rs_hyper hyper);

// One epoch of a multilayer perceptron with ReLU layers, written out: forward,
// backward and update of each batch over the flat theta (P). dims has
// layers + 1 widths. *step is advanced; *loss is the mean loss of the epoch's
// examples before their updates. bf16: matrix products of bfloat16 operands.
int rs_mlp_epoch(rs_tensor theta, rs_tensor m, rs_tensor v, int64_t* step,
                 const int64_t* dims, int layers, rs_images images, const int64_t* labels,
                 const int64_t* order, int64_t n, int64_t batch, rs_hyper hyper,
                 uint64_t seed, int bf16, double* loss);

#ifdef __cplusplus
}
#endif
