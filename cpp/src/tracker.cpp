// Eigenvalues along a trajectory; see spectrum/tracker.hpp.
#include "eosfast/spectrum/tracker.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "eosfast/spectrum/dense.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

using Rule = TrackerRule;

constexpr std::ptrdiff_t kDenseDim = 16;
constexpr int kDeepSteps = 8;                      // products of a deep look
constexpr int kDeepSoonest = 8, kDeepLatest = 20;  // solves between two of them: longer while they find nothing
constexpr int kLongestBlind = 4;                   // solves in a row without the explorer, at most
constexpr double kSafety = 2;                      // times the speed at which values move
constexpr double kNear = 0.01;                     // a relative gap at which the explorer is always multiplied
constexpr double kNoise = 0.01;                    // length of the random part of the explorer
constexpr double kFresh = 0.5;                     // length of the random part of where a deep look starts
constexpr double kDependent = 1e-14;
constexpr int kRefinements = 60;
constexpr int kCompanions = 2;              // Ritz vectors behind the wanted ones that corrections know of
constexpr double kClosest = 0.005;          // relative gap to them that a correction trusts
constexpr double kLargestCorrection = 0.5;  // beyond, a correction is none
constexpr double kSmall = 0.1;    // squared error of a prediction beyond which none is made: eigenvectors have swapped
constexpr std::size_t kPast = 6;  // solves whose eigenvectors are kept: the longest lag

// Ways to continue a sequence of vectors: as it is, in a straight line, along a parabola; and the same for sequences of
// period two, for at the edge of stability weights jump to and fro (there the last but one is a hundred times nearer
// than the last, and the parabola through every other a hundred times nearer still).
constexpr Rule kRules[] = {
    {1, {1}, {1.0}}, {2, {1, 2}, {2.0, -1.0}}, {3, {1, 2, 3}, {3.0, -3.0, 1.0}},
    {1, {2}, {1.0}}, {2, {2, 4}, {2.0, -1.0}}, {3, {2, 4, 6}, {3.0, -3.0, 1.0}},
};

}  // namespace

Tracker::Tracker(std::ptrdiff_t dim, int k, double tol, std::uint64_t seed)
    : dim_(dim),
      k_(k),
      tol_(tol),
      seed_(seed),
      max_matvecs_(usual_max_matvecs(dim, k)),
      random_(seed ^ 0x5851f42d4c957f2du),
      basis_(dim, static_cast<int>(std::min<std::ptrdiff_t>(dim + k + 2, 4 * k + kDeepSteps + kCompanions + 14))) {}

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
    past_.clear();
    errors_.clear();
    scout_.clear();
    companions_.clear();
    companion_values_.clear();
    basis_.clear();
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

// What the wanted pairs that have not converged lack becomes new directions, until all have.
bool Tracker::refine(const SymmetricProducts& products) {
  for (int round = 0; round < kRefinements; ++round) {
    make_room(k_ + 1);
    int wanted = 0;
    for (int i = 0; i < k_; ++i) {
      double* const direction = basis_.next(wanted);
      if (basis_.residual(i, direction) <= tol_ * basis_.scale()) continue;
      residual_to_correction(i, direction);
      const double length = vector_norm(direction, dim_);  // of any order, where the matrix has changed its own
      for (std::ptrdiff_t j = 0; j < dim_; ++j) direction[j] /= length;
      ++wanted;
    }
    if (wanted == 0 || basis_.size() >= dim_) return true;
    const int count = basis_.orthonormalise(wanted, kDependent);
    if (count == 0) return true;
    if (!take(count, products)) return false;
  }
  return false;
}

