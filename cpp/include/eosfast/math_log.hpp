// Logarithms on lanes and what is made from them: log, log1p, softplus, logcosh, pow_abs. Bounds: math.hpp.
#pragma once

#include <limits>

#include "eosfast/math_exp.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {
namespace detail {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// log(x + low) = high + r + (log1p(r) - r) + tail for normal x > 0 and |low| <= ulp(x): x + low = 2^k m with 2/3 <= m <
// 4/3, and m = (1 + r)/c, |r| < 1/32, for one of 16 short numbers c near 1/m. c = 1 around m = 1, where high = tail = 0
// and r = m - 1 is exact. The products by c are exact in two halves; `high` is exact, being a sum of multiples of
// 2^-42.
template <class Real>
struct ReducedLog {
  Real r, r_low, high, tail;
};

template <class Real>
EOSFAST_INLINE ReducedLog<Real> reduced_log(const Real& x, const Real& low, const Real& extra_exponent) {
  constexpr double kC[16] = {1.46484375, 1.40234375, 1.34375,    1.2890625, 1.23828125, 1.19140625,
                             1.1484375,  1.109375,   1.07421875, 1.0390625, 1.0,        0.94921875,
                             0.8984375,  0.8515625,  0.80859375, 0.76953125};
  // -log c = kHigh + kLow; the high part is a multiple of 2^-42.
  constexpr double kHigh[16] = {-0x1.86e919a331000p-2,
                                -0x1.5a42ab0f4d000p-2,
                                -0x1.2e8e2bae12000p-2,
                                -0x1.0402594b4d000p-2,
                                -0x1.b5b519e8fc000p-3,
                                -0x1.66acd4272a000p-3,
                                -0x1.1b72ad52f6000p-3,
                                -0x1.a926d3a4ac000p-4,
                                -0x1.253f62f0a0000p-4,
                                -0x1.39e87b9fe8000p-5,
                                0x0.0p+0,
                                0x1.aaef2d0fb0000p-5,
                                0x1.b6ac88dad4000p-4,
                                0x1.4913d8333c000p-3,
                                0x1.b31d8575bc000p-3,
                                0x1.0c42d67616000p-2};
  constexpr double kLow[16] = {0x1.17fd80c9d2029p-44,
                               0x1.e63af2df7ba69p-50,
                               0x1.67b1e99b72bd8p-45,
                               -0x1.036b89ef42d7fp-48,
                               0x1.4b722ec011f31p-44,
                               -0x1.aa1bdbfc6c785p-44,
                               -0x1.e80a41811a396p-45,
                               -0x1.563650bd22a9cp-44,
                               -0x1.416f8fb69a701p-44,
                               -0x1.eafd480ad9015p-44,
                               0x0.0p+0,
                               0x1.0fc1a353bb42ep-45,
                               0x1.b1bdff50225c7p-44,
                               -0x1.53e43558124c4p-44,
                               0x1.c794e562a63cbp-44,
                               0x1.7188b163ceae9p-45};
  constexpr std::int64_t kOrigin =
      0x3fe5550000000000;                         // 2/3, so that the interval [0.979, 1.021) has an index of its own
  constexpr std::int64_t kBias = 1022;            // keeps all integers here positive
  const Real positive = max(Real(0x1p-1022), x);  // what it is otherwise the caller decides
  const auto offset = bits(positive) - Integer<Real>(kOrigin - (kBias << 52));
  const auto index = shift_right(offset, 48) & Integer<Real>(15);
  const auto biased = shift_right(offset, 52);  // k + kBias
  const auto exponent_bits = (biased - Integer<Real>(kBias)) << 52;
  const Real k = (from_bits(biased | Integer<Real>(bits(0x1p52))) - Real(0x1p52 + kBias)) + extra_exponent;
  const Real m = from_bits(bits(positive) - exponent_bits);
  const Real m_high = from_bits(bits(m) & Integer<Real>(-(std::int64_t{1} << 24)));
  const Real c = lookup(kC, index);
  const Real r_high = fma(m_high, c, Real(-1.0));
  const Real two_over_power = from_bits(Integer<Real>(bits(2.0)) - exponent_bits);  // 2^-1024 would not be normal
  const Real r_low = c * fma(low * two_over_power, Real(0.5), m - m_high);
  const Real r = r_high + r_low;
  return {r, r_low - (r - r_high), fma(k, Real(kLn2High), lookup(kHigh, index)),
          fma(k, Real(kLn2Low), lookup(kLow, index))};
}

template <class Real>
EOSFAST_INLINE Real log_sum(const Real& x, const Real& low, const Real& extra_exponent) {
  constexpr double kP[] = {-0x1.fffffffffffc8p-2, 0x1.5555555555537p-2, -0x1.00000000bcf5ap-2, 0x1.9999999a89c47p-3,
                           -0x1.55553ff414fd1p-3, 0x1.2492399af4a70p-3, -0x1.0072a87f7c570p-3, 0x1.c7d801aca1510p-4};
  const auto l = reduced_log(x, low, extra_exponent);
  const Real sum = l.high + l.r;
  return sum + fma(l.r * l.r, polynomial(l.r, kP), l.tail + ((l.high - sum) + l.r));  // kP: (log(1 + r) - r)/r^2
}

// The leading 26 bits of x: products of two such numbers are exact.
template <class Real>
EOSFAST_INLINE Real leading_half(const Real& x) {
  return from_bits(bits(x) & Integer<Real>(-(std::int64_t{1} << 27)));
}

// log(1 + e^x) = max(x, 0) + log(1 + e), e = e^-|x|, from `logistic(x)`, relatively accurate for x -> -inf too. The
// logarithm is r + r^2 P(r) for r = e up to sqrt(2) - 1 and, above, -log c + r + r^2 P(r) for r = c (1 + e) - 1.
template <class Real>
EOSFAST_INLINE Real softplus(const Real& x, const Logistic<Real>& l) {
  // (log(1 + r) - r)/r^2 on [0, 0.415]: 0.15 of 2^-53 of the logarithm
  constexpr double kP[] = {-0x1.fffffffffff32p-2, 0x1.555555554a2bep-2, -0x1.fffffff9372dbp-3, 0x1.9999988df9575p-3,
                           -0x1.55553cc9260d3p-3, 0x1.2490d221392fap-3, -0x1.ffe140b3d29f9p-4, 0x1.c63701c8a9a83p-4,
                           -0x1.94bdeba379831p-4, 0x1.61001db7c05e9p-4, -0x1.1c455ee088c36p-4, 0x1.7cf7a580a7991p-5,
                           -0x1.67bab5b6fe40fp-6, 0x1.5813b7e5f9e05p-8};
  constexpr double kC = 0.70721435546875, kMinusLogC = 0x1.62bc4f3d3cd67p-2;
  const Real e = l.e_scaled * Real(1.0 / kDecayScale);
  const auto large = e > Real(0.4142);
  const Real r = select(large, fma(l.power * Real(kC), l.expm1_r, fma(l.power, Real(kC), Real(kC - 1.0))), e);
  const Real leading = select(large, r * Real(kDecayScale), l.e_scaled);
  const Real sum = fma(leading, r * polynomial(r, kP), leading);
  return max(Real(0.0), x) + (sum + select(large, Real(kMinusLogC * kDecayScale), Real(0.0))) * Real(1.0 / kDecayScale);
}

}  // namespace detail

