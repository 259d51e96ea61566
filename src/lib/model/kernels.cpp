// The loops of the fused operators. Compiled once for each instruction set with INCDEC_ISA naming it; everything but the
// two tables at the end is local to this file, so that no code for a newer processor is linked into another's path.
#include "kernels.h"

#include <cmath>

#ifndef INCDEC_ISA
#define INCDEC_ISA plain
#endif
#define INCDEC_JOIN2(a, b) a##b
#define INCDEC_JOIN(a, b) INCDEC_JOIN2(a, b)
#define INLINE static inline __attribute__((always_inline))

namespace incdec {
namespace {

// Bytes of a vector: those of a register, since halves of a wider one are kept in memory. Channel counts are multiples of 8
// floats, so 32 bytes at most.
#if defined(__AVX2__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif
// Pixels that a reduction adds up in single precision before it goes on in double.
constexpr long kReductionRows = 64;
// Bytes of the rows of `a` that a product keeps in the nearest cache.
constexpr long kBlockBytes = 16 * 1024;

template <class T>
struct Vector;
template <>
struct Vector<float> {
  typedef float type __attribute__((vector_size(kVectorBytes)));
  typedef float loose __attribute__((vector_size(kVectorBytes), aligned(4), may_alias));
  static constexpr long n = kVectorBytes / sizeof(float);
};
template <>
struct Vector<double> {
  typedef double type __attribute__((vector_size(kVectorBytes)));
  typedef double loose __attribute__((vector_size(kVectorBytes), aligned(8), may_alias));
  static constexpr long n = kVectorBytes / sizeof(double);
};
template <class T>
using V = typename Vector<T>::type;
typedef int Ints __attribute__((vector_size(kVectorBytes)));

template <class T>
INLINE V<T> load(const T* p) {
  return *reinterpret_cast<const typename Vector<T>::loose*>(p);
}
template <class T>
INLINE void store(T* p, V<T> v) {
  *reinterpret_cast<typename Vector<T>::loose*>(p) = v;
}

// e^x, Cephes' polynomial on [-ln 2 / 2, ln 2 / 2], error below two units in the last place.
INLINE V<float> exponential(V<float> x) {
  const V<float> lowest = x * 0 - 87.0f, highest = x * 0 + 88.0f;
  x = x < lowest ? lowest : x;
  x = x > highest ? highest : x;
  const float round = 12582912.0f;  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits.
  const V<float> shifted = x * 1.44269504088896341f + round;
  const V<float> n = shifted - round;
  const V<float> r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  V<float> p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + (r + 1.0f);
  return (V<float>)((Ints)p + ((Ints)shifted << 23));
}
INLINE V<double> exponential(V<double> x) {
  V<double> e = x;
  for (long i = 0; i < Vector<double>::n; i++) e[i] = __builtin_exp(x[i]);
  return e;
}
template <class W>
INLINE W sigmoid(W z) {
  return 1 / (1 + exponential(-z));
}

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

// Calls `body(c, first, end)` for blocks of rows and, within a block, for each vector of channels: element c of the rows
// lies at first, first + channels, ... below end.
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

// ---- depthwise ----

template <class T, int K, int S, int B>
INLINE void depthwise_pixels(const T* const* frames, long count, const T* w, T* out, long pitch, long from,
                             long channels) {
  V<T> sum[B];
#pragma GCC unroll 8
  for (int j = 0; j < B; j++) sum[j] = V<T>{};
  for (long i = 0; i < count; i++) {
    if (!frames[i]) continue;
    for (int ky = 0; ky < K; ky++) {
      const T* row = frames[i] + from + ky * pitch * channels;
      const T* wr = w + (i * K + ky) * K * channels;
#pragma GCC unroll 8
      for (int kx = 0; kx < K; kx++) {
        const V<T> tap = load(wr + kx * channels);
#pragma GCC unroll 8
        for (int j = 0; j < B; j++) sum[j] += load(row + (j * S + kx) * channels) * tap;
      }
    }
  }
#pragma GCC unroll 8
  for (int j = 0; j < B; j++) store(out + j * channels, sum[j]);
}

// Runs `call<B>(x)` over a row of `width` pixels in blocks of at most five, evenly.
#define INCDEC_ROW(width, call)                        \
  for (long x = 0, parts = (width + 4) / 5; parts; parts--) { \
    const long here = (width - x + parts - 1) / parts; \
    switch (here) {                                    \
      case 5: call(5); break;                          \
      case 4: call(4); break;                          \
      case 3: call(3); break;                          \
      case 2: call(2); break;                          \
      default: call(1);                                \
    }                                                  \
    x += here;                                         \
  }

template <class T, int K, int S>
void depthwise_k(const T* const* frames, long count, const T* w, T* out, long pitch, long height, long width,
                 long channels) {
  for (long y = 0; y < height; y++)
    for (long c = 0; c < channels; c += Vector<T>::n) {
#define INCDEC_CALL(B)                                                                             \
  depthwise_pixels<T, K, S, B>(frames, count, w + c, out + (y * width + x) * channels + c, pitch, \
                               (y * S * pitch + x * S) * channels + c, channels)
      INCDEC_ROW(width, INCDEC_CALL)
#undef INCDEC_CALL
    }
}

template <class T>
void depthwise(const T* const* frames, long count, const T* w, T* out, long pitch, long height, long width,
               long channels, long k, long stride) {
  if (k == 3 && stride == 1) depthwise_k<T, 3, 1>(frames, count, w, out, pitch, height, width, channels);
  if (k == 3 && stride == 2) depthwise_k<T, 3, 2>(frames, count, w, out, pitch, height, width, channels);
  if (k == 5 && stride == 1) depthwise_k<T, 5, 1>(frames, count, w, out, pitch, height, width, channels);
  if (k == 5 && stride == 2) depthwise_k<T, 5, 2>(frames, count, w, out, pitch, height, width, channels);
}

template <class T, int B>
INLINE void spread_pixels(const T* const* frames, long count, const T* w, T* out, long pitch, long from, long first_y,
                          long first_x, long channels, long k) {
  V<T> sum[B];
#pragma GCC unroll 8
  for (int j = 0; j < B; j++) sum[j] = V<T>{};
  for (long i = 0; i < count; i++) {
    if (!frames[i]) continue;
    for (long ky = first_y; ky < k; ky += 2)
      for (long kx = first_x; kx < k; kx += 2) {
        const V<T> tap = load(w + ((i * k + ky) * k + kx) * channels);
        const T* at = frames[i] + from - ((ky - first_y) / 2 * pitch + (kx - first_x) / 2) * channels;
#pragma GCC unroll 8
        for (int j = 0; j < B; j++) sum[j] += load(at + j * channels) * tap;
      }
  }
#pragma GCC unroll 8
  for (int j = 0; j < B; j++) store(out + j * 2 * channels, sum[j]);
}

template <class T>
void depthwise_spread(const T* const* frames, long count, const T* w, T* out, long pitch, long before_y, long before_x,
                      long top, long left, long height, long width, long channels, long k) {
  for (long y = 0; y < height; y++) {
    const long first_y = (y + top) & 1, from_y = (y + top - first_y) / 2 + before_y;
    for (long c = 0; c < channels; c += Vector<T>::n)
      for (long parity = 0; parity < 2; parity++) {
        const long first_x = (parity + left) & 1, from_x = (parity + left - first_x) / 2 + before_x;
        const long columns = (width - parity + 1) / 2;
#define INCDEC_CALL(B)                                                                                      \
  spread_pixels<T, B>(frames, count, w + c, out + (y * width + 2 * x + parity) * channels + c, pitch,      \
                      (from_y * pitch + from_x + x) * channels + c, first_y, first_x, channels, k)
        INCDEC_ROW(columns, INCDEC_CALL)
#undef INCDEC_CALL
      }
  }
}

template <class T, int K, int S, int ROWS>
INLINE void weights_rows(const T* frame, const T* g, T* dw, long pitch, long width, long channels) {
  V<T> sum[ROWS][K];
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 8
    for (int kx = 0; kx < K; kx++) sum[r][kx] = load(dw + (r * K + kx) * channels);
  for (long x = 0; x < width; x++) {
    const V<T> gx = load(g + x * channels);
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 8
      for (int kx = 0; kx < K; kx++) sum[r][kx] += gx * load(frame + (r * pitch + x * S + kx) * channels);
  }
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 8
    for (int kx = 0; kx < K; kx++) store(dw + (r * K + kx) * channels, sum[r][kx]);
}

template <class T, int K, int S>
void depthwise_weights_k(const T* frame, const T* g, T* dw, long pitch, long g_pitch, long height, long width,
                         long channels) {
  for (long y = 0; y < height; y++)
    for (long c = 0; c < channels; c += Vector<T>::n) {
      const T* at = frame + y * S * pitch * channels + c;
      const T* gy = g + y * g_pitch * channels + c;
      const long row = pitch * channels, tap = K * channels;
      if (K == 3) {
        weights_rows<T, K, S, 3>(at, gy, dw + c, pitch, width, channels);
      } else {
        weights_rows<T, K, S, 2>(at, gy, dw + c, pitch, width, channels);
        weights_rows<T, K, S, 2>(at + 2 * row, gy, dw + 2 * tap + c, pitch, width, channels);
        weights_rows<T, K, S, 1>(at + 4 * row, gy, dw + 4 * tap + c, pitch, width, channels);
      }
    }
}

template <class T>
void depthwise_weights(const T* frame, const T* g, T* dw, long pitch, long g_pitch, long height, long width,
                       long channels, long k, long stride) {
  if (k == 3 && stride == 1) depthwise_weights_k<T, 3, 1>(frame, g, dw, pitch, g_pitch, height, width, channels);
  if (k == 3 && stride == 2) depthwise_weights_k<T, 3, 2>(frame, g, dw, pitch, g_pitch, height, width, channels);
  if (k == 5 && stride == 1) depthwise_weights_k<T, 5, 1>(frame, g, dw, pitch, g_pitch, height, width, channels);
  if (k == 5 && stride == 2) depthwise_weights_k<T, 5, 2>(frame, g, dw, pitch, g_pitch, height, width, channels);
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
                              depthwise_weights<T>, adam<T>};

}  // namespace

const Kernels<float>& INCDEC_JOIN(float_kernels_, INCDEC_ISA)() { return table<float>; }
const Kernels<double>& INCDEC_JOIN(double_kernels_, INCDEC_ISA)() { return table<double>; }

}  // namespace incdec
