// The backward pass of a bottleneck.
#pragma once

#include "fused_block.h"

namespace incdec {

template <class T>
std::vector<at::Tensor> Block<T>::backward(const at::Tensor& grad, bool needs_x) {
  const bool batch = p.rule.batch_stats;
  const long rows = p.rows_out(), clip_rows = p.t * p.frame_out(), slots = slots_for(clip_rows), m = p.mid, o = p.out;
  const T* g = data<T>(grad);
  const double alpha = *data<T>(in.alpha);

  // Shortcut and projection's norm: one pass of sums, then the factors.
  Sums sums3(slots_for(rows), o), sums_r(p.residual ? slots_for(rows) : 0, o);
  for_slots(rows, [&](long slot, long first, long last) {
    const long at = first * o;
    k.reduce(g + at, data<T>(y3) + at, use3.mean(), last - first, o, sums3.first(slot), sums3.second(slot));
    if (p.residual)
      k.reduce(g + at, data<T>(yr) + at, use_r.mean(), last - first, o, sums_r.first(slot), sums_r.second(slot));
  });
  sums3.join();
  const NormBackward<T> back3 = norm_backward(use3, batch, sums3.first(0), sums3.second(0), rows, alpha);
  at::Tensor grad_alpha = matrix<T>({});
  double alpha_sum = 0;
  const T *gamma3 = data<T>(in.norm3.gamma), *beta3 = data<T>(in.norm3.beta), *deviation3 = use3.deviation();
  for (long c = 0; c < o; c++)
    alpha_sum += gamma3[c] * deviation3[c] * sums3.second(0)[c] + beta3[c] * sums3.first(0)[c];
  *data<T>(grad_alpha) = (T)alpha_sum;

  // Projection: a[n] = (gradient of y3)^T swish(...) serves its weights and the gate.
  Scratch<T> gy3(rows * o);
  at::Tensor grad_project = matrix_zeros<T>({o, m, 1, 1, 1});
  std::vector<double> grad_gate(p.n * m);
  const T* w3 = data<T>(in.project);
  const long tile = tile_rows<T>(m);
  for (long n = 0; n < p.n; n++) {
    Scratch<T> partial(slots * o * m, true);
    for_slots(clip_rows, [&](long slot, long first, long last) {
      Scratch<T> h(tile * m);
      for (long i = first; i < last; i += tile) {
        const long here = std::min(tile, last - i), at = n * clip_rows + i;
        T* to = gy3 + at * o;
        k.combine(g + at * o, data<T>(y3) + at * o, back3.by_g(), back3.by_y(), back3.constant(), to, here, o);
        k.activate(data<T>(y2) + at * m, use2.scale(), use2.shift(), h, here, m, nullptr);
        k.multiply_transposed(to, o, h, m, partial + slot * o * m, here);
      }
    });
    const T* s = data<T>(gate) + n * m;
    T* gw = data<T>(grad_project);
    for (long i = 0; i < o * m; i++) {
      T sum = 0;
      for (long slot = 0; slot < slots; slot++) sum += partial[slot * o * m + i];
      gw[i] += sum * s[i % m];
      grad_gate[n * m + i % m] += (double)sum * w3[i];
    }
  }

  // Squeeze and excite.
  const long q = p.squeezed;
  at::Tensor grad_fc1 = matrix_zeros<T>({q, m, 1, 1, 1}), grad_b1 = matrix_zeros<T>({q});
  at::Tensor grad_fc2 = matrix_zeros<T>({m, q, 1, 1, 1}), grad_b2 = matrix_zeros<T>({m});
  std::vector<T> offset(p.n * m);
  {
    const T *w1 = data<T>(in.fc1), *w2 = data<T>(in.fc2);
    T *g1 = data<T>(grad_fc1), *gb1 = data<T>(grad_b1), *g2 = data<T>(grad_fc2), *gb2 = data<T>(grad_b2);
    for (long n = 0; n < p.n; n++) {
      const T *s = data<T>(gate) + n * m, *z = data<T>(hidden) + n * q, *mu = data<T>(mean) + n * m;
      std::vector<double> active(q), gz(q), gm(m);
      for (long j = 0; j < q; j++) active[j] = z[j] / (1 + std::exp(-(double)z[j]));
      for (long c = 0; c < m; c++) {
        const double gc = grad_gate[n * m + c] * s[c] * (1 - s[c]);
        gb2[c] += (T)gc;
        for (long j = 0; j < q; j++) g2[c * q + j] += (T)(gc * active[j]), gz[j] += gc * w2[c * q + j];
      }
      for (long j = 0; j < q; j++) {
        const double sigma = 1 / (1 + std::exp(-(double)z[j]));
        const double gj = gz[j] * (sigma + active[j] * (1 - sigma));
        gb1[j] += (T)gj;
        for (long c = 0; c < m; c++) g1[j * m + c] += (T)(gj * mu[c]), gm[c] += gj * w1[j * m + c];
      }
      for (long c = 0; c < m; c++) offset[n * m + c] = (T)(gm[c] / clip_rows);
    }
  }

  // Through the projection and the second activation: gz2, and the sums of its norm.
  Scratch<T> gz2(rows * m);
  Sums sums2(p.n * slots, m);
  {
    Scratch<T> w(o * m);
    for (long n = 0; n < p.n; n++) {
      const T* s = data<T>(gate) + n * m;
      for (long i = 0; i < o * m; i++) w[i] = w3[i] * s[i % m];
      for_slots(clip_rows, [&](long slot, long first, long last) {
        const long id = n * slots + slot;
        for (long i = first; i < last; i += tile) {
          const long here = std::min(tile, last - i), at = n * clip_rows + i;
          k.multiply(gy3 + at * o, o, w, gz2 + at * m, here, o, m, false);
          k.swish_backward(gz2 + at * m, data<T>(y2) + at * m, use2.scale(), use2.shift(), offset.data() + n * m,
                           use2.mean(), here, m, sums2.first(id), sums2.second(id));
        }
      });
    }
  }
  sums2.join();
  const NormBackward<T> back2 = norm_backward(use2, batch, sums2.first(0), sums2.second(0), rows, 1);

  // Depthwise: for each input frame its gradient, gathered from the frames around, and its share of
  // the weights'.
  const long taps = p.k * p.k, parts = std::min(kFrameParts, p.t), wide = p.rows_in();
  const long before_y = (p.k - 1 - p.top + p.stride - 1) / p.stride, before_x = (p.k - 1 - p.left + p.stride - 1) / p.stride;
  const long after_y = std::max(0L, (p.h - 1 + p.top) / p.stride - (p.out_h - 1));
  const long after_x = std::max(0L, (p.w - 1 + p.left) / p.stride - (p.out_w - 1));
  const long pitch = before_x + p.out_w + after_x, g_size = (before_y + p.out_h + after_y) * pitch * m;
  const long h_size = p.padded_h() * p.padded_w() * m;
  const long in_rows = std::min(p.h, p.padded_h() - p.top), in_columns = std::min(p.w, p.padded_w() - p.left);
  Scratch<T> gz1(wide * m), partial(p.n * parts * p.frames_k * taps * m, true);
  Sums sums1(p.n * p.t, m);
  const std::vector<T> w = deep_weights(p.stride == 1);
  at::parallel_for(0, p.n * parts, 1, [&](int64_t a, int64_t b) {
    Scratch<T> ring(p.frames_k * g_size, true), h(h_size, true), d(p.frame_in() * m);
    std::vector<const T*> frames(p.frames_k);
    for (long part = a; part < b; part++) {
      const long clip = part / parts * p.t, i = part % parts;
      const long first = p.t * i / parts, last = p.t * (i + 1) / parts;
      long ready = std::max(0L, first + p.front - p.frames_k + 1);
      for (long f = first; f < last; f++) {
        for (; ready < std::min(p.t, f + p.front + 1); ready++) {
          T* to = ring + ready % p.frames_k * g_size;
          for (long r = 0; r < p.out_h; r++) {
            const long at = (((clip + ready) * p.out_h + r) * p.out_w) * m;
            k.combine(gz2 + at, data<T>(y2) + at, back2.by_g(), back2.by_y(), back2.constant(),
                      to + ((r + before_y) * pitch + before_x) * m, p.out_w, m);
          }
        }
        for (long j = 0; j < p.frames_k; j++) {
          const long from = f + p.front - j;
          frames[j] = from < 0 || from >= p.t ? nullptr : ring + from % p.frames_k * g_size;
        }
        const long at = (clip + f) * p.frame_in() * m;
        const T* y = data<T>(y1) + at;
        if (in_rows < p.h || in_columns < p.w) std::memset(d, 0, p.frame_in() * m * sizeof(T));
        for (long r = 0; r < in_rows; r++)
          k.activate_slope(y + r * p.w * m, use1.scale(), use1.shift(),
                           h + ((r + p.top) * p.padded_w() + p.left) * m, d + r * p.w * m, in_columns, m);
        if (p.stride == 1)
          k.depthwise(frames.data(), p.frames_k, w.data(), gz1 + at, pitch, p.h, p.w, m, p.k, 1);
        else
          k.depthwise_spread(frames.data(), p.frames_k, w.data(), gz1 + at, pitch, before_y, before_x, p.top, p.left,
                             p.h, p.w, m, p.k);
        k.slope_backward(gz1 + at, d, y, use1.mean(), p.frame_in(), m, sums1.first(clip + f), sums1.second(clip + f));
        for (long j = 0; j < p.frames_k; j++)
          if (frames[j])
            k.depthwise_weights(h, frames[j] + (before_y * pitch + before_x) * m,
                                partial + (part * p.frames_k + j) * taps * m, p.padded_w(), pitch, p.out_h, p.out_w, m,
                                p.k, p.stride);
      }
    }
  });
  at::Tensor grad_deep = matrix_zeros<T>({m, 1, p.frames_k, p.k, p.k});
  T* gd = data<T>(grad_deep);
  for (long part = 0; part < p.n * parts; part++)
    for (long j = 0; j < p.frames_k * taps; j++)
      for (long c = 0; c < m; c++) gd[c * p.frames_k * taps + j] += partial[(part * p.frames_k * taps + j) * m + c];
  sums1.join();
  const NormBackward<T> back1 = norm_backward(use1, batch, sums1.first(0), sums1.second(0), wide, 1);

  // The shortcut's gradient is the first part of the input's, the expansion's is added to it.
  at::Tensor grad_x, grad_residual;
  NormBackward<T> back_r;
  if (needs_x) grad_x = matrix<T>({p.n, p.t, p.h, p.w, p.in});
  if (p.residual) {
    sums_r.join();
    back_r = norm_backward(use_r, batch, sums_r.first(0), sums_r.second(0), rows, 1);
    const T* from = p.pools ? data<T>(pooled) : x;
    Scratch<T> g_pooled(p.pools ? rows * p.in : 0);
    T* to = p.pools ? g_pooled.get() : needs_x ? data<T>(grad_x) : nullptr;
    grad_residual = product_backward<T>(g, data<T>(yr), back_r, from, data<T>(in.residual), to, false, rows, p.in, o);
    if (p.pools && needs_x) unpool(g_pooled, data<T>(grad_x));
  } else if (needs_x) {
    std::memcpy(data<T>(grad_x), g, rows * o * sizeof(T));
  }
  const at::Tensor grad_expand = product_backward<T>(gz1, data<T>(y1), back1, x, data<T>(in.expand),
                                                     needs_x ? data<T>(grad_x) : nullptr, true, wide, p.in, m);
  std::vector<at::Tensor> out = {grad_x,    grad_expand, back1.gamma, back1.beta,   grad_deep,   back2.gamma, back2.beta, grad_fc1,
                                 grad_b1,   grad_fc2,    grad_b2,     grad_project, back3.gamma, back3.beta,  grad_alpha};
  if (p.residual) out.insert(out.end(), {grad_residual, back_r.gamma, back_r.beta});
  return out;
}

}  // namespace incdec
