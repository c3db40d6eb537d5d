// Losses l(s) of one number: even, convex, 1-Lipschitz but for the logistic one (1/2), with 0 <= l(0) <= 1; so
// l(s) <= 1 + |s|. (Ahn et al. 2023, section 2.)
#pragma once

#include <cmath>
#include <string_view>

#include "eosfast/lanes.hpp"
#include "eosfast/math.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// value, slope and curvature are l, l', l''; `fields` are the numbers made by derive() from the model's raw fields, of
// which the first is beta. All but the higher-order one ignore them.

// l(s) = sqrt(1 + s^2)
struct SquareRootLoss {
  static constexpr std::string_view kLossName = "sqrt";
  static void derive(const double*, double*) {}
  template <class Real>
  EOSFAST_INLINE static Real value(const Real& s, const Real*) {
    const Real q = sqrt(fma(s, s, Real(1.0)));
    return select(abs(s) > Real(0x1p500), abs(s), q);  // s^2 would overflow; there sqrt(1 + s^2) = |s|
  }
  template <class Real>
  EOSFAST_INLINE static Real slope(const Real& s, const Real*) {
    return root_slope(s);
  }
  template <class Real>
  EOSFAST_INLINE static Real curvature(const Real& s, const Real*) {  // (1 + s^2)^(-3/2)
    const Real q = fma(s, s, Real(1.0));
    return (Real(1.0) / q) / sqrt(q);
  }
};

// l(s) = log cosh s
struct LogCoshLoss {
  static constexpr std::string_view kLossName = "logcosh";
  static void derive(const double*, double*) {}
  template <class Real>
  EOSFAST_INLINE static Real value(const Real& s, const Real*) {
    return logcosh(s);
  }
  template <class Real>
  EOSFAST_INLINE static Real slope(const Real& s, const Real*) {
    return tanh(s);
  }
  template <class Real>
  EOSFAST_INLINE static Real curvature(const Real& s, const Real*) {
    return sech2(s);
  }
};

// The symmetrised logistic loss l(s) = log(1 + e^-s)/2 + log(1 + e^s)/2 = log 2 + log cosh(s/2); l''(0) = 1/4.
struct LogisticLoss {
  static constexpr std::string_view kLossName = "logistic";
  static void derive(const double*, double*) {}
  template <class Real>
  EOSFAST_INLINE static Real value(const Real& s, const Real*) {
    return Real(0.693147180559945309417) + logcosh(Real(0.5) * s);
  }
  template <class Real>
  EOSFAST_INLINE static Real slope(const Real& s, const Real*) {
    return Real(0.5) * tanh(Real(0.5) * s);
  }
  template <class Real>
  EOSFAST_INLINE static Real curvature(const Real& s, const Real*) {
    return Real(0.25) * sech2(Real(0.5) * s);
  }
};

// l(s) = s^2/2 for |s| <= 1, |s| - 1/2 beyond
struct HuberLoss {
  static constexpr std::string_view kLossName = "huber";
  static void derive(const double*, double*) {}
  template <class Real>
  EOSFAST_INLINE static Real value(const Real& s, const Real*) {
    return select(abs(s) > Real(1.0), abs(s) - Real(0.5), Real(0.5) * s * s);
  }
  template <class Real>
  EOSFAST_INLINE static Real slope(const Real& s, const Real*) {
    return max(Real(-1.0), min(Real(1.0), s));  // this order hands a NaN on
  }
  template <class Real>
  EOSFAST_INLINE static Real curvature(const Real& s, const Real*) {
    return select(abs(s) > Real(1.0), Real(0.0), select(s == s, Real(1.0), s));
  }
};

// The higher-order loss: l'(s) = s (1 - c |s|^beta) up to |s| = r, sign(s) beyond, with
// c = (beta/(beta + 1))^beta / (beta + 1) and r = (beta + 1)/beta, so that l''(r) = 0 and l'(r) = 1.
struct PowerLoss {
  static constexpr std::string_view kLossName = "power";
  static void derive(const double* raw, double* fields) {
    const double beta = raw[0];
    fields[0] = beta;
    fields[1] = std::pow(beta / (beta + 1.0), beta) / (beta + 1.0);  // c
    fields[2] = (beta + 1.0) / beta;                                 // r
  }
  template <class Real>
  EOSFAST_INLINE static Real value(const Real& s, const Real* f) {
    const Real beta = f[0], r = f[2], u = min(r, abs(s));
    const Real inside = u * u * fma(-f[1] / (beta + Real(2.0)), pow_abs(u, beta), Real(0.5));
    return select(s == s, inside + (abs(s) - u), s);
  }
  template <class Real>
  EOSFAST_INLINE static Real slope(const Real& s, const Real* f) {
    const Real inside = s * fma(-f[1], pow_abs(min(f[2], abs(s)), f[0]), Real(1.0));
    return select(abs(s) < f[2], inside, select(s == s, copysign(Real(1.0), s), s));
  }
  template <class Real>
  EOSFAST_INLINE static Real curvature(const Real& s, const Real* f) {
    const Real c = f[1] * (f[0] + Real(1.0));
    const Real inside = fma(-c, pow_abs(min(f[2], abs(s)), f[0]), Real(1.0));
    return select(abs(s) < f[2], inside, select(s == s, Real(0.0), s));
  }
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
