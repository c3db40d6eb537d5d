// The end of a network's gradient flow; see dynamics/flow_end.hpp.
#include "eosfast/dynamics/flow_end.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "eosfast/norm.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kResidual = 1e-5;   // of Newton's equation, relative to the gradient: most of that may be stiff
constexpr double kNoise = 1e-13;     // a gradient that may be rounding, in units of sharpness times size of weights
constexpr int kMostProducts = 1000;  // for one Newton step
constexpr double kTol = 1e-6;        // of the result, which has the square of its vector's error
constexpr double kExcess = 1e-10;    // of a minimum's loss, in units of the loss at zero

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

}  // namespace

FlowEnd::FlowEnd(const Network<double>& network, const double* w0, int num_threads, std::function<bool()> stop)
    : network_(network),
      stop_(std::move(stop)),
      flow_(network, w0, FlowOptions{}, num_threads),
      pass_(network.pass(num_threads)),
      w_(w0, w0 + network.dim()),
      p_(w_.size()),
      size_(norm_of(w_)),
      least_(network.least_loss()) {}

double FlowEnd::sharpness() {
  flow_.begin();
  for (std::int64_t due = 0;;) {
    if (stop_()) return kNaN;
    if (flow_.num_gradients() >= due && is_near()) {
      if (newton_step() && reached_minimum()) return largest_eigenvalue();
      due = flow_.num_gradients() + flow_.num_gradients() / 8 + 50;
    }
    if (norm_of(flow_.slope()) == 0.0 || flow_.num_gradients() > kMostGradients) return kNaN;  // a saddle, or too far
    if (flow_.step(std::numeric_limits<double>::infinity(), stop_) != FlowStatus::pending) return kNaN;
  }
}

// |p| is at least |g| over the sharpness.
bool FlowEnd::is_near() {
  std::copy_n(flow_.w(), w_.size(), w_.begin());
  size_ = std::max(size_, norm_of(w_));
  return flow_.num_steps() == 0 || norm_of(flow_.slope()) <= kRest * size_ * flow_.most_sharpness();
}

// At the flow's place: p_, if it exists and is short enough.
bool FlowEnd::newton_step() {
  pass_->visit(w_.data());
  std::vector<double> rest = flow_.slope(), along = rest, product(rest.size());
  double squared = dot(rest, rest);
  std::fill(p_.begin(), p_.end(), 0.0);
  const double scale = flow_.most_sharpness() * size_;
  const double enough = std::max(kResidual * std::sqrt(squared), kNoise * scale);
  for (int round = 0; !(std::sqrt(squared) <= enough); ++round) {
    if (round == kMostProducts || stop_()) return false;
    pass_->hvp(along.data(), 1, product.data());
    const double curvature = dot(along, product);
    if (!(curvature > 0.0)) return false;
    const double alpha = squared / curvature;
    for (std::size_t i = 0; i < p_.size(); ++i) {
      p_[i] += alpha * along[i];
      rest[i] -= alpha * product[i];
    }
    if (!(norm_of(p_) <= kRest * size_)) return false;  // it only grows from here
    const double before = squared;
    squared = dot(rest, rest);
    for (std::size_t i = 0; i < along.size(); ++i) along[i] = rest[i] + (squared / before) * along[i];
  }
  return true;
}

bool FlowEnd::reached_minimum() {
  const std::vector<double> zero(w_.size(), 0.0);
  pass_->visit(zero.data());
  const double at_zero = pass_->loss(), allowed = kExcess * at_zero;
  for (std::size_t i = 0; i < w_.size(); ++i) w_[i] += p_[i];
  pass_->visit(w_.data());
  // Without a target that can be approached no place is better than zero, and the loss has no saddles.
  return std::min(pass_->loss(), at_zero) - least_ <= allowed;
}

double FlowEnd::largest_eigenvalue() {
  LanczosOptions options;
  options.tol = kTol;
  const SymmetricProducts products = [this](const double* V, int k, double* out) { pass_->hvp(V, k, out); };
  const SpectrumResult found = lanczos(network_.dim(), products, options, nullptr, stop_);
  return found.converged[0] ? found.values[0] : kNaN;
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
