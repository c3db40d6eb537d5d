// Eight runs of one very small linear network side by side, a run in each lane: the same chains of multiply-adds in the
// same order as LinearNetworkPass (linear_network.hpp, matrix_chain.hpp), where the columns of a matrix lie in the
// lanes, and so the same bits; but no lane is empty, and no product waits for the one before.
#pragma once

#include <vector>

#include "eosfast/networks/linear_network.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

class LinearOctet final : public Octet {
 public:
  explicit LinearOctet(const LinearNetwork& network);

  // Whether its arrays stay in the cache, and one run alone would leave lanes empty or wait.
  static bool suits(const LinearNetwork& network) { return network.dim() <= 512 && network.T().columns() <= 8; }

  Lanes visit(const double* w) override;
  void grad(double* out) override;

  // Numbers of eight runs, as a matrix: element (i, k) of them lies at 8 (i row + k column).
  struct View {
    double* data;
    std::ptrdiff_t row, column;
  };

 private:
  std::ptrdiff_t layers() const { return static_cast<std::ptrdiff_t>(network_.widths().size()) - 1; }
  // As in MatrixChain: M_i, its layer and the rows of near_i and far_i, in the order of the walk.
  std::size_t layer(std::ptrdiff_t i) const {
    return static_cast<std::size_t>(network_.from_input() ? i : layers() + 1 - i);
  }
  std::ptrdiff_t width(std::ptrdiff_t i) const {
    return network_.widths()[static_cast<std::size_t>(network_.from_input() ? i : layers() - i)];
  }
  View block(double* numbers, std::ptrdiff_t i, bool transposed) const;  // M_i or the transpose, in w or a gradient
  bool begins_with_identity() const { return near_[0].empty(); }         // near_0; near_1 is then M_1, as it lies in w
  View near(std::ptrdiff_t i) {
    if (i == 1 && begins_with_identity()) return block(w_, 1, false);
    return {near_[static_cast<std::size_t>(i)].data(), columns_, 1};
  }

  const LinearNetwork& network_;
  const std::ptrdiff_t columns_;
  std::vector<std::ptrdiff_t> offsets_;  // of W_1 ... W_N in w
  double* w_ = nullptr;
  std::vector<std::vector<double>> near_, far_;
  std::vector<double> error_, T_, L_, L_transposed_;  // constants: the same number eight times
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
