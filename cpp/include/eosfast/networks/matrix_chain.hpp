// Products along a chain of matrices W_N ... W_1, of which only the sides of the smaller end are ever formed: with s
// the smaller of input and output width, a loss of the product, its gradient and a Hessian-vector product cost
// multiples of s sum_k d_k d_(k-1). The chain is walked from that end. M_1 ... M_N are the matrices in the order of the
// walk: the W_k themselves from the input, W_N' ... W_1' from the output. Then
//
//   near_i = M_i near_(i-1)       from near_0, the identity or given,
//   far_(i-1) = M_i' far_i        from far_N, what the loss, or a combination of the entries of near_N, has for a
//                                 derivative with respect to near_N,
//   d/dM_i = far_i near_(i-1)',
//
// and along a direction V (dotted letters), its blocks V_i in the order of the walk,
//
//   .near_i = V_i near_(i-1) + M_i .near_(i-1),   .far_(i-1) = V_i' far_i + M_i' .far_i,
//   .(d/dM_i) = .far_i near_(i-1)' + far_i .near_(i-1)'.
#pragma once

#include <vector>

#include "eosfast/networks/rows.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

class MatrixChain {
 public:
  using Walk = std::vector<Rows>;  // matrices 0 ... N
  struct Far {
    Walk at, transposed;
  };

  // `start`: near_0, which must outlive the chain; null for the identity.
  MatrixChain(const std::vector<std::ptrdiff_t>& widths, bool from_input, const Rows* start, int num_threads);

  bool from_input() const { return from_input_; }
  std::ptrdiff_t dim() const { return dim_; }

  void visit(const double* w);                                      // near, at w, which must stay where it is
  const Rows& reached() const { return near_.back(); }              // near_N
  const Rows& reached_along() const { return near_along_.back(); }  // .near_N
  Far far() const;                                                  // matrices of the right sizes
  Rows& end(Far& far) const { return far.at.back(); }               // far_N, for the caller to fill
  void walk_back(Far& far);                                         // from far_N
  void grad(const Far& far, double* out);

  void visit_along(const double* V);  // .near
  // .grad where far belongs to the present w, and .far_N = end(along) is set.
  void grad_along(const Far& far, const double* V, Far& along, double* out);

 private:
  std::ptrdiff_t layers() const { return static_cast<std::ptrdiff_t>(widths_.size()) - 1; }
  std::ptrdiff_t layer(std::ptrdiff_t i) const { return from_input_ ? i : layers() + 1 - i; }  // W_layer is M_i
  std::ptrdiff_t width(std::ptrdiff_t i) const {  // rows of near_i and far_i
    return widths_[static_cast<std::size_t>(from_input_ ? i : layers() - i)];
  }
  Left matrix(const double* w, std::ptrdiff_t i, bool transposed) const;  // M_i or its transpose
  Walk walk(std::ptrdiff_t from) const;
  static Walk transposes(const Walk& walk);
  void ensure_near_transposed();
  void product(const Left& left, const Rows& right, Rows& out, bool accumulate) const {
    multiply(left, right, out, accumulate, num_threads_);
  }
  void grad_of(std::ptrdiff_t i, const Rows& far, const Rows& far_transposed, const Rows& near,
               const Rows& near_transposed, double* out, bool accumulate) const;

  const std::vector<std::ptrdiff_t> widths_;
  const bool from_input_;
  const Rows* const start_;
  const int num_threads_;
  std::ptrdiff_t columns_, dim_ = 0;
  std::vector<std::ptrdiff_t> offsets_;  // of W_1 ... W_N in w
  const double* w_ = nullptr;
  Walk near_, near_transposed_, near_along_, near_along_transposed_;
  bool has_near_transposed_ = false;
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
