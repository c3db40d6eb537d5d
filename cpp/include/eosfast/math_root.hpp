// root_slope on lanes: the derivative of the square-root loss.
#pragma once

#include <type_traits>

#include "eosfast/lanes.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// s/sqrt(1 + s^2), the derivative of sqrt(1 + s^2); exactly odd, never beyond 1.
//
// The processor's square root and division are exact to the last bit, keep each other company in a unit of their own
// while the multipliers are free for the rest of a step, and are as fast here as a table or a bit trick with Newton
// steps.
template <class Real>
EOSFAST_INLINE Real root_slope(const Real& s) {
  if constexpr (kFused && std::is_same_v<Real, double>) {  // the clamp would lengthen the wait of a single run
    if (abs(s) < 0x1p28) return s / sqrt(fma(s, s, 1.0));
  }
  const Real a = max(Real(-0x1p28), min(Real(0x1p28), s));  // the slope rounds to 1 from there on, and NaN passes
  if constexpr (kFused) {
    return a / sqrt(fma(a, a, Real(1.0)));
  } else {  // 1 + a^2 with one rounding, from halves of a
    const Real h = from_bits(bits(a) & Integer<Real>(-(std::int64_t{1} << 27)));
    const Real square = h * h, sum = square + Real(1.0);
    const Real square_kept = sum - Real(1.0), one_kept = sum - square_kept;
    const Real lost = (square - square_kept) + (Real(1.0) - one_kept);
    return a / sqrt(sum + (lost + (a - h) * (a + h)));
  }
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
