// The Gaussian integrals on lanes: erf, erfc, the normal density and distribution, and E relu(z + t). Bounds: math.hpp.
//
// In the tails each is e^(-x^2/2) K(x) (erfc: e^(-x^2) K(x)) with a slowly varying K, for which (x + b)^p K(x) is nearly constant
// and a polynomial in 1/(x + 4). Roundings that the relative accuracy would feel are carried along: x^2 is split into an exact
// square and a rest, and K is a number and what its roundings lost.
#pragma once

#include "eosfast/math_log.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {
namespace detail {

// -x^2 factor, with the leading part exact.
template <class Real>
EOSFAST_INLINE Precise<Real> minus_square(const Real& x, double factor) {
  const Real half = from_bits(bits(x) & Integer<Real>(-(std::int64_t{1} << 32)));
  return {Real(-factor) * (half * half), Real(-factor) * ((x - half) * (x + half))};
}

// x + b for x >= b.
template <class Real>
EOSFAST_INLINE Precise<Real> precise_sum(const Real& x, double b) {
  const Real sum = x + Real(b);
  return {sum, Real(b) - (sum - x)};
}

template <class Real>
EOSFAST_INLINE Precise<Real> precise_square(const Precise<Real>& a) {
  const Real square = a.value * a.value;
  return {square, fma(Real(2.0) * a.value, a.low, -residual(square, a.value, a.value))};
}

// (P(t) + c0_low) / d for P(t) = c[0] + c[1] t + ..., where P(t) is nearly c[0] and t = 8/(x + 4) - 3/4 decreases from 1 to
// -3/4 along the tail. 1/P is needed for the correction alone, where its linear part at c[0] will do.
template <class Real, int N>
EOSFAST_INLINE Precise<Real> tail_quotient(const Real& x, const double (&c)[N], double c0_low, const Precise<Real>& d) {
  const Real t = Real(8.0) / (x + Real(4.0)) - Real(0.75);
  Real rest = Real(c[N - 1]);
  for (int i = N - 2; i > 0; --i) rest = fma(rest, t, Real(c[i]));
  const Real sum = fma(rest, t, Real(c[0]));
  const Real sum_low = fma(rest, t, Real(c[0]) - sum) + Real(c0_low);
  const Real value = sum / d.value;
  const Real lost = (sum_low + residual(sum, value, d.value)) - value * d.low;
  return {value, (value * lost) * fma(sum, Real(-1.0 / (c[0] * c[0])), Real(2.0 / c[0]))};
}

inline constexpr double kInverseSqrt2Pi = 0x1.9884533d43651p-2, kInverseSqrt2PiLow = -0x1.cbc0d30ebfd15p-56;

// cdf(-x) for x >= 0.7.
template <class Real>
EOSFAST_INLINE Real normal_tail(const Real& x) {
  constexpr double kP[] = {  // (x + 5/8) e^(x^2/2) cdf(-x) in t
      0x1.b55fd3cec65a4p-2,   0x1.507d3b2e627bap-5,  -0x1.23935d73947fcp-8,  -0x1.7d2826714b75ap-6,
      -0x1.6de17f191c967p-6,  -0x1.b23fdedafda24p-7, -0x1.43f9aaa4a5fbcp-8,  -0x1.6524ad77dcb6fp-11,
      0x1.96974490b8d17p-12,  0x1.c8f119b7d3c35p-13, -0x1.59a434d929d37p-18, -0x1.3d4bb0b32b399p-15,
      -0x1.55f7062c6a4e8p-18, 0x1.bf5caa7366c4fp-18, 0x1.a09e6d4920f33p-20,  -0x1.6c2272f937cbap-20,
      -0x1.751d3bd6d78d3p-22, 0x1.5696af8a49c74p-22, 0x1.daf3c3e7b680ap-25,  -0x1.42c1a068eacf3p-24,
      0x1.55a14a8cb90e0p-31,  0x1.9799358276cb4p-27, -0x1.755d4c003eceep-29};
  return times_exp(tail_quotient(x, kP, 0x1.0181e9b764fd5p-57, precise_sum(x, 0.625)), minus_square(x, 0.5));
}

// E relu(z - x) for x >= 3/4.
template <class Real>
EOSFAST_INLINE Real relu_tail(const Real& x) {
  constexpr double kP[] = {  // (x + 3/4)^2 e^(x^2/2) E relu(z - x) in t
      0x1.dacf0d66a88afp-2,  0x1.5782f0340e3f7p-4,   -0x1.488c64ffb9afap-5,  -0x1.5717ec100cc52p-4,
      -0x1.f6da19097de84p-5, -0x1.3f2863b309278p-6,  0x1.ac488519bcb54p-8,   0x1.59087359bf87fp-7,
      0x1.27e75146fb157p-8,  -0x1.cc30e2a8a3a58p-13, -0x1.08009a7b6a598p-10, -0x1.ccda8b8f0baa0p-13,
      0x1.741c6e68d32a4p-13, 0x1.44ded825052b7p-14,  -0x1.1d0953ea2d8eep-15, -0x1.63ce4c3ba1b65p-16,
      0x1.0ff41529b1dccp-17, 0x1.6bf108bb89cb7p-18,  -0x1.3d74807b6f007p-19, -0x1.50954b874b834p-20,
      0x1.7a73bff806d4ep-21, 0x1.d307680224bcep-23,  -0x1.59ff3fe76adaap-23, -0x1.2aa12cbd606f2p-26,
      0x1.2dbe37752ec6dp-26};
  const auto square = precise_square(precise_sum(x, 0.75));
  return times_exp(tail_quotient(x, kP, 0x1.8766926a1a938p-56, square), minus_square(x, 0.5));
}

// erfc x for x >= 1/2.
template <class Real>
EOSFAST_INLINE Real erfc_tail(const Real& x) {
  constexpr double kP[] = {  // (x + 1/2) e^(x^2) erfc(x) in t
      0x1.3325f28c0e61cp-1,   0x1.fbd22338edc80p-5,   0x1.478c891e16993p-6,   -0x1.2da7232036ddep-8,
      -0x1.e4b202ba693b1p-7,  -0x1.fde34597ac5e7p-7,  -0x1.8473edbb36bbap-7,  -0x1.dbd129006c557p-8,
      -0x1.dc321fac51510p-9,  -0x1.7a6d38d90f456p-10, -0x1.ae63fd0e85a8fp-12, -0x1.a07a89e8dd74ep-15,
      0x1.805a57813ad6fp-16,  0x1.f8a370012d965p-17,  0x1.72175961cab3bp-19,  -0x1.146e7f6c86c93p-20,
      -0x1.7bbbfcabe18cdp-21, -0x1.bbc0835c0c7cep-25, 0x1.a40f34e12bea0p-24,  0x1.e3e276a4e9ae6p-26,
      -0x1.aa69b0c3ea818p-27, -0x1.29ea0124eeee7p-28, 0x1.c37dba88c0194p-30};
  return times_exp(tail_quotient(x, kP, -0x1.bebe144eacc03p-59, precise_sum(x, 0.5)), minus_square(x, 1.0));
}

// erf x for |x| <= 1/2: x + x W(x^2).
template <class Real>
EOSFAST_INLINE Real erf_near_zero(const Real& x) {
  constexpr double kW[] = {0x1.06eba8214db69p-3, -0x1.812746b0379e6p-2, 0x1.ce2f21a042b24p-4,  -0x1.b82ce3127f470p-6,
                           0x1.565bcd0a97c70p-8, -0x1.c02db238004e4p-11, 0x1.f9a2a54393b11p-14, -0x1.f4bb7b89a8c91p-17,
                           0x1.b773d967db2b6p-20, -0x1.39e9f726d6d47p-23};
  return fma(x, polynomial(x * x, kW), x);
}

// |x|, not below `from` nor above 60; NaN passes.
template <class Real>
EOSFAST_INLINE Real tail_argument(const Real& x, double from) {
  return max(Real(from), min(Real(60.0), abs(x)));
}

}  // namespace detail

