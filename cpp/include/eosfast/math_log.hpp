// Logarithms on lanes, and the functions made from them: log, log1p, softplus, logcosh.
#pragma once

#include <limits>

#include "eosfast/math_exp.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {
namespace detail {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// log(x + low) + low_result for normal x > 0 and |low| <= ulp(x)
template <class Real>
EOSFAST_INLINE Real log_sum(const Real& x, const Real& low, const Real& exponent_offset) {
  constexpr double kC[16] = {1.46484375, 1.40234375, 1.34375,  1.2890625, 1.23828125, 1.19140625, 1.1484375,  1.109375,
                             1.07421875, 1.0390625,  1.0,      0.94921875, 0.8984375, 0.8515625,  0.80859375, 0.76953125};
  constexpr double kHigh[16] = {-0x1.86e919a331000p-2, -0x1.5a42ab0f4d000p-2, -0x1.2e8e2bae12000p-2, -0x1.0402594b4d000p-2,
                                -0x1.b5b519e8fc000p-3, -0x1.66acd4272a000p-3, -0x1.1b72ad52f6000p-3, -0x1.a926d3a4ac000p-4,
                                -0x1.253f62f0a0000p-4, -0x1.39e87b9fe8000p-5, 0x0.0p+0,              0x1.aaef2d0fb0000p-5,
                                0x1.b6ac88dad4000p-4,  0x1.4913d8333c000p-3,  0x1.b31d8575bc000p-3,  0x1.0c42d67616000p-2};
  constexpr double kLow[16] = {0x1.17fd80c9d2029p-44,  0x1.e63af2df7ba69p-50,  0x1.67b1e99b72bd8p-45,  -0x1.036b89ef42d7fp-48,
                               0x1.4b722ec011f31p-44,  -0x1.aa1bdbfc6c785p-44, -0x1.e80a41811a396p-45, -0x1.563650bd22a9cp-44,
                               -0x1.416f8fb69a701p-44, -0x1.eafd480ad9015p-44, 0x0.0p+0,               0x1.0fc1a353bb42ep-45,
                               0x1.b1bdff50225c7p-44,  -0x1.53e43558124c4p-44, 0x1.c794e562a63cbp-44,  0x1.7188b163ceae9p-45};
  // (log(1 + r) - r) / r^2
  constexpr double kP[] = {-0x1.fffffffffffc8p-2, 0x1.5555555555537p-2,  -0x1.00000000bcf5ap-2, 0x1.9999999a89c47p-3,
                           -0x1.55553ff414fd1p-3, 0x1.2492399af4a70p-3, -0x1.0072a87f7c570p-3, 0x1.c7d801aca1510p-4};
  constexpr std::int64_t kOrigin = 0x3fe5550000000000;  // 2/3, and an interval of the table is centred at 1
  const auto offset = bits(x) - Integer<Real>(kOrigin - (std::int64_t{1024} << 52));
  const auto index = shift_right(offset, 48) & Integer<Real>(15);
  const auto exponent = shift_right(offset, 52);  // + 1024
  const auto power = (exponent - Integer<Real>(1024)) << 52;
  const Real m = from_bits(bits(x) - power);
  const Real k = (from_bits(exponent | Integer<Real>(bits(0x1p52))) - Real(0x1p52 + 1024.0)) + exponent_offset;
  const Real c = lookup(kC, index);
  const Real m_high = from_bits(bits(m) & Integer<Real>(-(std::int64_t{1} << 24)));
  const Real r = fma(m_high, c, Real(-1.0)) + c * ((m - m_high) + low * from_bits(Integer<Real>(bits(1.0)) - power));
  const Real high = fma(k, Real(kLn2High), lookup(kHigh, index));
  const Real sum = high + r;
  const Real rest = fma(k, Real(kLn2Low), lookup(kLow, index)) + ((high - sum) + r);
  return sum + fma(r * r, polynomial(r, kP), rest);
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
  const Real one = u - x;
  const Real low = (Real(1.0) - one) + (x - (u - one));
  const Real y = select(abs(x) < Real(0x1p-54), x, detail::log_sum(u, low, Real(0.0)));
  const Real special = select(x == Real(-1.0), Real(-detail::kInfinity), select(x > Real(0.0), x, Real(detail::kNaN)));
  return select((x > Real(-1.0)) & (x < Real(detail::kInfinity)), y, special);
}

// log(1 + e^x) = max(x, 0) + log1p(e^-|x|), relatively accurate for x -> -inf too.
template <class Real>
EOSFAST_INLINE Real softplus(const Real& x) {
  return max(Real(0.0), x) + log1p(exp(-abs(x)));
}

// log cosh x: x^2 P(x^2) up to |x| = 1, |x| - log 2 + log1p(e^(-2|x|)) above.
template <class Real>
EOSFAST_INLINE Real logcosh(const Real& x) {
  constexpr double kP[] = {0x1.0000000000000p-1,   -0x1.55555555554bep-4,  0x1.6c16c16c0b917p-6,   -0x1.ba1ba1b4de7d7p-8,
                           0x1.1ea5d2f6ea23ep-9,   -0x1.833d83fd6ed9ap-11, 0x1.0d0a2134de105p-12,  -0x1.7d8ed872f9ad1p-14,
                           0x1.127af0d544f07p-15,  -0x1.8ccb62786ed41p-17, 0x1.192e69d649ddap-18,  -0x1.7119df91b9220p-20,
                           0x1.94c5282762faep-22,  -0x1.39f326a0fd989p-24, 0x1.eecc2181e0009p-28};
  const Real a = abs(x);
  const Real z = min(Real(1.0), a * a);
  const Real large = (a - Real(detail::kLn2High)) + (log1p(exp(Real(-2.0) * a)) - Real(detail::kLn2Low));
  return select(a < Real(1.0), z * detail::polynomial(z, kP), large);
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
