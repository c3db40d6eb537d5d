// One thread of a sweep: it keeps a few registers' worth of runs going. A run that ends is written down, and its lane
// takes the next one from the common queue.
//
// Long runs go freely: they are looked at every kSlice steps, and a slice in which the largest reach() was harmless has
// met no stop rule. Where it was not, the run is taken out and stepped again, one step at a time. Runs with stop rules
// on loss or gradient, and young ones while there are many of them, go guarded: a lane stays at the first iterate at
// which a rule may hold. Neither changes a bit of any run, nor do its neighbours.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "eosfast/dynamics/ledger.hpp"
#include "eosfast/dynamics/slot.hpp"
#include "eosfast/stop_token.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

template <class M, class O>
class Worker {
 public:
  Worker(Ledger<M, O>& ledger, const O& rule, StopToken& token, int num_threads)
      : ledger_(ledger),
        plan_(ledger.plan()),
        token_(token),
        mover_{&ledger.first_model(), &plan_, rule},
        point_(mover_.model->template point<Real>()),
        single_point_(mover_.model->template point<double>()) {
    // Few runs are spread over the threads, a register at a time.
    const std::int64_t share = (ledger_.num_runs() + num_threads - 1) / num_threads;
    tracks_in_use_ = static_cast<int>(std::clamp<std::int64_t>((share + kWide - 1) / kWide, 1, kTracks));
    for (Track<M, O, Real>& track : tracks_) track.make_room(plan_);  // also those that never get a run
    for (Real& idle : idle_) idle = Real(1.0);
  }

  void work() {
    refill();
    while (active_ > 0) {
      if ((!hurries_ || clock_ % kSlice == 0) && token_.poll(ledger_.done())) return interrupt();
      advance(steps_to_next_look());
      if (active_ == num_waiting_) {
        clock_ += (kSlice - clock_ % kSlice) % kSlice;
        next_due_ = kNever;
      }
      if (clock_ % kSlice == 0) wake();
      if (clock_ % (hurries_ ? kStart : kSlice) == 0) refill();
    }
  }

 private:
  using Real = std::conditional_t<M::kSideBySide, Lanes, double>;
  using Single = Run<M, O>;
  using Lane = Slot<Place<M, O, double>>;
  static constexpr int kWide = kWidth<Real>, kState = Single::kState;
  static constexpr int kTracks = kInterleaved<M>, kSlots = kTracks * kWide;
  static constexpr std::int64_t kNever = INT64_MAX;

  int slots_in_use() const { return tracks_in_use_ * kWide; }
  int dim() const { return mover_.model->dim(); }
  Lane& slot(int p, int lane) { return slots_[p * kWide + lane]; }

  int steps_to_next_look() const {
    const int period = hurries_ ? kStart : kSlice;
    std::int64_t n = std::min(period - clock_ % period, next_due_ - clock_);
    if constexpr (!M::kSideBySide) {  // a single run over many samples: notice Ctrl-C within a fraction of a second
      n = std::min<std::int64_t>(n, mover_.model->patience());
    }
    return static_cast<int>(n);
  }

  // What a slice must show is decided by the most advanced run, of all or of a track.
  Wants wants(int first, int count) const {
    double furthest = 0.0;
    if (plan_.from != Plan::kNever)
      for (int s = first; s < first + count; ++s)
        if (slots_[s].run >= 0) furthest = std::max(furthest, static_cast<double>(clock_ - slots_[s].birth));
    return Wants::at(plan_, furthest);
  }

  void advance(int n) {
    for (int p = 0; p < tracks_in_use_; ++p) before_[p].keep(tracks_[p], dim());
    const Wants all = wants(0, slots_in_use());
    bool guarded = true, ring_moved[kTracks]{};
    if (all.loss_alone()) {
      for_tracks([&]<int P>(int p) { mover_.template advance_guarded<P, true>(tracks_ + p, point_, n); });
    } else if (all.any()) {
      for (int p = 0; p < tracks_in_use_; ++p) {
        const Wants here = wants(p * kWide, kWide);
        ring_moved[p] = here.ring;
        mover_.template advance_observed<true>(tracks_[p], point_, n, here);
      }
    } else if (hurries_ || num_unaligned_ > 0) {
      mover_.template advance_guarded<kTracks, false>(tracks_, point_, n);
    } else {
      guarded = false;
      for_tracks([&]<int P>(int p) { mover_.template advance<P>(tracks_ + p, point_, n); });
    }
    clock_ += n;
    for (int p = 0; p < tracks_in_use_; ++p) settle(p, n, guarded, ring_moved[p]);
    if (clock_ >= next_due_) {
      next_due_ = kNever;
      for (int s = 0; s < slots_in_use(); ++s)
        if (slots_[s].run >= 0 && !slots_[s].waits) next_due_ = std::min(next_due_, slots_[s].due);
    }
  }

