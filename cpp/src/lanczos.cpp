// Block Lanczos with thick restarts; see spectrum/lanczos.hpp.
#include "eosfast/spectrum/lanczos.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "eosfast/random.hpp"
#include "eosfast/spectrum/dense.hpp"
#include "eosfast/spectrum/ritz.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

constexpr double kDependent = 1e-14;  // a direction this small, relative to the operator, is rounding error
constexpr std::ptrdiff_t kDenseDim = 64;
constexpr std::ptrdiff_t kMostMemory = std::ptrdiff_t{2} << 30;  // bytes of basis and products, if the blocks fit
constexpr int kUsualBasis = 40;

// One solve under way.
class Lanczos {
 public:
  Lanczos(std::ptrdiff_t dim, const SymmetricProducts& products, const LanczosOptions& options, const double* v0)
      : products_(products),
        options_(options),
        given_start_(v0 != nullptr),
        block_(static_cast<int>(std::min<std::ptrdiff_t>(dim, options.k + 1 + (v0 ? 1 : 0)))),
        basis_(dim, capacity(dim, options.k, block_)),
        random_(options.seed),
        tol_(options.k > 1 ? std::min(options.tol, kClusterTol) : options.tol) {
    if (v0) std::copy_n(v0, dim, basis_.next(0));
    for (int j = v0 ? 1 : 0; j < block_; ++j) random_.direction(basis_.next(j), dim);
    width_ = basis_.orthonormalise(block_, 0.0);
  }

  SpectrumResult solve(const std::function<bool()>& stop) {
    int stalled = 0;
    while (!(stop && stop())) {
      const auto left = options_.max_matvecs - matvecs_;
      if (left <= 0) break;
      const int count = static_cast<int>(std::min<std::int64_t>(width_, left));
      const bool finite = basis_.append(count, products_);
      matvecs_ += count;
      if (!finite) return unknown_spectrum(basis_.dim(), options_.k, matvecs_);
      ++depth_;
      basis_.solve();
      look_outside(count);
      if (count == width_now_ && estimates_allow()) {
        const SpectrumResult found = result();
        const bool done = std::all_of(found.converged.begin(), found.converged.end(), [](bool b) { return b; });
        // Residuals that rounding in the products keeps above their estimates: more products would not help.
        constexpr int kPatience = 3;
        if (done || complete_ || ++stalled == kPatience) return found;
      }
      if (complete_) break;
      make_room();
    }
    return result();
  }

 private:
  // The products of a cluster are told apart by residuals well below the gaps that matter, whatever `tol` says.
  static constexpr double kClusterTol = 1e-3;

  static int capacity(std::ptrdiff_t dim, int k, int block) {
    const std::ptrdiff_t least = k + 4 * std::ptrdiff_t{block},
                         usual = std::max<std::ptrdiff_t>(kUsualBasis, k + 12 * std::ptrdiff_t{block}),
                         affordable = kMostMemory / (2 * static_cast<std::ptrdiff_t>(sizeof(double)) * dim);
    return static_cast<int>(std::min(dim + block, std::max(least, std::min(usual, affordable))));
  }

  // N = (1 - QQ') H X of the last block X, orthonormalised, is the next block. The residual of every Ritz vector y lies
  // in it: H y - theta y = N y_X.
  void look_outside(int count) {
    width_now_ = width_;
    const int first = basis_.size() - count;
    for (int j = 0; j < count; ++j) std::copy_n(basis_.image(first + j), basis_.dim(), basis_.next(j));
    std::vector<double> upper;
    const int kept =
        basis_.size() == basis_.dim() ? 0 : basis_.orthonormalise(count, kDependent * basis_.scale(), &upper);
    width_ = static_cast<int>(std::min<std::ptrdiff_t>(kept, basis_.dim() - basis_.size()));
    complete_ = width_ == 0;  // the basis holds a whole invariant subspace of the random start
    const int rows = count > 0 ? static_cast<int>(upper.size()) / count : 0;
    estimates_.assign(static_cast<std::size_t>(basis_.size()), 0.0);
    for (int i = 0; i < basis_.size(); ++i) {
      std::vector<double> r(static_cast<std::size_t>(rows) + 1, 0.0);
      for (int j = 0; j < count; ++j)
        for (int l = 0; l < rows; ++l)
          r[static_cast<std::size_t>(l)] +=
              upper[static_cast<std::size_t>(j * rows + l)] * basis_.coefficient(first + j, i);
      estimates_[static_cast<std::size_t>(i)] = vector_norm(r.data(), rows);
    }
  }

  double estimate(int i) const { return estimates_[static_cast<std::size_t>(i)]; }

