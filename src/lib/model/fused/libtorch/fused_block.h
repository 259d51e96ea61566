// A bottleneck: expansion, depthwise convolution, squeeze-excite, projection, shortcut.
#pragma once

#include "fused.h"

namespace incdec {

// Parts that a clip's frames are cut into for the gradient of a depthwise kernel.
constexpr long kFrameParts = 8;

// Sizes of a block, and how it is computed. Frames are never skipped and pads are those before the
// first pixel.
struct BlockPlan {
  long n, t, h, w, in, mid, out, squeezed;
  long frames_k, k, stride, front, top, left, out_h, out_w;
  bool residual, pools, pool_counts_inside;
  long pool_top, pool_left;
  NormRule rule;
  long frame_in() const { return h * w; }
  long frame_out() const { return out_h * out_w; }
  long rows_in() const { return n * t * frame_in(); }
  long rows_out() const { return n * t * frame_out(); }
  // The padded frame that the depthwise convolution reads.
  long padded_h() const { return (out_h - 1) * stride + k; }
  long padded_w() const { return (out_w - 1) * stride + k; }
};

// A block's tensors, in the order in which they come.
struct BlockTensors {
  at::Tensor x, expand, deep, fc1, fc1_bias, fc2, fc2_bias, project, alpha, residual;
  NormTensors norm1, norm2, norm3, norm_r;
};

template <class T>
class Block {
 public:
  Block(const BlockPlan& plan, const BlockTensors& tensors)
      : p(plan), in(tensors), k(kernels<T>()), x(data<T>(tensors.x)) {}

  // The whole pass in one, for evaluation without gradients: nothing wide is ever stored.
  at::Tensor evaluate();
  // The pass with what `backward` needs kept in the members below.
  at::Tensor forward();
  // Computes y1, y2, y3, yr and the pooled input again from the statistics and gates at hand.
  void recompute();
  // Gradients: x, then the parameters in the order of BlockTensors with each norm's two after its
  // convolution.
  std::vector<at::Tensor> backward(const at::Tensor& grad, bool needs_x);

  NormUse<T> use1, use2, use3, use_r;
  at::Tensor y1, y2, y3, yr, pooled, gate, mean, hidden;

 private:
  const BlockPlan& p;
  const BlockTensors& in;
  const Kernels<T>& k;
  const T* x;

