// The update rules, number by number: what becomes of weight w and velocity v (0 at the start). The engines of small
// models and of networks apply the same rule, and are compiled for every rule. So there are few: a choice that is the
// same for all runs of a call (whether to look ahead, whether to normalise) is a member of the rule, and the optimizers
// of Python are listed, each with its rule, in registry.hpp.
#pragma once

#include "eosfast/norm.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

inline constexpr int kMaxSmallDim = 64;

// w <- w - lr g(w)
struct GD {
  static constexpr int kFields = 1, kStates = 0;  // lr

  static constexpr bool looks_ahead() { return false; }
  static constexpr bool normalises() { return false; }
  static constexpr double shrinkage(const double*) { return 1.0; }

  template <class Real>
  EOSFAST_INLINE static void update(Real& w, Real& /*v*/, const Real& g, const Real* fields) {
    w = fma(-fields[0], g, w);
  }
};

// v <- momentum v - lr g(at),  w <- w + v,  at = w (Polyak) or w + momentum v (Nesterov)
class Momentum {
 public:
  static constexpr int kFields = 2, kStates = 1;  // lr, momentum

  explicit constexpr Momentum(bool looks_ahead = false) : looks_ahead_(looks_ahead) {}
  bool looks_ahead() const { return looks_ahead_; }
  static constexpr bool normalises() { return false; }
  static constexpr double shrinkage(const double*) { return 1.0; }

  template <class Real>
  EOSFAST_INLINE static Real ahead(const Real& w, const Real& v, const Real* fields) {
    return fma(fields[1], v, w);
  }
  template <class Real>
  EOSFAST_INLINE static void update(Real& w, Real& v, const Real& g, const Real* fields) {
    v = fma(-fields[0], g, fields[1] * v);
    w = w + v;
  }

 private:
  bool looks_ahead_;
};

// w <- w - lr (g + weight_decay w), or with g/|g| in place of g (0 where g = 0). Without weight decay the sum is g to
// the last bit, and the step that of GD.
class ModifiedGD {
 public:
  static constexpr int kFields = 2, kStates = 0;  // lr, weight_decay

  explicit constexpr ModifiedGD(bool normalises = false) : normalises_(normalises) {}
  static constexpr bool looks_ahead() { return false; }
  bool normalises() const { return normalises_; }
  static double shrinkage(const double* fields) { return 1.0 - fields[0] * fields[1]; }

  template <class Real>
  EOSFAST_INLINE static void update(Real& w, Real& /*v*/, const Real& g, const Real* fields) {
    w = fma(-fields[0], fma(fields[1], w, g), w);
  }

 private:
  bool normalises_;
};

// The direction g/size of a gradient of norm `size`.
template <class Real>
EOSFAST_INLINE Real direction(const Real& g, const Real& size) {
  return g / select(size == Real(0.0), Real(1.0), size);
}

// The Jacobian of g -> g/|g|, (I - g g'/|g|^2)/|g|, times h, in place; 0 where g = 0.
template <class Real>
void move_direction(int dim, const Real* g, const Real& size, Real* h) {
  Real along = direction(g[0], size) * h[0];
  for (int i = 1; i < dim; ++i) along = fma(direction(g[i], size), h[i], along);
  for (int i = 0; i < dim; ++i)
    h[i] = select(size == Real(0.0), Real(0.0), direction(fma(-direction(g[i], size), along, h[i]), size));
}

// The rule over all parameters of a small model; steer(at, d) gives what stands for the gradient, once.
template <class Rule, class Real, class Steer>
EOSFAST_INLINE void apply(const Rule& rule, int dim, Real* w, Real* v, const Real* fields, Steer&& steer) {
  Real d[kMaxSmallDim];
  if constexpr (Rule::kStates > 0) {
    Real at[kMaxSmallDim];
    for (int i = 0; i < dim; ++i) at[i] = w[i];
    if (rule.looks_ahead())
      for (int i = 0; i < dim; ++i) at[i] = Rule::ahead(w[i], v[i], fields);
    steer(at, d);
  } else {
    steer(w, d);
  }
  for (int i = 0; i < dim; ++i) Rule::update(w[i], v[Rule::kStates > 0 ? i : 0], d[i], fields);
}

// A step; grad(at, g) evaluates the gradient.
template <class Rule, class Real, class Grad>
EOSFAST_INLINE void take_step(const Rule& rule, int dim, Real* w, Real* v, const Real* fields, Grad&& grad) {
  apply(rule, dim, w, v, fields, [&](const Real* at, Real* g) __attribute__((always_inline)) {
    grad(at, g);
    if (!rule.normalises()) return;
    const Real size = norm(dim, g);
    for (int i = 0; i < dim; ++i) g[i] = direction(g[i], size);
  });
}

// The Jacobian of that step, taken where the gradient was g, times a tangent vector of weights u and velocity v;
// product(at, h) is Hessian times tangent. Rules are linear in (w, v, g), so they move tangent vectors themselves.
template <class Rule, class Real, class Product>
EOSFAST_INLINE void move_tangent(const Rule& rule, int dim, Real* u, Real* v, const Real* fields, const Real* g,
                                 Product&& product) {
  apply(rule, dim, u, v, fields, [&](const Real* at, Real* h) __attribute__((always_inline)) {
    product(at, h);
    if (rule.normalises()) move_direction(dim, g, norm(dim, g), h);
  });
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
