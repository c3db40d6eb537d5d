// Activations on lanes, each with its first and second derivative from shared work: one exponential and one division at
// most, where alone they would need two or three of each. The compiler drops what the caller does not use.
//
// NaN in gives NaN out, no finite argument gives NaN, and results below the normal numbers are rounded to subnormal
// ones. Largest errors found in units of the last place of the exact value (of 2^-1074 below the normal numbers),
// against mpmath on 50,000 arguments; in brackets without a fused multiply-add (x86-64-v2), where it is larger by more
// than 0.1. Where a derivative is a sum whose terms cancel (silu' near -1.28, silu'' near 2.4, gelu' near -0.75) the
// units are those of the larger term. tests/test_activations.py holds every function to its entry rounded up.
//
//             value         first         second
//   tanh      1.36 (1.47)   2.66          3.62
//   sigmoid   1.97          2.84          3.90
//   softplus  1.63          2.11          2.93
//   silu      2.92          2.40 (2.75)   3.27
//   gelu      4.77 (6.56)   3.68          2.94 (3.91)
//   erf       1.90 (2.39)   1.41          2.25
#pragma once

#include "eosfast/math_exp.hpp"
#include "eosfast/math_log.hpp"
#include "eosfast/math_normal.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// A function and its derivatives at one point.
template <class Real>
struct Jet {
  Real value, first, second;
};

namespace detail {

// `y`, but NaN where u is.
template <class Real>
EOSFAST_INLINE Real unless_nan(const Real& u, const Real& y) {
  return select(u == u, y, u);
}

// sigmoid, sigmoid' = c q, sigmoid'' = -sign(x) c q (1 - e)/(1 + e)
template <class Real>
EOSFAST_INLINE Jet<Real> sigmoid_jet(const Real& x, const Logistic<Real>& l) {
  const Real c = l.c_scaled * Real(1.0 / kDecayScale);
  const Real density = l.c_scaled * l.q;
  const Real curvature = (density * l.difference) * Real(1.0 / kDecayScale);
  return {select(x < Real(0.0), c, l.q), density * Real(1.0 / kDecayScale), copysign(curvature, -x)};
}

inline constexpr double kGaussianScale = 0x1p128;

// 2^128 e^(x + low) for -762 <= x <= 0.
template <class Real>
EOSFAST_INLINE Real scaled_exp(const Precise<Real>& x) {
  const auto e = reduced_exp(x.value, x.low);
  const Real power = power_of_two<128>(e.rounded);
  return fma(power, e.high + e.tail, power);
}

// N(x) = e^(x^2/2) Phi(-x) on [0, 39], a quotient of polynomials with positive coefficients; relative error 1e-2 of
// 2^-53.
template <class Real>
EOSFAST_INLINE Real normal_tail_over_exp(const Real& x) {
  constexpr double kP[] = {0x1.0000000000000p-1,  0x1.a7d73ac065fd4p-1,  0x1.5bdedec9cec2bp-1, 0x1.6dc85119dd6adp-2,
                           0x1.0e4b28d74e416p-3,  0x1.2400b00b22ab9p-5,  0x1.d26f313114a36p-8, 0x1.104aee8547905p-10,
                           0x1.be7afdde41f79p-14, 0x1.d37f8541e3d3bp-18, 0x1.e09ed189b5278p-23};
  constexpr double kQ[] = {0x1.0000000000000p+0, 0x1.3a0cb22f83d7ep+1,  0x1.6882b7b7576cep+1,  0x1.001c18d445dadp+1,
                           0x1.f59c2d6b3c5e8p-1, 0x1.647d8e2eedce0p-2,  0x1.787e2074fcee8p-4,  0x1.28a5d0c1d2309p-6,
                           0x1.578e9ae22f43dp-9, 0x1.1860dcf7875f4p-12, 0x1.24f6047c0f219p-16, 0x1.2d2f2534ce588p-21};
  return polynomial(x, kP) / polynomial(x, kQ);
}

// e^(x^2) erfc(x) = 2 N(sqrt(2) x) on [0, 27.5].
template <class Real>
EOSFAST_INLINE Real erfc_over_exp(const Real& x) {
  constexpr double kP[] = {0x1.0000000000000p+0, 0x1.2bb35e8e4d738p+1,  0x1.5bdedec9cec2bp+1, 0x1.02a5b3f7f6dd4p+1,
                           0x1.0e4b28d74e416p+0, 0x1.9cf443c51fdfap-2,  0x1.d26f313114a36p-4, 0x1.81147cfcbd933p-6,
                           0x1.be7afdde41f79p-9, 0x1.4a923356a14e7p-12, 0x1.e09ed189b5278p-17};
  constexpr double kQ[] = {0x1.0000000000000p+0, 0x1.bc221910624efp+1, 0x1.6882b7b7576cep+2,  0x1.6a31a29a47b21p+2,
                           0x1.f59c2d6b3c5e8p+1, 0x1.f8275451eb981p+0, 0x1.787e2074fcee8p-1,  0x1.a385f203d8be5p-3,
                           0x1.578e9ae22f43dp-5, 0x1.8c83d036aa927p-8, 0x1.24f6047c0f219p-11, 0x1.a9f05057a2cbbp-16};
  return polynomial(x, kP) / polynomial(x, kQ);
}

}  // namespace detail

