// Eigenvalues along a trajectory; see spectrum/tracker.hpp.
#include "eosfast/spectrum/tracker.hpp"

#include <algorithm>
#include <cmath>

#include "eosfast/spectrum/dense.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

constexpr std::ptrdiff_t kDenseDim = 16;
constexpr int kDeepEvery = 48;   // solves between two deep looks
constexpr int kDeepSteps = 10;   // products of a deep look
constexpr double kNoise = 0.02;  // length of the random part of the explorer
constexpr int kRefinements = 24;

}  // namespace

Tracker::Tracker(std::ptrdiff_t dim, int k, double tol, std::uint64_t seed, std::int64_t max_matvecs)
    : dim_(dim),
      k_(k),
      tol_(tol),
      seed_(seed),
      max_matvecs_(max_matvecs),
      random_(seed ^ 0x5851f42d4c957f2du),
      basis_(dim, static_cast<int>(std::min<std::ptrdiff_t>(dim + k + 2, 4 * k + kDeepSteps + 14))) {}

SpectrumResult Tracker::solve(const SymmetricProducts& products) {
  matvecs_ = 0;
  if (dim_ <= std::max<std::ptrdiff_t>(kDenseDim, 2 * (k_ + 1))) return dense_spectrum(dim_, products, k_, tol_);
  return started_ ? warm(products) : cold(products);
}

SpectrumResult Tracker::cold(const SymmetricProducts& products) {
  LanczosOptions options;
  options.k = k_ + 1;
  options.tol = tol_;
  options.max_matvecs = max_matvecs_;
  options.seed = seed_;
  SpectrumResult found = lanczos(dim_, products, options, nullptr, {});
  const std::size_t size = static_cast<std::size_t>(dim_), count = static_cast<std::size_t>(k_);
  started_ = std::all_of(found.vectors.begin(), found.vectors.end(), [](double x) { return std::isfinite(x); });
  if (started_) {
    top_.assign(found.vectors.begin(), found.vectors.begin() + static_cast<std::ptrdiff_t>(count * size));
    explorer_.assign(found.vectors.begin() + static_cast<std::ptrdiff_t>(count * size), found.vectors.end());
    lowest_ = found.values[count - 1];
    next_value_ = found.values[count];
    smallest_ = std::min(0.0, next_value_);
    since_seen_ = since_deep_ = 0;
  }
  found.values.resize(count);
  found.vectors.resize(count * size);
  found.residuals.resize(count);
  found.converged.resize(count);
  return found;
}

// Multiplies the next columns, at most what is left of the budget.
bool Tracker::take(int count, const SymmetricProducts& products) {
  count = static_cast<int>(std::min<std::int64_t>(count, max_matvecs_ - matvecs_));
  if (count <= 0) return false;
  matvecs_ += count;
  if (!basis_.append(count, products)) return false;
  basis_.solve();
  return true;
}

SpectrumResult Tracker::warm(const SymmetricProducts& products) {
  basis_.clear();
  std::copy(top_.begin(), top_.end(), basis_.next(0));
  int count = k_;
  const bool deep = ++since_deep_ >= kDeepEvery;
  double* const x = basis_.next(count++);
  random_.direction(x, dim_);
  for (std::ptrdiff_t i = 0; i < dim_; ++i) x[i] = kNoise * x[i] + explorer_[static_cast<std::size_t>(i)];
  count = basis_.orthonormalise(count, 0.0);
  bool fine = take(count, products) && refine(products);
  if (fine && deep) {
    fine = look_deeper(products) && refine(products);
    since_deep_ = 0;
  }
  const SpectrumResult found = result(fine);
  started_ = fine;
  return found;
}

// Residuals of the wanted pairs that have not converged become new directions, until all have.
bool Tracker::refine(const SymmetricProducts& products) {
  for (int round = 0; round < kRefinements; ++round) {
    if (basis_.size() + k_ + 1 > basis_.capacity()) {
      basis_.restart(k_ + 1, 0);
      basis_.solve();
    }
    int wanted = 0;
    for (int i = 0; i < k_; ++i)
      if (!(basis_.residual(i, basis_.next(wanted)) <= tol_ * basis_.scale())) ++wanted;
    if (wanted == 0) return true;
    if (basis_.size() >= dim_) return true;
    const int count = basis_.orthonormalise(wanted, 1e-14 * basis_.scale());
    if (count == 0) return true;
    if (!take(count, products)) return false;
  }
  return false;
}

// A Krylov space of a random direction, orthogonal to all that is known.
bool Tracker::look_deeper(const SymmetricProducts& products) {
  if (basis_.size() + kDeepSteps + 1 > basis_.capacity()) {
    basis_.restart(k_ + 1, 0);
    basis_.solve();
  }
  random_.direction(basis_.next(0), dim_);
  for (int step = 0; step < kDeepSteps && basis_.size() < dim_; ++step) {
    if (basis_.orthonormalise(1, 1e-14 * basis_.scale()) == 0) break;
    if (!take(1, products)) return false;
    std::copy_n(basis_.image(basis_.size() - 1), dim_, basis_.next(0));
  }
  return true;
}

SpectrumResult Tracker::result(bool verified) {
  SpectrumResult out = unknown_spectrum(dim_, k_, matvecs_);
  if (basis_.size() < k_ || !std::isfinite(basis_.value(0))) return out;
  std::vector<double> room(static_cast<std::size_t>(dim_));
  for (int i = 0; i < k_; ++i) {
    const auto at = static_cast<std::size_t>(i);
    out.values[at] = basis_.value(i);
    basis_.vector(i, out.vectors.data() + static_cast<std::ptrdiff_t>(i) * dim_);
    out.residuals[at] = basis_.residual(i, room.data());
    out.converged[at] = verified && out.residuals[at] <= tol_ * basis_.scale();
  }
  top_ = out.vectors;
  if (basis_.size() > k_) {
    // One step of the power method, shifted so that negative eigenvalues do not win, comes for free.
    smallest_ = std::min(smallest_, basis_.smallest());
    next_value_ = basis_.value(k_);
    basis_.vector(k_, explorer_.data());
    basis_.image_of(k_, room.data());
    const double shift = 0.5 * smallest_, size = next_value_ - shift;
    if (size > 0.0)
      for (std::size_t i = 0; i < room.size(); ++i) explorer_[i] = (room[i] - shift * explorer_[i]) / size;
  }
  return out;
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
