// f(w) = (w_1 w_2 ... w_D - target)^2 / 2: a deep linear network of width one on one datum.
// (Chen and Bruna 2023; Kreisler et al. 2023; depth 2 is the (x y - 1)^2 of many papers.)
//
// With r = prod w - target and P_i = prod_{k != i} w_k, P_ij likewise without i and j:
//   grad_i = r P_i,   H_ii = P_i^2,   H_ij = P_i P_j + r P_ij.
#pragma once

#include <array>
#include <string_view>

#include "eosfast/config.hpp"
#include "eosfast/lanes.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// Depth is a template parameter where the step must be as short as possible, 0 stands for "known at run time".
template <int Depth>
struct ScalarProduct {
  static constexpr std::string_view kName = "ScalarProduct";
  static constexpr std::array<std::string_view, 1> kFieldNames{"target"};
  static constexpr int kMaxDim = Depth > 0 ? Depth : 64, kRawFields = 1, kFields = 1;
  static constexpr bool kSideBySide = true;

  int depth = Depth;

  static bool matches(const Config& config) { return Depth == 0 || config.number("depth") == Depth; }
  static ScalarProduct make(const Config& config, int) { return {static_cast<int>(config.number("depth"))}; }

  constexpr int dim() const {
    if constexpr (Depth > 0) return Depth;
    return depth;
  }
  static void derive(const double* raw, double* fields) { fields[0] = raw[0]; }

  template <class Real>
  struct Point {
    Real before[kMaxDim];  // w_1 ... w_{i-1}
    Real after[kMaxDim];   // w_{i+1} ... w_D
    Real residual;
  };
  template <class Real>
  Point<Real> point() const {
    return {};
  }

  template <class Real>
  EOSFAST_INLINE void visit(Point<Real>& p, const Real* w, const Real* f) const {
    p.before[0] = Real(1.0);
    for (int i = 1; i < dim(); ++i) p.before[i] = p.before[i - 1] * w[i - 1];
    p.after[dim() - 1] = Real(1.0);
    for (int i = dim() - 2; i >= 0; --i) p.after[i] = p.after[i + 1] * w[i + 1];
    p.residual = p.before[dim() - 1] * w[dim() - 1] - f[0];
  }
  template <class Real>
  EOSFAST_INLINE Real loss(const Point<Real>& p, const Real*, const Real*) const {
    return Real(0.5) * p.residual * p.residual;
  }
  template <class Real>
  EOSFAST_INLINE void grad(const Point<Real>& p, const Real*, const Real*, Real* g) const {
    for (int i = 0; i < dim(); ++i) g[i] = p.residual * (p.before[i] * p.after[i]);
  }
  template <class Real>
  EOSFAST_INLINE void hessian(const Point<Real>& p, const Real* w, const Real*, Real* H) const {
    for (int i = 0; i < dim(); ++i) {
      const Real Pi = p.before[i] * p.after[i];
      H[i * dim() + i] = Pi * Pi;
      Real between = Real(1.0);  // w_{i+1} ... w_{j-1}
      for (int j = i + 1; j < dim(); ++j) {
        const Real Pj = p.before[j] * p.after[j], Pij = p.before[i] * between * p.after[j];
        H[i * dim() + j] = H[j * dim() + i] = fma(p.residual, Pij, Pi * Pj);
        between = between * w[j];
      }
    }
  }

  template <class Real>
  EOSFAST_INLINE Real reach(const Real* w, const Real*) const {
    Real product = w[0];
    for (int i = 1; i < dim(); ++i) product = product * w[i];
    return abs(product);
  }
  template <class Real>
  EOSFAST_INLINE Real loss_bound(const Real& reach, const Real* f) const {
    const Real r = reach + abs(f[0]);
    return r * r;  // twice what is needed: rounding cannot spoil the bound
  }
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
