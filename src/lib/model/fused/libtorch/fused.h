// What the fused operators share: sizes, scratch memory, batch norms, products over all rows in
// parallel.
//
// Work is cut into slots whose number depends on the shapes alone, and sums over slots are taken in
// order: results do not depend on the number of threads.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "../kernels/kernels.h"

namespace incdec {

// Rows for which a slot of its own pays, and the most slots of a pass.
constexpr long kSlotRows = 512;
constexpr long kMaxSlots = 32;
// Bytes of the wider matrix that a pass works on at a time.
constexpr long kTileBytes = 32 * 1024;
// Bytes of a large page of memory.
constexpr uintptr_t kLargePageBytes = 2 << 20;

// The loops for the processor at hand.
template <class T>
const Kernels<T>& kernels();
template <>
const Kernels<float>& kernels<float>();
template <>
const Kernels<double>& kernels<double>();

// Asks for large pages for those that lie within the `bytes` at `start`: activations are walked
// from end to end, and with pages of 4 KiB a tenth of a step goes into looking them up. Only
// advice: where the system refuses it, nothing changes.
inline void prefer_large_pages(void* start, size_t bytes) {
#if defined(__linux__)
  const uintptr_t from = ((uintptr_t)start + kLargePageBytes - 1) / kLargePageBytes * kLargePageBytes;
  const uintptr_t to = ((uintptr_t)start + bytes) / kLargePageBytes * kLargePageBytes;
  if (from < to) madvise((void*)from, to - from, MADV_HUGEPAGE);
#endif
}

// Memory for the length of a scope, aligned for vectors.
template <class T>
class Scratch {
 public:
  explicit Scratch(size_t count, bool zero = false)
      : data_(static_cast<T*>(std::aligned_alloc(64, (count * sizeof(T) + 63) / 64 * 64 + 64))) {
    if (!data_) throw std::bad_alloc();
    prefer_large_pages(data_.get(), count * sizeof(T));
    if (zero) std::memset(data_.get(), 0, count * sizeof(T));
  }
  operator T*() { return data_.get(); }
  T* get() { return data_.get(); }

 private:
  struct Free {
    void operator()(T* p) const { std::free(p); }
  };
  std::unique_ptr<T, Free> data_;
};

inline long slots_for(long rows) { return std::clamp(rows / kSlotRows, 1L, kMaxSlots); }

// Calls body(slot, first, last) for contiguous ranges that make up the rows.
template <class Body>
void for_slots(long rows, Body body) {
  const long slots = slots_for(rows);
  at::parallel_for(0, slots, 1, [&](int64_t from, int64_t to) {
    for (long s = from; s < to; s++) body(s, rows * s / slots, rows * (s + 1) / slots);
  });
}

// Rows of a tile of `channels` columns: a multiple of every product tile's height.
template <class T>
long tile_rows(long channels) {
  return std::clamp(kTileBytes / (channels * (long)sizeof(T)) / 48 * 48, 48L, 768L);
}

// Two sums for each channel, one pair a slot.
class Sums {
 public:
  Sums(long slots, long channels) : slots_(slots), channels_(channels), data_(slots * channels * 2) {}
  double* first(long slot) { return data_.data() + slot * channels_ * 2; }
  double* second(long slot) { return first(slot) + channels_; }
  // Adds all slots to the first, in order.
  void join() {
    for (long s = 1; s < slots_; s++)
      for (long c = 0; c < 2 * channels_; c++) data_[c] += data_[s * channels_ * 2 + c];
    slots_ = 1;
  }

