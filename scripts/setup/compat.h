#pragma once
// gotch v0.9.1 is generated for an older libtorch. Three functions that it wraps
// have other signatures in 2.11; these overloads have the old ones and throw, so
// that gotch compiles unmodified. Nothing here calls them. It is forced into
// every C++ file; ours define RSC_NO_COMPAT to be spared libtorch's largest
// header.
#if defined(__cplusplus) && !defined(RSC_NO_COMPAT)
#include <torch/torch.h>

namespace at {

[[noreturn]] inline void not_in_this_libtorch(const char* name) {
  TORCH_CHECK(false, name, ": its signature changed between gotch's libtorch and this one");
}

inline Tensor _cslt_sparse_mm(const Tensor&, const Tensor&, const Tensor&, bool) {
  not_in_this_libtorch("_cslt_sparse_mm");
}

inline std::tuple<Tensor, Tensor> _scaled_mm(
    const Tensor&, const Tensor&, const Tensor&, std::optional<ScalarType>,
    const Tensor&, const Tensor&, const Tensor&) {
  not_in_this_libtorch("_scaled_mm");
}

inline std::tuple<Tensor, Tensor> _scaled_mm_out(
    Tensor&, Tensor&, const Tensor&, const Tensor&, const Tensor&,
    std::optional<ScalarType>, const Tensor&, const Tensor&, const Tensor&) {
  not_in_this_libtorch("_scaled_mm_out");
}

}  // namespace at

namespace torch {
using at::_cslt_sparse_mm;
using at::_scaled_mm;
using at::_scaled_mm_out;
}  // namespace torch
#endif
