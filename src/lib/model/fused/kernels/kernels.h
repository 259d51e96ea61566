// The loops of the fused operators, on plain pointers: the interface. kernels.cpp is compiled once
// for each instruction set; fused.cpp takes the table that fits the processor it runs on.
//
// Pixels are rows: a matrix [rows, channels] is contiguous in its channels. Every channel count
// that a loop runs over in its innermost dimension is a multiple of 8.
#pragma once

namespace incdec {

// Taps of a kernel that the loops are written for: 3x3 and 5x5.
constexpr long kMaxKernel = 5;

// A step of Adam as numbers. `gradient_decay` is added to the gradient for each unit of the value
// (Adam's weight decay), `keep` multiplies the value (AdamW's); `rate` and `correction` hold the
// corrections of the first and second moment.
struct AdamStep {
  double beta1, beta2, epsilon, gradient_decay, keep, rate, correction;
};

template <class T>
struct Kernels {
  // c[p, m] = sum over k of a[p, k] b[k, m], added to c where `add`.
  void (*multiply)(const T* a, long lda, const T* b, T* c, long rows, long inner, long columns, bool add);
  // d[m, k] += sum over p of a[p, m] b[p, k].
  void (*multiply_transposed)(const T* a, long m, const T* b, long k, T* d, long rows);
  // Adds each channel's sum, and its sum of squares, block by block around the block's mean.
  void (*moments)(const T* y, long rows, long channels, double* sum, double* squares);
  // h = swish(scale y + shift); adds each channel's sum of h where `sum` is not null.
  void (*activate)(const T* y, const T* scale, const T* shift, T* h, long rows, long channels, double* sum);
  // The same, and d = swish'(scale y + shift).
  void (*activate_slope)(const T* y, const T* scale, const T* shift, T* h, T* d, long rows, long channels);
  // g = (g + offset) swish'(scale y + shift); adds the sums of g and of g (y - mean).
  void (*swish_backward)(T* g, const T* y, const T* scale, const T* shift, const T* offset, const T* mean, long rows,
                         long channels, double* sum, double* product);
  // g = g d; adds the sums of g and of g (y - mean).
  void (*slope_backward)(T* g, const T* d, const T* y, const T* mean, long rows, long channels, double* sum,
                         double* product);
  // Adds the sums of g and of g (y - mean).
  void (*reduce)(const T* g, const T* y, const T* mean, long rows, long channels, double* sum, double* product);
  // out = by_g g + by_y y + constant.
  void (*combine)(const T* g, const T* y, const T* by_g, const T* by_y, const T* constant, T* out, long rows,
                  long channels);
  // out = scale y + shift + r, with r = r_scale r + r_shift where those are not null. out may be y.
  void (*blend)(const T* y, const T* scale, const T* shift, const T* r, const T* r_scale, const T* r_shift, T* out,
                long rows, long channels);
  // out[y, x] = sum over frames i (null ones left out) and taps of
  // w[i, tap] frames[i][y stride + ky, x stride + kx].
  // Frames are padded and `pitch` pixels wide; w is [frames, k, k, channels].
  void (*depthwise)(const T* const* frames, long count, const T* w, T* out, long pitch, long height, long width,
                    long channels, long k, long stride);
  // The input's gradient for stride 2: out[y, x] = sum of
  // w[i, ky, kx] frames[i][(y + top - ky) / 2, (x + left - kx) / 2]
  // over the taps with whole quotients; frames are padded by `before` pixels above and to the left.
  void (*depthwise_spread)(const T* const* frames, long count, const T* w, T* out, long pitch, long before_y,
                           long before_x, long top, long left, long height, long width, long channels, long k);
  // dw[tap] += sum over pixels of g[y, x] frame[y stride + ky, x stride + kx]; rows of g lie
  // g_pitch pixels apart.
  void (*depthwise_weights)(const T* frame, const T* g, T* dw, long pitch, long g_pitch, long height, long width,
                            long channels, long k, long stride);
  // Moves `count` values, which need not be a multiple of anything, and their two moments by their
  // gradients.
  void (*adam)(T* value, const T* gradient, T* mean, T* square, long count, const AdamStep& step);
  // The instruction set that these loops are compiled for.
  const char* instructions;
};

const Kernels<float>& float_kernels_plain();
const Kernels<float>& float_kernels_avx2();
const Kernels<float>& float_kernels_avx512();
const Kernels<double>& double_kernels_plain();
const Kernels<double>& double_kernels_avx2();
const Kernels<double>& double_kernels_avx512();

}  // namespace incdec
