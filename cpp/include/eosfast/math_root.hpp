// Roots and powers on lanes: root_slope, pow_abs.
#pragma once

#include "eosfast/math_log.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// s/sqrt(1 + s^2), the derivative of sqrt(1 + s^2).
template <class Real>
EOSFAST_INLINE Real root_slope(const Real& s) {
  const Real a = max(Real(-0x1p28), min(Real(0x1p28), s));
  return a / sqrt(fma(a, a, Real(1.0)));
}

// |s|^beta for beta > 0.
template <class Real>
EOSFAST_INLINE Real pow_abs(const Real& s, const Real& beta) {
  return exp(beta * log(abs(s)));
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