 private:
  long slots_, channels_;
  std::vector<double> data_;
};

template <class T>
T* data(const at::Tensor& t) {
  return t.data_ptr<T>();
}

template <class T>
at::Tensor matrix(std::vector<int64_t> shape) {
  at::Tensor t = at::empty(shape, at::TensorOptions().dtype(c10::CppTypeToScalarType<T>::value));
  prefer_large_pages(t.data_ptr(), t.nbytes());
  return t;
}

template <class T>
at::Tensor matrix_zeros(std::vector<int64_t> shape) {
  return at::zeros(shape, at::TensorOptions().dtype(c10::CppTypeToScalarType<T>::value));
}

// [rows, columns] to [columns, rows].
template <class T>
void transpose(const T* from, T* to, long rows, long columns) {
  for (long r = 0; r < rows; r++)
    for (long c = 0; c < columns; c++) to[c * rows + r] = from[r * columns + c];
}

// How batch norms behave.
struct NormRule {
  bool batch_stats;
  double epsilon;
};

// A batch norm's parameters and its statistics: the running mean and variance, or, where the batch's own count, the
// places (64-bit floats) for the batch's mean and unbiased variance. The caller moves the running ones.
struct NormTensors {
  at::Tensor gamma, beta, mean, var;
};

// The statistics that a pass normalises by, [4, channels]: mean, 1 / deviation, scale, shift.
template <class T>
struct NormUse {
  at::Tensor stats;
  long channels = 0;
  const T* mean() const { return data<T>(stats); }
  const T* deviation() const { return data<T>(stats) + channels; }
  const T* scale() const { return data<T>(stats) + 2 * channels; }
  const T* shift() const { return data<T>(stats) + 3 * channels; }
};

template <class T>
NormUse<T> use_norm(const NormTensors& norm, const NormRule& rule, Sums* sums, long rows) {
  const long c = norm.gamma.numel();
  NormUse<T> use{matrix<T>({4, c}), c};
  T* out = data<T>(use.stats);
  const T *gamma = data<T>(norm.gamma), *beta = data<T>(norm.beta);
  const T *running_mean = nullptr, *running_var = nullptr;
  double *batch_mean = nullptr, *batch_var = nullptr;
  if (rule.batch_stats) {
    sums->join();
    batch_mean = data<double>(norm.mean), batch_var = data<double>(norm.var);
  } else {
    running_mean = data<T>(norm.mean), running_var = data<T>(norm.var);
  }
  for (long i = 0; i < c; i++) {
    double mean, var;
    if (rule.batch_stats) {
      mean = sums->first(0)[i] / rows;
      var = std::max(0.0, sums->second(0)[i] / rows - mean * mean);
      batch_mean[i] = mean;
      batch_var[i] = var * rows / std::max(1L, rows - 1);
    } else {
      mean = running_mean[i], var = running_var[i];
    }
    const double deviation = 1 / std::sqrt(var + rule.epsilon), scale = gamma[i] * deviation;
    out[i] = (T)mean;
    out[c + i] = (T)deviation;
    out[2 * c + i] = (T)scale;
    out[3 * c + i] = (T)(beta[i] - mean * scale);
  }
  return use;
}

// The backward pass of a batch norm, from the sums of g and of g (y - mean): the gradients of its
// parameters, and the three factors with which the gradient of its input is by_g g + by_y y +
// constant.
template <class T>
struct NormBackward {
  at::Tensor gamma, beta, factors;
  long channels;
  const T* by_g() const { return data<T>(factors); }
  const T* by_y() const { return data<T>(factors) + channels; }
  const T* constant() const { return data<T>(factors) + 2 * channels; }
};

// `weight` multiplies the gradient before it reaches the norm.
template <class T>
NormBackward<T> norm_backward(const NormUse<T>& use, bool batch_stats, const double* sum, const double* product,
                              long rows, double weight) {
  const long c = use.channels;
  NormBackward<T> back{matrix<T>({c}), matrix<T>({c}), matrix<T>({3, c}), c};
  T *gamma = data<T>(back.gamma), *beta = data<T>(back.beta), *factors = data<T>(back.factors);
  const T *means = use.mean(), *deviations = use.deviation(), *scales = use.scale();
  for (long i = 0; i < c; i++) {
    const double deviation = deviations[i], mean = means[i];
    gamma[i] = (T)(weight * product[i] * deviation);
    beta[i] = (T)(weight * sum[i]);
    const double by_g = weight * scales[i];
    const double by_y = batch_stats ? -by_g * deviation * deviation * product[i] / rows : 0;
    factors[i] = (T)by_g;
    factors[c + i] = (T)by_y;
    factors[2 * c + i] = (T)(batch_stats ? -by_g * sum[i] / rows - by_y * mean : 0);
  }
  return back;
}

// y = x w, with w [inner, columns]; adds the moments of y to `sums`, one slot a range of rows.
template <class T>
void product_with_moments(const T* x, const T* w, T* y, long rows, long inner, long columns, Sums* sums) {
  const auto& k = kernels<T>();
  const long tile = tile_rows<T>(columns);
  for_slots(rows, [&](long slot, long first, long last) {
    for (long p = first; p < last; p += tile) {
      const long here = std::min(tile, last - p);
      k.multiply(x + p * inner, inner, w, y + p * columns, here, inner, columns, false);
      if (sums) k.moments(y + p * columns, here, columns, sums->first(slot), sums->second(slot));
    }
  });
}

// The gradients of y = x w^T with w [columns, inner], where that of y is by_g g + by_y y +
// constant: adds to `gx` (where not null) and gives that of w.
template <class T>
at::Tensor product_backward(const T* g, const T* y, const NormBackward<T>& norm, const T* x, const T* w, T* gx, bool add,
                            long rows, long inner, long columns) {
  const auto& k = kernels<T>();
  const long tile = tile_rows<T>(columns), slots = slots_for(rows), size = columns * inner;
  Scratch<T> partial(slots * size, true);
  for_slots(rows, [&](long slot, long first, long last) {
    Scratch<T> gy(tile * columns);
    for (long p = first; p < last; p += tile) {
      const long here = std::min(tile, last - p);
      k.combine(g + p * columns, y + p * columns, norm.by_g(), norm.by_y(), norm.constant(), gy, here, columns);
      if (gx) k.multiply(gy, columns, w, gx + p * inner, here, columns, inner, add);
      k.multiply_transposed(gy, columns, x + p * inner, inner, partial + slot * size, here);
    }
  });
  at::Tensor gw = matrix<T>({columns, inner, 1, 1, 1});
  T* out = data<T>(gw);
  std::memcpy(out, partial.get(), size * sizeof(T));
  for (long s = 1; s < slots; s++)
    for (long i = 0; i < size; i++) out[i] += partial[s * size + i];
  return gw;
}

}  // namespace incdec
