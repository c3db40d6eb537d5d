// Rayleigh-Ritz: an orthonormal basis Q together with the products H Q, and the eigenpairs of T = Q' H Q. Residuals are
// the true ones, H y - theta y of the products that were made. Sums run in a fixed order, the same on every processor.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "eosfast/spectrum/lanczos.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// Eigenpairs of a symmetric matrix (column-major, size x size): values descending, vectors in columns.
struct SmallEigen {
  std::vector<double> values, vectors;
};
SmallEigen symmetric_eigen(int size, const std::vector<double>& matrix);

double vector_norm(const double* x, std::ptrdiff_t dim);

class RitzBasis {
 public:
  RitzBasis(std::ptrdiff_t dim, int capacity);

  std::ptrdiff_t dim() const { return dim_; }
  int size() const { return size_; }
  int capacity() const { return capacity_; }
  void clear() { size_ = 0; }

  // The memory of the next columns of Q; they belong to the basis only after append().
  double* next(int column) { return q(size_ + column); }
  // The product of the basis vector at `column`.
  const double* image(int column) const { return w(column); }

  // Makes the `count` next columns orthonormal, to the basis and to each other, and drops those whose part outside of
  // it is at most `threshold`. Returns how many are left; `upper` (if given, left x count, column-major) tells what the
  // parts outside were in terms of these.
  int orthonormalise(int count, double threshold, std::vector<double>* upper = nullptr);

  // Multiplies the `count` next columns and takes them into the basis. False where a product is not finite.
  bool append(int count, const SymmetricProducts& products);

  // The eigenpairs of T, after append() or restart().
  void solve();
  double value(int i) const { return small_.values[static_cast<std::size_t>(i)]; }
  double smallest() const { return small_.values.back(); }
  double scale() const;  // largest Ritz value in magnitude
  // Share of basis vector `column` in Ritz vector i.
  double coefficient(int column, int i) const {
    return small_
        .vectors[static_cast<std::size_t>(i) * static_cast<std::size_t>(size_) + static_cast<std::size_t>(column)];
  }
  void vector(int i, double* out) const;
  void image_of(int i, double* out) const;    // H times the Ritz vector
  double residual(int i, double* out) const;  // H y - theta y into `out`; returns its norm

  // Keeps the `count` leading Ritz vectors as the basis; the `carried` next columns stay the next ones.
  void restart(int count, int carried);

 private:
  double* q(int column) { return q_.get() + static_cast<std::ptrdiff_t>(column) * dim_; }
  double* w(int column) { return w_.get() + static_cast<std::ptrdiff_t>(column) * dim_; }
  const double* q(int column) const { return q_.get() + static_cast<std::ptrdiff_t>(column) * dim_; }
  const double* w(int column) const { return w_.get() + static_cast<std::ptrdiff_t>(column) * dim_; }
  double& t(int i, int j) {
    return t_[static_cast<std::size_t>(j) * static_cast<std::size_t>(capacity_) + static_cast<std::size_t>(i)];
  }
  void project(int count);
  int normalise(int count, double threshold, std::vector<double>* upper);
  void rotate(double* columns, int count) const;
  void combine(const double* columns, int i, double* out) const;

  std::ptrdiff_t dim_;
  int capacity_, size_ = 0;
  std::unique_ptr<double[]> q_, w_;
  std::vector<double> t_;  // (capacity, capacity)
  SmallEigen small_;
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