// e^(-t^2/2)/sqrt(2 pi).
template <class Real>
EOSFAST_INLINE Real normal_pdf(const Real& t) {
  return detail::times_exp<Real>({Real(detail::kInverseSqrt2Pi), Real(detail::kInverseSqrt2PiLow)},
                                 detail::minus_square(min(Real(60.0), abs(t)), 0.5));
}

// P(z <= t) for a standard normal z, relatively accurate in the left tail: 1/2 + t P(t^2) up to |t| = 0.7.
template <class Real>
EOSFAST_INLINE Real normal_cdf(const Real& t) {
  constexpr double kP[] = {0x1.9884533d43651p-2,  -0x1.1058377e2cee0p-4, 0x1.46d0429769168p-7,  -0x1.37403f6b9b459p-10,
                           0x1.e42b0d4d4c57cp-14, -0x1.3ce8f99d82a1cp-17, 0x1.6589ccc9090bap-21, -0x1.62132c3ba4ae2p-25,
                           0x1.36ce7abb6f7b0p-29, -0x1.bcf41153fe872p-34};
  const Real tail = detail::normal_tail(detail::tail_argument(t, 0.7));
  const Real centre = fma(t, detail::polynomial(min(Real(0.49), t * t), kP), Real(0.5));
  return select(abs(t) < Real(0.7), centre, select(t > Real(0.0), Real(1.0) - tail, tail));
}