// From a residual r of Ritz pair i to what the Ritz vector lacks, (theta - H)^-1 r, as far as H is known: eigenvalue
// lambda_c along companion c, near 0 along all the rest (Davidson's correction).
void Tracker::residual_to_correction(int i, double* r) const {
  const double theta = basis_.value(i), rest = theta - 0.5 * smallest_;
  if (!(rest > 0.0)) return;
  std::vector<double> y(static_cast<std::size_t>(dim_)), sum(y.size(), 0.0);
  basis_.vector(i, y.data());
  for (std::size_t c = 0; c < companion_values_.size(); ++c) {
    const double* const z = companions_.data() + c * y.size();
    double along_y = 0.0, along_r = 0.0, r_along_y = 0.0;
    for (std::size_t j = 0; j < y.size(); ++j) {
      along_y += z[j] * y[j];
      along_r += z[j] * r[j];
      r_along_y += r[j] * y[j];
    }
    const double distance = theta - companion_values_[c], least = kClosest * rest;
    const double gap = std::abs(distance) < least ? std::copysign(least, distance) : distance;
    const double part = (along_r - along_y * r_along_y) * (1.0 / gap - 1.0 / rest);
    for (std::size_t j = 0; j < y.size(); ++j) sum[j] += part * (z[j] - along_y * y[j]);
  }
  for (std::size_t j = 0; j < y.size(); ++j) r[j] = r[j] / rest + sum[j];
}

// The companions as they are now, then a Krylov space, orthogonal to all that is known, of a fresh random direction and
// of the scout, what the last look found behind the companions: so that what rises from far below is sharpened from
// look to look.
bool Tracker::look_deeper(const SymmetricProducts& products) {
  make_room(kDeepSteps + kCompanions + 1);
  std::copy(companions_.begin(), companions_.end(), basis_.next(0));
  const int known = static_cast<int>(companion_values_.size());
  const int count = basis_.orthonormalise(std::min(known, static_cast<int>(dim_) - basis_.size()), kDependent);
  if (count > 0 && !take(count, products)) return false;
  double* const start = basis_.next(0);
  random_.direction(start, dim_);
  for (std::size_t i = 0; i < scout_.size(); ++i) start[i] = kFresh * start[i] + scout_[i];
  for (int step = count; step < kDeepSteps && basis_.size() < dim_; ++step) {
    if (basis_.orthonormalise(1, step == count ? kDependent : kDependent * basis_.scale()) == 0) break;
    if (!take(1, products)) return false;
    std::copy_n(basis_.image(basis_.size() - 1), dim_, basis_.next(0));
  }
  companion_values_.clear();
  companions_.clear();
  for (int c = k_; c < std::min(k_ + kCompanions, basis_.size()); ++c) {
    companion_values_.push_back(basis_.value(c));
    companions_.resize(companions_.size() + static_cast<std::size_t>(dim_));
    basis_.vector(c, companions_.data() + companions_.size() - dim_);
  }
  if (basis_.size() > k_ + kCompanions) {
    scout_.resize(static_cast<std::size_t>(dim_));
    basis_.vector(k_ + kCompanions, scout_.data());
  }
  return true;
}

// The Ritz vectors nearer to the eigenvectors than they need be for the certificate: what is predicted from them is as
// much better, and the correction takes no product.
std::vector<double> Tracker::corrected(const std::vector<double>& vectors) {
  std::vector<double> out = vectors, room(static_cast<std::size_t>(dim_));
  for (int i = 0; i < k_ && basis_.size() > i; ++i) {
    if (!(basis_.residual(i, room.data()) > 0.0)) continue;
    residual_to_correction(i, room.data());
    double* const v = out.data() + static_cast<std::ptrdiff_t>(i) * dim_;
    if (vector_norm(room.data(), dim_) > kLargestCorrection) continue;
    for (std::ptrdiff_t j = 0; j < dim_; ++j) v[j] += room[static_cast<std::size_t>(j)];
    const double size = vector_norm(v, dim_);
    for (std::ptrdiff_t j = 0; j < dim_; ++j) v[j] /= size;
  }
  return out;
}