  template <class Go>
  void for_tracks(Go&& go) {
    if (tracks_in_use_ == kTracks) {
      go.template operator()<kTracks>(0);
    } else {
      for (int p = 0; p < tracks_in_use_; ++p) go.template operator()<1>(p);
    }
  }

  // 1 for the lanes that may have met a stop rule: in a guarded slice they stayed there.
  Real flagged(int p, bool guarded) const {
    const Track<M, O, Real>& track = tracks_[p];
    if (guarded) return select(track.moves > Real(0.0), Real(0.0), Real(1.0) - idle_[p]);
    return select(mover_.surely_calm(track.peak, track.w, track.model_fields()), Real(0.0), Real(1.0));
  }

  // After n steps of one track: ends, cycles, events.
  void settle(int p, int n, bool guarded, bool ring_moved) {
    const Real ended = flagged(p, guarded);
    const bool compares = plan_.stop.steady && kAnchor % n == 0;
    const Real repeating = compares ? before_[p].where_same(tracks_[p], dim(), Real(1.0) - idle_[p]) : Real(0.0);
    if (clock_ < next_due_ && !any(ended + repeating > Real(0.0))) return;
    for (int i = 0; i < kWide; ++i) {
      const auto& s = slot(p, i);
      if (s.run < 0 || s.waits) continue;
      if (lane(ended, i) != 0.0 && (guarded ? has_ended_behind(p, i, ring_moved) : has_ended_within(p, i, n))) continue;
      if (clock_ - s.birth < plan_.num_steps && lane(repeating, i) != 0.0 && has_settled(p, i)) continue;
      if (clock_ == s.due) attend(p, i);
    }
  }

  // A lane whose free slice may have met a stop rule: again, one step at a time, from where it began.
  bool has_ended_within(int p, int i, int n) {
    Single run = extract(tracks_[p], i, dim());
    before_[p](i, dim()).put(run, dim());
    run.t -= static_cast<double>(n);
    const Status status = advance_watched(mover_, run, single_point_, n);
    if (status == Status::pending) return false;
    retire(p, i, run, status);
    return true;
  }

  // A lane that stayed behind in a guarded slice; if it was for nothing, it catches up.
  bool has_ended_behind(int p, int i, bool ring_moved) {
    Single run = extract(tracks_[p], i, dim());
    const std::int64_t behind = clock_ - slot(p, i).birth - static_cast<std::int64_t>(run.t);
    if (ring_moved) run.head = static_cast<int>((run.head - behind + kRing) % kRing);
    const Status status = advance_watched(mover_, run, single_point_, behind);
    if (status != Status::pending) {
      retire(p, i, run, status);
      return true;
    }
    run.moves = 1.0;
    insert(run, tracks_[p], i, dim());
    for (std::size_t k = 0; k < run.ring.size(); ++k) set_lane(tracks_[p].ring[k], i, run.ring[k]);
    return false;
  }

  // A lane that stands where it stood a few steps ago: it will stand on its cycle for ever.
  bool has_settled(int p, int i) {
    const auto& s = slot(p, i);
    const std::int64_t next_anchor = ((clock_ - s.birth - 1) / kAnchor + 1) * kAnchor;
    if (!plan_.may_be_filled_in(next_anchor + kAnchor)) return false;
    Single run = extract(tracks_[p], i, dim());
    if (!before_[p](i, dim()).is_that_of(run, dim())) return false;
    const int period = cycle_length(mover_, run, single_point_);
    // Two anchors would have been found equal, one of them the last before the cycle's second round: which?
    Single at_anchor = run;
    s.anchor.put(at_anchor, dim());
    const bool was_on_cycle = returns(mover_, at_anchor, single_point_, period);
    const bool found = next_anchor + (was_on_cycle ? 0 : kAnchor) < plan_.num_steps;
    fill_in(p, i, run, period, found ? Status::steady : Status::completed);
    return true;
  }

  void fill_in(int p, int i, Single& run, int period, Status status) {
    cruise_with_all(mover_, ledger_.bare(), ledger_.parts(), run, single_point_, period);
    retire(p, i, run, status);
  }

