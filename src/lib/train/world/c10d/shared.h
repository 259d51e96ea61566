// What the C interface to Gloo and that to NCCL have in common: the pointers that they hand out.
#pragma once

#include <chrono>

#include <ATen/ATen.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include "../../../exception/guarded.h"

namespace incdec {

using Milliseconds = std::chrono::milliseconds;
// Longer than any rank computes before the others hear of it.
constexpr Milliseconds kPatience = std::chrono::hours(24 * 365);
using Store = c10::intrusive_ptr<c10d::Store>;
using Group = c10::intrusive_ptr<c10d::Backend>;
using Work = c10::intrusive_ptr<c10d::Work>;

}  // namespace incdec
