// The Gaussian integrals on lanes: erf, erfc, the normal density and distribution, and E relu(z + t). Bounds: math.hpp.
//
// In the tails each is e^(-x^2/2) K(x) (erfc: e^(-x^2) K(x)) with a slowly varying K, for which (x + b)^p K(x) is
// nearly constant and a polynomial in 1/(x + 4). Roundings that the relative accuracy would feel are carried along: x^2
// is split into an exact square and a rest, and K is a number and what its roundings lost.
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

// x + b
template <class Real>
EOSFAST_INLINE Precise<Real> precise_sum(const Real& x, double b) {
  const Real sum = x + Real(b), x_kept = sum - Real(b);
  return {sum, (x - x_kept) + (Real(b) - (sum - x_kept))};
}

template <class Real>
EOSFAST_INLINE Precise<Real> precise_square(const Precise<Real>& a) {
  const Real square = a.value * a.value;
  return {square, fma(Real(2.0) * a.value, a.low, -residual(square, a.value, a.value))};
}

// (P(t) + c0_low) / d for P(t) = c[0] + c[1] t + ..., where P(t) is nearly c[0] and t = 8/(x + 4) - 3/4 decreases from
// 1 to -3/4 along the tail. 1/P is needed for the correction alone, where its linear part at c[0] will do.
template <class Real, int N>
EOSFAST_INLINE Precise<Real> tail_quotient(const Real& x, const double (&c)[N], double c0_low, const Precise<Real>& d) {
  const Real t = Real(8.0) / (x + Real(4.0)) - Real(0.75);
  const Real rest = fma(fma(polynomial(t, c, 3), t, Real(c[2])), t, Real(c[1]));
  const Real sum = fma(rest, t, Real(c[0]));
  const Real sum_low = fma(rest, t, Real(c[0]) - sum) + Real(c0_low);
  const Real value = sum / d.value;
  const Real lost = (sum_low + residual(sum, value, d.value)) - value * d.low;
  return {value, (value * lost) * fma(sum, Real(-1.0 / (c[0] * c[0])), Real(2.0 / c[0]))};
}

inline constexpr double kInverseSqrt2Pi = 0x1.9884533d43651p-2, kInverseSqrt2PiLow = -0x1.cbc0d30ebfd15p-56;

// cdf(-x) for x >= 0.66.
template <class Real>
EOSFAST_INLINE Real normal_tail(const Real& x) {
  // (x + 3/4) e^(x^2/2) cdf(-x) in t
  constexpr double kP[] = {
      0x1.bcdf469da81b7p-2,   0x1.cb40a5740a84bp-5,  0x1.730e3641223c9p-8,   -0x1.1f1f614dc5e3dp-6,
      -0x1.42d52a237cdf0p-6,  -0x1.954937f1497a5p-7, -0x1.39a19da937adfp-8,  -0x1.736ff738b383dp-11,
      0x1.7b976909707a9p-12,  0x1.c209774c570f9p-13, -0x1.3362d24dbf12ap-19, -0x1.34e9d714e96aep-15,
      -0x1.6c87f8f7bc1ccp-18, 0x1.b1424b9b78452p-18, 0x1.aeb8b9b872e1cp-20,  -0x1.602325a3a252dp-20,
      -0x1.864a982ea428ep-22, 0x1.4b884806bcc50p-22, 0x1.188ae3f57e6d5p-24,  -0x1.3d1afafbaf39ep-24,
      -0x1.78371f9dcdfdep-28, 0x1.c488637927339p-27, -0x1.dcdd71869e9f0p-31, -0x1.b6fcd2d1438e0p-31};
  return times_exp(tail_quotient(x, kP, -0x1.a33f1de87eacbp-60, precise_sum(x, 0.75)), minus_square(x, 0.5));
}

// E relu(z - x) for x >= 0.72.
template <class Real>
EOSFAST_INLINE Real relu_tail(const Real& x) {
  // (x + 1)^2 e^(x^2/2) E relu(z - x) in t
  constexpr double kP[] = {0x1.fb5b9d33e0789p-2,  0x1.366e6d9fa3a2ep-3,  0x1.a9809aae2a997p-8,   -0x1.08656dd231a08p-4,
                           -0x1.f7dad69a5645ep-5, -0x1.b35f06498936ap-6, 0x1.9ff0d2ba74db3p-11,  0x1.0fdefc8ba501ap-7,
                           0x1.20f7e59c9be4fp-8,  0x1.de30dbf85dcdbp-14, -0x1.d2acca25f295ap-11, -0x1.0b27eb39aeab0p-12,
                           0x1.3605f09afd595p-13, 0x1.5292ad4956cb6p-14, -0x1.c85cae0620ba6p-16, -0x1.6a2b6f5fb2b5cp-16,
                           0x1.b3a7a58658cc4p-18, 0x1.73eeb97576bc8p-18, -0x1.086281313d128p-19, -0x1.60398693c8499p-20,
                           0x1.4b1a8aac65c25p-21, 0x1.013add3af0d85p-22, -0x1.3e05e73c28994p-23, -0x1.7616d508c0f9fp-26,
                           0x1.2821fbd0287a1p-26};
  return times_exp(tail_quotient(x, kP, 0x1.03b414c9dc4f1p-59, precise_square(precise_sum(x, 1.0))),
                   minus_square(x, 0.5));
}

