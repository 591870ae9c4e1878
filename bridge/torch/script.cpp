#include "script.h"

#include "guard.h"

#include <torch/script.h>

#include <string>

namespace {

// Returns the child of parent called name, which is made where it is missing.
torch::jit::Module child(torch::jit::Module& parent, const std::string& name, int& made) {
  if (parent.hasattr(name)) return parent.attr(name).toModule();
  // Every module has a type of its own, since it has attributes of its own.
  torch::jit::Module m("__torch__.M" + std::to_string(++made), parent._ivalue()->compilation_unit());
  parent.register_module(name, m);
  return m;
}

}  // namespace

int rs_script_save(const char* path, const char** names, const rs_tensor* tensors, int n, int params,
                   const char* source) {
  return recorded([&] {
    torch::jit::Module root("__torch__.Network");
    int made = 0;
    for (int i = 0; i < n; i++) {
      torch::jit::Module at = root;
      std::string name = names[i];
      for (size_t dot; (dot = name.find('.')) != std::string::npos; name = name.substr(dot + 1)) {
        at = child(at, name.substr(0, dot), made);
      }
      const at::Tensor t = static_cast<at::Tensor*>(tensors[i])->clone();
      if (i < params) {
        at.register_parameter(name, t, /*is_buffer=*/false);
      } else {
        at.register_buffer(name, t);
      }
    }
    root.define(source);
    root.eval();
    root.save(path);
  });
}
