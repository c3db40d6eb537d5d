// What is asked of a run: how long, when to stop, and which summaries are kept while it goes. Nothing here depends on
// the model; everything is known before the first step.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "eosfast/lanes.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

enum class Status : std::int8_t { completed, converged, diverged, steady, interrupted, pending };

inline constexpr int kAnchor = 960;  // steps between two bitwise comparisons: an orbit whose period divides it is found

struct Stop {
  double diverged = 1e12;                                       // loss above it, or not finite
  double grad_norm = std::numeric_limits<double>::quiet_NaN();  // below it: converged (NaN: never)
  double loss = std::numeric_limits<double>::quiet_NaN();       // likewise
  bool steady = true;                                           // a bitwise periodic orbit is filled in

  bool looks_at_each_step() const { return !std::isnan(grad_norm) || !std::isnan(loss); }
  Status verdict(double loss_now, double grad_norm_now) const {
    if (!(loss_now <= diverged) || !std::isfinite(loss_now)) return Status::diverged;
    if (loss_now < loss || grad_norm_now < grad_norm) return Status::converged;
    return Status::pending;
  }
};

enum class Quantity { loss, sharpness, grad_norm };  // indices of arrays of kQuantities
inline constexpr int kQuantities = 3;
enum class Reduction { max, increases, last_increase, first_below, mean_last };

// A streaming summary of one quantity q_t, t = 0, 1, ..., in one number `a`.
struct Reducer {
  Reduction kind;
  Quantity quantity;
  double param;        // first_below: the value; mean_last: how many iterates
  double start = 0.0;  // the first iterate that counts

  double initial() const {
    switch (kind) {
      case Reduction::max:
        return -std::numeric_limits<double>::infinity();
      case Reduction::last_increase:
      case Reduction::first_below:
        return -1.0;
      default:
        return 0.0;
    }
  }
  template <class Real>
  EOSFAST_INLINE void add(Real& a, const Real& t, const Real& q, const Real& previous) const {
    switch (kind) {
      case Reduction::max:
        a = max(q, a);
        break;  // a stays where q is NaN
      case Reduction::increases:
        a = a + select(q > previous, Real(1.0), Real(0.0));
        break;
      case Reduction::last_increase:
        a = select(q > previous, t - Real(1.0), a);
        break;
      case Reduction::first_below:
        a = select((a < Real(0.0)) & (q < Real(param)), t, a);
        break;
      case Reduction::mean_last:
        a = a + select(t >= Real(start), q, Real(0.0));
        break;
    }
  }
  // From `a` after the last iterate `end`, whose quantity is q. A run that ends before the window opens gives q itself.
  double result(double a, double end, double q) const {
    if (kind != Reduction::mean_last) return a;
    return end >= start ? a / (end - start + 1.0) : q;
  }
};

inline constexpr int kLongestPeriod = 64;
inline constexpr int kWindow = 4 * kLongestPeriod;  // iterates that the period is read off

// The smallest p <= 64 with which the last 4 p iterates repeat to 1e-6 of their size; 0 if there is none. iterate(back)
// is the one `back` steps before the last, of `available` ones.
template <class Iterate>
int smallest_period(std::int64_t available, std::ptrdiff_t dim, Iterate&& iterate) {
  for (int p = 1; p <= kLongestPeriod && 4 * p <= available; ++p) {
    double size = 0.0, change = 0.0;
    for (int back = 0; back < 4 * p; ++back) {
      const auto* const now = iterate(back);
      const auto* const before = back < 3 * p ? iterate(back + p) : now;
      for (std::ptrdiff_t i = 0; i < dim; ++i) {
        const auto value = static_cast<double>(now[i]);
        size = std::max(size, std::abs(value));
        change = std::max(change, std::abs(value - static_cast<double>(before[i])));
      }
    }
    if (change <= 1e-6 * size) return p;
  }
  return 0;
}

