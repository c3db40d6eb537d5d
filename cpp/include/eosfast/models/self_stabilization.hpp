// f(x, y) = (sqrt(beta) y + slope x) x^2/2 - tilt x - (alpha/sqrt(beta)) y: a valley along y whose curvature across
// grows while the loss falls. (Damian, Nichani and Lee 2023; with a slope, the minimal model of Berthier 2026.)
//
// With c = sqrt(beta) y + slope x:
//   grad = (c x + slope x^2/2 - tilt, sqrt(beta) x^2/2 - alpha/sqrt(beta)),
//   Hessian = [[c + 2 slope x, sqrt(beta) x], [sqrt(beta) x, 0]].
#pragma once

#include <array>
#include <cmath>
#include <string_view>

#include "eosfast/config.hpp"
#include "eosfast/lanes.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

struct SelfStabilization {
  static constexpr std::string_view kName = "SelfStabilization";
  static constexpr std::array<std::string_view, 4> kFieldNames{"alpha", "beta", "slope", "tilt"};
  static constexpr int kMaxDim = 2, kRawFields = 4, kFields = 4;
  static constexpr bool kSideBySide = true;

  static bool matches(const Config&) { return true; }
  static SelfStabilization make(const Config&, int) { return {}; }
  static constexpr int dim() { return 2; }
  static void derive(const double* raw, double* fields) {
    fields[0] = std::sqrt(raw[1]);           // sqrt(beta)
    fields[1] = raw[2];                      // slope
    fields[2] = raw[3];                      // tilt
    fields[3] = raw[0] / std::sqrt(raw[1]);  // alpha / sqrt(beta)
  }

  template <class Real>
  struct Point {
    Real c;
  };
  template <class Real>
  Point<Real> point() const {
    return {};
  }

  template <class Real>
  EOSFAST_INLINE void visit(Point<Real>& p, const Real* w, const Real* f) const {
    p.c = fma(f[0], w[1], f[1] * w[0]);
  }
  template <class Real>
  EOSFAST_INLINE Real loss(const Point<Real>& p, const Real* w, const Real* f) const {
    return ((Real(0.5) * p.c) * w[0]) * w[0] - fma(f[2], w[0], f[3] * w[1]);
  }
  template <class Real>
  EOSFAST_INLINE void grad(const Point<Real>& p, const Real* w, const Real* f, Real* g) const {
    g[0] = fma(fma(Real(0.5) * f[1], w[0], p.c), w[0], -f[2]);
    g[1] = fma(Real(0.5) * f[0] * w[0], w[0], -f[3]);
  }
  template <class Real>
  EOSFAST_INLINE void hessian(const Point<Real>& p, const Real* w, const Real* f, Real* H) const {
    H[0] = fma(Real(2.0) * f[1], w[0], p.c);
    H[1] = H[2] = f[0] * w[0];
    H[3] = Real(0.0);
  }

  template <class Real>
  EOSFAST_INLINE Real reach(const Real* w, const Real* f) const {
    const Real c = fma(f[0], abs(w[1]), abs(f[1] * w[0]));
    return fma(c * abs(w[0]), abs(w[0]), fma(abs(f[2]), abs(w[0]), abs(f[3] * w[1])));
  }
  template <class Real>
  EOSFAST_INLINE Real loss_bound(const Real& reach, const Real*) const {
    return reach + reach;  // more than is needed: rounding cannot spoil the bound
  }
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