template <class Real>
EOSFAST_INLINE Jet<Real> identity_jet(const Real& u) {
  return {u, detail::unless_nan(u, Real(1.0)), detail::unless_nan(u, Real(0.0))};
}

// The derivative at 0 is 0.
template <class Real>
EOSFAST_INLINE Jet<Real> relu_jet(const Real& u) {
  const Real slope = select(u > Real(0.0), Real(1.0), Real(0.0));
  return {max(Real(0.0), u), detail::unless_nan(u, slope), detail::unless_nan(u, Real(0.0))};
}

// 0 below 0, u^2/(2h) on [0, h], u - h/2 above. At 0 and h, where the second derivative jumps, it is 1/h.
template <class Real>
EOSFAST_INLINE Jet<Real> huberized_relu_jet(const Real& u, const Real& h) {
  const Real slope = max(Real(0.0), min(Real(1.0), u / h));
  const Real value = select(u > h, u - Real(0.5) * h, (Real(0.5) * max(Real(0.0), u)) * slope);
  const Real curvature = select((u >= Real(0.0)) & (u <= h), Real(1.0) / h, Real(0.0));
  return {value, slope, detail::unless_nan(u, curvature)};
}

// tanh as in math_exp.hpp, with tanh' = 1 - tanh^2 below the seam and 4 c (1 - c), c = e/(1 + e), e = e^(-2|u|), above;
// tanh'' = -2 tanh tanh'.
template <class Real>
EOSFAST_INLINE Jet<Real> tanh_jet(const Real& u) {
  constexpr double kUnscale = 1.0 / detail::kDecayScale;
  const Real magnitude = abs(u);
  const auto large = magnitude >= Real(detail::kTanhSeam);
  const Real a = min(Real(374.0), magnitude);  // where tanh' rounds to 0, and NaN passes
  const Real rounded = fma(a, Real(-2.0 * detail::kLog2E), Real(detail::kRound));
  const Real k = select(large, rounded - Real(detail::kRound), Real(0.0));
  const Real rho = fma(k, Real(0.5 * detail::kLn2Low), fma(k, Real(0.5 * detail::kLn2High), a));
  const Real z = rho * rho;
  const Real Q = detail::tanh_denominator(z), cubic = (rho * z) * detail::tanh_numerator(z);
  const Real B = select(large, fma(rho, Q, -cubic), Real(0.0));
  const Real minus = Q - B, plus = Q + B;
  const Real power = select(large, detail::power_of_two<64>(rounded), Real(detail::kDecayScale));
  const Real quotient = select(large, power * minus, cubic) / fma(power * Real(kUnscale), minus, plus);  // 2^64 c above
  const Real unscale = select(large, Real(kUnscale), Real(1.0));
  const Real value = fma(Real(-2.0) * unscale, quotient, select(large, Real(1.0), a));
  const Real density = (quotient * fma(quotient, Real(-kUnscale), Real(1.0))) * Real(4.0 * kUnscale);
  const Real first = select(large, density, fma(-value, value, Real(1.0)));
  return {detail::with_sign(value, u), first, (detail::with_sign(value, -u) * Real(2.0)) * first};
}

