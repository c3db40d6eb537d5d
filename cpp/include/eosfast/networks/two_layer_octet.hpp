// Eight runs of one very small two-layer network side by side, a run in each lane: the same sums in the same order as
// TwoLayerLanes (two_layer_lanes.hpp), where a run has the lanes to itself, and so the same bits; but nothing is summed
// across lanes, and nothing waits for the one chain of operations from weights to loss to gradient.
#pragma once

#include <vector>

#include "eosfast/networks/two_layer_lanes.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

class TwoLayerOctet final : public Octet {
 public:
  explicit TwoLayerOctet(const TwoLayerLanes& network);

  // Whether its arrays stay in the cache, so that it is faster than one run after the other.
  static bool suits(const TwoLayerLanes& network) { return network.row_numbers() <= 512; }

  Lanes visit(const double* w) override;
  void grad(double* out) override;

 private:
  void preactivations();
  Lanes output(std::ptrdiff_t i) const;
  EOSFAST_INLINE static Lanes at(const double* array, std::ptrdiff_t i) { return Lanes::load(array + i * kLanes); }
  EOSFAST_INLINE static void put(double* array, std::ptrdiff_t i, const Lanes& x) { x.store(array + i * kLanes); }

  const TwoLayerLanes& network_;
  const std::ptrdiff_t n_, d_, m_;  // samples, their coordinates, neurons
  const double* w_ = nullptr;
  Panels<double> memory_;  // one row: the arrays below
  double *fixed_, *u_, *value_,
      *first_;                 // output weights that are not trained (m, 8); in the network's rows: u, phi, phi'
  double *factors_, *slopes_;  // g_i x_ik (n d, 8), g_i (n, 8)
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
