// What can be done with lanes (lane_type.hpp) besides arithmetic, each for `double` and for `Lanes`, with the same
// bits: fused multiply-add, square root, minimum, maximum, sign, selection, table look-up, sums.
#pragma once

#include "eosfast/lane_type.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// a b + c, with one rounding where the instruction set has it.
EOSFAST_INLINE double fma(double a, double b, double c) {
  if constexpr (kFused) return __builtin_fma(a, b, c);
  return a * b + c;
}
EOSFAST_INLINE float fma(float a, float b, float c) {
  if constexpr (kFused) return __builtin_fmaf(a, b, c);
  return a * b + c;
}
EOSFAST_INLINE Lanes fma(const Lanes& a, const Lanes& b, const Lanes& c) {
  Lanes out;
  detail::each_register([&](std::size_t i) __attribute__((always_inline)) {
#if defined(__AVX512F__)
    out.r[i] = _mm512_fmadd_pd(a.r[i], b.r[i], c.r[i]);
#elif defined(__AVX2__) && defined(__FMA__)
    out.r[i] = _mm256_fmadd_pd(a.r[i], b.r[i], c.r[i]);
#else
    for (int j = 0; j < kRegisterDoubles; ++j) out.r[i][j] = fma(a.r[i][j], b.r[i][j], c.r[i][j]);
#endif
  });
  return out;
}

EOSFAST_INLINE double sqrt(double a) { return __builtin_sqrt(a); }
EOSFAST_INLINE Lanes sqrt(const Lanes& a) {
  Lanes out;
  detail::each_register([&](std::size_t i) __attribute__((always_inline)) {
#if defined(__AVX512F__)
    out.r[i] = _mm512_sqrt_pd(a.r[i]);
#elif defined(__AVX2__)
    out.r[i] = _mm256_sqrt_pd(a.r[i]);
#elif defined(__SSE4_1__)
    out.r[i] = _mm_sqrt_pd(a.r[i]);
#else
    for (int j = 0; j < kRegisterDoubles; ++j) out.r[i][j] = __builtin_sqrt(a.r[i][j]);
#endif
  });
  return out;
}

// max(a, b) = a > b ? a : b and min(a, b) = a < b ? a : b: the second argument wins where one is NaN (as on x86).
EOSFAST_INLINE double max(double a, double b) { return a > b ? a : b; }
EOSFAST_INLINE double min(double a, double b) { return a < b ? a : b; }
EOSFAST_INLINE Lanes max(const Lanes& a, const Lanes& b) {
  Lanes out;
  detail::each_register([&](std::size_t i) __attribute__((always_inline)) {
#if defined(__AVX512F__)
    out.r[i] = _mm512_max_pd(a.r[i], b.r[i]);
#elif defined(__AVX2__)
    out.r[i] = _mm256_max_pd(a.r[i], b.r[i]);
#elif defined(__SSE4_1__)
    out.r[i] = _mm_max_pd(a.r[i], b.r[i]);
#else
    out.r[i] = a.r[i] > b.r[i] ? a.r[i] : b.r[i];
#endif
  });
  return out;
}
EOSFAST_INLINE Lanes min(const Lanes& a, const Lanes& b) {
  Lanes out;
  detail::each_register([&](std::size_t i) __attribute__((always_inline)) {
#if defined(__AVX512F__)
    out.r[i] = _mm512_min_pd(a.r[i], b.r[i]);
#elif defined(__AVX2__)
    out.r[i] = _mm256_min_pd(a.r[i], b.r[i]);
#elif defined(__SSE4_1__)
    out.r[i] = _mm_min_pd(a.r[i], b.r[i]);
#else
    out.r[i] = a.r[i] < b.r[i] ? a.r[i] : b.r[i];
#endif
  });
  return out;
}

EOSFAST_INLINE double abs(double a) { return __builtin_fabs(a); }
EOSFAST_INLINE Lanes abs(const Lanes& a) { return from_bits(bits(a) & IntLanes(INT64_MAX)); }

