// Second-order regression on one datum in the eigenbasis of Q (Agarwala, Pedregosa, Pennington, arXiv 2210.04860):
//
//   L = z^2 / 2,   z = y + sum_i (g_i w_i + q_i w_i^2 / 2),   J_i = dz/dw_i = g_i + q_i w_i,
//   grad = z J,    H = J J' + z diag(q).
//
// It is the QuadraticRegression (networks/quadratic_regression.hpp) with one output and a diagonal Q, so small that
// runs go side by side, each with its own q, y and g: sweeps over (eps, lr, z, T) of the two-parameter map.
#pragma once

#include <array>
#include <cmath>
#include <limits>
#include <string_view>
#include <vector>

#include "eosfast/config.hpp"
#include "eosfast/lanes.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// The dimension is a template parameter where the step must be as short as possible, 0 stands for "known at run time".
template <int Dim>
struct DiagonalQuadratic {
  static constexpr std::string_view kName = "QuadraticRegression";
  static constexpr std::array<std::string_view, 3> kFieldNames{"Q", "y", "G"};
  // Raw: q, y, g. Of the fields, y is the first; then come q_i / 2 and g_i in turn.
  static constexpr int kMaxDim = Dim > 0 ? Dim : 8, kRawFields = 2 * kMaxDim + 1, kFields = kRawFields;
  static constexpr bool kSideBySide = true;

  int size = Dim;

  static bool matches(const Config& config) {
    return config.number("in_lanes") == 1.0 && (Dim == 0 || config.array("G").columns == Dim);
  }
  static DiagonalQuadratic make(const Config& config, int) { return {static_cast<int>(config.array("G").columns)}; }
  static std::vector<double> raw_numbers(const Config& config) {
    std::vector<double> out;
    for (const std::string_view field : kFieldNames) {
      const ArrayView numbers = config.array(field);
      out.insert(out.end(), numbers.data, numbers.data + numbers.rows * numbers.columns);
    }
    return out;
  }

  constexpr int dim() const {
    if constexpr (Dim > 0) return Dim;
    return size;
  }
  int raw_fields() const { return 2 * dim() + 1; }
  void derive(const double* raw, double* fields) const {
    fields[0] = raw[dim()];
    for (int i = 0; i < dim(); ++i) {
      fields[1 + 2 * i] = 0.5 * raw[i];
      fields[2 + 2 * i] = raw[dim() + 1 + i];
    }
  }

  template <class Real>
  struct Point {
    Real residual, slopes[kMaxDim];
  };
  template <class Real>
  Point<Real> point() const {
    return {};
  }

  template <class Real>
  EOSFAST_INLINE void visit(Point<Real>& p, const Real* w, const Real* f) const {
    p.residual = f[0];
    for (int i = 0; i < dim(); ++i) {
      const Real half = f[1 + 2 * i], mean = fma(half, w[i], f[2 + 2 * i]);  // of J_i between 0 and w
      p.residual = fma(mean, w[i], p.residual);
      p.slopes[i] = fma(half, w[i], mean);
    }
  }
  template <class Real>
  EOSFAST_INLINE Real loss(const Point<Real>& p, const Real*, const Real*) const {
    return Real(0.5) * p.residual * p.residual;
  }
  template <class Real>
  EOSFAST_INLINE void grad(const Point<Real>& p, const Real*, const Real*, Real* g) const {
    for (int i = 0; i < dim(); ++i) g[i] = p.residual * p.slopes[i];
  }
  template <class Real>
  EOSFAST_INLINE void hessian(const Point<Real>& p, const Real*, const Real* f, Real* H) const {
    for (int i = 0; i < dim(); ++i) {
      for (int j = 0; j < dim(); ++j) H[i * dim() + j] = p.slopes[i] * p.slopes[j];
      H[i * dim() + i] = fma(p.residual, Real(2.0) * f[1 + 2 * i], H[i * dim() + i]);
    }
  }

  // The output z, its slopes, and its second derivatives, for what asks for the Jacobian (network.hpp).
  double output(const Point<double>& p) const { return p.residual; }
  const double* output_slopes(const Point<double>& p) const { return p.slopes; }
  void multiply_output_hessian(const double* f, const double* v, double* out) const {
    for (int i = 0; i < dim(); ++i) out[i] = 2.0 * f[1 + 2 * i] * v[i];
  }
  // The tangent kernel is one number, |J|^2, and its eigenvector is 1.
  double own(std::string_view name, const Point<double>& p, const double*, const double* f) const {
    double kernel = 0.0, highest = 2.0 * f[1], lowest = highest;
    for (int i = 0; i < dim(); ++i) {
      kernel = fma(p.slopes[i], p.slopes[i], kernel);
      highest = max(highest, 2.0 * f[1 + 2 * i]);
      lowest = min(lowest, 2.0 * f[1 + 2 * i]);
    }
    if (name == "residual" || name == "z1") return p.residual;
    if (name == "q1_max") return highest;
    if (name == "q1_min") return lowest;
    return kernel;  // ntk_sharpness, ntk_eigs
  }

  template <class Real>
  EOSFAST_INLINE Real reach(const Real* w, const Real* f) const {
    Point<Real> p;
    visit(p, w, f);  // the one of the step: nothing is computed twice
    return abs(p.residual);
  }
  template <class Real>
  EOSFAST_INLINE Real loss_bound(const Real& reach, const Real*) const {
    return reach * reach;  // twice what is needed: rounding cannot spoil the bound
  }
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
