// f(x, y) = (1 + y^2) x^2 or its square root |x| sqrt(1 + y^2): a valley of minima x = 0 that is steeper the farther
// out. (Arora, Li and Panigrahi 2022.)
//
// Squared:  grad = (2 (1 + y^2) x, 2 x^2 y),        Hessian = [[2 (1 + y^2), 4 x y], [4 x y, 2 x^2]].
// Root, with h = sqrt(1 + y^2) and sigma = sign(x):
//           grad = (sigma h, |x| y/h),               Hessian = [[0, sigma y/h], [sigma y/h, |x|/h^3]].
#pragma once

#include <array>
#include <string_view>

#include "eosfast/config.hpp"
#include "eosfast/math.hpp"
#include "eosfast/norm.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

template <bool Root>
struct CurvedValley {
  static constexpr std::string_view kName = "CurvedValley";
  static constexpr std::array<std::string_view, 0> kFieldNames{};
  static constexpr int kMaxDim = 2, kRawFields = 0, kFields = 0;
  static constexpr bool kSideBySide = true;

  static bool matches(const Config& config) { return (config.number("root") != 0.0) == Root; }
  static CurvedValley make(const Config&, int) { return {}; }
  static constexpr int dim() { return 2; }
  static void derive(const double*, double*) {}

  template <class Real>
  struct Point {
    Real xy;              // squared
    Real h, slope, sign;  // root; slope = y/h
  };
  template <class Real>
  Point<Real> point() const {
    return {};
  }

  template <class Real>
  EOSFAST_INLINE void visit(Point<Real>& p, const Real* w, const Real*) const {
    if constexpr (Root) {
      p.h = hypotenuse(Real(1.0), w[1]);
      p.slope = root_slope(w[1]);
      p.sign = select((w[0] == Real(0.0)) | (w[0] != w[0]), w[0], copysign(Real(1.0), w[0]));
    } else {
      p.xy = w[0] * w[1];
    }
  }
  template <class Real>
  EOSFAST_INLINE Real loss(const Point<Real>& p, const Real* w, const Real*) const {
    if constexpr (Root) {
      return abs(w[0]) * p.h;
    } else {
      return fma(w[0], w[0], p.xy * p.xy);
    }
  }
  template <class Real>
  EOSFAST_INLINE void grad(const Point<Real>& p, const Real* w, const Real*, Real* g) const {
    if constexpr (Root) {
      g[0] = p.sign * p.h;
      g[1] = abs(w[0]) * p.slope;
    } else {
      g[0] = Real(2.0) * fma(p.xy, w[1], w[0]);
      g[1] = Real(2.0) * (p.xy * w[0]);
    }
  }
  template <class Real>
  EOSFAST_INLINE void hessian(const Point<Real>& p, const Real* w, const Real*, Real* H) const {
    if constexpr (Root) {
      H[0] = Real(0.0);
      H[1] = H[2] = p.sign * p.slope;
      H[3] = ((abs(w[0]) / p.h) / p.h) / p.h;
    } else {
      H[0] = Real(2.0) * fma(w[1], w[1], Real(1.0));
      H[1] = H[2] = Real(4.0) * p.xy;
      H[3] = Real(2.0) * w[0] * w[0];
    }
  }

  // |x| + |x y|: at least the root, and 4 of its squares are more than the loss, also after rounding.
  template <class Real>
  EOSFAST_INLINE Real reach(const Real* w, const Real*) const {
    return fma(abs(w[0]), abs(w[1]), abs(w[0]));
  }
  template <class Real>
  EOSFAST_INLINE Real loss_bound(const Real& reach, const Real*) const {
    return Root ? reach + reach : Real(4.0) * reach * reach;
  }
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