  // Nothing is missing above Ritz value i: the next one has settled or lies far below. An eigenvalue missed by `depth`
  // block steps from random vectors lies above a Ritz value theta by at most epsilon (theta - smallest),
  // sqrt(epsilon) = log(1.65 sqrt(dim) / delta) / (2 depth - 1), but for the probability delta, for each of two or more
  // independent vectors (J. Kuczynski and H. Wozniakowski, SIAM J. Matrix Anal. Appl. 13, 1992, Theorem 4.2).
  bool verified(int i) const {
    if (complete_) return true;
    if (i + 1 >= basis_.size()) return false;
    constexpr double kDelta = 0.05, kSettled = 0.05, kHidden = 0.1;
    const double root = std::log(1.65 * std::sqrt(static_cast<double>(basis_.dim())) / kDelta) / (2 * depth_ - 1);
    const double next = basis_.value(i + 1);
    const double range = std::max(basis_.scale(), next - basis_.smallest());
    if (next + root * root * range < basis_.value(i)) return true;
    return estimate(i + 1) <= kSettled * basis_.scale() && (!given_start_ || root * root <= kHidden);
  }

  bool estimates_allow() const {
    if (basis_.size() < options_.k) return false;
    for (int i = 0; i < options_.k; ++i)
      if (!(estimate(i) <= tol_ * basis_.scale() || complete_) || !verified(i)) return false;
    return true;
  }

  void make_room() {
    if (basis_.size() + width_ + block_ <= basis_.capacity()) return;
    const int most = basis_.capacity() - width_ - 2 * block_;
    basis_.restart(std::clamp(options_.k + (basis_.capacity() - options_.k) / 2, options_.k + 1, most), width_);
    basis_.solve();
  }

  SpectrumResult result() {
    SpectrumResult out = unknown_spectrum(basis_.dim(), options_.k, matvecs_);
    const int known = std::min(options_.k, basis_.size());
    std::vector<double> room(static_cast<std::size_t>(basis_.dim()));
    for (int i = 0; i < known; ++i) {
      const auto at = static_cast<std::size_t>(i);
      out.values[at] = basis_.value(i);
      basis_.vector(i, out.vectors.data() + static_cast<std::ptrdiff_t>(i) * basis_.dim());
      out.residuals[at] = basis_.residual(i, room.data());
      out.converged[at] = out.residuals[at] <= options_.tol * basis_.scale() && verified(i);
    }
    return out;
  }

  const SymmetricProducts& products_;
  const LanczosOptions options_;
  bool given_start_;
  int block_;  // vectors in the start
  RitzBasis basis_;
  SplitMix64 random_;
  double tol_;
  int width_ = 0, width_now_ = 0;  // vectors in the next block, and in the last one
  int depth_ = 0;                  // block steps from the random start
  bool complete_ = false;
  std::int64_t matvecs_ = 0;
  std::vector<double> estimates_;  // residual norms of the Ritz pairs, by the structure of the basis
};

}  // namespace

SpectrumResult unknown_spectrum(std::ptrdiff_t dim, int k, std::int64_t matvecs) {
  const auto count = static_cast<std::size_t>(k);
  constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
  return {std::vector<double>(count, kUnknown), std::vector<double>(count * static_cast<std::size_t>(dim), kUnknown),
          std::vector<double>(count, kUnknown), std::vector<bool>(count, false), matvecs};
}

SpectrumResult dense_spectrum(std::ptrdiff_t dim, const SymmetricProducts& products, int k, double tol) {
  const auto size = static_cast<std::size_t>(dim);
  const int whole = static_cast<int>(dim);
  std::vector<double> identity(size * size, 0.0), H(size * size), symmetric(size * size);
  for (std::size_t i = 0; i < size; ++i) identity[i * (size + 1)] = 1.0;
  products(identity.data(), whole, H.data());
  if (!std::all_of(H.begin(), H.end(), [](double x) { return std::isfinite(x); })) return unknown_spectrum(dim, k, dim);
  for (std::size_t i = 0; i < size; ++i)
    for (std::size_t j = 0; j < size; ++j) symmetric[j * size + i] = 0.5 * H[j * size + i] + 0.5 * H[i * size + j];
  const SmallEigen eigen = symmetric_eigen(whole, symmetric);
  const double scale = std::max(std::abs(eigen.values.front()), std::abs(eigen.values.back()));
  SpectrumResult out = unknown_spectrum(dim, k, dim);
  std::vector<double> residual(size);
  for (int i = 0; i < k; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const double* const v = eigen.vectors.data() + at * size;
    out.values[at] = eigen.values[at];
    std::copy_n(v, dim, out.vectors.data() + at * size);
    for (std::size_t r = 0; r < size; ++r) residual[r] = -out.values[at] * v[r];
    for (std::size_t c = 0; c < size; ++c)
      for (std::size_t r = 0; r < size; ++r) residual[r] += H[c * size + r] * v[c];
    out.residuals[at] = vector_norm(residual.data(), dim);
    out.converged[at] = out.residuals[at] <= tol * scale;
  }
  return out;
}

SpectrumResult lanczos(std::ptrdiff_t dim, const SymmetricProducts& products, const LanczosOptions& given,
                       const double* v0, const std::function<bool()>& stop) {
  LanczosOptions options = given;
  if (options.max_matvecs <= 0) options.max_matvecs = usual_max_matvecs(dim, options.k);
  const bool small = dim <= std::max<std::ptrdiff_t>(kDenseDim, 4 * (std::ptrdiff_t{options.k} + 1));
  if (small && dim <= options.max_matvecs && !(stop && stop()))
    return dense_spectrum(dim, products, options.k, options.tol);
  return Lanczos(dim, products, options, v0).solve(stop);
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
