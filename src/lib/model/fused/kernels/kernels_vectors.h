// The vectors that the loops compute in, and the functions of one: for kernels.cpp and its parts,
// local to each instruction set.
#pragma once

#define INLINE static inline __attribute__((always_inline))

namespace incdec {
namespace {

// Bytes of a vector: those of a register, since halves of a wider one are kept in memory. Channel
// counts are multiples of 8 floats, so 32 bytes at most.
#if defined(__AVX2__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

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

}  // namespace
}  // namespace incdec
