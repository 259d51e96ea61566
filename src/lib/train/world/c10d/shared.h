// What the C interface to Gloo and that to NCCL have in common: the pointers that they hand out, and how an exception becomes a
// message.
#pragma once

#include <chrono>
#include <cstring>
#include <exception>

#include <ATen/ATen.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

namespace incdec {

using Milliseconds = std::chrono::milliseconds;
// Longer than any rank computes before the others hear of it.
constexpr Milliseconds kPatience = std::chrono::hours(24 * 365);
using Store = c10::intrusive_ptr<c10d::Store>;
using Group = c10::intrusive_ptr<c10d::Backend>;
using Work = c10::intrusive_ptr<c10d::Work>;

template <class Body>
char* guarded(Body body) noexcept {
  try {
    body();
    return nullptr;
  } catch (const std::exception& error) {
    // c10's own errors, too. To name their type here would have binaries that never call this link libc10: the headers bring
    // static variables, whose constructors are kept everywhere, and with them what this file catches. Their backtrace
    // stands behind the first line.
    return strdup(error.what());
  } catch (...) {
    return strdup("an exception of an unknown kind");
  }
}

}  // namespace incdec
