// Least squares on D outputs that are quadratic in w (Agarwala, Pedregosa, Pennington, arXiv 2210.04860):
//
//   L = |z|^2 / 2,   z = y + G w + Q(w, w) / 2,   J = dz/dw = G + Q(w, .),   grad = J' z,   H = J'J + sum_a z_a Q_a,
//
// with Q_a symmetric. Everything follows from J, one pass over Q, since z = y + (G + J) w / 2. Gradient descent is also
// a recursion closed in (z, J) [with g = J' z]:
//
//   z' = z - lr J g + lr^2 Q(g, g) / 2,   J' = J - lr Q(g, .).
//
// That is an identity of the steps taken here (and tested as such), not the way they are taken: its Q(g, .) costs the
// same pass over Q, serves no other optimizer, and adds up the rounding errors of all steps.
//
// Outputs lie in the lanes, eight to a panel; a panel holds J and G as rows over the parameters, and Q as rows over the
// pairs i <= j in the order in which the pass wants them. So half of Q is read, once and in the order of memory. Each
// J_ai is one chain of fused multiply-adds, G_ai + Q_ai1 w_1 + Q_ai2 w_2 + ...; sums over outputs are a chain for each
// residue class modulo 8 and then the fixed tree of sum() (lanes.hpp). Bits therefore depend neither on threads nor on
// tiles nor, from x86-64-v3 up, on the instruction set. Where every Q_a is diagonal only the diagonals are kept, and a
// step takes D P operations.
#pragma once

#include <memory>
#include <vector>

#include "eosfast/config.hpp"
#include "eosfast/networks/network.hpp"
#include "eosfast/networks/panels.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

class QuadraticRegression final : public Network<double> {
 public:
  // Arrays Q (D, P * P), or the diagonals (D, P); y (D); G (D, P).
  explicit QuadraticRegression(const Config& config);
  std::ptrdiff_t dim() const override { return parameters_; }
  std::ptrdiff_t num_outputs() const override { return outputs_; }
  std::unique_ptr<Pass<double>> pass(int num_threads) const override;
  int patience() const override;

  bool diagonal() const { return diagonal_; }
  const Panels<double>& Q() const { return Q_; }  // rows: pairs in their order, or the diagonal; then zeros
  const Panels<double>& G() const { return G_; }  // rows: parameters; then zeros
  const double* y() const { return y_.row(0, 0); }
  // J, which holds G, += Q(w, .): one panel.
  void add_products(std::ptrdiff_t panel, const double* w, double* J) const;
  // f(pair, i, j) for the pairs i <= j in their order.
  template <class F>
  void each_pair(F&& f) const;

 private:
  void pack(const ArrayView& Q);

  std::ptrdiff_t outputs_, parameters_;
  bool diagonal_ = false;
  Panels<double> Q_, G_, y_;
};

class QuadraticRegressionPass final : public Pass<double> {
 public:
  QuadraticRegressionPass(const QuadraticRegression& model, int num_threads);
  void visit(const double* w) override;
  double loss() const override { return loss_; }
  void grad(double* out) override;
  void hvp(const double* V, int k, double* out) override;
  void residual(double* out) override;
  void jvp(const double* V, int k, double* out) override;
  void vjp(const double* U, int k, double* out) override;
  void curvature(const double* u, const double* V, int k, double* out) override;

 private:
  // sum_a u_a Q_a, and the u (padded) that it belongs to: Q does not depend on w, so that it holds for every w.
  struct Mixture {
    std::vector<double> u;
    std::vector<double> diagonal;
    Panels<double> matrix;
  };
  // Kept until another u is asked for.
  const Mixture& mixture(const double* u, Mixture& kept);
  // out (k, P) += or = mixture times V (k, P)
  void multiply_mixture(const Mixture& by, const double* V, int k, double* out, bool accumulate);
  // to (k, padded outputs) = J V
  void push(const double* V, int k, double* to);
  // out (k, P) = J' U, U (k, padded outputs)
  void pull(const double* U, int k, double* out);
  std::vector<double>& room(std::vector<double>& numbers, std::ptrdiff_t size);

  const QuadraticRegression& model_;
  const std::ptrdiff_t outputs_, padded_, parameters_;
  int num_threads_;
  double loss_ = 0.0;
  Panels<double> J_, z_;
  Mixture of_residual_, of_direction_;
  std::vector<double> over_outputs_, over_parameters_, products_;
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