// log x.
template <class Real>
EOSFAST_INLINE Real log(const Real& x) {
  const auto subnormal = x < Real(0x1p-1022);
  const Real scaled = select(subnormal, x * Real(0x1p54), x);
  const Real y = detail::log_sum(scaled, Real(0.0), select(subnormal, Real(-54.0), Real(0.0)));
  const Real special = select(x == Real(0.0), Real(-detail::kInfinity), select(x > Real(0.0), x, Real(detail::kNaN)));
  return select((x > Real(0.0)) & (x < Real(detail::kInfinity)), y, special);
}

// log(1 + x), relatively accurate near 0.
template <class Real>
EOSFAST_INLINE Real log1p(const Real& x) {
  const Real u = Real(1.0) + x;
  const Real x_kept = u - Real(1.0), one_kept = u - x_kept;
  const Real low = (x - x_kept) + (Real(1.0) - one_kept);  // exactly what u lost
  // Next to 1 the split of u would leave an error of 2^-83: there x - x^2/2 + x^3/3 is exact to 2^-60.
  const Real near = fma(x * x, fma(x, Real(1.0 / 3.0), Real(-0.5)), x);
  const Real y = select(abs(x) < Real(0x1p-20), near, detail::log_sum(u, low, Real(0.0)));
  const Real special = select(x == Real(-1.0), Real(-detail::kInfinity), select(x > Real(0.0), x, Real(detail::kNaN)));
  return select((x > Real(-1.0)) & (x < Real(detail::kInfinity)), y, special);
}

