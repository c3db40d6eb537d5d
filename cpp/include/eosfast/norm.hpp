// The Euclidean norm.
#pragma once

#include <cmath>
#include <vector>

#include "eosfast/isa.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// sqrt(sum x_i^2 + rest^2), without overflow or underflow on the way; NaN where an x is.
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
