// Where the gradient flow of (w_1 ... w_D - target)^2 / 2 ends, and the sharpness there (the GFS sharpness of Kreisler,
// Nacson, Soudry and Carmon 2023).
//
// The flow moves all w_i^2 by the same amount s, d(w_i^2)/dt = -2 r prod w. With m the smallest |w_i|, the squares at
// the end are v_i = d_i + u, d_i = w_i^2 - m^2, and u >= 0 solves prod_i (d_i + u) = target^2; there the only
// eigenvalue that is not zero is target^2 sum_i 1/v_i.
//
// Where the product does not have the sign of the target yet, one factor must cross zero, and only the smallest one
// can: s falls to -m^2, the sign changes, and s rises again, to the same u. If several share the smallest size, they
// reach zero only in the limit, and the flow ends in the saddle u = 0: with two of them the Hessian has the
// eigenvalues +-|target| prod sqrt(d_k) of the pair, k the other factors, with more it is zero. For target 0 the end is
// u = 0 too, with the eigenvalue prod d_k.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "eosfast/isa.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

inline double gfs_sharpness(int dim, const double* w, double target) {
  const auto size = [](double x) { return std::abs(x); };
  double m = size(w[0]);
  bool negative = false;
  for (int i = 0; i < dim; ++i) {
    if (!std::isfinite(w[i])) return std::numeric_limits<double>::quiet_NaN();
    m = std::min(m, size(w[i]));
    negative = negative != std::signbit(w[i]);
  }
  const auto excess = [&](int i) { return (size(w[i]) - m) * (size(w[i]) + m); };
  const auto shared = std::count_if(w, w + dim, [&](double x) { return size(x) == m; });
  const bool must_cross = m == 0.0 || negative != (target < 0.0);
  if (target == 0.0 || (must_cross && shared > 1)) {
    double others = 1.0;
    for (int i = 0; i < dim; ++i)
      if (size(w[i]) != m) others *= shared == 1 ? excess(i) : std::sqrt(excess(i));
    return shared == 1 ? others : shared == 2 ? size(target) * others : 0.0;
  }
  // sum_i log(d_i + e^x) = 2 log |target|: the left side is convex and rises at least as fast as x, so that Newton's
  // method falls monotonically from where every d_i is left out.
  const double wanted = 2.0 * std::log(size(target));
  double x = wanted / dim;
  for (int round = 0; round < 200; ++round) {
    double value = -wanted, slope = 0.0;
    const double u = std::exp(x);
    for (int i = 0; i < dim; ++i) {
      const double v = excess(i) + u;
      value += excess(i) > 0.0 ? std::log(v) : x;
      slope += u / v;
    }
    const double next = x - value / slope;
    if (!(next < x)) break;
    x = next;
  }
  double total = 0.0;
  for (int i = 0; i < dim; ++i) total += (target / (excess(i) + std::exp(x))) * target;
  return total;
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
