// The arithmetic of a Rayleigh-Ritz basis. Long vectors are walked in chunks that stay in the cache while all columns
// pass by.
#include "eosfast/spectrum/ritz.hpp"

#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <limits>

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

constexpr std::ptrdiff_t kChunk = 1024;

// Eight partial sums, added pairwise: a fixed order that vector instructions of any width can follow.
double dot(const double* a, const double* b, std::ptrdiff_t n) {
  double sum[8] = {};
  std::ptrdiff_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (std::ptrdiff_t l = 0; l < 8; ++l) sum[l] += a[i + l] * b[i + l];
  for (std::ptrdiff_t l = 0; i < n; ++i, ++l) sum[l] += a[i] * b[i];
  return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

// y += c x
void add(double c, const double* x, double* y, std::ptrdiff_t n) {
  for (std::ptrdiff_t i = 0; i < n; ++i) y[i] += c * x[i];
}

// f(start, length) over the chunks of 0 ... dim.
template <class F>
void each_chunk(std::ptrdiff_t dim, F&& f) {
  for (std::ptrdiff_t start = 0; start < dim; start += kChunk) f(start, std::min(kChunk, dim - start));
}

}  // namespace

double vector_norm(const double* x, std::ptrdiff_t dim) {
  const double square = dot(x, x, dim);
  if (square > 1e-280 && square < 1e280) return std::sqrt(square);
  double largest = 0.0;
  for (std::ptrdiff_t i = 0; i < dim; ++i) largest = std::max(largest, std::abs(x[i]));
  if (!(largest > 0.0) || !std::isfinite(largest)) return std::isnan(square) ? square : largest;
  double total = 0.0;
  for (std::ptrdiff_t i = 0; i < dim; ++i) total += (x[i] / largest) * (x[i] / largest);
  return largest * std::sqrt(total);
}

SmallEigen symmetric_eigen(int size, const std::vector<double>& matrix) {
  const Eigen::Map<const Eigen::MatrixXd> T(matrix.data(), size, size);
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(T);
  SmallEigen out;
  const auto count = static_cast<std::size_t>(size);
  if (solver.info() != Eigen::Success) {
    out.values.assign(count, std::numeric_limits<double>::quiet_NaN());
    out.vectors.assign(count * count, std::numeric_limits<double>::quiet_NaN());
    return out;
  }
  for (int i = size - 1; i >= 0; --i) {
    out.values.push_back(solver.eigenvalues()[i]);
    const double* const column = solver.eigenvectors().data() + static_cast<std::ptrdiff_t>(i) * size;
    out.vectors.insert(out.vectors.end(), column, column + size);
  }
  return out;
}

RitzBasis::RitzBasis(std::ptrdiff_t dim, int capacity)
    : dim_(dim),
      capacity_(capacity),
      q_(std::make_unique_for_overwrite<double[]>(static_cast<std::size_t>(dim) * static_cast<std::size_t>(capacity))),
      w_(std::make_unique_for_overwrite<double[]>(static_cast<std::size_t>(dim) * static_cast<std::size_t>(capacity))),
      t_(static_cast<std::size_t>(capacity) * static_cast<std::size_t>(capacity)) {}

// The next columns minus their projection on the basis.
void RitzBasis::project(int count) {
  std::vector<double> c(static_cast<std::size_t>(size_) * static_cast<std::size_t>(count), 0.0);
  each_chunk(dim_, [&](std::ptrdiff_t start, std::ptrdiff_t n) {
    double* to = c.data();
    for (int j = 0; j < count; ++j)
      for (int i = 0; i < size_; ++i) *to++ += dot(q(i) + start, q(size_ + j) + start, n);
  });
  each_chunk(dim_, [&](std::ptrdiff_t start, std::ptrdiff_t n) {
    const double* from = c.data();
    for (int j = 0; j < count; ++j)
      for (int i = 0; i < size_; ++i) add(-*from++, q(i) + start, q(size_ + j) + start, n);
  });
}

