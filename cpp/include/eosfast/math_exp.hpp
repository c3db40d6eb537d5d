// Functions of the exponential family on lanes: exp, expm1, tanh, sech2, sigmoid, sigmoid_slope.
//
// Every function is a template over Real = double or Lanes and gives the same bits for both. It uses + - * / sqrt,
// fused multiply-add and integer operations on the bit pattern, all of them exactly specified, so the bits are the
// same on every machine that fuses (x86-64-v3 and up). There are no branches on values.
#pragma once

#include "eosfast/lanes.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {
namespace detail {

// c[0] + c[1] x + c[2] x^2 + ...; even and odd powers go side by side, which halves the latency for one more product.
template <class Real, int N>
EOSFAST_INLINE Real polynomial(const Real& x, const double (&c)[N]) {
  const Real x2 = x * x;
  Real sum = N % 2 ? Real(c[N - 1]) : fma(Real(c[N - 1]), x, Real(c[N - 2]));
  for (int i = (N % 2 ? N - 3 : N - 4); i >= 0; i -= 2) sum = fma(sum, x2, fma(Real(c[i + 1]), x, Real(c[i])));
  return sum;
}

// x + kRound rounds x to the nearest integer, ties to even, and leaves that integer in the low bits.
inline constexpr double kRound = 0x1.8p52;
// ln 2 = kLn2High + kLn2Low; the high part has 11 trailing zeros, so that its product with an exponent is exact.
inline constexpr double kLn2High = 0x1.62e42fefa3800p-1;
inline constexpr double kLn2Low = 0x1.ef35793c76730p-45;
inline constexpr double kLog2E = 0x1.71547652b82fep+0;

// x + low = k ln 2 + r, |r| <= ln(2)/2, and the result is e^x = 2^k (1 + expm1_r).
template <class Real>
struct ReducedExp {
  Real expm1_r;
  Real rounded;  // k + kRound
};

template <class Real>
EOSFAST_INLINE ReducedExp<Real> reduced_exp(const Real& x, const Real& low) {
  // (e^r - 1 - r) / r^2
  constexpr double kP[] = {0x1.0000000000001p-1,  0x1.5555555555557p-3,  0x1.5555555554d3ap-5,  0x1.11111111100e0p-7,
                           0x1.6c16c16f0af40p-10, 0x1.a01a01abe69e1p-13, 0x1.a019f394924f6p-16, 0x1.71de0233f6081p-19,
                           0x1.2802273f43a14p-22, 0x1.af4de7c1ee7c6p-26, 0x1.e6320c7acdbe0p-30};
  const Real rounded = fma(x, Real(kLog2E), Real(kRound));
  const Real k = rounded - Real(kRound);
  const Real r = fma(k, Real(-kLn2Low), fma(k, Real(-kLn2High), x)) + low;
  return {fma(r * r, polynomial(r, kP), r), rounded};
}

// a 2^k for -1100 < k < 1100, with overflow to infinity and gradual underflow: two factors of about 2^(k/2).
template <class Real>
EOSFAST_INLINE Real scale(const Real& a, const Real& rounded) {
  const auto biased = bits(rounded) - Integer<Real>(bits(kRound) - 2 * 1023);
  const auto half = shift_right(biased, 1);
  return a * from_bits(half << 52) * from_bits((biased - half) << 52);
}

// 2^k for -1022 <= k <= 1023.
template <class Real>
EOSFAST_INLINE Real power_of_two(const Real& rounded) {
  return from_bits((bits(rounded) << 52) + Integer<Real>(bits(1.0)));
}

// e^(x + low) for |low| < 1e-3
template <class Real>
EOSFAST_INLINE Real exp_sum(const Real& x, const Real& low) {
  const auto e = reduced_exp(max(Real(-750.0), min(Real(710.0), x)), low);
  return scale(e.expm1_r + Real(1.0), e.rounded);
}

}  // namespace detail

// e^x.
template <class Real>
EOSFAST_INLINE Real exp(const Real& x) {
  return detail::exp_sum(x, Real(0.0));
}

// e^x - 1, relatively accurate near 0.
template <class Real>
EOSFAST_INLINE Real expm1(const Real& x) {
  const auto e = detail::reduced_exp(max(Real(-50.0), min(Real(710.0), x)), Real(0.0));
  const Real half_power = detail::power_of_two(e.rounded - Real(1.0));
  const Real y = fma(half_power, e.expm1_r, half_power - Real(0.5)) * Real(2.0);
  return select(abs(x) < Real(0x1p-54), x, y);
}

// tanh x. Below the seam tanh x = x + x^3 P(x^2)/Q(x^2). Above it e^(-2|x|) = 2^k (1 - u)/(1 + u) with u the same
// rational function of the remainder, and tanh |x| = 1 - 2 e/(1 + e), e = e^(-2|x|). One division serves both.
template <class Real>
EOSFAST_INLINE Real tanh(const Real& x) {
  constexpr double kSeam = 0.55;
  constexpr double kP[] = {-0.3333333333333333115611, -0.02050036393535718758778, -0.000199247388774358063749};
  constexpr double kQ[] = {1.0, 0.4615010918060672679293, 0.0232934169840824173804, 0.0002066080134888747966883};
  const Real a = min(Real(20.0), abs(x));
  const auto large = a >= Real(kSeam);
  const Real rounded = select(large, fma(a, Real(-2.0 * detail::kLog2E), Real(detail::kRound)), Real(detail::kRound));
  const Real k = rounded - Real(detail::kRound);
  const Real rest = fma(k, Real(0.5 * detail::kLn2Low), fma(k, Real(0.5 * detail::kLn2High), a));
  const Real z = rest * rest;
  const Real q = detail::polynomial(z, kQ);
  const Real cubic = rest * z * detail::polynomial(z, kP);
  const Real odd = fma(rest, q, cubic);
  const Real power = detail::power_of_two(rounded);
  const Real upper = power * (q - odd);
  const Real denominator = (q + odd) + upper;
  const Real numerator = select(large, Real(-2.0) * upper, Real(2.0) * cubic);
  return copysign(select(large, Real(1.0), a) + numerator / denominator, x);
}

// 1/(1 + e^-x), relatively accurate for x -> -inf too. With e = e^-|x| and c = e/(1 + e) it is 1 - c or e - e c.
template <class Real>
EOSFAST_INLINE Real sigmoid(const Real& x) {
  const Real e = exp(-abs(x));
  const Real c = e / (Real(1.0) + e);
  const Real base = select(x < Real(0.0), e, Real(1.0));
  return fma(-base, c, base);
}

// The derivative of the sigmoid, sigmoid(x) sigmoid(-x) = e/(1 + e)^2 with e = e^-|x|; relatively accurate in both tails.
template <class Real>
EOSFAST_INLINE Real sigmoid_slope(const Real& x) {
  const Real e = exp(-abs(x));
  const Real d = Real(1.0) + e;
  return e / (d * d);
}

// The derivative of tanh, 1 - tanh(x)^2 = 4 e/(1 + e)^2 with e = e^(-2|x|), relatively accurate in both tails.
template <class Real>
EOSFAST_INLINE Real sech2(const Real& x) {
  return Real(4.0) * sigmoid_slope(x + x);
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
