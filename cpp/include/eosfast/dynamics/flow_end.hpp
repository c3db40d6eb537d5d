// Where the gradient flow of a network ends, and how sharp the minimum is there.
//
// Near a minimum that is an exponential approach at the rate of the smallest eigenvalue of the Hessian H that is not
// zero, in steps that the largest one limits. The last part of it is therefore Newton's step p, H p = -g, by conjugate
// gradients from zero: g lies in the range of H, p too, and the rest of the path is p up to O(|p|^2). The flow has
// ended where |p| is below kRest in units of the weights.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "eosfast/dynamics/network_flow.hpp"
#include "eosfast/spectrum/lanczos.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

class FlowEnd {
 public:
  static constexpr std::int64_t kMostGradients = 300'000;
  static constexpr double kRest = 1e-6;

  // Of the flow from w0; `stop` is asked before each step and each block of products.
  FlowEnd(const Network<double>& network, const double* w0, int num_threads, std::function<bool()> stop);

  // The largest eigenvalue of the Hessian at the end of the flow; NaN if that is not reached within the budget, or if
  // the loss there is above the network's least one: at a saddle.
  double sharpness();

 private:
  bool is_near();
  bool newton_step();
  bool reached_minimum();
  double largest_eigenvalue();

  const Network<double>& network_;
  const std::function<bool()> stop_;
  NetworkFlow<double> flow_;
  const std::unique_ptr<Pass<double>> pass_;
  std::vector<double> w_, p_;
  double size_;         // of the weights, the larger of those at the start and now
  const double least_;  // loss
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