  void expand(bool fresh);
  void deep(bool fresh);
  template <class Source, class Sink>
  void deep_frames(long first, long last, Source source, Sink sink, T* y);
  void squeeze(const std::vector<double>& sums);
  void project(bool fresh, bool activated, T* y);
  void shortcut(bool fresh);
  void pool(T* to) const;
  void unpool(const T* from, T* to) const;
  at::Tensor blend_shortcut(T* into);
  double window_share(long y, long x) const;
  std::vector<T> deep_weights(bool flipped) const;
  long chunks() const;
};

// Frames of a clip are cut into this many chunks, so that every thread has one.
template <class T>
long Block<T>::chunks() const {
  const long threads = at::get_num_threads();
  return std::clamp((threads + p.n - 1) / p.n, 1L, p.t);
}

// [mid, 1, t, k, k] to [t, k, k, mid].
template <class T>
std::vector<T> Block<T>::deep_weights(bool flipped) const {
  const long taps = p.k * p.k;
  std::vector<T> w(p.frames_k * taps * p.mid);
  const T* from = data<T>(in.deep);
  for (long c = 0; c < p.mid; c++)
    for (long i = 0; i < p.frames_k; i++)
      for (long j = 0; j < taps; j++)
        w[(i * taps + (flipped ? taps - 1 - j : j)) * p.mid + c] = from[(c * p.frames_k + i) * taps + j];
  return w;
}

template <class T>
void Block<T>::expand(bool fresh) {
  const long rows = p.rows_in();
  Scratch<T> w(p.in * p.mid);
  transpose(data<T>(in.expand), w.get(), p.mid, p.in);
  Sums sums(fresh && p.rule.batch_stats ? slots_for(rows) : 0, p.mid);
  y1 = matrix<T>({rows, p.mid});
  product_with_moments<T>(x, w, data<T>(y1), rows, p.in, p.mid, fresh && p.rule.batch_stats ? &sums : nullptr);
  if (fresh) use1 = use_norm<T>(in.norm1, p.rule, &sums, rows);
}

// Runs the depthwise convolution over output frames first..last of one clip's chunk (numbered over
// the batch). `source` fills the inside of a padded input frame, `sink` sees each output frame
// while it is near; padded frames pass through a ring of frames_k.
template <class T>
template <class Source, class Sink>
void Block<T>::deep_frames(long first, long last, Source source, Sink sink, T* y) {
  const long size = p.padded_h() * p.padded_w() * p.mid, clip = first / p.t * p.t;
  const std::vector<T> w = deep_weights(false);
  Scratch<T> ring(p.frames_k * size, true);
  std::vector<const T*> frames(p.frames_k);
  long ready = std::max(0L, first - clip - p.front);
  for (long to = first - clip; to < last - clip; to++) {
    for (; ready < std::min(p.t, to - p.front + p.frames_k); ready++)
      source(clip + ready, ring + ready % p.frames_k * size);
    for (long i = 0; i < p.frames_k; i++) {
      const long from = to - p.front + i;
      frames[i] = from < 0 || from >= p.t ? nullptr : ring + from % p.frames_k * size;
    }
    T* out = y + (clip + to) * p.frame_out() * p.mid;
    k.depthwise(frames.data(), p.frames_k, w.data(), out, p.padded_w(), p.out_h, p.out_w, p.mid, p.k, p.stride);
    sink(clip + to, out);
  }
}

template <class T>
void Block<T>::deep(bool fresh) {
  const long frame = p.frame_out(), parts = chunks();
  const bool wanted = fresh && p.rule.batch_stats;
  Sums sums(wanted ? p.n * p.t : 0, p.mid);
  y2 = matrix<T>({p.rows_out(), p.mid});
  T* y = data<T>(y2);
  const T* from = data<T>(y1);
  const long rows = std::min(p.h, p.padded_h() - p.top), columns = std::min(p.w, p.padded_w() - p.left);
  at::parallel_for(0, p.n * parts, 1, [&](int64_t a, int64_t b) {
    for (long part = a; part < b; part++) {
      const long clip = part / parts, i = part % parts;
      const long first = clip * p.t + p.t * i / parts, last = clip * p.t + p.t * (i + 1) / parts;
      deep_frames(first, last, [&](long f, T* to) {
        for (long r = 0; r < rows; r++)
          k.activate(from + (f * p.h + r) * p.w * p.mid, use1.scale(), use1.shift(),
                     to + ((r + p.top) * p.padded_w() + p.left) * p.mid, columns, p.mid, nullptr);
      }, [&](long f, const T* out) {
        if (wanted) k.moments(out, frame, p.mid, sums.first(f), sums.second(f));
      }, y);
    }
  });
  if (fresh) use2 = use_norm<T>(in.norm2, p.rule, &sums, p.rows_out());
}

// The gate from each clip's sums [n, mid] of activations.
template <class T>
void Block<T>::squeeze(const std::vector<double>& sums) {
  const long m = p.mid, s = p.squeezed;
  mean = matrix<T>({p.n, m}), hidden = matrix<T>({p.n, s}), gate = matrix<T>({p.n, m});
  const T *w1 = data<T>(in.fc1), *w2 = data<T>(in.fc2), *b1 = data<T>(in.fc1_bias), *b2 = data<T>(in.fc2_bias);
  std::vector<double> active(s);
  for (long n = 0; n < p.n; n++) {
    T *to = data<T>(mean) + n * m, *z = data<T>(hidden) + n * s, *g = data<T>(gate) + n * m;
    for (long c = 0; c < m; c++) to[c] = (T)(sums[n * m + c] / (p.t * p.frame_out()));
    for (long j = 0; j < s; j++) {
      double v = b1[j];
      for (long c = 0; c < m; c++) v += (double)w1[j * m + c] * to[c];
      z[j] = (T)v;
      active[j] = v / (1 + std::exp(-v));
    }
    for (long c = 0; c < m; c++) {
      double v = b2[c];
      for (long j = 0; j < s; j++) v += w2[c * s + j] * active[j];
      g[c] = (T)(1 / (1 + std::exp(-v)));
    }
  }
}

// y3 = (gate * swish(norm(y2))) project^T, the gate multiplied into the weights of each clip.
template <class T>
void Block<T>::project(bool fresh, bool activated, T* y) {
  const long rows = p.t * p.frame_out(), slots = slots_for(rows), tile = tile_rows<T>(p.mid);
  const bool wanted = fresh && p.rule.batch_stats;
  Sums sums(wanted ? p.n * slots : 0, p.out);
  Scratch<T> plain(p.mid * p.out), w(p.mid * p.out);
  transpose(data<T>(in.project), plain.get(), p.out, p.mid);
  for (long n = 0; n < p.n; n++) {
    const T* g = data<T>(gate) + n * p.mid;
    for (long c = 0; c < p.mid; c++)
      for (long o = 0; o < p.out; o++) w[c * p.out + o] = plain[c * p.out + o] * g[c];
    for_slots(rows, [&](long slot, long first, long last) {
      Scratch<T> h(activated ? 0 : tile * p.mid);
      for (long i = first; i < last; i += tile) {
        const long here = std::min(tile, last - i), at = n * rows + i;
        const T* from = data<T>(y2) + at * p.mid;
        if (!activated) k.activate(from, use2.scale(), use2.shift(), h, here, p.mid, nullptr), from = h;
        k.multiply(from, p.mid, w, y + at * p.out, here, p.mid, p.out, false);
        if (wanted)
          k.moments(y + at * p.out, here, p.out, sums.first(n * slots + slot), sums.second(n * slots + slot));
      }
    });
  }
  if (fresh) use3 = use_norm<T>(in.norm3, p.rule, &sums, p.rows_out());
}

// One over the pixels that count in the shortcut's pooling window at (y, x).
template <class T>
double Block<T>::window_share(long y, long x) const {
  if (!p.pool_counts_inside) return 1.0 / 9;
  const long top = y * p.stride - p.pool_top, left = x * p.stride - p.pool_left;
  const long high = std::min(top + 3, p.h) - std::max(top, 0L), wide = std::min(left + 3, p.w) - std::max(left, 0L);
  return 1.0 / (high * wide);
}

template <class T>
void Block<T>::pool(T* to) const {
  at::parallel_for(0, p.n * p.t, 1, [&](int64_t a, int64_t b) {
    for (long f = a; f < b; f++)
      for (long oy = 0; oy < p.out_h; oy++)
        for (long ox = 0; ox < p.out_w; ox++) {
          T* at = to + ((f * p.out_h + oy) * p.out_w + ox) * p.in;
          std::fill(at, at + p.in, T(0));
          const T share = (T)window_share(oy, ox);
          const long top = oy * p.stride - p.pool_top, left = ox * p.stride - p.pool_left;
          for (long y = std::max(top, 0L); y < std::min(top + 3, p.h); y++)
            for (long z = std::max(left, 0L); z < std::min(left + 3, p.w); z++) {
              const T* from = x + ((f * p.h + y) * p.w + z) * p.in;
              for (long c = 0; c < p.in; c++) at[c] += share * from[c];
            }
        }
  });
}

// The gradient of `pool`, written to all of `to`.
template <class T>
void Block<T>::unpool(const T* from, T* to) const {
  at::parallel_for(0, p.n * p.t, 1, [&](int64_t a, int64_t b) {
    for (long f = a; f < b; f++) {
      std::memset(to + f * p.frame_in() * p.in, 0, p.frame_in() * p.in * sizeof(T));
      for (long oy = 0; oy < p.out_h; oy++)
        for (long ox = 0; ox < p.out_w; ox++) {
          const T* g = from + ((f * p.out_h + oy) * p.out_w + ox) * p.in;
          const T share = (T)window_share(oy, ox);
          const long top = oy * p.stride - p.pool_top, left = ox * p.stride - p.pool_left;
          for (long y = std::max(top, 0L); y < std::min(top + 3, p.h); y++)
            for (long z = std::max(left, 0L); z < std::min(left + 3, p.w); z++) {
              T* at = to + ((f * p.h + y) * p.w + z) * p.in;
              for (long c = 0; c < p.in; c++) at[c] += share * g[c];
            }
        }
    }
  });
}

template <class T>
void Block<T>::shortcut(bool fresh) {
  if (!p.residual) return;
  const long rows = p.rows_out();
  const bool wanted = fresh && p.rule.batch_stats;
  const T* from = x;
  if (p.pools) {
    pooled = matrix<T>({rows, p.in});
    pool(data<T>(pooled));
    from = data<T>(pooled);
  }
  Scratch<T> w(p.in * p.out);
  transpose(data<T>(in.residual), w.get(), p.out, p.in);
  Sums sums(wanted ? slots_for(rows) : 0, p.out);
  yr = matrix<T>({rows, p.out});
  product_with_moments<T>(from, w, data<T>(yr), rows, p.in, p.out, wanted ? &sums : nullptr);
  if (fresh) use_r = use_norm<T>(in.norm_r, p.rule, &sums, rows);
}

// shortcut + alpha norm(y3).
template <class T>
at::Tensor Block<T>::blend_shortcut(T* narrow) {
  const T alpha = *data<T>(in.alpha);
  std::vector<T> scale(p.out), shift(p.out);
  const T *scale3 = use3.scale(), *shift3 = use3.shift();
  for (long c = 0; c < p.out; c++) scale[c] = alpha * scale3[c], shift[c] = alpha * shift3[c];
  at::Tensor out = matrix<T>({p.n, p.t, p.out_h, p.out_w, p.out});
  T* to = data<T>(out);
  const T* r = p.residual ? data<T>(yr) : x;
  for_slots(p.rows_out(), [&](long, long first, long last) {
    const long at = first * p.out;
    k.blend(narrow + at, scale.data(), shift.data(), r + at, p.residual ? use_r.scale() : nullptr,
            p.residual ? use_r.shift() : nullptr, to + at, last - first, p.out);
  });
  return out;
}

template <class T>
at::Tensor Block<T>::forward() {
  expand(true);
  deep(true);
  const long frame = p.frame_out(), tile = tile_rows<T>(p.mid);
  std::vector<double> frames(p.n * p.t * p.mid), sums(p.n * p.mid);
  at::parallel_for(0, p.n * p.t, 1, [&](int64_t a, int64_t b) {
    Scratch<T> h(tile * p.mid);
    for (long f = a; f < b; f++)
      for (long i = 0; i < frame; i += tile)
        k.activate(data<T>(y2) + (f * frame + i) * p.mid, use2.scale(), use2.shift(), h, std::min(tile, frame - i),
                   p.mid, frames.data() + f * p.mid);
  });
  for (long f = 0; f < p.n * p.t; f++)
    for (long c = 0; c < p.mid; c++) sums[f / p.t * p.mid + c] += frames[f * p.mid + c];
  squeeze(sums);
  y3 = matrix<T>({p.rows_out(), p.out});
  project(true, false, data<T>(y3));
  shortcut(true);
  return blend_shortcut(data<T>(y3));
}

template <class T>
void Block<T>::recompute() {
  expand(false);
  deep(false);
  y3 = matrix<T>({p.rows_out(), p.out});
  project(false, false, data<T>(y3));
  shortcut(false);
}

template <class T>
at::Tensor Block<T>::evaluate() {
  const long frame = p.frame_out(), parts = chunks();
  use1 = use_norm<T>(in.norm1, p.rule, nullptr, 0);
  use2 = use_norm<T>(in.norm2, p.rule, nullptr, 0);
  Scratch<T> w(p.in * p.mid);
  transpose(data<T>(in.expand), w.get(), p.mid, p.in);
  y2 = matrix<T>({p.rows_out(), p.mid});
  T* y = data<T>(y2);
  const long rows = std::min(p.h, p.padded_h() - p.top), columns = std::min(p.w, p.padded_w() - p.left);
  std::vector<double> frames(p.n * p.t * p.mid), sums(p.n * p.mid);
  at::parallel_for(0, p.n * parts, 1, [&](int64_t a, int64_t b) {
    Scratch<T> wide(p.w * p.mid);
    for (long part = a; part < b; part++) {
      const long clip = part / parts, i = part % parts;
      const long first = clip * p.t + p.t * i / parts, last = clip * p.t + p.t * (i + 1) / parts;
      deep_frames(first, last, [&](long f, T* to) {
        for (long r = 0; r < rows; r++) {
          k.multiply(x + (f * p.h + r) * p.w * p.in, p.in, w, wide, columns, p.in, p.mid, false);
          k.activate(wide, use1.scale(), use1.shift(), to + ((r + p.top) * p.padded_w() + p.left) * p.mid, columns,
                     p.mid, nullptr);
        }
      }, [&](long f, T* out) {
        k.activate(out, use2.scale(), use2.shift(), out, frame, p.mid, frames.data() + f * p.mid);
      }, y);
    }
  });
  for (long f = 0; f < p.n * p.t; f++)
    for (long c = 0; c < p.mid; c++) sums[f / p.t * p.mid + c] += frames[f * p.mid + c];
  squeeze(sums);
  Scratch<T> narrow(p.rows_out() * p.out);
  project(true, true, narrow);
  shortcut(true);
  return blend_shortcut(narrow);
}

}  // namespace incdec
