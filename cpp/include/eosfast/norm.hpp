// Euclidean norms without overflow or underflow on the way.
#pragma once

#include <cmath>
#include <vector>

#include "eosfast/lanes.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// sqrt(a^2 + b^2)
template <class Real>
EOSFAST_INLINE Real hypotenuse(const Real& a, const Real& b) {
  const Real large = max(abs(a), abs(b)), small = min(abs(b), abs(a));
  const Real ratio = select(large > Real(0.0), small / large, Real(0.0));
  return select((a != a) | (b != b), a + b, large * sqrt(fma(ratio, ratio, Real(1.0))));
}

// Of a few numbers, in registers.
template <class Real>
Real norm(int dim, const Real* x) {
  Real total = abs(x[0]);
  for (int i = 1; i < dim; ++i) total = hypotenuse(total, x[i]);
  return total;
}

// Of many: sqrt(sum x_i^2 + rest^2); NaN where an x is.
template <class T>
double norm_of(const std::vector<T>& x, double rest = 0.0) {
  double largest = std::abs(rest);
  for (const T element : x) {
    const double size = std::abs(static_cast<double>(element));
    if (!(size <= largest)) largest = size;
    if (std::isnan(largest)) return largest;
  }
  if (largest == 0.0 || std::isinf(largest)) return largest;
  double total = (rest / largest) * (rest / largest);
  for (const T element : x) {
    const double ratio = static_cast<double>(element) / largest;
    total += ratio * ratio;
  }
  return largest * std::sqrt(total);
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