// Predicts the next eigenvectors from the last ones, by the rule that would have served best in the last two solves.
void Tracker::remember_top(const std::vector<double>& vectors) {
  const auto size = static_cast<std::size_t>(dim_);
  std::vector<double> now = corrected(vectors);
  if (!past_.empty())
    for (std::size_t j = 0; j < now.size(); j += size) {
      double overlap = 0.0;
      for (std::size_t i = j; i < j + size; ++i) overlap += now[i] * past_.front()[i];
      if (overlap < 0.0)
        for (std::size_t i = j; i < j + size; ++i) now[i] = -now[i];
    }
  std::vector<double> errors = errors_of_rules(now);
  past_.push_front(std::move(now));
  if (past_.size() > kPast) past_.pop_back();
  top_ = past_.front();
  for (std::size_t j = 0; j < static_cast<std::size_t>(k_); ++j) {
    std::size_t best = 0;
    double least = kSmall;
    for (std::size_t r = 0; r < std::size(kRules); ++r) {
      const std::size_t at = j * std::size(kRules) + r;
      const double error = errors_.empty() ? errors[at] : std::max(errors[at], errors_[at]);
      if (error < least) {
        best = r;
        least = error;
      }
    }
    apply_rule(kRules[best], j, top_.data() + j * size);
  }
  errors_ = std::move(errors);
}

// out = the sum of coefficient times the vector `lag` solves back, of which 1 is the latest.
void Tracker::apply_rule(const TrackerRule& rule, std::size_t j, double* out) const {
  const std::size_t size = static_cast<std::size_t>(dim_), offset = j * size;
  std::fill_n(out, size, 0.0);
  for (int term = 0; term < rule.terms; ++term) {
    const double* const v = past_[static_cast<std::size_t>(rule.lags[term] - 1)].data() + offset;
    for (std::size_t i = 0; i < size; ++i) out[i] += rule.coefficients[term] * v[i];
  }
}

// How far each rule would have been from each of the vectors found now (squared); infinite where its past is too short.
std::vector<double> Tracker::errors_of_rules(const std::vector<double>& now) const {
  const auto size = static_cast<std::size_t>(dim_);
  std::vector<double> errors(static_cast<std::size_t>(k_) * std::size(kRules), std::numeric_limits<double>::infinity());
  std::vector<double> guess(size);
  for (std::size_t j = 0; j < static_cast<std::size_t>(k_); ++j)
    for (std::size_t r = 0; r < std::size(kRules); ++r) {
      if (static_cast<std::size_t>(kRules[r].lags[kRules[r].terms - 1]) > past_.size()) continue;
      apply_rule(kRules[r], j, guess.data());
      double error = 0.0;
      for (std::size_t i = 0; i < size; ++i) {
        const double miss = now[j * size + i] - guess[i];
        error += miss * miss;
      }
      errors[j * std::size(kRules) + r] = error;
    }
  return errors;
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

// The basis is not needed: every solve begins with an empty one.
void Tracker::save(StateWriter& out) const {
  out.number(random_.state());
  out.number(warm_);
  out.vector(top_);
  out.number<std::uint64_t>(past_.size());
  for (const std::vector<double>& vectors : past_) out.vector(vectors);
  for (const std::vector<double>* values : {&errors_, &explorer_, &scout_, &companion_values_, &companions_})
    out.vector(*values);
  for (const int count : {since_seen_, since_deep_, deep_in_}) out.number(count);
  for (const double value : {lowest_, ceiling_, seen_value_, drift_, smallest_}) out.number(value);
}

void Tracker::load(StateReader& in) {
  const auto size = static_cast<std::size_t>(dim_), k = static_cast<std::size_t>(k_);
  random_ = SplitMix64(in.number<std::uint64_t>());
  warm_ = in.flag();
  in.vector_or_none(top_, k * size);
  const auto solves = in.number<std::uint64_t>();
  StateReader::demand(solves <= kPast && (!warm_ || (solves > 0 && !top_.empty())));
  past_.resize(solves);
  for (std::vector<double>& vectors : past_) in.vector(vectors, k * size);
  in.vector_or_none(errors_, k * std::size(kRules));
  in.vector_or_none(explorer_, size);
  StateReader::demand(!warm_ || !explorer_.empty());
  in.vector_or_none(scout_, size);
  in.vector_up_to(companion_values_, kCompanions);
  in.vector(companions_, companion_values_.size() * size);
  for (int* count : {&since_seen_, &since_deep_, &deep_in_}) {
    *count = in.number<int>();
    StateReader::demand(0 <= *count && *count < 1000);  // they stay far below
  }
  for (double* value : {&lowest_, &ceiling_, &seen_value_, &drift_, &smallest_}) *value = in.number<double>();
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
