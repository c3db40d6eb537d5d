// A lane and the run in it: how far it is, and when it next wants to be looked at, both by the clock of its worker.
//
// Runs are to be looked at together, at the multiples of kSlice of that clock: a run which starts in between waits
// there for the others, once, when it has done kSlice steps.
#pragma once

#include <algorithm>
#include <cstdint>

#include "eosfast/measures.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

inline constexpr int kSlice = 240;  // steps between two looks at a run
inline constexpr int kStart = 24;   // the same while many runs are young; both divide kAnchor

template <class Anchor>
struct Slot {
  std::int64_t run = -1;
  std::int64_t birth = 0;  // when its step 0 was, or would have been without the wait
  std::int64_t due = 0;    // the next event of the plan, anchor or wait
  std::size_t event = 0;   // index of the plan's next event
  bool waits = false;
  Anchor anchor;  // where it was at the last multiple of kAnchor steps

  bool is_aligned() const { return birth % kSlice == 0; }

  void start(std::int64_t number, std::int64_t clock, const Plan& plan) {
    run = number;
    birth = clock;
    event = 0;
    waits = false;
    plan_ahead(clock, plan);
  }

  void plan_ahead(std::int64_t clock, const Plan& plan) {
    const std::int64_t t = clock - birth;
    while (event + 1 < plan.events.size() && plan.events[event] <= t) ++event;
    std::int64_t next = plan.events[event];
    if (plan.stop.steady) next = std::min(next, (t / kAnchor + 1) * kAnchor);
    if (!is_aligned()) next = std::min<std::int64_t>(next, kSlice);
    due = birth + next;
  }

  void wake(std::int64_t clock, const Plan& plan) {
    waits = false;
    birth = clock - kSlice;
    plan_ahead(clock, plan);
  }
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
