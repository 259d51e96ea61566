// The loops of the fused operators. Compiled once for each instruction set with INCDEC_ISA naming
// it; everything but the two tables at the end is local to this file and its two headers, so that
// no code for a newer processor is linked into another's path.
#include "kernels.h"

#include <cmath>

#include "kernels_depthwise.h"
#include "kernels_vectors.h"

#ifndef INCDEC_ISA
#define INCDEC_ISA plain
#endif
#define INCDEC_JOIN2(a, b) a##b
#define INCDEC_JOIN(a, b) INCDEC_JOIN2(a, b)
#define INCDEC_TEXT2(a) #a
#define INCDEC_TEXT(a) INCDEC_TEXT2(a)

namespace incdec {
namespace {

// Pixels that a reduction adds up in single precision before it goes on in double.
constexpr long kReductionRows = 64;
// Bytes of the rows of `a` that a product keeps in the nearest cache.
constexpr long kBlockBytes = 16 * 1024;

// ---- products ----

template <class T, int R, int C>
INLINE void product_tile(const T* a, long lda, const T* b, long ldb, T* c, long ldc, long inner, bool add) {
  constexpr long n = Vector<T>::n;
  V<T> sum[R][C];
#pragma GCC unroll 16
  for (int r = 0; r < R; r++)
#pragma GCC unroll 4
    for (int v = 0; v < C; v++) sum[r][v] = add ? load(c + r * ldc + v * n) : V<T>{};
  for (long k = 0; k < inner; k++) {
    V<T> bk[C];
#pragma GCC unroll 4
    for (int v = 0; v < C; v++) bk[v] = load(b + k * ldb + v * n);
#pragma GCC unroll 16
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
      for (int v = 0; v < C; v++) sum[r][v] += bk[v] * a[r * lda + k];
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; r++)
#pragma GCC unroll 4
    for (int v = 0; v < C; v++) store(c + r * ldc + v * n, sum[r][v]);
}

template <class T, int R, int C>
static void product_columns(const T* a, long lda, const T* b, long ldb, T* c, long ldc, long rows, long inner,
                            bool add) {
  long p = 0;
  for (; p + R <= rows; p += R) product_tile<T, R, C>(a + p * lda, lda, b, ldb, c + p * ldc, ldc, inner, add);
  for (; p < rows; p++) product_tile<T, 1, C>(a + p * lda, lda, b, ldb, c + p * ldc, ldc, inner, add);
}

template <class T>
void multiply(const T* a, long lda, const T* b, T* c, long rows, long inner, long columns, bool add) {
  constexpr long n = Vector<T>::n;
  long block = kBlockBytes / (inner * (long)sizeof(T)) / 24 * 24;
  if (block < 24) block = 24;
  for (long p = 0; p < rows; p += block) {
    const long here = rows - p < block ? rows - p : block;
    const T* ap = a + p * lda;
    T* cp = c + p * columns;
    long m = 0, left = columns / n;
    while (left > 0) {
      if (left == 1) {
        product_columns<T, 8, 1>(ap, lda, b + m, columns, cp + m, columns, here, inner, add);
        m += n, left -= 1;
      } else if (left == 2 || left > 3) {
        product_columns<T, 6, 2>(ap, lda, b + m, columns, cp + m, columns, here, inner, add);
        m += 2 * n, left -= 2;
      } else {
        product_columns<T, 4, 3>(ap, lda, b + m, columns, cp + m, columns, here, inner, add);
        m += 3 * n, left -= 3;
      }
    }
  }
}

template <class T, int R, int C>
INLINE void outer_tile(const T* a, long m, const T* b, long k, T* d, long rows) {
  constexpr long n = Vector<T>::n;
  V<T> sum[R][C];
#pragma GCC unroll 8
  for (int r = 0; r < R; r++)
#pragma GCC unroll 4
    for (int v = 0; v < C; v++) sum[r][v] = load(d + r * k + v * n);
  for (long p = 0; p < rows; p++) {
    V<T> bp[C];
#pragma GCC unroll 4
    for (int v = 0; v < C; v++) bp[v] = load(b + p * k + v * n);
#pragma GCC unroll 8
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
      for (int v = 0; v < C; v++) sum[r][v] += bp[v] * a[p * m + r];
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; r++)
#pragma GCC unroll 4
    for (int v = 0; v < C; v++) store(d + r * k + v * n, sum[r][v]);
}

template <class T>
void multiply_transposed(const T* a, long m, const T* b, long k, T* d, long rows) {
  constexpr long n = Vector<T>::n;
  for (long p = 0; p < rows; p += kReductionRows) {
    const long here = rows - p < kReductionRows ? rows - p : kReductionRows;
    const T *ap = a + p * m, *bp = b + p * k;
    for (long j = 0, left = k / n; left > 0;) {
      if (left == 1) {
        for (long i = 0; i < m; i += 8) outer_tile<T, 8, 1>(ap + i, m, bp + j, k, d + i * k + j, here);
        j += n, left -= 1;
      } else if (left == 2 || left == 4) {
        for (long i = 0; i < m; i += 4) outer_tile<T, 4, 2>(ap + i, m, bp + j, k, d + i * k + j, here);
        j += 2 * n, left -= 2;
      } else {
        for (long i = 0; i < m; i += 4) outer_tile<T, 4, 3>(ap + i, m, bp + j, k, d + i * k + j, here);
        j += 3 * n, left -= 3;
      }
    }
  }
}

// ---- per channel ----

template <class T>
INLINE void add_to(double* sum, V<T> v) {
  for (long i = 0; i < Vector<T>::n; i++) sum[i] += (double)v[i];
}

template <class T>
void moments(const T* y, long rows, long channels, double* sum, double* squares) {
  constexpr long n = Vector<T>::n;
  for (long p = 0; p < rows; p += kReductionRows) {
    const long here = rows - p < kReductionRows ? rows - p : kReductionRows;
    for (long c = 0; c < channels; c += n) {
      const T* at = y + p * channels + c;
      V<T> s0{}, s1{}, q0{}, q1{};
      long i = 0;
      for (; i + 2 <= here; i += 2) s0 += load(at + i * channels), s1 += load(at + (i + 1) * channels);
      if (i < here) s0 += load(at + i * channels);
      const V<T> mean = (s0 + s1) / (T)here;
      for (i = 0; i + 2 <= here; i += 2) {
        const V<T> d0 = load(at + i * channels) - mean, d1 = load(at + (i + 1) * channels) - mean;
        q0 += d0 * d0, q1 += d1 * d1;
      }
      if (i < here) {
        const V<T> d0 = load(at + i * channels) - mean;
        q0 += d0 * d0;
      }
      q0 += q1;
      for (long l = 0; l < n; l++) {
        const double m = (double)mean[l];
        sum[c + l] += m * (double)here;
        squares[c + l] += (double)q0[l] + m * m * (double)here;
      }
    }
  }
}

// Calls `body(c, first, end)` for blocks of rows and, within a block, for each vector of channels:
// element c of the rows lies at first, first + channels, ... below end.
template <class T, class Body>
INLINE void each_block(long rows, long channels, Body body) {
  for (long p = 0; p < rows; p += kReductionRows) {
    const long last = rows - p < kReductionRows ? rows : p + kReductionRows;
    for (long c = 0; c < channels; c += Vector<T>::n) body(c, p * channels + c, last * channels);
  }
}

template <class T>
void activate(const T* y, const T* scale, const T* shift, T* h, long rows, long channels, double* sum) {
  each_block<T>(rows, channels, [=](long c, long at, long end) {
    const V<T> a = load(scale + c), b = load(shift + c);
    V<T> s{};
    for (; at < end; at += channels) {
      const V<T> z = load(y + at) * a + b, v = z * sigmoid(z);
      store(h + at, v);
      s += v;
    }
    if (sum) add_to<T>(sum + c, s);
  });
}

template <class T>
void activate_slope(const T* y, const T* scale, const T* shift, T* h, T* d, long rows, long channels) {
  each_block<T>(rows, channels, [=](long c, long at, long end) {
    const V<T> a = load(scale + c), b = load(shift + c);
    for (; at < end; at += channels) {
      const V<T> z = load(y + at) * a + b, s = sigmoid(z), v = z * s;
      store(h + at, v);
      store(d + at, s + v - v * s);
    }
  });
}

template <class T>
void swish_backward(T* g, const T* y, const T* scale, const T* shift, const T* offset, const T* mean, long rows,
                    long channels, double* sum, double* product) {
  each_block<T>(rows, channels, [=](long c, long at, long end) {
    const V<T> a = load(scale + c), b = load(shift + c), m = load(mean + c);
    const V<T> o = offset ? load(offset + c) : V<T>{};
    V<T> s{}, q{};
    for (; at < end; at += channels) {
      const V<T> v = load(y + at), z = v * a + b, t = sigmoid(z), u = z * t;
      const V<T> gz = (load(g + at) + o) * (t + u - u * t);
      store(g + at, gz);
      s += gz;
      q += gz * (v - m);
    }
    add_to<T>(sum + c, s);
    add_to<T>(product + c, q);
  });
}

template <class T>
void slope_backward(T* g, const T* d, const T* y, const T* mean, long rows, long channels, double* sum,
                    double* product) {
  each_block<T>(rows, channels, [=](long c, long at, long end) {
    const V<T> m = load(mean + c);
    V<T> s{}, q{};
    for (; at < end; at += channels) {
      const V<T> gz = load(g + at) * load(d + at);
      store(g + at, gz);
      s += gz;
      q += gz * (load(y + at) - m);
    }
    add_to<T>(sum + c, s);
    add_to<T>(product + c, q);
  });
}

template <class T>
void reduce(const T* g, const T* y, const T* mean, long rows, long channels, double* sum, double* product) {
  each_block<T>(rows, channels, [=](long c, long at, long end) {
    const V<T> m = load(mean + c);
    V<T> s{}, q{};
    for (; at < end; at += channels) {
      const V<T> v = load(g + at);
      s += v;
      q += v * (load(y + at) - m);
    }
    add_to<T>(sum + c, s);
    add_to<T>(product + c, q);
  });
}

template <class T>
void combine(const T* g, const T* y, const T* by_g, const T* by_y, const T* constant, T* out, long rows,
             long channels) {
  each_block<T>(rows, channels, [=](long c, long at, long end) {
    const V<T> a = load(by_g + c), b = load(by_y + c), k = load(constant + c);
    for (; at < end; at += channels) store(out + at, load(g + at) * a + (load(y + at) * b + k));
  });
}

template <class T>
void blend(const T* y, const T* scale, const T* shift, const T* r, const T* r_scale, const T* r_shift, T* out,
           long rows, long channels) {
  each_block<T>(rows, channels, [=](long c, long at, long end) {
    const V<T> a = load(scale + c), ra = r_scale ? load(r_scale + c) : V<T>{} + 1;
    const V<T> b = r_shift ? load(shift + c) + load(r_shift + c) : load(shift + c);
    for (; at < end; at += channels) store(out + at, load(y + at) * a + (load(r + at) * ra + b));
  });
}

// ---- the optimizer ----

template <class T>
void adam(T* value, const T* gradient, T* mean, T* square, long count, const AdamStep& step) {
  const T lerp = (T)(1 - step.beta1), beta2 = (T)step.beta2, lerp2 = (T)(1 - step.beta2), epsilon = (T)step.epsilon;
  const T decay = (T)step.gradient_decay, keep = (T)step.keep, rate = (T)step.rate;
  const T correction = (T)step.correction;
  for (long i = 0; i < count; i++) {
    const T g = gradient[i] + decay * value[i];
    const T m = mean[i] + lerp * (g - mean[i]), v = beta2 * square[i] + lerp2 * g * g;
    mean[i] = m;
    square[i] = v;
    value[i] = keep * value[i] - rate * (m / (std::sqrt(v) / correction + epsilon));
  }
}

template <class T>
constexpr Kernels<T> table = {multiply<T>,       multiply_transposed<T>, moments<T>,   activate<T>,
                              activate_slope<T>, swish_backward<T>,      slope_backward<T>, reduce<T>,
                              combine<T>,        blend<T>,               depthwise<T>, depthwise_spread<T>,
                              depthwise_weights<T>, adam<T>,             INCDEC_TEXT(INCDEC_ISA)};

}  // namespace

const Kernels<float>& INCDEC_JOIN(float_kernels_, INCDEC_ISA)() { return table<float>; }
const Kernels<double>& INCDEC_JOIN(double_kernels_, INCDEC_ISA)() { return table<double>; }

}  // namespace incdec
