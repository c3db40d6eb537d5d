// Eigenvalues along a trajectory; see spectrum/tracker.hpp.
#include "eosfast/spectrum/tracker.hpp"

#include <algorithm>
#include <cmath>

#include "eosfast/spectrum/dense.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

constexpr std::ptrdiff_t kDenseDim = 16;
constexpr int kDeepSteps = 6;                      // products of a deep look
constexpr int kDeepSoonest = 8, kDeepLatest = 24;  // solves between two of them: longer while they find nothing
constexpr int kLongestBlind = 4;                   // solves in a row without the explorer, at most
constexpr double kSafety = 4.0;                    // times the speed at which values move
constexpr double kNear = 0.05;                     // a relative gap at which the explorer is always multiplied
constexpr double kNoise = 0.01;                    // length of the random part of the explorer
constexpr double kFresh = 0.5;                     // length of the random part of where a deep look starts
constexpr double kDependent = 1e-14;
constexpr int kRefinements = 60;

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
  if (dim_ <= std::max<std::ptrdiff_t>(kDenseDim, 2 * (std::ptrdiff_t{k_} + 1)))
    return dense_spectrum(dim_, products, k_, tol_);
  return warm_ ? warm(products) : cold(products);
}

// From nothing. The explorer is found by a deep look in the next solve.
SpectrumResult Tracker::cold(const SymmetricProducts& products) {
  LanczosOptions options;
  options.k = k_;
  options.tol = tol_;
  options.max_matvecs = max_matvecs_;
  options.seed = seed_;
  const SpectrumResult found = lanczos(dim_, products, options, nullptr, {});
  warm_ = std::all_of(found.values.begin(), found.values.end(), [](double x) { return std::isfinite(x); });
  if (warm_) {
    found_.clear();
    last_.clear();
    scout_.clear();
    remember_top(found.vectors);
    explorer_.resize(static_cast<std::size_t>(dim_));
    random_.direction(explorer_.data(), dim_);
    lowest_ = found.values.back();
    drift_ = smallest_ = 0.0;
    since_seen_ = kLongestBlind;
    since_deep_ = deep_in_ = kDeepSoonest;
  }
  return found;
}

SpectrumResult Tracker::warm(const SymmetricProducts& products) {
  const bool due = ++since_deep_ >= deep_in_, explore = due || explorer_due();
  ++since_seen_;
  bool fine = take(start_block(explore), products);
  const bool deep = fine && (due || prediction_failed());
  fine = fine && refine(products);
  if (fine && deep) {
    const double before = basis_.value(k_ - 1), next_before = basis_.size() > k_ ? basis_.value(k_) : before;
    fine = look_deeper(products) && refine(products);
    const bool missed = basis_.value(k_ - 1) - before > tol_ * basis_.scale() ||
                        (basis_.size() > k_ && basis_.value(k_) - next_before > 0.5 * (before - next_before));
    deep_in_ = missed ? kDeepSoonest : std::min(2 * deep_in_, kDeepLatest);
    since_deep_ = 0;
  }
  const SpectrumResult found = result(fine);
  warm_ = fine;
  if (fine) {
    drift_ = std::max(0.7 * drift_, std::abs(basis_.value(k_ - 1) - lowest_));
    lowest_ = basis_.value(k_ - 1);
    remember_top(found.vectors);
    if (explore || deep) remember_explorer();
  }
  return found;
}

// Whether the explorer's value, as it moves, could by now have reached the lowest that is wanted.
bool Tracker::explorer_due() const {
  const double gap = lowest_ - ceiling_;
  const int blind = since_seen_ + 1;
  return blind >= kLongestBlind || gap < kNear * std::abs(lowest_) || kSafety * drift_ * blind >= gap;
}

// Whether the matrix is so far from what was expected that anything may be on top.
bool Tracker::prediction_failed() {
  constexpr double kStrange = 0.2;
  for (int i = 0; i < k_; ++i)
    if (basis_.residual(i, basis_.next(0)) > kStrange * basis_.scale()) return true;
  return false;
}

// Where the solve starts: the predicted eigenvectors and, if wanted, the explorer with some noise.
int Tracker::start_block(bool explore) {
  basis_.clear();
  std::copy(top_.begin(), top_.end(), basis_.next(0));
  if (explore) {
    double* const x = basis_.next(k_);
    random_.direction(x, dim_);
    for (std::ptrdiff_t i = 0; i < dim_; ++i) x[i] = kNoise * x[i] + explorer_[static_cast<std::size_t>(i)];
  }
  const int wanted = k_ + (explore ? 1 : 0);
  int count = basis_.orthonormalise(wanted, 0.0);
  while (count < wanted) {  // predictions that coincide
    random_.direction(basis_.next(count), dim_);
    count = basis_.orthonormalise(count + 1, 0.0);
  }
  return count;
}

// Multiplies the next columns. False if the budget does not allow it, or a product is not finite.
bool Tracker::take(int count, const SymmetricProducts& products) {
  if (count > max_matvecs_ - matvecs_) return false;
  matvecs_ += count;
  if (!basis_.append(count, products)) return false;
  basis_.solve();
  return true;
}

