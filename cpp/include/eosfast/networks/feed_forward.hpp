// Fully connected networks: logistic regression, two-layer networks and deeper perceptrons are one chain,
//
//   Z_1 = W_1 X + b_1,   A_l = phi(Z_l),   Z_{l+1} = W_{l+1} A_l + b_{l+1},   F = scale Z_N,
//
// whose last weights may be fixed. Gradient and Hessian-vector product are written out by hand (backpropagation, and
// its derivative along a direction v: dotted letters),
//
//   D_N = scale dL/dF,   E_l = W_{l+1}' D_{l+1},   D_l = E_l phi'(Z_l),   dL/dW_l = D_l A_{l-1}',   dL/db_l = D_l 1
//   .Z_l = V_l A_{l-1} + W_l .A_{l-1} + v_l,   .A_l = phi'(Z_l) .Z_l,   .F = scale .Z_N
//   .D_N = scale L''(F) .F,   .E_l = V_{l+1}' D_{l+1} + W_{l+1}' .D_{l+1},   .D_l = .E_l phi' + E_l phi'' .Z_l
//   (Hv)_l = .D_l A_{l-1}' + D_l .A_{l-1}'
//
// (Pearlmutter 1994). All letters but the dotted ones are kept at a point, so a product costs as much as a gradient
// without its forward pass. The same lines give products with the Jacobian of the outputs, J v = .F, with its
// transpose, J'u = the gradient with D_N = scale u, and with the curvature of the outputs along u, (sum_a u_a Hess f_a)
// v = Hv with that D_N and .D_N = 0.
#pragma once

#include <memory>
#include <vector>

#include "eosfast/activations.hpp"
#include "eosfast/networks/network.hpp"
#include "eosfast/networks/output_loss.hpp"
#include "eosfast/networks/panels.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

template <class T>
class FeedForward final : public Network<T> {
 public:
  using Layer = typename Network<T>::Layer;

  explicit FeedForward(const Config& config);
  std::ptrdiff_t dim() const override { return dim_; }
  std::ptrdiff_t num_outputs() const override { return samples() * layers_.back().out; }
  std::unique_ptr<Pass<T>> pass(int num_threads) const override;
  int patience() const override;
  std::ptrdiff_t samples() const override { return X_.columns(); }
  const std::vector<Layer>& layers() const override { return layers_; }

  const Panels<T>& X() const { return X_; }
  const Panels<T>& X_transposed() const { return X_transposed_; }
  // The rows of each of their panels that are not zero, from the first to behind the last: the others add nothing to a
  // product. Reduced data are triangular.
  struct Range {
    std::ptrdiff_t from, to;
  };
  const std::vector<Range>& X_rows() const { return X_rows_; }
  const std::vector<Range>& X_transposed_rows() const { return X_transposed_rows_; }
  bool has_holes() const { return has_holes_; }  // whether any are left out
  const Activation& activation() const { return activation_; }
  const OutputLoss<T>& output_loss() const { return loss_; }
  double scale() const { return scale_; }
  int degree() const { return degree_; }
  // The weights of layer l: in w, or the fixed ones of the last layer.
  const T* weights(const Layer& layer, const T* w) const { return layer.weight < 0 ? fixed_.data() : w + layer.weight; }
  // 0, or NaN if a weight of the first layer is not finite: coordinates that are zero in all samples of a panel are
  // skipped, and shall hide nothing.
  T poison(const T* w) const;

 private:
  std::vector<Layer> layers_;
  std::ptrdiff_t dim_ = 0;
  Panels<T> X_, X_transposed_;  // (d, n) in panels of samples, (n, d) in panels of coordinates
  std::vector<Range> X_rows_, X_transposed_rows_;
  bool has_holes_ = false;
  Activation activation_;
  OutputLoss<T> loss_;
  std::vector<T> fixed_;
  double scale_ = 1.0;
  int degree_ = 1;
};

template <class T>
class FeedForwardPass final : public Pass<T> {
 public:
  FeedForwardPass(const FeedForward<T>& network, int num_threads);
  void visit(const T* w) override;
  double loss() const override { return loss_; }
  void grad(T* out) override;
  void hvp(const T* V, int k, T* out) override;
  void quantity(std::string_view name, double weight_norm, double* out) override;
  void residual(T* out) override;
  void jvp(const T* V, int k, T* out) override;
  void vjp(const T* U, int k, T* out) override;
  void curvature(const T* u, const T* V, int k, T* out) override;
  void outputs(double* out) const override;
  void layer_inputs(int layer, double* out) const override;
  void layer_slopes(int layer, int output, double* out) override;

 private:
  using Layer = typename Network<T>::Layer;
  using Range = typename FeedForward<T>::Range;
  // What the panels of one layer hold at a point, and along k directions (rows of direction c behind those of c - 1).
  struct Values {
    Panels<T> Z, A, first;
  };
  struct Directions {
    Panels<T> Z, A, D;
  };
  // What backpropagation leaves, layer by layer: from the derivatives of the loss, or of a sum of outputs.
  struct Back {
    Panels<T> E, D, second;  // second = E phi''(Z)
  };
  struct Backward {
    std::vector<Back> layers;
    bool is_here = false, has_second = false;  // at the present point
    Back& at(int l) { return layers[static_cast<std::size_t>(l)]; }
    const Back& at(int l) const { return layers[static_cast<std::size_t>(l)]; }
  };

  int last() const { return static_cast<int>(layers().size()) - 1; }
  const std::vector<Layer>& layers() const { return network_.layers(); }
  const Panels<T>& input(int l) const { return l == 0 ? network_.X() : values_[static_cast<std::size_t>(l - 1)].A; }
  Range input_rows(int l, std::ptrdiff_t panel) const {
    return l == 0 ? network_.X_rows()[static_cast<std::size_t>(panel)] : Range{0, input(l).rows()};
  }
  Values& at(int l) { return values_[static_cast<std::size_t>(l)]; }
  Directions& along(int l) { return directions_[static_cast<std::size_t>(l)]; }

  void forward(std::ptrdiff_t panel);
  void make_room(Backward& of) const;
  void backward(Backward& of);  // from of.at(last()).D
  void add_second(Backward& of);
  Backward& of_loss();
  Backward& of_outputs(const T* u);
  void take_outputs(const T* u, Panels<T>& D, std::ptrdiff_t from) const;
  void pull_back(int l, const T* weights, const Panels<T>& D, std::ptrdiff_t from, Panels<T>& out, std::ptrdiff_t to,
                 std::ptrdiff_t panel, bool accumulate) const;
  void second_derivatives(Backward& of, const T* V, int k, T* out);
  void hold_directions(int k);
  void take_directions(const T* V, int k);
  void directions_forward(std::ptrdiff_t panel, const T* V, int k);
  void directions_backward(std::ptrdiff_t panel, const T* V, int k, const Backward& of);
  void first_layer_product(const Panels<T>& D, int k, T* out) const;
  void sum_over_samples(int k, const Backward* of, T* out);

  const FeedForward<T>& network_;
  int num_threads_;
  const T* w_ = nullptr;
  double loss_ = 0.0;
  T poison_ = T(0);
  std::vector<T> poisons_;  // of the directions
  std::vector<Values> values_;
  Backward loss_backward_, outputs_backward_;
  std::vector<T> outputs_along_;  // the u of outputs_backward_
  std::vector<Directions> directions_;
  int directions_held_ = 0;
  Panels<T> F_, dF_;  // F_: scaled outputs
  std::vector<double> losses_;
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
