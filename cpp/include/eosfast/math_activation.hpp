// Activations on lanes, each with its first and second derivative from shared work: one exponential and one division at
// most, where alone they would need two or three of each. The compiler drops what the caller does not use.
//
// NaN in gives NaN out, no finite argument gives NaN, and results below the normal numbers are rounded to subnormal
// ones. Where a derivative changes sign because two terms cancel (silu' near -1.28, gelu' near -0.75, silu'' near 2.4,
// second derivatives of softplus never) the error is a few units of the last place of the terms.
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

// With e = e^-|x|: 2^64 c for c = e/(1 + e), q = 1/(1 + e) = 1 - c, and (1 - e)/(1 + e), relatively accurate near 0.
// From |x| = 752 on even |x| c rounds to 0.
inline constexpr double kLogisticEnd = 752.0;

template <class Real>
struct Logistic {
  Real e_scaled, c_scaled, q, difference;
};

template <class Real>
EOSFAST_INLINE Logistic<Real> logistic(const Real& x) {
  const auto e = reduced_exp(max(Real(-kLogisticEnd), -abs(x)));
  const Real power = power_of_two<64>(e.rounded), expm1_r = e.high + e.tail;
  const Real scaled = fma(power, expm1_r, power);
  const Real c = scaled / fma(scaled, Real(1.0 / kDecayScale), Real(1.0));
  const Real q = fma(c, Real(-1.0 / kDecayScale), Real(1.0));
  const Real unscaled = power * Real(1.0 / kDecayScale);
  return {scaled, c, q, fma(-unscaled, expm1_r, Real(1.0) - unscaled) * q};
}

// sigmoid, sigmoid' = c q, sigmoid'' = -sign(x) c q (1 - e)/(1 + e)
template <class Real>
EOSFAST_INLINE Jet<Real> sigmoid_jet(const Real& x, const Logistic<Real>& l) {
  const Real c = l.c_scaled * Real(1.0 / kDecayScale);
  const Real density = l.c_scaled * l.q;
  const Real curvature = (density * l.difference) * Real(1.0 / kDecayScale);
  return {select(x < Real(0.0), c, l.q), density * Real(1.0 / kDecayScale), copysign(curvature, -x)};
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

// tanh with tanh' = 1 - tanh^2 below |u| = artanh(1/2) and 4 c (1 - c), c = e/(1 + e), e = e^(-2|u|), above;
// tanh'' = -2 tanh tanh'.
template <class Real>
EOSFAST_INLINE Jet<Real> tanh_jet(const Real& u) {
  const Real value = tanh(u), first = sech2(u);
  return {value, first, (Real(-2.0) * value) * first};
}

template <class Real>
EOSFAST_INLINE Jet<Real> sigmoid_jet(const Real& u) {
  return detail::sigmoid_jet(u, detail::logistic(u));
}

// log(1 + e^u); its derivatives are the sigmoid's.
template <class Real>
EOSFAST_INLINE Jet<Real> softplus_jet(const Real& u) {
  const auto slope = detail::sigmoid_jet(u, detail::logistic(u));
  return {softplus(u), slope.value, slope.first};
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

// u Phi(u) with the normal distribution Phi and density p: Phi + u p, p (2 - u^2).
template <class Real>
EOSFAST_INLINE Jet<Real> gelu_jet(const Real& u) {
  const Real x = max(Real(-60.0), min(Real(60.0), u));
  const Real cdf = normal_cdf(x), pdf = normal_pdf(x);
  return {max(Real(-60.0), u) * cdf, fma(x, pdf, cdf), pdf * fma(-x, x, Real(2.0))};
}

// erf, 2/sqrt(pi) e^(-u^2), -2u times that.
template <class Real>
EOSFAST_INLINE Jet<Real> erf_jet(const Real& u) {
  constexpr double kTwoOverSqrtPi = 0x1.20dd750429b6dp+0, kTwoOverSqrtPiLow = 0x1.1ae3a914fed80p-56;
  const Real x = max(Real(-60.0), min(Real(60.0), u));
  const Real first =
      detail::times_exp<Real>({Real(kTwoOverSqrtPi), Real(kTwoOverSqrtPiLow)}, detail::minus_square(x, 1.0));
  return {erf(u), first, (Real(-2.0) * x) * first};
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
