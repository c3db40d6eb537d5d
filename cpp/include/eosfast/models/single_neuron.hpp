// f(x, y) = l(x y), the single-neuron model of Ahn et al. (2023), section 2: one scalar loss l, even and Lipschitz.
//
// With s = x y:  grad f = l'(s) (y, x),   Hessian f = l''(s) (y, x)(y, x)^T + l'(s) [[0, 1], [1, 0]].
#pragma once

#include <array>
#include <string_view>

#include "eosfast/config.hpp"
#include "eosfast/models/scalar_losses.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

template <class Loss>
struct SingleNeuron {
  static constexpr std::string_view kName = "SingleNeuron";
  static constexpr std::array<std::string_view, 1> kFieldNames{"beta"};
  static constexpr int kMaxDim = 2, kRawFields = 1, kFields = 3;
  static constexpr bool kSideBySide = true;

  template <class Real>
  struct Point {
    Real s;
  };
  template <class Real>
  Point<Real> point() const {
    return {};
  }

  static bool matches(const Config& config) { return config.text("loss") == Loss::kLossName; }
  static SingleNeuron make(const Config&, int) { return {}; }
  static constexpr int dim() { return 2; }
  static void derive(const double* raw, double* fields) { Loss::derive(raw, fields); }

  template <class Real>
  EOSFAST_INLINE void visit(Point<Real>& p, const Real* w, const Real*) const {
    p.s = w[0] * w[1];
  }
  template <class Real>
  EOSFAST_INLINE Real loss(const Point<Real>& p, const Real*, const Real* f) const {
    return Loss::value(p.s, f);
  }
  template <class Real>
  EOSFAST_INLINE void grad(const Point<Real>& p, const Real* w, const Real* f, Real* g) const {
    const Real slope = Loss::slope(p.s, f);
    g[0] = slope * w[1];
    g[1] = slope * w[0];
  }
  template <class Real>
  EOSFAST_INLINE void hessian(const Point<Real>& p, const Real* w, const Real* f, Real* H) const {
    const Real slope = Loss::slope(p.s, f), curvature = Loss::curvature(p.s, f);
    H[0] = (curvature * w[1]) * w[1];  // in this order nothing overflows on the way
    H[1] = H[2] = fma(curvature, p.s, slope);
    H[3] = (curvature * w[0]) * w[0];
  }

  // l is even, 1-Lipschitz and l(0) <= 1, hence loss <= 1 + |s|.
  template <class Real>
  EOSFAST_INLINE Real reach(const Real* w, const Real*) const {
    return abs(w[0] * w[1]);
  }
  template <class Real>
  EOSFAST_INLINE Real loss_bound(const Real& reach, const Real*) const {
    return reach + Real(1.0);
  }
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
