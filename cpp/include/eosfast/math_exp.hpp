// Functions of the exponential family on lanes: exp, expm1, tanh, sech2, sigmoid, sigmoid_slope.
//
// Every function is a template over Real = double or Lanes and gives the same bits for both. It uses + - * / sqrt,
// fused multiply-add and integer operations on the bit pattern, all of them exactly specified, so the bits are the same
// on every processor that fuses (x86-64-v3 and up). Nothing branches on the values of lanes. x86-64-v2 does not fuse:
// the constants that are multiplied by an integer exponent end in enough zeros for an exact product, and the bounds
// hold there too.
#pragma once

#include <type_traits>

#include "eosfast/lanes.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {
namespace detail {

// c[first] + c[first + 1] x + c[first + 2] x^2 + ...: pairs of terms, then Horner in x^2, at half the latency of Horner
// in x.
template <class Real, int N>
EOSFAST_INLINE Real polynomial(const Real& x, const double (&c)[N], int first = 0) {
  const Real x2 = x * x;
  const bool odd = (N - first) % 2;
  Real sum = odd ? Real(c[N - 1]) : fma(Real(c[N - 1]), x, Real(c[N - 2]));
  for (int i = odd ? N - 3 : N - 4; i >= first; i -= 2) sum = fma(sum, x2, fma(Real(c[i + 1]), x, Real(c[i])));
  return sum;
}

// x + kRound is x rounded to the nearest integer, ties to even, with that integer in its low bits.
inline constexpr double kRound = 0x1.8p52;
inline constexpr double kLog2E = 0x1.71547652b82fep+0;  // 1 / log 2
inline constexpr double kLn2 = 0x1.62e42fefa39efp-1;
// log 2 = kLn2High + kLn2Low; 11 zeros at the end of the high part make k kLn2High exact for every exponent k.
inline constexpr double kLn2High = 0x1.62e42fefa3800p-1;
inline constexpr double kLn2Low = 0x1.ef35793c76730p-45;

// 2^(n + Offset), where n is the integer in the low bits of `rounded`. (The shift of a double stays in its register.)
template <int Offset>
EOSFAST_INLINE double power_of_two(double rounded) {
#if defined(__SSE4_1__)
  const __m128i exponent = _mm_add_epi64(_mm_castpd_si128(_mm_set_sd(rounded)), _mm_cvtsi32_si128(Offset + 1023));
  return _mm_cvtsd_f64(_mm_castsi128_pd(_mm_slli_epi64(exponent, 52)));
#else
  return from_bits((bits(rounded) + (Offset + 1023)) << 52);
#endif
}
template <int Offset>
EOSFAST_INLINE Lanes power_of_two(const Lanes& rounded) {
  if constexpr (Offset == -1023) return from_bits(bits(rounded) << 52);
  return from_bits((bits(rounded) + IntLanes(Offset + 1023)) << 52);
}

// a 2^n with overflow to infinity and gradual underflow, |n| < 2000: two factors of about 2^(n/2).
template <class Real>
EOSFAST_INLINE Real scale(const Real& a, const Real& rounded) {
  const auto biased = (bits(rounded) - Integer<Real>(bits(kRound) - 2 * 1023)) & Integer<Real>(0xfff);
  const auto half = shift_right(biased, 1);
  return a * from_bits(half << 52) * from_bits((biased - half) << 52);
}

// e^(x + low) = 2^k (1 + high + tail): x + low = k log 2 + r, |r| <= log(2)/2 = 0.35, for |low| < 1e-3. `high` is r
// without its last bits and |tail| <= 0.08, so that sums with `high` first lose nothing.
template <class Real>
struct ReducedExp {
  Real high, tail;
  Real rounded;  // k in its low bits
};

template <class Real>
EOSFAST_INLINE ReducedExp<Real> reduced_exp(const Real& x, const Real& low = Real(0.0)) {
  // (e^r - 1 - r)/r^2, minimax for the relative error of e^r - 1: 0.02 of 2^-53
  constexpr double kP[] = {0x1.0000000000001p-1,  0x1.5555555555557p-3,  0x1.5555555554d2ep-5,  0x1.11111111100c8p-7,
                           0x1.6c16c16f0e229p-10, 0x1.a01a01abf3525p-13, 0x1.a019f38a7d7edp-16, 0x1.71de020bb06d4p-19,
                           0x1.280231b31c195p-22, 0x1.af4e3b85314ccp-26, 0x1.e63245d22a22cp-30};
  const Real rounded = fma(x, Real(kLog2E), Real(kRound));
  const Real k = rounded - Real(kRound);
  const Real high = fma(k, Real(-kLn2High), x), rest = fma(k, Real(-kLn2Low), low);
  const Real r = high + rest;
  return {high, fma(r * r, polynomial(r, kP), rest), rounded};
}

// A number and what its roundings lost: value + low.
template <class Real>
struct Precise {
  Real value, low;
};

// (factor + factor_low) e^(x + low)
template <class Real>
EOSFAST_INLINE Real times_exp(const Precise<Real>& factor, const Precise<Real>& x) {
  const auto e = reduced_exp(max(Real(-750.0), min(Real(710.0), x.value)), x.low);
  const Real expm1_r = e.high + e.tail;
  return scale(factor.value + fma(factor.value, expm1_r, fma(factor.low, expm1_r, factor.low)), e.rounded);
}

// The magnitude (not negative) with the sign bit of `sign`.
EOSFAST_INLINE double with_sign(double magnitude, double sign) { return copysign(magnitude, sign); }
EOSFAST_INLINE Lanes with_sign(const Lanes& magnitude, const Lanes& sign) {
  return from_bits(bits(magnitude) | (bits(sign) & IntLanes(INT64_MIN)));
}

// c - a b where the two nearly cancel: exact but for a last rounding, also without a fused multiply-add, by halves of a
// and b.
template <class Real>
EOSFAST_INLINE Real residual(const Real& c, const Real& a, const Real& b) {
  if constexpr (kFused) {
    return fma(-a, b, c);
  } else {
    const auto mask = Integer<Real>(-(std::int64_t{1} << 27));
    const Real a_high = from_bits(bits(a) & mask), b_high = from_bits(bits(b) & mask);
    const Real a_low = a - a_high, b_low = b - b_high;
    return (((c - a_high * b_high) - a_high * b_low) - a_low * b_high) - a_low * b_low;
  }
}

// e = e^-|x| times 2^64, and 1 + e. With the factor nothing underflows on the way to the tails of the functions below.
template <class Real>
struct Decay {
  Real scaled;
  Real low;  // what rounding took from `scaled`
  Real one_plus;
};
inline constexpr double kDecayScale = 0x1p64;

template <class Real>
EOSFAST_INLINE Decay<Real> decay(const Real& x) {
  const auto e = reduced_exp(max(Real(-750.0), -abs(x)));
  const Real power = power_of_two<64>(e.rounded);
  const Real expm1_r = e.high + e.tail;
  const Real scaled = fma(power, expm1_r, power);
  return {scaled, fma(power, expm1_r, power - scaled), fma(scaled, Real(1.0 / kDecayScale), Real(1.0))};
}

// 2^64 c (1 - c), c = e/(1 + e), e = e^-|x|. Roundings of e, of 1 + e and of the quotient are made good in c.
template <class Real>
EOSFAST_INLINE Real logistic_density(const Real& x) {
  const auto e = decay(x);
  const Real quotient = e.scaled / e.one_plus;
  const Real lost = (Real(1.0) - e.one_plus) + e.scaled * Real(1.0 / kDecayScale);
  const Real correction = residual(e.scaled, quotient, e.one_plus) - fma(quotient, lost, -e.low);
  const Real scaled = fma(correction, fma(quotient, Real(-1.0 / kDecayScale), Real(1.0)), quotient);
  return fma(-scaled, scaled * Real(1.0 / kDecayScale), scaled);
}

// With e = e^-|x|: 2^64 c for c = e/(1 + e), q = 1/(1 + e) = 1 - c, and (1 - e)/(1 + e), relatively accurate near 0.
// From |x| = 752 on even |x| c rounds to 0.
inline constexpr double kLogisticEnd = 752.0;

template <class Real>
struct Logistic {
  Real e_scaled, c_scaled, q, difference;
  Real power, expm1_r;  // e = power (1 + expm1_r)
};

template <class Real>
EOSFAST_INLINE Logistic<Real> logistic(const Real& x) {
  const auto e = reduced_exp(max(Real(-kLogisticEnd), -abs(x)));
  const Real power = power_of_two<64>(e.rounded), expm1_r = e.high + e.tail;
  const Real scaled = fma(power, expm1_r, power);
  const Real c = scaled / fma(scaled, Real(1.0 / kDecayScale), Real(1.0));
  const Real q = fma(c, Real(-1.0 / kDecayScale), Real(1.0));
  const Real unscaled = power * Real(1.0 / kDecayScale);
  return {scaled, c, q, fma(-unscaled, expm1_r, Real(1.0) - unscaled) * q, unscaled, expm1_r};
}

// tanh a = a (1 - z P(z)/Q(z)), z = a^2, for a <= 0.55, relative error 1e-3 of 2^-53. The common factor 1.65 keeps Q,
// and Q + B and Q - B below, away from the lower end of a binade, where roundings weigh most.
inline constexpr double kTanhFactor = 1.65, kTanhSeam = 0.5495;

template <class Real>
EOSFAST_INLINE Real tanh_numerator(const Real& z) {
  constexpr double kP0 = kTanhFactor * 0.3333333333333333115611, kP1 = kTanhFactor * 0.02050036393535718758778,
                   kP2 = kTanhFactor * 0.000199247388774358063749;
  const Real upper = fma(Real(kP2), z, Real(kP1));
  return fma(upper, z, Real(kP0));
}
template <class Real>
EOSFAST_INLINE Real tanh_denominator(const Real& z) {
  constexpr double kQ0 = kTanhFactor, kQ1 = kTanhFactor * 0.4615010918060672679293,
                   kQ2 = kTanhFactor * 0.0232934169840824173804, kQ3 = kTanhFactor * 0.0002066080134888747966883;
  return fma(fma(fma(Real(kQ3), z, Real(kQ2)), z, Real(kQ1)), z, Real(kQ0));
}

}  // namespace detail

