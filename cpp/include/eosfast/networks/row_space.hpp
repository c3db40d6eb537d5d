// Orthonormal coordinates for the row space of a matrix X (n x d), n <= d, of whatever rank: Q (d x n) with orthonormal
// columns that span it, so that X = (X Q) Q'.
//
// Only products of panels: unlike those of a BLAS, their bits depend neither on the number of threads nor on the
// processor, and the runs of a network that stays inside the row space are to have the same bits everywhere.
#pragma once

#include <cstddef>
#include <functional>

#include "eosfast/networks/panels.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

class RowSpace {
 public:
  // X row-major. pause() is called now and then by the calling thread, and may throw.
  RowSpace(const double* X, std::ptrdiff_t n, std::ptrdiff_t d, int num_threads, std::function<void()> pause);

  std::ptrdiff_t size() const { return basis_.rows(); }    // n
  std::ptrdiff_t dim() const { return basis_.columns(); }  // d

  // out (count x n) = W Q, W (count x d); out (count x d) = C Q', C (count x n). All row-major.
  void inside(const double* W, std::ptrdiff_t count, double* out, int num_threads) const;
  void outside(const double* C, std::ptrdiff_t count, double* out, int num_threads) const;

 private:
  void fill(const double* X);
  bool cholesky_twice();
  void gram_schmidt();
  void subtract(std::ptrdiff_t from, std::ptrdiff_t to, std::ptrdiff_t first, std::ptrdiff_t last);
  void inner_products(std::ptrdiff_t i, std::ptrdiff_t rows, std::ptrdiff_t j, std::ptrdiff_t columns, double* out,
                      std::ptrdiff_t out_stride) const;
  double norm(std::ptrdiff_t i) const;
  void scale(std::ptrdiff_t i, double factor);
  void draw(std::ptrdiff_t i, std::uint64_t seed);
  void in_batches(std::ptrdiff_t count, const std::function<void(std::ptrdiff_t)>& work) const;

  Panels<double> basis_;  // Q'
  int num_threads_;
  std::function<void()> pause_;
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