  // The last step, an anchor, the end of a lane's first kSlice steps, the opening of a window.
  void attend(int p, int i) {
    auto& s = slot(p, i);
    const std::int64_t t = clock_ - s.birth;
    if (t == plan_.num_steps) {
      Single run = extract(tracks_[p], i, dim());
      const Status status = mover_.verdict(run, single_point_);
      return retire(p, i, run, status == Status::pending ? Status::completed : status);
    }
    if (plan_.stop.steady && t % kAnchor == 0) {
      Single run = extract(tracks_[p], i, dim());
      if (s.anchor.is_that_of(run, dim()))
        return fill_in(p, i, run, cycle_length(mover_, run, single_point_), Status::steady);
      s.anchor.keep(run, dim());
    }
    if (t == kSlice && !s.is_aligned()) {
      s.waits = true;
      ++num_waiting_;
      set_lane(idle_[p], i, 1.0);
      set_lane(tracks_[p].moves, i, 0.0);
      return;
    }
    s.plan_ahead(clock_, plan_);
  }

  void wake() {
    for (int s = 0; num_waiting_ > 0 && s < slots_in_use(); ++s) {
      if (slots_[s].run < 0 || !slots_[s].waits) continue;
      slots_[s].wake(clock_, plan_);
      next_due_ = std::min(next_due_, slots_[s].due);
      set_lane(idle_[s / kWide], s % kWide, 0.0);
      set_lane(tracks_[s / kWide].moves, s % kWide, 1.0);
      --num_unaligned_;
      --num_waiting_;
    }
  }

  // Runs into the free lanes. When they take many, they are young, and many may end soon.
  void refill() {
    for (int s = 0; s < slots_in_use(); ++s)
      while (slots_[s].run < 0 && !queue_empty_) take_next(s / kWide, s % kWide);
    if (clock_ % kSlice != 0) return;
    // A lane that waits would spoil the ring, which all lanes fill together.
    const bool may_hurry = M::kSideBySide && tracks_in_use_ == kTracks && plan_.ring_from > kSlice;
    hurries_ = may_hurry && 4 * num_new_ >= slots_in_use();
    num_new_ = 0;
  }

  // The next run of the queue into a free lane; a run that ends where it starts is written at once.
  void take_next(int p, int i) {
    const std::int64_t number = ledger_.take();
    if (number < 0) {
      queue_empty_ = true;
      return;
    }
    if constexpr (!M::kSideBySide) {
      mover_.model = &ledger_.model_of(number);
      point_ = mover_.model->template point<Real>();
      single_point_ = mover_.model->template point<double>();
    }
    Single run;
    ledger_.start(mover_, number, run);
    auto& s = slot(p, i);
    s.start(number, clock_, plan_);
    s.anchor.keep(run, dim());
    next_due_ = std::min(next_due_, s.due);
    if (!s.is_aligned()) ++num_unaligned_;
    ++active_;
    ++num_new_;
    const Status status = mover_.verdict(run, single_point_);
    insert(run, tracks_[p], i, dim());
    set_lane(idle_[p], i, 0.0);
    if (status != Status::pending || plan_.num_steps == 0)
      retire(p, i, run, status != Status::pending ? status : Status::completed);
  }

  void retire(int p, int i, Single& run, Status status) {
    auto& s = slot(p, i);
    ledger_.write(mover_, s.run, run, single_point_, status);
    s.run = -1;
    if (!s.is_aligned()) --num_unaligned_;
    --active_;
    tracks_[p].clear_lane(i, dim());
    set_lane(idle_[p], i, 1.0);
  }

  // Begun, but not finished: the state as it is.
  void interrupt() {
    for (int s = 0; s < slots_in_use(); ++s) {
      if (slots_[s].run < 0) continue;
      Single run = extract(tracks_[s / kWide], s % kWide, dim());
      ledger_.write(mover_, slots_[s].run, run, single_point_, Status::interrupted);
    }
  }

  Ledger<M, O>& ledger_;
  const Plan& plan_;
  StopToken& token_;
  Mover<M, O> mover_;
  typename M::template Point<Real> point_;
  typename M::template Point<double> single_point_;
  int tracks_in_use_ = 1, active_ = 0, num_new_ = 0, num_unaligned_ = 0, num_waiting_ = 0;
  std::int64_t clock_ = 0, next_due_ = kNever;
  bool queue_empty_ = false, hurries_ = false;
  Track<M, O, Real> tracks_[kTracks]{};
  Place<M, O, Real> before_[kTracks]{};  // where the tracks were before a slice
  Real idle_[kTracks];                   // 1 for the lanes that hold no run, or one that waits
  Lane slots_[kSlots];
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
