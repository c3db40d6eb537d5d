// Runs of very small networks, eight side by side, for as long as nothing but their loss is looked at. A run that is
// about to do anything else (end, diverge, repeat itself, be measured) leaves at that iterate and goes on by itself;
// the next run takes its lane. A run has the same bits either way (Octet in networks/network.hpp).
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "eosfast/dynamics/gather.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// A run of a sweep: its iterate, what its measures gather, and the iterate that it is compared with.
template <class T, class O>
struct FleetRun {
  std::int64_t number;
  std::size_t which;  // of the networks
  Descent<T, O> descent;
  Gather<T, O> gather;
  Snapshot anchor;

  FleetRun(std::int64_t its_number, std::size_t its_network, const Network<T>& network, const O& rule,
           const std::array<double, O::kFields>& fields, int num_threads, const Plan& plan, std::ptrdiff_t zeros)
      : number(its_number),
        which(its_network),
        descent(network, rule, fields, num_threads),
        gather(descent, network, plan, zeros) {}
};

template <class O>
class OctetRuns {
 public:
  using Run = FleetRun<double, O>;
  static bool possible(const O& rule) { return !rule.looks_ahead() && !rule.normalises(); }
  static constexpr int kFewest = 5;  // so many runs at least, or one after the other is faster

  OctetRuns(const Network<double>& network, std::unique_ptr<Octet> octet, const Plan& plan)
      : octet_(std::move(octet)), plan_(plan), dim_(network.dim()), until_(until(plan)), patience_(network.patience()) {
    const auto numbers = static_cast<std::size_t>(dim_ * kLanes);
    w_.resize(numbers);
    grad_.resize(numbers);
    velocity_.resize(O::kStates > 0 ? numbers : kLanes);
    anchor_w_.resize(numbers);
    anchor_velocity_.resize(velocity_.size());
    gathered_.resize(plan.reducers.size(), Lanes(0.0));
  }

  // The first step before which something besides the loss is looked at.
  static std::int64_t until(const Plan& plan) {
    double first = static_cast<double>(plan.num_steps);
    for (const double opens : {plan.quantity_from[1], plan.quantity_from[2], plan.tangent_from, plan.ring_from})
      first = std::min(first, opens);
    if (plan.quantity_from[0] > 0.0) first = std::min(first, plan.quantity_from[0]);
    return static_cast<std::int64_t>(first);
  }

  // next(): a run at its first iterate, null if there is none. leave(run): it goes on by itself. poll(): true to stop.
  template <class Next, class Leave, class Poll>
  void go(Next&& next, Leave&& leave, Poll&& poll) {
    while (true) {
      for (int lane = 0; lane < kLanes; ++lane)
        if (!runs_[lane]) enter(lane, next());
      const auto under_way = std::count_if(std::begin(runs_), std::end(runs_), [](const auto& run) { return !!run; });
      if (under_way < kFewest || poll()) break;
      advance();
      for (int lane = 0; lane < kLanes; ++lane)
        if (runs_[lane] && leaves(lane)) leave(taken_out(lane));
    }
    for (int lane = 0; lane < kLanes; ++lane)
      if (runs_[lane]) leave(taken_out(lane));
  }

 private:
  void enter(int lane, std::unique_ptr<Run> run) {
    runs_[lane] = std::move(run);
    ended_[lane] = false;
    if (!runs_[lane]) return;
    t_[lane] = runs_[lane]->descent.t();
    for (std::ptrdiff_t i = 0; i < dim_; ++i)
      w_[static_cast<std::size_t>(i * kLanes + lane)] = runs_[lane]->descent.w()[static_cast<std::size_t>(i)];
    for (std::size_t i = static_cast<std::size_t>(lane); i < velocity_.size(); i += kLanes) velocity_[i] = 0.0;
    for (int k = 0; k < O::kFields; ++k) fields_[k].set(lane, runs_[lane]->descent.fields()[k]);
    for (std::size_t r = 0; r < gathered_.size(); ++r) gathered_[r].set(lane, plan_.reducers[r].initial());
    previous_.set(lane, std::numeric_limits<double>::quiet_NaN());
  }