// |magnitude| with the sign bit of `sign` (that of NaN and -0 too).
EOSFAST_INLINE double copysign(double magnitude, double sign) { return __builtin_copysign(magnitude, sign); }
EOSFAST_INLINE Lanes copysign(const Lanes& magnitude, const Lanes& sign) {
  return from_bits((bits(magnitude) & IntLanes(INT64_MAX)) | (bits(sign) & IntLanes(INT64_MIN)));
}

EOSFAST_INLINE double select(bool mask, double a, double b) { return mask ? a : b; }
EOSFAST_INLINE std::int64_t select(bool mask, std::int64_t a, std::int64_t b) { return mask ? a : b; }
EOSFAST_INLINE Lanes select(const Mask& mask, const Lanes& a, const Lanes& b) {
  Lanes out;
  detail::each_register([&](std::size_t i) __attribute__((always_inline)) { out.r[i] = mask.r[i] ? a.r[i] : b.r[i]; });
  return out;
}
EOSFAST_INLINE IntLanes select(const Mask& mask, const IntLanes& a, const IntLanes& b) {
  IntLanes out;
  detail::each_register([&](std::size_t i) __attribute__((always_inline)) { out.r[i] = mask.r[i] ? a.r[i] : b.r[i]; });
  return out;
}
EOSFAST_INLINE bool any(bool mask) { return mask; }
EOSFAST_INLINE bool any(const Mask& mask) {
  IntRegister either = mask.r[0];
  for (int i = 1; i < kRegisters; ++i) either |= mask.r[i];
#if defined(__AVX512F__)
  return _mm512_test_epi64_mask((__m512i)either, (__m512i)either) != 0;
#elif defined(__AVX2__)
  return _mm256_movemask_pd((__m256d)either) != 0;
#elif defined(__SSE4_1__)
  return _mm_movemask_pd((__m128d)either) != 0;
#else
  bool out = false;
  for (int j = 0; j < kRegisterDoubles; ++j) out |= either[j] != 0;
  return out;
#endif
}

// table[index] in every lane; 0 <= index < N. Tables of 8 or 16 numbers stay in registers under AVX-512.
template <int N>
EOSFAST_INLINE double lookup(const double (&table)[N], std::int64_t index) {
  return table[index];
}
template <int N>
EOSFAST_INLINE Lanes lookup(const double (&table)[N], const IntLanes& index) {
  Lanes out;
  detail::each_register([&](std::size_t i) __attribute__((always_inline)) {
#if defined(__AVX512F__)
    const __m512i at = (__m512i)index.r[i];
    if constexpr (N == 8) {
      out.r[i] = _mm512_permutexvar_pd(at, _mm512_loadu_pd(table));
    } else if constexpr (N == 16) {
      out.r[i] = _mm512_permutex2var_pd(_mm512_loadu_pd(table), at, _mm512_loadu_pd(table + 8));
    } else {
      out.r[i] = _mm512_i64gather_pd(at, table, 8);
    }
#elif defined(__AVX2__)
    out.r[i] = _mm256_i64gather_pd(table, (__m256i)index.r[i], 8);
#else
    for (int j = 0; j < kRegisterDoubles; ++j) out.r[i][j] = table[index.r[i][j]];
#endif
  });
  return out;
}

// The sum of the lanes in one fixed order: ((0+4)+(2+6)) + ((1+5)+(3+7)).
EOSFAST_INLINE double sum(const Lanes& a) { return ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7])); }

EOSFAST_INLINE double lane(double a, int) { return a; }
EOSFAST_INLINE double lane(const Lanes& a, int i) { return a[i]; }
EOSFAST_INLINE void set_lane(double& a, int, double value) { a = value; }
EOSFAST_INLINE void set_lane(Lanes& a, int i, double value) { a.set(i, value); }

template <class Real>
inline constexpr int kWidth = 1;
template <>
inline constexpr int kWidth<Lanes> = kLanes;

}  // namespace EOSFAST_ISA
}  // namespace eosfast
