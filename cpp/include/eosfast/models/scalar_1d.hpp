// f(x) = l(x): one number under one loss. (Ma, Kunin, Wu and Ying 2022; Chen and Bruna 2022.)
#pragma once

#include <array>
#include <string_view>

#include "eosfast/config.hpp"
#include "eosfast/models/scalar_losses.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// l(s) = (s^2 - target)^2 / 4
struct QuarticLoss {
  static constexpr std::string_view kLossName = "quartic";
  static void derive(const double* raw, double* fields) { fields[0] = raw[1]; }
  template <class Real>
  EOSFAST_INLINE static Real value(const Real& s, const Real* f) {
    const Real half = Real(0.5) * fma(s, s, -f[0]);  // its square overflows only where the loss does
    return half * half;
  }
  template <class Real>
  EOSFAST_INLINE static Real slope(const Real& s, const Real* f) {
    return s * fma(s, s, -f[0]);
  }
  template <class Real>
  EOSFAST_INLINE static Real curvature(const Real& s, const Real* f) {
    return fma(Real(3.0) * s, s, -f[0]);
  }
  template <class Real>
  EOSFAST_INLINE static Real bound(const Real& size, const Real* f) {  // of the loss where |s| <= size
    const Real sum = fma(size, size, abs(f[0]));
    return sum * sum;
  }
};

template <class Loss>
struct Scalar1D {
  static constexpr std::string_view kName = "Scalar1D";
  static constexpr std::array<std::string_view, 2> kFieldNames{"beta", "target"};
  static constexpr int kMaxDim = 1, kRawFields = 2, kFields = 3;
  static constexpr bool kSideBySide = true;

  template <class Real>
  struct Point {};
  template <class Real>
  Point<Real> point() const {
    return {};
  }

  static bool matches(const Config& config) { return config.text("loss") == Loss::kLossName; }
  static Scalar1D make(const Config&, int) { return {}; }
  static constexpr int dim() { return 1; }
  static void derive(const double* raw, double* fields) { Loss::derive(raw, fields); }

  template <class Real>
  EOSFAST_INLINE void visit(Point<Real>&, const Real*, const Real*) const {}
  template <class Real>
  EOSFAST_INLINE Real loss(const Point<Real>&, const Real* w, const Real* f) const {
    return Loss::value(w[0], f);
  }
  template <class Real>
  EOSFAST_INLINE void grad(const Point<Real>&, const Real* w, const Real* f, Real* g) const {
    g[0] = Loss::slope(w[0], f);
  }
  template <class Real>
  EOSFAST_INLINE void hessian(const Point<Real>&, const Real* w, const Real* f, Real* H) const {
    H[0] = Loss::curvature(w[0], f);
  }

  template <class Real>
  EOSFAST_INLINE Real reach(const Real* w, const Real*) const {
    return abs(w[0]);
  }
  template <class Real>
  EOSFAST_INLINE Real loss_bound(const Real& reach, const Real* f) const {
    if constexpr (requires { Loss::bound(reach, f); }) {
      return Loss::bound(reach, f);
    } else {
      return reach + Real(1.0);
    }
  }
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
