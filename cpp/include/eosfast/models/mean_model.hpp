// The mean model of Ahn et al. (2023), section 3: l_sym(A g(b)) with A = d (a_minus + a_plus), the threshold-neuron
// network with its output replaced by the mean over the noise.
//
//   l_sym(s) = log(1 + e^-s)/2 + log(1 + e^s)/2,   g(b) = E relu(noise z + b) = noise G(b/noise),
//   G(t) = pdf(t) + t cdf(t),  G' = cdf,  G'' = pdf   (z, pdf, cdf of the standard normal law).
//
// With s = A g:  dl/da = d l' g (both),  dl/db = l' A g',
//   d2l/da2 = d^2 l'' g^2,  d2l/dadb = d (l'' g s' + l' g') with s' = A g',  d2l/db2 = l'' s'^2 + l' A g''.
#pragma once

#include <array>
#include <string_view>

#include "eosfast/config.hpp"
#include "eosfast/lanes.hpp"
#include "eosfast/math.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

struct MeanModel {
  static constexpr std::string_view kName = "MeanModel";
  static constexpr std::array<std::string_view, 2> kFieldNames{"d", "noise"};
  static constexpr int kMaxDim = 3, kRawFields = 2, kFields = 3;
  static constexpr bool kSideBySide = true;

  static bool matches(const Config&) { return true; }
  static MeanModel make(const Config&, int) { return {}; }
  static constexpr int dim() { return 3; }
  static void derive(const double* raw, double* fields) {
    fields[0] = raw[0];        // d
    fields[1] = raw[1];        // noise
    fields[2] = 1.0 / raw[1];  // 1 / noise
  }

  template <class Real>
  struct Point {
    Real A, t, g, dg, s;
  };
  template <class Real>
  Point<Real> point() const {
    return {};
  }

  template <class Real>
  EOSFAST_INLINE void visit(Point<Real>& p, const Real* w, const Real* f) const {
    p.A = f[0] * (w[0] + w[1]);
    p.t = w[2] * f[2];
    p.g = f[1] * normal_relu(p.t);
    p.dg = normal_cdf(p.t);
    p.s = p.A * p.g;
  }
  template <class Real>
  EOSFAST_INLINE Real loss(const Point<Real>& p, const Real*, const Real*) const {
    return Real(0.693147180559945309417) + logcosh(Real(0.5) * p.s);
  }
  template <class Real>
  EOSFAST_INLINE void grad(const Point<Real>& p, const Real*, const Real* f, Real* g) const {
    const Real slope = Real(0.5) * tanh(Real(0.5) * p.s);
    g[0] = g[1] = (f[0] * slope) * p.g;
    g[2] = (slope * p.A) * p.dg;
  }
  template <class Real>
  EOSFAST_INLINE void hessian(const Point<Real>& p, const Real*, const Real* f, Real* H) const {
    const Real slope = Real(0.5) * tanh(Real(0.5) * p.s), curvature = Real(0.25) * sech2(Real(0.5) * p.s);
    const Real ds = p.A * p.dg, ddg = f[2] * normal_pdf(p.t);
    const Real dg_scaled = f[0] * p.g;
    const Real aa = (curvature * dg_scaled) * dg_scaled;
    const Real ab = f[0] * fma(curvature * p.g, ds, slope * p.dg);
    H[0] = H[1] = H[3] = H[4] = aa;
    H[2] = H[5] = H[6] = H[7] = ab;
    H[8] = fma(curvature * ds, ds, (slope * p.A) * ddg);
  }

  // g(b) <= max(b, 0) + noise/2 and l_sym(s) <= log 2 + |s|/2.
  template <class Real>
  EOSFAST_INLINE Real reach(const Real* w, const Real* f) const {
    return abs(w[0] + w[1]) * fma(Real(0.5), f[1], max(w[2], Real(0.0)));
  }
  template <class Real>
  EOSFAST_INLINE Real loss_bound(const Real& reach, const Real* f) const {
    return fma(f[0], reach, Real(1.0));
  }
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