// The whole order. complete() derives the windows: until `from` nothing looks at a quantity.
struct Plan {
  std::int64_t num_steps = 0;
  Stop stop;
  std::vector<Reducer> reducers;
  bool period = false, lyapunov = false;
  std::uint64_t seed = 0;

  static constexpr double kNever = std::numeric_limits<double>::infinity();
  std::array<double, kQuantities> quantity_from{kNever, kNever, kNever};
  double tangent_from = kNever, ring_from = kNever, from = kNever;
  std::vector<std::int64_t> events;  // steps at which a window opens or the run ends, increasing

  void complete() {
    const auto last = static_cast<double>(num_steps);
    for (Reducer& r : reducers) {
      if (r.kind == Reduction::mean_last) r.start = std::max(0.0, last - r.param + 1.0);
      double& opens = quantity_from[static_cast<std::size_t>(r.quantity)];
      opens = std::min(opens, r.start);
    }
    if (stop.looks_at_each_step()) {
      if (!std::isnan(stop.loss)) quantity_from[static_cast<int>(Quantity::loss)] = 0.0;
      if (!std::isnan(stop.grad_norm)) quantity_from[static_cast<int>(Quantity::grad_norm)] = 0.0;
    }
    if (lyapunov) tangent_from = static_cast<double>(num_steps / 2);
    if (period) ring_from = stop.looks_at_each_step() ? 0.0 : std::max(0.0, last - kWindow + 1.0);
    events = {num_steps};
    for (const double opens : {quantity_from[0], quantity_from[1], quantity_from[2], tangent_from, ring_from}) {
      from = std::min(from, opens);
      if (opens > 0.0 && opens < last) events.push_back(static_cast<std::int64_t>(opens));
    }
    for (const Reducer& r : reducers)
      if (r.start > 0.0 && r.start < last) events.push_back(static_cast<std::int64_t>(r.start));
    std::sort(events.begin(), events.end());
    events.erase(std::unique(events.begin(), events.end()), events.end());
  }

  // Whether what is gathered has the same bits wherever before step `until` a cycle is noticed: sums do not, once
  // begun.
  bool may_be_filled_in(std::int64_t until) const {
    const auto then = static_cast<double>(until);
    const auto is_indifferent = [&](const Reducer& r) { return r.kind != Reduction::mean_last || r.start >= then; };
    return (!lyapunov || tangent_from >= then) && std::all_of(reducers.begin(), reducers.end(), is_indifferent);
  }

  // The same run, of which nothing is asked.
  Plan bare() const {
    Plan out;
    out.num_steps = num_steps;
    out.complete();
    return out;
  }

  // One plan for each thing that is gathered: the reducers in their order, the tangent vector, the ring.
  std::vector<Plan> parts() const {
    std::vector<Plan> out;
    const auto add = [&](auto&& set) {
      Plan part;
      part.num_steps = num_steps;
      part.stop = stop;
      part.seed = seed;
      set(part);
      part.complete();
      out.push_back(part);
    };
    for (const Reducer& r : reducers) add([&](Plan& part) { part.reducers = {r}; });
    if (lyapunov) add([](Plan& part) { part.lyapunov = true; });
    if (period) add([](Plan& part) { part.period = true; });
    return out;
  }
};

// Which of them a slice of steps needs, because some run in it has reached the window.
struct Wants {
  std::array<bool, kQuantities> quantity{};
  bool tangent = false, ring = false;

  static Wants at(const Plan& plan, double t) {
    Wants wants;
    for (std::size_t q = 0; q < kQuantities; ++q) wants.quantity[q] = t >= plan.quantity_from[q];
    wants.tangent = t >= plan.tangent_from;
    wants.ring = t >= plan.ring_from;
    return wants;
  }
  bool loss_alone() const { return quantity[0] && !(quantity[1] || quantity[2] || tangent || ring); }
  bool any() const { return quantity[0] || quantity[1] || quantity[2] || tangent || ring; }
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
