// What the measures of a sweep gather along one run of a network: reducers, tangent vector, last iterates. The plan
// says what is wanted and from which step on (measures.hpp).
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "eosfast/dynamics/descent.hpp"
#include "eosfast/random.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

template <class T, class O>
class Gather {
 public:
  using Values = std::array<double, kQuantities>;

  Gather(Descent<T, O>& descent, const Network<T>& network, const Plan& plan, std::ptrdiff_t zeros)
      : descent_(descent), dim_(network.dim()), plan_(plan), zeros_(zeros) {
    for (const Reducer& r : plan.reducers) gathered_.push_back(r.initial());
    previous_.fill(std::numeric_limits<double>::quiet_NaN());
    if (plan.lyapunov) {
      tangent_.assign(static_cast<std::size_t>(dim_ * (1 + O::kStates)), 0.0);
      SplitMix64(plan.seed).direction(tangent_.data(), dim_);
    }
  }

  // The present iterate to whatever wants it; the last one to all, for a run may end before a window opens.
  void observe(bool is_last = false) {
    if (!is_last && static_cast<double>(descent_.t()) < plan_.from) return;
    Wants wants = Wants::at(plan_, static_cast<double>(descent_.t()));
    if (is_last)
      for (const Reducer& r : plan_.reducers) wants.quantity[static_cast<std::size_t>(r.quantity)] = true;
    const Values q = quantities(wants);
    for (std::size_t i = 0; i < gathered_.size(); ++i) add(i, descent_.t(), q);
    previous_ = q;
    if (wants.ring) keep_iterate();
  }

  // A step, and the tangent vector with it where that counts.
  void step() {
    if (static_cast<double>(descent_.t()) < plan_.tangent_from || !plan_.lyapunov) return descent_.step();
    descent_.step(&tangent_);
    const double size = norm_of(tangent_);
    for (double& component : tangent_) component /= size;
    log_growth_ += std::log(size);
  }

  // The run goes round `cycle` (period iterates, from the present one on) to the end of the plan.
  void go_round(int period) {
    const std::int64_t from = descent_.t();
    const Snapshot entry = descent_.snapshot();
    Wants wants;
    for (const Reducer& r : plan_.reducers) wants.quantity[static_cast<std::size_t>(r.quantity)] = true;
    std::vector<Values> cycle;
    for (int i = 0; i < period; ++i, descent_.step()) cycle.push_back(quantities(wants));
    for (std::size_t i = 0; i < gathered_.size(); ++i) reduce_cycle(i, cycle, from);
    previous_ = cycle[static_cast<std::size_t>((plan_.num_steps - 1 - from + period) % period)];
    descent_.stand_on(entry);
    if (plan_.lyapunov) follow_tangent(period);
    Snapshot place = entry;  // the last iterates as they are, for the period
    const std::int64_t last = plan_.period ? kWindow : 0;
    place.step = from + std::max<std::int64_t>(0, plan_.num_steps - last - from) / period * period;
    descent_.stand_on(place);
    while (descent_.t() < plan_.num_steps) {
      if (plan_.period) keep_iterate();
      descent_.step();
    }
  }

  // What was gathered elsewhere up to here, of the loss alone.
  void take_over(std::vector<double> gathered, double previous_loss) {
    gathered_ = std::move(gathered);
    previous_[static_cast<std::size_t>(Quantity::loss)] = previous_loss;
  }

  // Of the last iterate, which has been observed.
  double result(std::size_t reducer) const {
    const Reducer& r = plan_.reducers[reducer];
    return r.result(gathered_[reducer], static_cast<double>(descent_.t()),
                    previous_[static_cast<std::size_t>(r.quantity)]);
  }
  double lyapunov() const { return log_growth_ / (static_cast<double>(descent_.t()) - plan_.tangent_from); }
  Values last_values(const Wants& wants) { return quantities(wants); }

  std::int64_t period() const {
    const auto available = static_cast<std::int64_t>(ring_.size());
    return smallest_period(available, dim_, [&](int back) {
      return ring_[static_cast<std::size_t>((head_ - 1 - back + 2 * available) % available)].data();
    });
  }