template <class Real>
EOSFAST_INLINE Jet<Real> sigmoid_jet(const Real& u) {
  return detail::sigmoid_jet(u, detail::logistic(u));
}

// log(1 + e^u); its derivatives are the sigmoid's.
template <class Real>
EOSFAST_INLINE Jet<Real> softplus_jet(const Real& u) {
  const auto l = detail::logistic(u);
  const auto slope = detail::sigmoid_jet(u, l);
  return {detail::softplus(u, l), slope.value, slope.first};
}

// u s with s = sigmoid(u): s + u s', s' (2 - |u| tanh(|u|/2)).
template <class Real>
EOSFAST_INLINE Jet<Real> silu_jet(const Real& u) {
  constexpr double kUnscale = 1.0 / detail::kDecayScale;
  const auto l = detail::logistic(u);
  const auto negative = u < Real(0.0);
  const Real x = max(Real(-detail::kLogisticEnd), min(Real(detail::kLogisticEnd), u));
  const Real tail = x * l.c_scaled;
  const Real s_scaled = select(negative, l.c_scaled, l.q * Real(detail::kDecayScale));
  const Real second = (l.c_scaled * l.q) * fma(-abs(x), l.difference, Real(2.0));
  return {select(negative, tail * Real(kUnscale), u * l.q), fma(tail, l.q, s_scaled) * Real(kUnscale),
          second * Real(kUnscale)};
}

// u Phi(u) with the normal distribution Phi and density p: Phi + u p, p (2 - u^2). With x = |u|, E = e^(-x^2/2) and N
// as above, Phi(-x) = E N(x), so that u Phi(u) = max(u, 0) - x E N and the derivative is E (N - x p(0)), or 1 less
// that.
template <class Real>
EOSFAST_INLINE Jet<Real> gelu_jet(const Real& u) {
  constexpr double kUnscale = 1.0 / detail::kGaussianScale;
  const Real x = min(Real(39.0), abs(u));  // all of it rounds to 0 from there on, and NaN passes
  const Real E = detail::scaled_exp(detail::minus_square(x, 0.5)), N = detail::normal_tail_over_exp(x);
  const auto negative = u < Real(0.0);
  const Real slope = E * fma(x, Real(-detail::kInverseSqrt2Pi), N);
  const Real curvature = (E * Real(detail::kInverseSqrt2Pi)) * detail::residual(Real(2.0), x, x);
  return {fma(x * (E * N), Real(-kUnscale), max(Real(0.0), u)),
          fma(slope, select(negative, Real(kUnscale), Real(-kUnscale)), select(negative, Real(0.0), Real(1.0))),
          curvature * Real(kUnscale)};
}

// erf, 2/sqrt(pi) e^(-u^2), -2u times that.
template <class Real>
EOSFAST_INLINE Jet<Real> erf_jet(const Real& u) {
  constexpr double kTwoOverSqrtPi = 0x1.20dd750429b6dp+0, kUnscale = 1.0 / detail::kGaussianScale;
  const Real x = min(Real(27.5), abs(u));
  const Real E = detail::scaled_exp(detail::minus_square(x, 1.0));
  const Real tail = fma(E * detail::erfc_over_exp(x), Real(-kUnscale), Real(1.0));
  const Real value = select(x < Real(0.5), detail::erf_near_zero(min(Real(0.5), x)), tail);
  const Real slope = E * Real(kTwoOverSqrtPi);
  return {copysign(value, u), slope * Real(kUnscale), copysign((x * slope) * Real(2.0 * kUnscale), -u)};
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