// erfc x for x >= 1/2.
template <class Real>
EOSFAST_INLINE Real erfc_tail(const Real& x) {
  // (x + 5/8) e^(x^2) erfc(x) in t
  constexpr double kP[] = {
      0x1.38816667cd24fp-1,   0x1.5763f2660ffbep-4,   0x1.26f90f0a868afp-5,   0x1.9701ee818de48p-8,
      -0x1.09ee271e3487bp-7,  -0x1.8399fad833ad8p-7,  -0x1.47752f796c46bp-7,  -0x1.a6bf8edb66f4fp-8,
      -0x1.b5850ef7ac54bp-9,  -0x1.64ce9537a6d1ap-10, -0x1.a0c9c339df75bp-12, -0x1.b0f4c70ba023ep-15,
      0x1.5e39faf31957cp-16,  0x1.e6df4fa4e153fp-17,  0x1.7937c5bc631fap-19,  -0x1.fd7ac23909416p-21,
      -0x1.72ff739d4cf9fp-21, -0x1.f67a9488e9bc2p-25, 0x1.938557d9f2ea7p-24,  0x1.e91e75eb3c576p-26,
      -0x1.975d395f17addp-27, -0x1.2a0531a2b59bbp-28, 0x1.b781a2a1047b2p-30};
  return times_exp(tail_quotient(x, kP, 0x1.0ba68dff1922cp-57, precise_sum(x, 0.625)), minus_square(x, 1.0));
}

// erf x for |x| <= 1/2: x + x W(x^2).
template <class Real>
EOSFAST_INLINE Real erf_near_zero(const Real& x) {
  constexpr double kW[] = {0x1.06eba8214db69p-3,  -0x1.812746b0379e6p-2,  0x1.ce2f21a042b24p-4,  -0x1.b82ce3127f470p-6,
                           0x1.565bcd0a97c70p-8,  -0x1.c02db238004e4p-11, 0x1.f9a2a54393b11p-14, -0x1.f4bb7b89a8c91p-17,
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

// P(z <= t) for a standard normal z, relatively accurate in the left tail: 1/2 + t (pdf(0) + t^2 P(t^2)) up to |t| =
// 0.66.
template <class Real>
EOSFAST_INLINE Real normal_cdf(const Real& t) {
  constexpr double kP[] = {-0x1.1058377e2cee0p-4,  0x1.46d0429769168p-7,   -0x1.37403f6b9b459p-10,
                           0x1.e42b0d4d4c57cp-14,  -0x1.3ce8f99d82a1cp-17, 0x1.6589ccc9090bap-21,
                           -0x1.62132c3ba4ae2p-25, 0x1.36ce7abb6f7b0p-29,  -0x1.bcf41153fe872p-34};
  const Real tail = detail::normal_tail(detail::tail_argument(t, 0.66));
  const Real z = min(Real(0.4356), t * t);
  const Real slope = fma(z, detail::polynomial(z, kP), Real(detail::kInverseSqrt2Pi));
  const Real centre = fma(t, slope, Real(0.5));
  return select(abs(t) < Real(0.66), centre, select(t > Real(0.0), Real(1.0) - tail, tail));
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
// pdf(0) + t^2 P(t^2) up to |t| = 0.72, the odd part t/2; beyond, G(t) = max(t, 0) + G(-|t|).
template <class Real>
EOSFAST_INLINE Real normal_relu(const Real& t) {
  constexpr double kP[] = {0x1.9884533d43651p-3,  -0x1.1058377e2cedfp-6,  0x1.b3c058c9e1570p-10, -0x1.37403f6b8f844p-13,
                           0x1.8355a4384ffdcp-17, -0x1.a68bf5eae6da6p-21, 0x1.989d3608cfde9p-25, -0x1.620bc3bcab6a0p-29,
                           0x1.13d758931217ep-33, -0x1.5e81ed562bb0dp-38};
  const Real tail = max(Real(0.0), t) + detail::relu_tail(detail::tail_argument(t, 0.72));
  const Real z = min(Real(0.5184), t * t);
  const Real centre = fma(Real(0.5), t, Real(detail::kInverseSqrt2Pi)) +
                      fma(z, detail::polynomial(z, kP), Real(detail::kInverseSqrt2PiLow));
  return select(abs(t) < Real(0.72), centre, tail);
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