// e^x.
template <class Real>
EOSFAST_INLINE Real exp(const Real& x) {
  const auto e = detail::reduced_exp(max(Real(-750.0), min(Real(710.0), x)));
  return detail::scale((e.high + e.tail) + Real(1.0), e.rounded);
}

// e^x - 1, relatively accurate near 0.
template <class Real>
EOSFAST_INLINE Real expm1(const Real& x) {
  const auto e = detail::reduced_exp(max(Real(-50.0), min(Real(710.0), x)));
  const Real half_power = detail::power_of_two<-1>(e.rounded);  // 2^1024 would not fit
  const Real y = fma(half_power, e.tail, fma(half_power, e.high, half_power - Real(0.5))) * Real(2.0);
  return select(abs(x) < Real(0x1p-54), x, y);
}

// tanh x; exactly odd, and never beyond 1. One division serves both sides of a seam at a = |x| = artanh(1/2):
//   below it tanh a = a - a z P(z)/Q(z) with z = a^2, |error| <= 0.9 ulp;
//   above it tanh a = 1 - 2 e/(1 + e) with e = e^(-2a) = 2^k (Q - B)/(Q + B), B/Q = tanh of the remainder rho.
template <class Real>
EOSFAST_INLINE Real tanh(const Real& x) {
  const Real magnitude = abs(x);
  const auto large = magnitude >= Real(detail::kTanhSeam);
  if constexpr (std::is_same_v<Real, double>) {  // a single number goes the short way: the same operations without k
    if (!large) {
      const double z = x * x, q = detail::tanh_denominator(z);
      return detail::with_sign(fma(-2.0, (magnitude * z) * detail::tanh_numerator(z) / (q + q), magnitude), x);
    }
  }
  const Real a = min(Real(20.0), magnitude);                // tanh 20 rounds to 1, and NaN passes
  constexpr double kRoundBiased = detail::kRound + 1023.0;  // leaves k + 1023, which is how 2^k stores its exponent
  const Real rounded = fma(a, Real(-2.0 * detail::kLog2E), Real(kRoundBiased));
  const Real k = select(large, rounded - Real(kRoundBiased), Real(0.0));
  const Real rho = fma(k, Real(0.5 * detail::kLn2), a);  // e is small where this is inexact
  const Real z = rho * rho;
  const Real Q = detail::tanh_denominator(z), cubic = (rho * z) * detail::tanh_numerator(z);
  const Real B = select(large, fma(rho, Q, -cubic), Real(0.0));
  const Real power = select(large, detail::power_of_two<-1023>(rounded), Real(1.0));
  const Real minus = Q - B, plus = Q + B;
  const Real quotient = select(large, power * minus, cubic) / fma(power, minus, plus);
  return detail::with_sign(fma(Real(-2.0), quotient, select(large, Real(1.0), a)), x);
}

// 1/(1 + e^-x), relatively accurate for x -> -inf too. With e = e^-|x| and c = e/(1 + e) it is 1 - c or e - e c.
template <class Real>
EOSFAST_INLINE Real sigmoid(const Real& x) {
  const auto e = detail::decay(x);
  const Real c = e.scaled * Real(1.0 / detail::kDecayScale) / e.one_plus;
  const Real base = select(x < Real(0.0), e.scaled, Real(detail::kDecayScale));
  return fma(-base, c, base) * Real(1.0 / detail::kDecayScale);
}

// The derivative of the sigmoid, sigmoid(x) sigmoid(-x), relatively accurate in both tails.
template <class Real>
EOSFAST_INLINE Real sigmoid_slope(const Real& x) {
  return detail::logistic_density(x) * Real(1.0 / detail::kDecayScale);
}

// The derivative of tanh, 1 - tanh(x)^2 = 4 sigmoid(2x) sigmoid(-2x), relatively accurate in both tails.
template <class Real>
EOSFAST_INLINE Real sech2(const Real& x) {
  return detail::logistic_density(x + x) * Real(4.0 / detail::kDecayScale);
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
