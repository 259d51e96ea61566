// Adam over all parameters of a group in one pass, and the C functions through which Rust calls it.
#pragma once

#include <algorithm>

#include "fused.h"

namespace {

// Values for which a thread of its own pays.
constexpr int64_t kAdamGrain = 1 << 15;

}  // namespace

extern "C" {

// Values of one parameter, contiguous, and their gradients.
struct IncdecPiece {
  float* values;
  const float* gradients;
  int64_t count;
};

// Moves the values of all pieces; their moments lie in `mean` and `square` in the order of the
// pieces. Every value is computed from its own numbers alone, so the result does not depend on the
// number of threads.
void incdec_adam(const IncdecPiece* pieces, size_t count, float* mean, float* square, const incdec::AdamStep* step) {
  const auto& k = incdec::kernels<float>();
  int64_t total = 0;
  for (size_t i = 0; i < count; i++) total += pieces[i].count;
  at::parallel_for(0, total, kAdamGrain, [&](int64_t from, int64_t to) {
    int64_t start = 0;
    for (size_t i = 0; i < count && start < to; start += pieces[i++].count) {
      const int64_t first = std::max(from, start), last = std::min(to, start + pieces[i].count);
      if (first >= last) continue;
      const int64_t at = first - start;
      k.adam(pieces[i].values + at, pieces[i].gradients + at, mean + first, square + first, last - first, *step);
    }
  });
}

// Leaves the tensors without gradients, so that the next backward pass hands over its own instead
// of adding to zeros.
void incdec_forget_gradients(at::Tensor* const* tensors, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (tensors[i]->defined()) tensors[i]->mutable_grad().reset();
}

// Gives each tensor the gradient of the same place, of the same shape and type.
void incdec_give_gradients(at::Tensor* const* tensors, at::Tensor* const* gradients, size_t count) {
  for (size_t i = 0; i < count; i++) tensors[i]->mutable_grad() = *gradients[i];
}
}