  // On to the next step at which a run leaves or is compared, or to where a loss breaks a stop rule.
  void advance() {
    std::int64_t n = patience_;
    for (int lane = 0; lane < kLanes; ++lane) {
      if (!runs_[lane]) continue;
      n = std::min({n, until_ - t_[lane], kAnchor - t_[lane] % kAnchor});
      if (t_[lane] % kAnchor == 0) set_anchor(lane);
    }
    Lanes t = times();
    const bool gathers = plan_.quantity_from[0] <= 0.0;
    for (; n > 0; --n) {
      const Lanes loss = octet_->visit(w_.data());
      if (any(breaks_a_rule(loss)) && end_some(loss)) break;
      if (gathers) {
        for (std::size_t r = 0; r < gathered_.size(); ++r)
          if (plan_.reducers[r].quantity == Quantity::loss) plan_.reducers[r].add(gathered_[r], t, loss, previous_);
        previous_ = loss;
      }
      octet_->grad(grad_.data());
      update();
      t = t + Lanes(1.0);
    }
    for (int lane = 0; lane < kLanes; ++lane) t_[lane] = static_cast<std::int64_t>(t[lane]);
  }

  auto breaks_a_rule(const Lanes& loss) const {
    const auto fine = (loss <= Lanes(plan_.stop.diverged)) & (loss < Lanes(std::numeric_limits<double>::infinity()));
    if (std::isnan(plan_.stop.loss)) return !fine;
    return !(fine & (loss >= Lanes(plan_.stop.loss)));
  }

  // Whether one of those is the loss of a run, not that of an empty lane.
  bool end_some(const Lanes& loss) {
    bool some = false;
    for (int lane = 0; lane < kLanes; ++lane) {
      ended_[lane] =
          runs_[lane] && plan_.stop.verdict(loss[lane], std::numeric_limits<double>::quiet_NaN()) != Status::pending;
      some = some || ended_[lane];
    }
    return some;
  }

  void update() {
    Lanes fields[O::kFields], unused(0.0);
    std::copy(fields_, fields_ + O::kFields, fields);
    for (std::size_t i = 0; i < w_.size(); i += kLanes) {
      Lanes w = Lanes::load(w_.data() + i), v = O::kStates > 0 ? Lanes::load(velocity_.data() + i) : unused;
      O::update(w, v, Lanes::load(grad_.data() + i), fields);
      w.store(w_.data() + i);
      if (O::kStates > 0) v.store(velocity_.data() + i);
    }
  }

  bool leaves(int lane) const {
    return ended_[lane] || t_[lane] >= until_ || (t_[lane] % kAnchor == 0 && plan_.stop.steady && is_at_anchor(lane));
  }

  void set_anchor(int lane) {
    for (std::size_t i = static_cast<std::size_t>(lane); i < w_.size(); i += kLanes) anchor_w_[i] = w_[i];
    for (std::size_t i = static_cast<std::size_t>(lane); i < velocity_.size(); i += kLanes)
      anchor_velocity_[i] = velocity_[i];
    anchor_at_[lane] = t_[lane];
  }
  bool is_at_anchor(int lane) const {
    const auto same = [lane](const std::vector<double>& a, const std::vector<double>& b) {
      for (std::size_t i = static_cast<std::size_t>(lane); i < a.size(); i += kLanes)
        if (std::memcmp(&a[i], &b[i], sizeof a[i]) != 0) return false;
      return true;
    };
    return same(w_, anchor_w_) && same(velocity_, anchor_velocity_);
  }

  // The run with its iterate, its anchor and what was gathered of the loss.
  std::unique_ptr<Run> taken_out(int lane) {
    std::unique_ptr<Run> run = std::move(runs_[lane]);
    const auto column = [&](const std::vector<double>& lanes) {
      std::vector<double> out;
      for (std::size_t i = static_cast<std::size_t>(lane); i < lanes.size(); i += kLanes) out.push_back(lanes[i]);
      return out;
    };
    if (plan_.stop.steady && t_[lane] > 0) {
      run->descent.stand_at(anchor_at_[lane], column(anchor_w_), column(anchor_velocity_));
      run->anchor = run->descent.snapshot();
    }
    run->descent.stand_at(t_[lane], column(w_), column(velocity_));
    std::vector<double> gathered;
    for (const Lanes& of_runs : gathered_) gathered.push_back(of_runs[lane]);
    run->gather.take_over(gathered, previous_[lane]);
    return run;
  }

  Lanes times() const {
    Lanes t(0.0);
    for (int lane = 0; lane < kLanes; ++lane) t.set(lane, static_cast<double>(t_[lane]));
    return t;
  }

  const std::unique_ptr<Octet> octet_;
  const Plan& plan_;
  const std::ptrdiff_t dim_;
  const std::int64_t until_, patience_;
  std::unique_ptr<Run> runs_[kLanes];
  bool ended_[kLanes]{};
  std::int64_t t_[kLanes]{}, anchor_at_[kLanes]{};
  std::vector<double> w_, grad_, velocity_, anchor_w_, anchor_velocity_;  // (dim, 8)
  Lanes fields_[O::kFields], previous_{0.0};
  std::vector<Lanes> gathered_;
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