// log(1 + e^x), relatively accurate for x -> -inf too.
template <class Real>
EOSFAST_INLINE Real softplus(const Real& x) {
  return detail::softplus(x, detail::logistic(x));
}

// log cosh x = x^2/2 + x^4 P(x^2) up to |x| = 1, |x| - log 2 + log1p(e) above, where e = e^(-2|x|) < 0.136 and log1p(e)
// = e Q(e).
template <class Real>
EOSFAST_INLINE Real logcosh(const Real& x) {
  constexpr double kP[] = {-0x1.55555555554f6p-4,  0x1.6c16c16c0e215p-6,  -0x1.ba1ba1b5b7500p-8,  0x1.1ea5d30ad726ep-9,
                           -0x1.833d864338348p-11, 0x1.0d0a372d15b48p-12, -0x1.7d8ffd00b73d0p-14, 0x1.12804c35a0b63p-15,
                           -0x1.8cef072e1cb97p-17, 0x1.198216d1e6642p-18, -0x1.7228d8c757d74p-20, 0x1.9704ff7df558dp-22,
                           -0x1.3cc5c1c8409e1p-24, 0x1.f523367c339b7p-28};
  constexpr double kQ[] = {0x1.0000000000000p+0, -0x1.fffffffffff47p-2, 0x1.5555555547ea9p-2, -0x1.fffffff3dbc86p-3,
                           0x1.999996c66bbe5p-3, -0x1.5554f2d47283bp-3, 0x1.2489e1052f02ap-3, -0x1.ff12378273cb7p-4,
                           0x1.be8e7046b3c55p-4, -0x1.675594ea5a3a2p-4, 0x1.84653cfd17965p-5};
  const Real a = abs(x), near = min(Real(1.0), a);
  const Real z = near * near;
  const Real small = fma(Real(0.5) * near, near, (z * z) * detail::polynomial(z, kP));
  const Real e = exp(Real(-2.0) * max(a, Real(1.0)));
  const Real large = (a - Real(detail::kLn2High)) + fma(e, detail::polynomial(e, kQ), Real(-detail::kLn2Low));
  return select(a < Real(1.0), small, large);  // a NaN is not < 1, and `large` holds it
}

// |s|^beta for beta > 0, also where |beta log|s|| is large: the logarithm and the product are carried to twice the
// precision.
template <class Real>
EOSFAST_INLINE Real pow_abs(const Real& s, const Real& beta) {
  constexpr double kP[] = {0x1.55555555554f3p-2, -0x1.ffffffffffe0ap-3, 0x1.9999999b80de3p-3, -0x1.55555558a8072p-3,
                           0x1.249231d690ad3p-3, -0x1.ffffc1dc444d7p-4, 0x1.c7fd007296191p-4, -0x1.9a8ce7c1b697ap-4};
  const Real a = abs(s);
  const auto subnormal = a < Real(0x1p-1022);
  const auto l =
      detail::reduced_log(select(subnormal, a * Real(0x1p54), a), Real(0.0), select(subnormal, Real(-54.0), Real(0.0)));
  // log a = high + r - r^2/2 + r^3 P(r) + ..., with r = h + t and h^2 exact
  const Real h = detail::leading_half(l.r), t = (l.r - h) + l.r_low, square = Real(-0.5) * (h * h);
  const Real sum1 = l.high + h, sum2 = sum1 + square;
  const Real lost = (h - (sum1 - l.high)) + (square - (sum2 - sum1));
  const Real cube = (l.r * l.r) * l.r;
  const Real low = (lost + l.tail) + fma(cube, detail::polynomial(l.r, kP), t - (Real(0.5) * t) * (l.r + h));
  const Real log_high = sum2 + low, log_low = low - (log_high - sum2);
  const Real beta_half = detail::leading_half(beta), log_half = detail::leading_half(log_high);
  const Real rest = fma(beta, (log_high - log_half) + log_low, (beta - beta_half) * log_half);
  const Real y =
      detail::times_exp<Real>({Real(1.0), Real(0.0)}, {beta_half * log_half, max(Real(-1e-3), min(Real(1e-3), rest))});
  return select((a > Real(0.0)) & (a < Real(detail::kInfinity)), y, a);  // 0, infinity and NaN stay
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
