// The contracts between the rooms of the core: what a landscape, an optimizer and a run must offer each other.
#pragma once

#include <concepts>
#include <limits>
#include <string_view>

#include "eosfast/lanes.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// A small landscape w -> loss(w): few parameters, formulas written out. It is a plain value without virtual functions.
//
// clang-format off
//   kName           the name of the Python class
//   kMaxDim, dim()  storage for, and number of, parameters
//   kRawFields      configuration numbers that may differ from run to run ("beta", "noise", ...), as the user gives them
//   kFields         numbers per run that the formulas use; derive(raw, fields) makes them from the raw ones
//   Point<Real>     what loss, gradient and Hessian at one w share; visit() fills it, and it may remember its last visit
//   reach,          loss(w) <= loss_bound(reach(w)), with loss_bound increasing and reach nearly free: a slice of steps
//   loss_bound      whose largest reach is harmless needs no look at the loss of each step
//   kSideBySide     whether eight runs may go side by side (false: the model vectorises inside one run)
// clang-format on
template <class M, class Real>
concept SmallLandscapeOver = requires(const M model, typename M::template Point<Real> point, const Real* w,
                                      const Real* fields, Real* out, const double* raw, double* derived) {
  { M::kName } -> std::convertible_to<std::string_view>;
  { model.dim() } -> std::same_as<int>;
  requires M::kMaxDim >= 1 && M::kRawFields >= 0 && M::kFields >= 0;
  { model.template point<Real>() } -> std::same_as<typename M::template Point<Real>>;
  model.derive(raw, derived);
  model.visit(point, w, fields);
  { model.loss(point, w, fields) } -> std::same_as<Real>;
  model.grad(point, w, fields, out);
  model.hessian(point, w, fields, out);
  { model.reach(w, fields) } -> std::same_as<Real>;
  { model.loss_bound(*w, fields) } -> std::same_as<Real>;
};

// A landscape whose type does not tell how many raw fields it has (indirect.hpp) has a member that does.
template <class M>
int num_raw_fields(const M& model) {
  if constexpr (requires { model.raw_fields(); }) {
    return model.raw_fields();
  } else {
    return M::kRawFields;
  }
}

template <class M>
concept SmallLandscape = SmallLandscapeOver<M, double> && (!M::kSideBySide || SmallLandscapeOver<M, Lanes>);

// One of the model's own quantities: double own(name, point, w, fields), in the models that have some.
template <class M, class Point>
double own_quantity(const M& model, std::string_view name, const Point& point, const double* w, const double* fields) {
  if constexpr (requires { model.own(name, point, w, fields); }) {
    return model.own(name, point, w, fields);
  } else {
    return std::numeric_limits<double>::quiet_NaN();
  }
}

// An update rule w, state -> w, state that is linear in (w, state, gradient), or in the direction of the gradient: the
// same rule then moves tangent vectors (optimizers.hpp).
//
//   kFields         its numbers, lr first, in the order of the Python fields; those that an optimizer lacks are 0
//   kStates         vectors of length dim that it carries along (the velocity)
//   looks_ahead()   whether the gradient is taken at ahead(w, v, fields) instead of w; only with kStates > 0
//   normalises()    whether it is divided by its norm
//   shrinkage(fields)         factor of a weight on which the loss does not depend
//   update(w, v, g, fields)   one number's part of the step
template <class O>
concept UpdateRule = requires(const O rule, double w, double v, const double* fields) {
  requires O::kFields >= 1 && O::kStates >= 0;
  { rule.looks_ahead() } -> std::same_as<bool>;
  { rule.normalises() } -> std::same_as<bool>;
  { rule.shrinkage(fields) } -> std::same_as<double>;
  O::update(w, v, 1.0, fields);
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
