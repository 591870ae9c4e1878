// How the shim's C++ files report what libtorch throws.
#pragma once

#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>

#include <exception>
#include <string>

extern thread_local std::string rs_last_error;

// Runs f and turns what it throws into an error code and a message for rs_error.
template <typename F>
int recorded(F f) {
  try {
    f();
    return 0;
  } catch (const c10::Error& e) {
    rs_last_error = e.what_without_backtrace();
  } catch (const std::exception& e) {
    rs_last_error = e.what();
  }
  return 1;
}

// The same without autograd.
template <typename F>
int guarded(F f) {
  c10::AutoGradMode no_grad(false);
  return recorded(f);
}
