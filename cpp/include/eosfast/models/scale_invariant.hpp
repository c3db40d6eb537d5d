// f(w) = t1^2 (t2^2 + ratio t3^2)/2 of the direction t = w/|w|: scaling w changes nothing. (Lyu, Li and Arora 2022.)
//
// With r = |w| and q = t2^2 + ratio t3^2, the value is p(t) = t1^2 q/2 where p(w) is of degree 4, so f = p(w)/r^4 and
//   grad f = (grad p - 4 p t)/r,
//   Hessian f = (Hess p - 4 (grad p t' + t grad p') + p (24 t t' - 4 I))/r^2,   all at t.
#pragma once

#include <array>
#include <string_view>

#include "eosfast/config.hpp"
#include "eosfast/norm.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

struct ScaleInvariant {
  static constexpr std::string_view kName = "ScaleInvariant";
  static constexpr std::array<std::string_view, 1> kFieldNames{"ratio"};
  static constexpr int kMaxDim = 3, kRawFields = 1, kFields = 1;
  static constexpr bool kSideBySide = true;

  static bool matches(const Config&) { return true; }
  static ScaleInvariant make(const Config&, int) { return {}; }
  static constexpr int dim() { return 3; }
  static void derive(const double* raw, double* fields) { fields[0] = raw[0]; }

  template <class Real>
  struct Point {
    Real r, t1, t2, t3, s, q;  // s = t1^2
  };
  template <class Real>
  Point<Real> point() const {
    return {};
  }

  template <class Real>
  EOSFAST_INLINE void visit(Point<Real>& p, const Real* w, const Real* f) const {
    p.r = hypotenuse(hypotenuse(w[0], w[1]), w[2]);
    p.t1 = w[0] / p.r;
    p.t2 = w[1] / p.r;
    p.t3 = w[2] / p.r;
    p.s = p.t1 * p.t1;
    p.q = fma(p.t2, p.t2, (f[0] * p.t3) * p.t3);
  }
  template <class Real>
  EOSFAST_INLINE Real loss(const Point<Real>& p, const Real*, const Real*) const {
    return Real(0.5) * p.s * p.q;
  }
  template <class Real>
  EOSFAST_INLINE void grad(const Point<Real>& p, const Real*, const Real* f, Real* g) const {
    const Real twice = p.q + p.q;
    g[0] = (p.t1 * p.q) * fma(Real(-2.0), p.s, Real(1.0)) / p.r;
    g[1] = (p.s * p.t2) * (Real(1.0) - twice) / p.r;
    g[2] = (p.s * p.t3) * (f[0] - twice) / p.r;
  }
  template <class Real>
  EOSFAST_INLINE void hessian(const Point<Real>& p, const Real*, const Real* f, Real* H) const {
    const Real ratio = f[0], one = Real(1.0), two = Real(2.0), four = Real(4.0), s = p.s, q = p.q;
    const Real mixed = Real(12.0) * s * q - four * q;
    const auto put = [&](int i, int j, const Real& value) { H[3 * i + j] = H[3 * j + i] = (value / p.r) / p.r; };
    put(0, 0, q * fma(fma(Real(12.0), s, Real(-10.0)), s, one));
    put(0, 1, (p.t1 * p.t2) * (mixed + (two - four * s)));
    put(0, 2, (p.t1 * p.t3) * (mixed + ratio * (two - four * s)));
    put(1, 1, s * fma(fma(Real(12.0), q, Real(-8.0)), p.t2 * p.t2, one - two * q));
    put(2, 2, s * fma(fma(Real(12.0), q, Real(-8.0) * ratio), p.t3 * p.t3, ratio - two * q));
    put(1, 2, (s * p.t2 * p.t3) * (Real(12.0) * q - four * (one + ratio)));
  }

  // The loss is at most max(1, ratio)/8 wherever there is a direction.
  template <class Real>
  EOSFAST_INLINE Real reach(const Real* w, const Real*) const {
    const Real size = max(abs(w[0]), max(abs(w[1]), abs(w[2])));
    return select(size > Real(0.0), Real(0.0), Real(__builtin_inf()));
  }
  template <class Real>
  EOSFAST_INLINE Real loss_bound(const Real& reach, const Real* f) const {
    return reach + max(Real(1.0), f[0]);
  }
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