 private:
  Values quantities(const Wants& wants) {
    Values q;
    q.fill(std::numeric_limits<double>::quiet_NaN());
    if (wants.quantity[static_cast<int>(Quantity::loss)]) q[0] = descent_.loss();
    if (wants.quantity[static_cast<int>(Quantity::sharpness)] && std::isfinite(descent_.loss())) {
      if (!tracker_) tracker_.emplace(dim_, 1, 1e-3, plan_.seed);
      SpectrumResult result = tracker_->solve(descent_.hessian());
      with_zeros(result, zeros_, 1);
      q[1] = result.values[0];
    }
    if (wants.quantity[static_cast<int>(Quantity::grad_norm)]) q[2] = descent_.grad_norm();
    return q;
  }

  void add(std::size_t i, std::int64_t t, const Values& q) {
    const Reducer& r = plan_.reducers[i];
    const auto of = static_cast<std::size_t>(r.quantity);
    r.add(gathered_[i], static_cast<double>(t), q[of], previous_[of]);
  }

  // Two rounds one by one; what the second adds, every further round adds; then the rest.
  void reduce_cycle(std::size_t i, const std::vector<Values>& cycle, std::int64_t from) {
    const auto period = static_cast<std::int64_t>(cycle.size());
    const Values before = previous_;
    std::int64_t t = std::max(from, static_cast<std::int64_t>(plan_.reducers[i].start));
    const auto value = [&](std::int64_t step) -> const Values& {
      return cycle[static_cast<std::size_t>((step - from) % period)];
    };
    if (t > from) previous_ = value(t - 1 - from < 0 ? t : t - 1);
    const auto walk = [&](std::int64_t until) {
      for (; t < until; ++t) {
        add(i, t, value(t));
        previous_ = value(t);
      }
    };
    const std::int64_t end = plan_.num_steps;
    if (end - t > 3 * period) {
      walk(t + period);
      const double first = gathered_[i];
      walk(t + period);
      const std::int64_t rounds = (end - t) / period;
      if (gathered_[i] != first) gathered_[i] += static_cast<double>(rounds) * (gathered_[i] - first);
      t += rounds * period;
    }
    walk(end);
    previous_ = before;
  }

  // Round by round until a round adds what the last one did; the other rounds add the same.
  void follow_tangent(int period) {
    while (static_cast<double>(descent_.t()) < plan_.tangent_from) {
      const auto left = static_cast<std::int64_t>(plan_.tangent_from) - descent_.t();
      Snapshot place = descent_.snapshot();
      place.step += left / period * period;
      descent_.stand_on(place);
      for (std::int64_t i = 0; i < left % period; ++i) descent_.step();
    }
    double last_round = std::numeric_limits<double>::quiet_NaN();
    while (descent_.t() + period <= plan_.num_steps) {
      const double growth = log_growth_;
      for (int i = 0; i < period; ++i) step();
      const double round = log_growth_ - growth, change = round - last_round;
      last_round = round;
      if (!std::isfinite(round)) break;
      if (std::abs(change) <= 1e-15 * std::abs(round)) {
        const std::int64_t rounds = (plan_.num_steps - descent_.t()) / period;
        log_growth_ += static_cast<double>(rounds) * round;
        Snapshot place = descent_.snapshot();
        place.step += rounds * period;
        descent_.stand_on(place);
      }
    }
    while (descent_.t() < plan_.num_steps) step();
  }

  void keep_iterate() {
    if (ring_.size() < kWindow) {
      ring_.push_back(descent_.w());
    } else {
      ring_[static_cast<std::size_t>(head_ % kWindow)] = descent_.w();
    }
    head_ = (head_ + 1) % kWindow;
  }

  Descent<T, O>& descent_;
  const std::ptrdiff_t dim_;
  const Plan& plan_;
  const std::ptrdiff_t zeros_;
  std::vector<double> gathered_, tangent_;
  Values previous_;
  double log_growth_ = 0.0;
  std::vector<std::vector<T>> ring_;
  std::int64_t head_ = 0;
  std::optional<Tracker> tracker_;
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
