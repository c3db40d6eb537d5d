// The update rules. g stands for the gradient of the loss; v = 0 at the start.
#pragma once

#include <array>
#include <string_view>

#include "eosfast/lanes.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

inline constexpr int kMaxSmallDim = 64;

// w <- w - lr g(w)
struct GD {
  static constexpr std::string_view kName = "GD";
  static constexpr std::array<std::string_view, 1> kFieldNames{"lr"};
  static constexpr int kFields = 1;
  static constexpr int kStates = 0;
  template <class Real, class Grad>
  EOSFAST_INLINE static void step(int dim, Real* w, Real* /*state*/, const Real* fields, Grad&& grad) {
    Real g[kMaxSmallDim];
    grad(w, g);
    for (int i = 0; i < dim; ++i) w[i] = fma(-fields[0], g[i], w[i]);
  }
};

// v <- momentum v - lr g(w),  w <- w + v   (Polyak)
struct HeavyBall {
  static constexpr std::string_view kName = "HeavyBall";
  static constexpr std::array<std::string_view, 2> kFieldNames{"lr", "momentum"};
  static constexpr int kFields = 2;
  static constexpr int kStates = 1;
  template <class Real, class Grad>
  EOSFAST_INLINE static void step(int dim, Real* w, Real* v, const Real* fields, Grad&& grad) {
    Real g[kMaxSmallDim];
    grad(w, g);
    for (int i = 0; i < dim; ++i) {
      v[i] = fma(-fields[0], g[i], fields[1] * v[i]);
      w[i] = w[i] + v[i];
    }
  }
};

// v <- momentum v - lr g(w + momentum v),  w <- w + v   (Nesterov)
struct Nesterov {
  static constexpr std::string_view kName = "Nesterov";
  static constexpr std::array<std::string_view, 2> kFieldNames{"lr", "momentum"};
  static constexpr int kFields = 2;
  static constexpr int kStates = 1;
  template <class Real, class Grad>
  EOSFAST_INLINE static void step(int dim, Real* w, Real* v, const Real* fields, Grad&& grad) {
    Real g[kMaxSmallDim], ahead[kMaxSmallDim];
    for (int i = 0; i < dim; ++i) ahead[i] = fma(fields[1], v[i], w[i]);
    grad(ahead, g);
    for (int i = 0; i < dim; ++i) {
      v[i] = fma(-fields[0], g[i], fields[1] * v[i]);
      w[i] = w[i] + v[i];
    }
  }
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
