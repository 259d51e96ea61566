// The two ends of the network: the first convolution on clips as they come, and the last one with
// the mean after it.
#pragma once

#include "fused.h"

namespace incdec {

// Values that a pixel of the first convolution sees (3 channels x 3 x 3), and the width of their
// padded row.
constexpr long kStemTaps = 27;
constexpr long kStemPitch = 32;

// Sizes of the first convolution: 3x3, stride 2. Pads are those before the first pixel.
struct StemPlan {
  long n, t, h, w, out, out_h, out_w, top, left;
  NormRule rule;
  long frames() const { return n * t; }
  long frame_out() const { return out_h * out_w; }
};

template <class T>
struct Stem {
  const StemPlan& p;
  const at::Tensor &clips, &weight;
  const NormTensors& norm;
  NormUse<T> use;
  at::Tensor y;

  // What the pixels of one output row see: [out_w, kStemPitch], from clips of any strides. Tap by
  // tap, so that the border is found once a row and not asked for at each value.
  void gather(long frame, long oy, T* to) const {
    const int64_t* stride = clips.strides().data();
    const T* base = data<T>(clips) + frame / p.t * stride[0] + frame % p.t * stride[2];
    for (long c = 0; c < 3; c++)
      for (long ky = 0; ky < 3; ky++) {
        const long iy = oy * 2 - p.top + ky;
        const bool inside = iy >= 0 && iy < p.h;
        const T* row = base + c * stride[1] + (inside ? iy : 0) * stride[3];
        for (long kx = 0; kx < 3; kx++) {
          T* at = to + (c * 3 + ky) * 3 + kx;
          const long first = inside ? std::max(0L, (p.left - kx + 1) / 2) : p.out_w;
          const long last = inside ? std::min(p.out_w, (p.w + 1 + p.left - kx) / 2) : p.out_w;
          for (long ox = 0; ox < first; ox++) at[ox * kStemPitch] = T(0);
          for (long ox = first; ox < last; ox++) at[ox * kStemPitch] = row[(ox * 2 - p.left + kx) * stride[4]];
          for (long ox = last; ox < p.out_w; ox++) at[ox * kStemPitch] = T(0);
        }
      }
  }

  // Convolves all frames into `to` and calls sink(frame, its pixels) for each.
  template <class Sink>
  void convolve(T* to, Sink sink) const {
    const auto& k = kernels<T>();
    Scratch<T> w(kStemTaps * p.out);
    transpose(data<T>(weight), w.get(), p.out, kStemTaps);
    at::parallel_for(0, p.frames(), 1, [&](int64_t a, int64_t b) {
      Scratch<T> seen(p.out_w * kStemPitch, true);
      for (long f = a; f < b; f++) {
        T* out = to + f * p.frame_out() * p.out;
        for (long oy = 0; oy < p.out_h; oy++) {
          gather(f, oy, seen);
          k.multiply(seen, kStemPitch, w, out + oy * p.out_w * p.out, p.out_w, kStemTaps, p.out, false);
        }
        sink(f, out);
      }
    });
  }

  std::vector<int64_t> shape() const { return {p.n, p.t, p.out_h, p.out_w, p.out}; }

  at::Tensor forward() {
    const auto& k = kernels<T>();
    y = matrix<T>(shape());
    Sums sums(p.rule.batch_stats ? p.frames() : 0, p.out);
    convolve(data<T>(y), [&](long f, const T* out) {
      if (p.rule.batch_stats) k.moments(out, p.frame_out(), p.out, sums.first(f), sums.second(f));
    });
    use = use_norm<T>(norm, p.rule, &sums, p.frames() * p.frame_out());
    at::Tensor h = matrix<T>(shape());
    for_slots(p.frames() * p.frame_out(), [&](long, long first, long last) {
      k.activate(data<T>(y) + first * p.out, use.scale(), use.shift(), data<T>(h) + first * p.out, last - first, p.out,
                 nullptr);
    });
    return h;
  }

  at::Tensor evaluate() {
    const auto& k = kernels<T>();
    use = use_norm<T>(norm, p.rule, nullptr, 0);
    at::Tensor h = matrix<T>(shape());
    convolve(data<T>(h), [&](long, T* out) {
      k.activate(out, use.scale(), use.shift(), out, p.frame_out(), p.out, nullptr);
    });
    return h;
  }

