// The update rules, number by number: where the gradient g of the loss is taken, and what becomes of weight w and
// velocity v (0 at the start). The engines of small models and of networks apply the same rule.
#pragma once

#include <array>
#include <string_view>

#include "eosfast/lanes.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

inline constexpr int kMaxSmallDim = 64;

// A rule over all parameters of a small model; grad(at, g) evaluates the gradient, once.
template <class Rule>
struct Stepper {
  template <class Real, class Grad>
  EOSFAST_INLINE static void step(int dim, Real* w, Real* v, const Real* fields, Grad&& grad) {
    Real g[kMaxSmallDim];
    if constexpr (Rule::kLooksAhead) {
      Real at[kMaxSmallDim];
      for (int i = 0; i < dim; ++i) at[i] = Rule::ahead(w[i], v[i], fields);
      grad(at, g);
    } else {
      grad(w, g);
    }
    for (int i = 0; i < dim; ++i) Rule::update(w[i], v[Rule::kStates > 0 ? i : 0], g[i], fields);
  }
};

// w <- w - lr g(w)
struct GD : Stepper<GD> {
  static constexpr std::string_view kName = "GD";
  static constexpr std::array<std::string_view, 1> kFieldNames{"lr"};
  static constexpr int kFields = 1, kStates = 0;
  static constexpr bool kLooksAhead = false;
  template <class Real>
  EOSFAST_INLINE static void update(Real& w, Real& /*v*/, const Real& g, const Real* fields) {
    w = fma(-fields[0], g, w);
  }
};

// v <- momentum v - lr g(w),  w <- w + v   (Polyak)
struct HeavyBall : Stepper<HeavyBall> {
  static constexpr std::string_view kName = "HeavyBall";
  static constexpr std::array<std::string_view, 2> kFieldNames{"lr", "momentum"};
  static constexpr int kFields = 2, kStates = 1;
  static constexpr bool kLooksAhead = false;
  template <class Real>
  EOSFAST_INLINE static void update(Real& w, Real& v, const Real& g, const Real* fields) {
    v = fma(-fields[0], g, fields[1] * v);
    w = w + v;
  }
};

// v <- momentum v - lr g(w + momentum v),  w <- w + v   (Nesterov)
struct Nesterov : Stepper<Nesterov> {
  static constexpr std::string_view kName = "Nesterov";
  static constexpr std::array<std::string_view, 2> kFieldNames{"lr", "momentum"};
  static constexpr int kFields = 2, kStates = 1;
  static constexpr bool kLooksAhead = true;
  template <class Real>
  EOSFAST_INLINE static Real ahead(const Real& w, const Real& v, const Real* fields) {
    return fma(fields[1], v, w);
  }
  template <class Real>
  EOSFAST_INLINE static void update(Real& w, Real& v, const Real& g, const Real* fields) {
    HeavyBall::update(w, v, g, fields);
  }
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