// erfc x = 1 - erf x, relatively accurate for x -> inf.
template <class Real>
EOSFAST_INLINE Real erfc(const Real& x) {
  const Real tail = detail::erfc_tail(detail::tail_argument(x, 0.5));
  const Real centre = Real(1.0) - detail::erf_near_zero(max(Real(-0.5), min(Real(0.5), x)));
  return select(abs(x) < Real(0.5), centre, select(x < Real(0.0), Real(2.0) - tail, tail));
}

// erf x = 2/sqrt(pi) integral_0^x e^(-t^2) dt; exactly odd.
template <class Real>
EOSFAST_INLINE Real erf(const Real& x) {
  const Real large = copysign(Real(1.0) - detail::erfc_tail(detail::tail_argument(x, 0.5)), x);
  return select(abs(x) < Real(0.5), detail::erf_near_zero(max(Real(-0.5), min(Real(0.5), x))), large);
}

// G(t) = E relu(z + t) = pdf(t) + t cdf(t), relatively accurate for t -> -inf; G' = normal_cdf. Its even part is
// pdf(0) + t^2 P(t^2) up to |t| = 3/4, the odd part t/2; beyond, G(t) = max(t, 0) + G(-|t|).
template <class Real>
EOSFAST_INLINE Real normal_relu(const Real& t) {
  constexpr double kP[] = {0x1.9884533d43651p-3,  -0x1.1058377e2cedfp-6,  0x1.b3c058c9e1570p-10, -0x1.37403f6b8f844p-13,
                           0x1.8355a4384ffdcp-17, -0x1.a68bf5eae6da6p-21, 0x1.989d3608cfde9p-25, -0x1.620bc3bcab6a0p-29,
                           0x1.13d758931217ep-33, -0x1.5e81ed562bb0dp-38};
  const Real tail = max(Real(0.0), t) + detail::relu_tail(detail::tail_argument(t, 0.75));
  const Real z = min(Real(0.5625), t * t);
  const Real even = Real(detail::kInverseSqrt2Pi) + fma(z, detail::polynomial(z, kP), Real(detail::kInverseSqrt2PiLow));
  return select(abs(t) < Real(0.75), fma(Real(0.5), t, even), tail);
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
