// How a run ends: exactly at the first step at which a stop rule holds, on a cycle that is filled in instead of
// computed, or at its last step; and what is read off the period of its last iterates.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "eosfast/dynamics/mover.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

template <class M, class O>
bool same_iterate(int dim, const Run<M, O>& a, const Run<M, O>& b) {
  for (int i = 0; i < dim; ++i)
    if (bits(a.w[i]) != bits(b.w[i])) return false;
  for (int i = 0; i < Run<M, O>::kState; ++i)
    if (bits(a.state[i]) != bits(b.state[i])) return false;
  return true;
}

// n steps of a single run, observed where something looks at it.
template <class M, class O>
void advance_single(const Mover<M, O>& mover, Run<M, O>& run, typename M::template Point<double>& point,
                    std::int64_t n) {
  while (n > 0) {
    std::int64_t part = n;
    for (const std::int64_t event : mover.plan->events) {
      const std::int64_t ahead = event - static_cast<std::int64_t>(run.t);
      if (ahead > 0) part = std::min(part, ahead);
    }
    part = std::min<std::int64_t>(part, 1 << 20);
    const Wants wants = Wants::at(*mover.plan, run.t);
    if (wants.any()) {
      mover.template advance_observed<false>(run, point, static_cast<int>(part), wants);
    } else {
      mover.template advance<1>(&run, point, static_cast<int>(part));
    }
    n -= part;
  }
}

// Steps a run one by one until a stop rule holds (its status is returned, the run stands on that iterate) or n steps
// are done (pending). The start is looked at too.
template <class M, class O>
Status advance_watched(const Mover<M, O>& mover, Run<M, O>& run, typename M::template Point<double>& point,
                       std::int64_t n) {
  Status status = mover.verdict(run, point);
  for (; n > 0 && status == Status::pending; --n) {
    advance_single(mover, run, point, 1);
    status = mover.verdict(run, point);
  }
  return status;
}

// The period of a cycle on which `run` stands, found by going round once; it divides kAnchor.
template <class M, class O>
int cycle_length(const Mover<M, O>& mover, const Run<M, O>& run, typename M::template Point<double>& point) {
  Run<M, O> ahead = run;
  int period = 0;
  do {
    mover.template advance<1>(&ahead, point, 1);
    ++period;
  } while (!same_iterate<M, O>(mover.model->dim(), ahead, run) && period < kAnchor);
  return period;
}

// Whether an iterate comes back after `period` steps.
template <class M, class O>
bool returns(const Mover<M, O>& mover, const Run<M, O>& run, typename M::template Point<double>& point, int period) {
  Run<M, O> ahead = run;
  mover.template advance<1>(&ahead, point, period);
  return same_iterate<M, O>(mover.model->dim(), ahead, run);
}

// Carries a run that stands on a cycle to step `until`. What it gathers grows by the same amount every time round, so
// all but the first and last rounds are added up at once.
template <class M, class O>
void cruise(const Mover<M, O>& mover, Run<M, O>& run, typename M::template Point<double>& point, int period,
            std::int64_t until) {
  const auto now = [&] { return static_cast<std::int64_t>(run.t); };
  while (now() < until) {
    std::int64_t stop = until;
    for (const std::int64_t event : mover.plan->events)
      if (event > now()) stop = std::min(stop, event);
    const Wants wants = Wants::at(*mover.plan, run.t);
    if (!wants.any()) {
      const std::int64_t rounds = (stop - now()) / period;
      run.t += static_cast<double>(rounds * period);
      advance_single(mover, run, point, stop - now());
      continue;
    }
    if (stop - now() <= 3 * period + kRing) {
      advance_single(mover, run, point, stop - now());
      continue;
    }
    advance_single(mover, run, point, period);  // the first round still differs: it comes from outside
    double growth = run.log_growth, per_round = 0.0;
    std::vector<double> before = run.gathered;
    advance_single(mover, run, point, period);
    per_round = run.log_growth - growth;
    for (double change = 1.0; wants.tangent && std::abs(change) > 1e-15 * std::abs(per_round);) {
      if (stop - now() <= 3 * period + kRing) break;  // the tangent vector has not settled: walk all the way
      growth = run.log_growth;
      before = run.gathered;
      advance_single(mover, run, point, period);
      change = run.log_growth - growth - per_round;
      per_round += change;
      if (std::isinf(run.log_growth) || std::isnan(run.log_growth)) break;
    }
    const std::int64_t rounds = std::max<std::int64_t>(0, (stop - now() - kRing) / period);
    for (std::size_t i = 0; i < before.size(); ++i)
      if (run.gathered[i] != before[i]) run.gathered[i] += static_cast<double>(rounds) * (run.gathered[i] - before[i]);
    if (wants.tangent && std::isfinite(per_round)) run.log_growth += static_cast<double>(rounds) * per_round;
    run.t += static_cast<double>(rounds * period);
    advance_single(mover, run, point, stop - now());
  }
}

// Cruises with everything that is gathered, one thing at a time: how often a sum is extrapolated must not depend on
// what else is asked, for its last bits would.
template <class M, class O>
void cruise_with_all(const Mover<M, O>& mover, const Plan& nothing, const std::vector<Plan>& parts, Run<M, O>& run,
                     typename M::template Point<double>& point, int period) {
  const Run<M, O> entry = run;
  const auto bare = [&] {
    Run<M, O> copy = entry;
    copy.gathered.clear();
    copy.tangent.clear();
    copy.ring.clear();
    return copy;
  };
  Run<M, O> end = bare();
  cruise(Mover<M, O>{mover.model, &nothing, mover.rule}, end, point, period, nothing.num_steps);
  std::copy(end.w, end.w + mover.model->dim(), run.w);
  std::copy(end.state, end.state + Run<M, O>::kState, run.state);
  run.t = end.t;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    Run<M, O> copy = bare();
    if (!parts[i].reducers.empty()) copy.gathered = {entry.gathered[i]};
    if (parts[i].lyapunov) copy.tangent = entry.tangent;
    if (parts[i].period) copy.ring = entry.ring;
    cruise(Mover<M, O>{mover.model, &parts[i], mover.rule}, copy, point, period, parts[i].num_steps);
    if (!parts[i].reducers.empty()) {
      run.gathered[i] = copy.gathered[0];
      const auto q = static_cast<std::size_t>(parts[i].reducers[0].quantity);
      run.previous[q] = copy.previous[q];
    }
    if (parts[i].lyapunov) run.log_growth = copy.log_growth;
    if (parts[i].period) {
      run.ring = std::move(copy.ring);
      run.head = copy.head;
    }
  }
}

template <class M, class O>
int period_of(const Run<M, O>& run, int dim) {
  const auto available = static_cast<std::int64_t>(std::min<double>(run.t + 1.0, kWindow));
  return smallest_period(available, dim, [&](int back) {
    return run.ring.data() + static_cast<std::size_t>((run.head - 1 - back + 2 * kRing) % kRing) * M::kMaxDim;
  });
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
