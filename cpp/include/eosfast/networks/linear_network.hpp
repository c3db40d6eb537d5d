// Deep linear networks: squared loss of a product of matrices,
//
//   L(w) = scale/2 |W_N ... W_1 X - Y|^2      (Frobenius norms; X (d_0, n), or the identity),
//
// by square roots L, T of the second moments of the data (second_moments.hpp), so that no step sees n:
//
//   E = W L - T,   L(w) = scale/2 (|E|^2 + rest),   dL/dW = scale E L'.
//
// Jacobians are those of the outputs W X (n d_N numbers, sample by sample) or, without data, of W (row by row).
#pragma once

#include <memory>
#include <vector>

#include "eosfast/networks/matrix_chain.hpp"
#include "eosfast/networks/network.hpp"
#include "eosfast/networks/second_moments.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

class LinearNetwork final : public Network<double> {
 public:
  // widths; loss_scale; X (n, d_0), y (n, d_N), or X without rows and y the target (d_N, d_0).
  explicit LinearNetwork(const Config& config);
  std::ptrdiff_t dim() const override { return dim_; }
  std::ptrdiff_t num_outputs() const override { return static_cast<std::ptrdiff_t>(Y_.size()); }
  std::unique_ptr<Pass<double>> pass(int num_threads) const override;
  std::unique_ptr<Octet> octet() const override;
  int patience() const override;
  double least_loss() const override;

  const std::vector<std::ptrdiff_t>& widths() const { return widths_; }
  double scale() const { return scale_; }
  bool has_data() const { return !X_.empty(); }
  std::ptrdiff_t samples() const override { return num_outputs() / widths_.back(); }
  const double* X() const { return X_.data(); }
  const double* Y() const { return Y_.data(); }
  bool from_input() const { return from_input_; }

  // As the chain meets them, which walks from its narrower side: from the input over the r columns of L, near_N is W L
  // and T (d_N, r) is to be taken off; from the output, near_N is W', then come L' and -T' (r, d_N). Without data L is
  // the identity and empty.
  const Rows& L() const { return L_; }
  const Rows& L_transposed() const { return L_transposed_; }
  const Rows& T() const { return T_; }
  double rest() const { return rest_; }

 private:
  std::vector<std::ptrdiff_t> widths_;
  double scale_, rest_ = 0.0;
  std::ptrdiff_t dim_ = 0;
  std::vector<double> X_, Y_;  // for residuals and Jacobians alone
  bool from_input_ = true;
  Rows L_, L_transposed_, T_;
};

class LinearNetworkPass final : public Pass<double> {
 public:
  LinearNetworkPass(const LinearNetwork& network, int num_threads);
  void visit(const double* w) override;
  double loss() const override { return loss_; }
  void grad(double* out) override;
  void hvp(const double* V, int k, double* out) override;
  void residual(double* out) override;
  void jvp(const double* V, int k, double* out) override;
  void vjp(const double* U, int k, double* out) override;
  void curvature(const double* u, const double* V, int k, double* out) override;

 private:
  using Far = MatrixChain::Far;

  void ensure_far();
  void from_error(const Rows& error, Rows& end);
  MatrixChain& functions();
  void outputs_of(const Rows& reached, double* out);
  void weigh_outputs(const double* u, Far& far);

  const LinearNetwork& network_;
  const int num_threads_;
  const double* w_ = nullptr;
  double loss_ = 0.0;
  MatrixChain chain_;
  Rows error_, error_along_;  // E or E'
  Far far_, far_along_;
  bool has_far_ = false;
  // The chain of W itself, where the loss's chain begins at L; what is asked of the outputs only.
  std::unique_ptr<MatrixChain> functions_;
  bool functions_are_here_ = false;
  Far weighed_, weighed_along_;
  Rows product_transposed_, weights_, pulled_;  // W' (d_0, d_N); u (n, d_N); X u (d_0, d_N)
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