// Gram-Schmidt among the next columns. Returns how many are left.
int RitzBasis::normalise(int count, double threshold, std::vector<double>* upper) {
  std::vector<double> coefficients;  // count x count, by columns
  int left = 0;
  for (int j = 0; j < count; ++j) {
    double* const x = next(j);
    std::vector<double> column(static_cast<std::size_t>(count), 0.0);
    for (int i = 0; i < left; ++i) {
      const double c = dot(next(i), x, dim_);
      add(-c, next(i), x, dim_);
      column[static_cast<std::size_t>(i)] = c;
    }
    const double norm = vector_norm(x, dim_);
    if (norm > threshold && std::isfinite(norm)) {
      for (std::ptrdiff_t r = 0; r < dim_; ++r) next(left)[r] = x[r] / norm;
      column[static_cast<std::size_t>(left++)] = norm;
    }
    coefficients.insert(coefficients.end(), column.begin(), column.end());
  }
  if (upper) {
    upper->clear();
    for (int j = 0; j < count; ++j)
      upper->insert(upper->end(), coefficients.begin() + j * count, coefficients.begin() + j * count + left);
  }
  return left;
}

int RitzBasis::orthonormalise(int count, double threshold, std::vector<double>* upper) {
  count = static_cast<int>(std::min<std::ptrdiff_t>(count, capacity_ - size_));
  project(count);
  int left = normalise(count, threshold, upper);
  // Once more, now that they have length one: what survives is orthogonal to rounding error.
  constexpr double kInTheSpan = 0.5;
  project(left);
  left = normalise(left, kInTheSpan, nullptr);
  return left;
}

bool RitzBasis::append(int count, const SymmetricProducts& products) {
  products(q(size_), count, w(size_));
  const double* const made = w(size_);
  if (!std::all_of(made, made + count * dim_, [](double x) { return std::isfinite(x); })) return false;
  const int total = size_ + count;
  for (int j = size_; j < total; ++j)
    for (int i = 0; i <= j; ++i) t(i, j) = 0.0;
  each_chunk(dim_, [&](std::ptrdiff_t start, std::ptrdiff_t n) {
    for (int j = size_; j < total; ++j)
      for (int i = 0; i <= j; ++i) t(i, j) += dot(q(i) + start, w(j) + start, n);
  });
  for (int j = size_; j < total; ++j)
    for (int i = 0; i < j; ++i) t(j, i) = t(i, j);
  size_ = total;
  return true;
}

void RitzBasis::solve() {
  std::vector<double> matrix;
  for (int j = 0; j < size_; ++j)
    for (int i = 0; i < size_; ++i) matrix.push_back(t(i, j));
  small_ = symmetric_eigen(size_, matrix);
}

double RitzBasis::scale() const { return std::max(std::abs(small_.values.front()), std::abs(small_.values.back())); }

void RitzBasis::combine(const double* columns, int i, double* out) const {
  each_chunk(dim_, [&](std::ptrdiff_t start, std::ptrdiff_t n) {
    std::fill_n(out + start, n, 0.0);
    for (int c = 0; c < size_; ++c) add(coefficient(c, i), columns + c * dim_ + start, out + start, n);
  });
}

void RitzBasis::vector(int i, double* out) const { combine(q(0), i, out); }
void RitzBasis::image_of(int i, double* out) const { combine(w(0), i, out); }

double RitzBasis::residual(int i, double* out) const {
  combine(w(0), i, out);
  for (int c = 0; c < size_; ++c) add(-value(i) * coefficient(c, i), q(c), out, dim_);
  return vector_norm(out, dim_);
}

// columns <- columns Y, for the leading `count` columns of Y, chunk by chunk in place.
void RitzBasis::rotate(double* columns, int count) const {
  std::vector<double> rotated(static_cast<std::size_t>(count) * static_cast<std::size_t>(kChunk));
  each_chunk(dim_, [&](std::ptrdiff_t start, std::ptrdiff_t n) {
    std::fill(rotated.begin(), rotated.end(), 0.0);
    for (int i = 0; i < count; ++i)
      for (int c = 0; c < size_; ++c)
        add(coefficient(c, i), columns + c * dim_ + start, &rotated[static_cast<std::size_t>(i * kChunk)], n);
    for (int i = 0; i < count; ++i)
      std::copy_n(&rotated[static_cast<std::size_t>(i * kChunk)], n, columns + i * dim_ + start);
  });
}

void RitzBasis::restart(int count, int carried) {
  rotate(q(0), count);
  rotate(w(0), count);
  for (int j = 0; j < carried && count < size_; ++j) std::copy_n(q(size_ + j), dim_, q(count + j));
  for (int j = 0; j < count; ++j)
    for (int i = 0; i < count; ++i) t(i, j) = i == j ? value(i) : 0.0;
  size_ = count;
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
