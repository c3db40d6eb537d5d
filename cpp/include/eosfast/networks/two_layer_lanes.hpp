// Two-layer networks so small that a step is a matter of a hundred nanoseconds: neurons, not samples, lie side by side
// in the lanes. It is FeedForward (feed_forward.hpp) with c = 1 and no bias of the output,
//
//   u_ij = sum_k x_ik w_kj,   f_i = scale sum_j a_j phi(u_ij),   g_i = dL/df_i scale,
//   dL/dw_kj = a_j sum_i (g_i x_ik) phi'(u_ij),   dL/da_j = sum_i g_i phi(u_ij),
//
// where a bias is one more coordinate of every sample, x_id = 1. Every u_ij is one chain of fused multiply-adds over k
// and every sum over samples is one over i; a sum over neurons is a chain for each residue class of j modulo 8, and
// then the fixed tree of sum() (lanes.hpp). So bits depend neither on threads nor, from x86-64-v3 up, on the
// instruction set. What is not asked for at every step is left to a FeedForward at the same weights.
#pragma once

#include <memory>
#include <vector>

#include "eosfast/lanes.hpp"
#include "eosfast/networks/feed_forward.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

class TwoLayerLanes final : public Network<double> {
 public:
  using Layer = Network<double>::Layer;

  // The network in this form, if it has one and is faster so; else null.
  static std::unique_ptr<Network<double>> if_small(const Config& config);

  explicit TwoLayerLanes(const Config& config);
  std::ptrdiff_t dim() const override { return whole_.dim(); }
  std::ptrdiff_t num_outputs() const override { return whole_.num_outputs(); }
  std::unique_ptr<Pass<double>> pass(int num_threads) const override;
  std::unique_ptr<Octet> octet() const override;
  int patience() const override { return whole_.patience(); }
  std::ptrdiff_t samples() const override { return whole_.samples(); }
  const std::vector<Layer>& layers() const override { return whole_.layers(); }

  const FeedForward<double>& whole() const { return whole_; }
  std::ptrdiff_t width() const { return layers()[0].out; }
  std::ptrdiff_t padded_width() const { return (width() + kLanes - 1) / kLanes * kLanes; }
  std::ptrdiff_t coordinates() const { return layers()[0].in + (layers()[0].bias >= 0); }  // of a sample, with the 1
  const double* X() const { return X_.data(); }                                            // (n, coordinates)

  // Where phi(u_i.) begins, for each sample i: first the rows of samples of which the opposite is there too, then those
  // of their opposites, then all others, each group in whole lanes and without gaps inside, so that hardly an
  // activation is evaluated in vain.
  const std::ptrdiff_t* rows() const { return rows_.data(); }
  std::ptrdiff_t mirrored_size() const { return mirrored_size_; }  // numbers in the first group, and in the second
  std::ptrdiff_t single_size() const { return single_size_; }      // numbers in the last group
  std::ptrdiff_t row_numbers() const { return 2 * mirrored_size_ + single_size_; }
  // The samples of the first and the last group in the order of their rows.
  const std::vector<std::ptrdiff_t>& evaluated() const { return evaluated_; }

 private:
  void place_rows(bool bias);

  FeedForward<double> whole_;
  std::vector<double> X_;
  std::vector<std::ptrdiff_t> rows_, evaluated_;
  std::ptrdiff_t mirrored_size_ = 0, single_size_ = 0;
};

class TwoLayerLanesPass final : public Pass<double> {
 public:
  explicit TwoLayerLanesPass(const TwoLayerLanes& network);
  void visit(const double* w) override;
  double loss() const override { return loss_; }
  void grad(double* out) override;
  void hvp(const double* V, int k, double* out) override { whole().hvp(V, k, out); }
  void quantity(std::string_view name, double weight_norm, double* out) override {
    whole().quantity(name, weight_norm, out);
  }
  void residual(double* out) override { whole().residual(out); }
  void jvp(const double* V, int k, double* out) override { whole().jvp(V, k, out); }
  void vjp(const double* U, int k, double* out) override { whole().vjp(U, k, out); }
  void curvature(const double* u, const double* V, int k, double* out) override { whole().curvature(u, V, k, out); }
  void outputs(double* out) const override { whole().outputs(out); }
  void layer_inputs(int layer, double* out) const override { whole().layer_inputs(layer, out); }
  void layer_slopes(int layer, int output, double* out) override { whole().layer_slopes(layer, output, out); }

 private:
  using Layer = Network<double>::Layer;
  // The other form at the same weights; made and moved only when it is asked for.
  Pass<double>& whole() const;

  void take_weights();
  template <int kCoordinates>
  void preactivations();
  template <int kRows, class OfNeuron>
  void pull_back(std::ptrdiff_t from, std::ptrdiff_t rows, const double* factors, const double* values, double* out,
                 OfNeuron&& of_neuron) const;

  const TwoLayerLanes& network_;
  const std::ptrdiff_t n_, d_, m_, padded_;  // samples, their coordinates, neurons, and those rounded up to lanes
  const double* w_ = nullptr;
  double loss_ = 0.0;
  // W, its gradient (d, padded): neurons side by side. a, da (padded), zero behind the m-th. u, phi(u), phi'(u) in the
  // network's rows.
  double *W_, *dW_, *a_, *da_, *u_, *value_, *first_;
  double* is_neuron_;               // 1 in the lanes of a sample's last neurons, which may be less than eight
  double* factors_;                 // (n, d)
  Panels<double> memory_, F_, dF_;  // memory_: all of them, one row
  std::vector<double> losses_;
  mutable std::unique_ptr<Pass<double>> whole_;
  mutable bool whole_is_here_ = false;
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
