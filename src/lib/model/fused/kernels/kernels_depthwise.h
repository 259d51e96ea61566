// The loops of the depthwise convolution, its input's gradient and its weights': a part of
// kernels.cpp.
#pragma once

#include "kernels_vectors.h"

namespace incdec {
namespace {

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

}  // namespace
}  // namespace incdec
