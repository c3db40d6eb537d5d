// f(w) = (w_1 w_2 ... w_D - target)^2 / 2: a deep linear network of width one on one datum.
// (Chen and Bruna 2023; Kreisler et al. 2023; depth 2 is the (x y - 1)^2 of many papers.)
//
// With r = prod w - target and P_i = prod_{k != i} w_k, P_ij likewise without i and j:
//   grad_i = r P_i,   H_ii = P_i^2,   H_ij = P_i P_j + r P_ij.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <type_traits>

#include "eosfast/config.hpp"
#include "eosfast/lanes.hpp"
#include "eosfast/models/product_flow.hpp"

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
    bool overflowed = false;  // on the way: the products are then taken one by one, with their exponents apart
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
    if constexpr (std::is_same_v<Real, double>) {  // eight runs side by side: a run that gets here is taken out (reach)
      p.overflowed = !std::isfinite(p.residual) && std::all_of(w, w + dim(), [](double x) { return std::isfinite(x); });
      if (p.overflowed) p.residual = product_without(w) - f[0];
    }
  }

  // The product of all w but w_i and w_j, without overflow or underflow on the way.
  double product_without(const double* w, int i = -1, int j = -1) const {
    double mantissa = 1.0;
    int exponent = 0;
    for (int k = 0; k < dim(); ++k) {
      if (k == i || k == j) continue;
      int e = 0;
      mantissa *= std::frexp(w[k], &e);
      exponent += e;
    }
    return std::ldexp(mantissa, exponent);
  }
  template <class Real>
  EOSFAST_INLINE Real loss(const Point<Real>& p, const Real*, const Real*) const {
    return Real(0.5) * p.residual * p.residual;
  }
  template <class Real>
  EOSFAST_INLINE void grad(const Point<Real>& p, const Real* w, const Real*, Real* g) const {
    for (int i = 0; i < dim(); ++i) g[i] = p.residual * (p.before[i] * p.after[i]);
    if constexpr (std::is_same_v<Real, double>)
      if (p.overflowed)
        for (int i = 0; i < dim(); ++i) g[i] = p.residual * product_without(w, i);
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
    if constexpr (std::is_same_v<Real, double>)
      if (p.overflowed) hessian_of_products(p, w, H);
  }

  void hessian_of_products(const Point<double>& p, const double* w, double* H) const {
    for (int i = 0; i < dim(); ++i) {
      const double Pi = product_without(w, i);
      H[i * dim() + i] = Pi * Pi;
      for (int j = i + 1; j < dim(); ++j)
        H[i * dim() + j] = H[j * dim() + i] = fma(p.residual, product_without(w, i, j), Pi * product_without(w, j));
    }
  }

  double own(std::string_view /*gfs_sharpness*/, const Point<double>&, const double* w, const double* f) const {
    return gfs_sharpness(dim(), w, f[0]);
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