void Tracker::make_room(int count) {
  if (basis_.size() + count <= basis_.capacity()) return;
  basis_.restart(std::min(k_ + 2, basis_.size()), 0);
  basis_.solve();
}

// Residuals of the wanted pairs that have not converged become new directions, until all have.
bool Tracker::refine(const SymmetricProducts& products) {
  for (int round = 0; round < kRefinements; ++round) {
    make_room(k_ + 1);
    int wanted = 0;
    for (int i = 0; i < k_; ++i)
      if (!(basis_.residual(i, basis_.next(wanted)) <= tol_ * basis_.scale())) ++wanted;
    if (wanted == 0 || basis_.size() >= dim_) return true;
    const int count = basis_.orthonormalise(wanted, kDependent * basis_.scale());
    if (count == 0) return true;
    if (!take(count, products)) return false;
  }
  return false;
}

// A Krylov space, orthogonal to all that is known, of a fresh random direction and of the scout, what the last look
// found behind the explorer: so that what rises from far below is sharpened from look to look.
bool Tracker::look_deeper(const SymmetricProducts& products) {
  make_room(kDeepSteps + 1);
  double* const start = basis_.next(0);
  random_.direction(start, dim_);
  for (std::size_t i = 0; i < scout_.size(); ++i) start[i] = kFresh * start[i] + scout_[i];
  for (int step = 0; step < kDeepSteps && basis_.size() < dim_; ++step) {
    if (basis_.orthonormalise(1, kDependent * basis_.scale()) == 0) break;
    if (!take(1, products)) return false;
    std::copy_n(basis_.image(basis_.size() - 1), dim_, basis_.next(0));
  }
  if (basis_.size() > k_ + 1) {
    scout_.resize(static_cast<std::size_t>(dim_));
    basis_.vector(k_ + 1, scout_.data());
  }
  return true;
}

// Predicts the next eigenvectors: v_t + alpha (v_t - v_(t-1)), where alpha is what would have been best for v_t itself.
// At the edge of stability weights jump to and fro, alpha is near -1, and the prediction is v_(t-1).
void Tracker::remember_top(const std::vector<double>& vectors) {
  const auto size = static_cast<std::size_t>(dim_);
  std::vector<double> change(vectors.size(), 0.0);
  top_ = vectors;
  for (std::size_t j = 0; j < vectors.size() && !found_.empty(); j += size) {
    double overlap = 0.0;
    for (std::size_t i = j; i < j + size; ++i) overlap += vectors[i] * found_[i];
    const double sign = overlap < 0.0 ? -1.0 : 1.0;
    double turned = 0.0, now = 0.0, before = 0.0;
    for (std::size_t i = j; i < j + size; ++i) {
      change[i] = vectors[i] - sign * found_[i];
      now += change[i] * change[i];
      if (last_.empty()) continue;
      turned += change[i] * sign * last_[i];
      before += last_[i] * last_[i];
    }
    constexpr double kSmall = 0.1;  // beyond, eigenvectors have swapped or turned within a cluster
    if (!(before > 0.0 && before < kSmall && now < kSmall)) continue;
    const double alpha = std::clamp(turned / before, -1.0, 1.0);
    for (std::size_t i = j; i < j + size; ++i) top_[i] += alpha * change[i];
  }
  last_ = found_.empty() ? std::vector<double>{} : std::move(change);
  found_ = vectors;
}

// The next Ritz vector after one step of the power method, which its known product gives for nothing; shifted so that
// negative eigenvalues do not win.
void Tracker::remember_explorer() {
  if (basis_.size() <= k_) return;  // the basis is the whole space
  std::vector<double> room(static_cast<std::size_t>(dim_));
  const double value = basis_.value(k_);
  if (since_seen_ <= kLongestBlind) drift_ = std::max(drift_, std::abs(value - seen_value_) / since_seen_);
  seen_value_ = value;
  ceiling_ = value + basis_.residual(k_, room.data());
  since_seen_ = 0;
  smallest_ = std::min(smallest_, basis_.smallest());
  const double shift = 0.5 * smallest_, size = value - shift;
  basis_.vector(k_, explorer_.data());
  if (!(size > 0.0)) return;
  basis_.image_of(k_, room.data());
  for (std::size_t i = 0; i < room.size(); ++i) explorer_[i] = (room[i] - shift * explorer_[i]) / size;
}

SpectrumResult Tracker::result(bool converged) {
  SpectrumResult out = unknown_spectrum(dim_, k_, matvecs_);
  if (basis_.size() < k_ || !std::isfinite(basis_.value(0))) return out;
  std::vector<double> room(static_cast<std::size_t>(dim_));
  for (int i = 0; i < k_; ++i) {
    const auto at = static_cast<std::size_t>(i);
    out.values[at] = basis_.value(i);
    basis_.vector(i, out.vectors.data() + static_cast<std::ptrdiff_t>(i) * dim_);
    out.residuals[at] = basis_.residual(i, room.data());
    out.converged[at] = converged && out.residuals[at] <= tol_ * basis_.scale();
  }
  return out;
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