  // Gradients of the weight and of the norm's two parameters.
  std::vector<at::Tensor> backward(const at::Tensor& grad) const {
    const auto& k = kernels<T>();
    const long rows = p.frames() * p.frame_out(), size = kStemPitch * p.out;
    Scratch<T> gz(rows * p.out);
    std::memcpy(gz.get(), data<T>(grad), rows * p.out * sizeof(T));
    Sums sums(slots_for(rows), p.out);
    for_slots(rows, [&](long slot, long first, long last) {
      k.swish_backward(gz + first * p.out, data<T>(y) + first * p.out, use.scale(), use.shift(), nullptr, use.mean(),
                       last - first, p.out, sums.first(slot), sums.second(slot));
    });
    sums.join();
    const auto back = norm_backward(use, p.rule.batch_stats, sums.first(0), sums.second(0), rows, 1);
    Scratch<T> partial(p.frames() * size, true);
    at::parallel_for(0, p.frames(), 1, [&](int64_t a, int64_t b) {
      Scratch<T> seen(p.out_w * kStemPitch, true), gy(p.out_w * p.out);
      for (long f = a; f < b; f++)
        for (long oy = 0; oy < p.out_h; oy++) {
          const long at = (f * p.out_h + oy) * p.out_w * p.out;
          gather(f, oy, seen);
          k.combine(gz + at, data<T>(y) + at, back.by_g(), back.by_y(), back.constant(), gy, p.out_w, p.out);
          k.multiply_transposed(seen, kStemPitch, gy, p.out, partial + f * size, p.out_w);
        }
    });
    at::Tensor gw = matrix_zeros<T>({p.out, 3, 1, 3, 3});
    T* sums_of = data<T>(gw);
    for (long f = 0; f < p.frames(); f++)
      for (long i = 0; i < kStemTaps; i++)
        for (long c = 0; c < p.out; c++) sums_of[c * kStemTaps + i] += partial[f * size + i * p.out + c];
    return {gw, back.gamma, back.beta};
  }
};

// The last convolution, pointwise, and the mean of its activation over all pixels of a clip.
struct TailPlan {
  long n, pixels, in, out;
  NormRule rule;
};

template <class T>
struct Tail {
  const TailPlan& p;
  const at::Tensor &x, &weight;
  const NormTensors& norm;
  NormUse<T> use;
  at::Tensor y;

  at::Tensor forward() {
    const auto& k = kernels<T>();
    const long rows = p.n * p.pixels, slots = slots_for(p.pixels), tile = tile_rows<T>(p.out);
    Scratch<T> w(p.in * p.out);
    transpose(data<T>(weight), w.get(), p.out, p.in);
    y = matrix<T>({rows, p.out});
    Sums sums(slots_for(rows), p.out);
    product_with_moments<T>(data<T>(x), w, data<T>(y), rows, p.in, p.out, p.rule.batch_stats ? &sums : nullptr);
    use = use_norm<T>(norm, p.rule, &sums, rows);
    at::Tensor mean = matrix<T>({p.n, p.out});
    T* means = data<T>(mean);
    for (long n = 0; n < p.n; n++) {
      Sums sum(slots, p.out);
      for_slots(p.pixels, [&](long slot, long first, long last) {
        Scratch<T> h(tile * p.out);
        for (long i = first; i < last; i += tile)
          k.activate(data<T>(y) + (n * p.pixels + i) * p.out, use.scale(), use.shift(), h, std::min(tile, last - i),
                     p.out, sum.first(slot));
      });
      sum.join();
      for (long c = 0; c < p.out; c++) means[n * p.out + c] = (T)(sum.first(0)[c] / p.pixels);
    }
    return mean;
  }

  // Gradients of the input, the weight and the norm's two parameters.
  std::vector<at::Tensor> backward(const at::Tensor& grad, bool needs_x) const {
    const auto& k = kernels<T>();
    const long rows = p.n * p.pixels, slots = slots_for(p.pixels);
    Scratch<T> gz(rows * p.out, true);
    std::vector<T> offset(p.n * p.out);
    const T* g = data<T>(grad);
    for (long i = 0; i < p.n * p.out; i++) offset[i] = g[i] / (T)p.pixels;
    Sums sums(p.n * slots, p.out);
    for (long n = 0; n < p.n; n++)
      for_slots(p.pixels, [&](long slot, long first, long last) {
        const long at = (n * p.pixels + first) * p.out, id = n * slots + slot;
        k.swish_backward(gz + at, data<T>(y) + at, use.scale(), use.shift(), offset.data() + n * p.out, use.mean(),
                         last - first, p.out, sums.first(id), sums.second(id));
      });
    sums.join();
    const auto back = norm_backward(use, p.rule.batch_stats, sums.first(0), sums.second(0), rows, 1);
    at::Tensor gx = needs_x ? matrix<T>(x.sizes().vec()) : at::Tensor();
    const at::Tensor gw = product_backward<T>(gz, data<T>(y), back, data<T>(x), data<T>(weight),
                                              needs_x ? data<T>(gx) : nullptr, false, rows, p.in, p.out);
    return {gx, gw, back.gamma, back.beta};
  }
};

}  // namespace incdec
