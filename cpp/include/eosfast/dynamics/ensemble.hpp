// Many independent runs of a small model. Each thread keeps a few registers' worth of runs going; a run that ends is
// written down and its lane takes the next one from the common queue.
//
// A run starts at a slice boundary and is looked at every kSlice steps of its own, so what it does, and when that is
// noticed, depends on nothing but itself. Between the looks no step is checked: a slice in which the largest reach()
// was harmless has met no stop rule. Where it was not, the run is taken out and stepped again, one step at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "eosfast/dynamics/ledger.hpp"
#include "eosfast/parallel.hpp"
#include "eosfast/stop_token.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

template <class M, class O>
class Ensemble {
 public:
  Ensemble(const std::vector<const M*>& models, const O& rule, const SweepGrid& grid, const Plan& plan,
           const SweepOutput& out, StopToken& token)
      : ledger_(models, grid, plan, out), rule_(rule), token_(token) {}

  // Returns how many runs are finished.
  std::int64_t run(int num_threads) {
    parallel_listening(
        num_threads, [&](int) { Worker(*this, num_threads).work(); }, [&] { token_.poll(ledger_.done()); });
    return ledger_.done();
  }

 private:
  using Real = std::conditional_t<M::kSideBySide, Lanes, double>;
  using Single = Run<M, O>;
  // Independent chains of arithmetic that hide each other's latency: as many as the registers hold without spilling
  // much.
  static constexpr int kTracks = !M::kSideBySide ? 1 : kRegisters == 1 ? 6 : kRegisters == 2 ? 2 : 1;
  static constexpr int kSlots = kTracks * kWidth<Real>;

  struct Slot {  // a lane and the run in it
    std::int64_t run = -1, t = 0;
    std::size_t event = 0;  // index of the plan's next event
    Single anchor;          // the iterate kAnchor steps ago (only w and state are used)
  };

  class Worker {
   public:
    Worker(Ensemble& all, int num_threads)
        : ledger_(all.ledger_),
          plan_(ledger_.plan()),
          token_(all.token_),
          mover_{&ledger_.first_model(), &plan_, all.rule_},
          point_(mover_.model->template point<Real>()),
          single_point_(mover_.model->template point<double>()) {
      // Few runs are spread over the threads, a register at a time.
      const std::int64_t share = (ledger_.num_runs() + num_threads - 1) / num_threads;
      tracks_in_use_ =
          static_cast<int>(std::clamp<std::int64_t>((share + kWidth<Real> - 1) / kWidth<Real>, 1, kTracks));
      for (Track<M, O, Real>& track : tracks_) {  // also those that never get a run
        track.gathered.resize(plan_.reducers.size());
        track.tangent.resize(plan_.lyapunov ? M::kMaxDim + O::kStates * M::kMaxDim : 0);
        track.ring.resize(plan_.period ? static_cast<std::size_t>(kRing) * M::kMaxDim : 0);
      }
    }

    void work() {
      refill();
      while (active_ > 0) {
        int left = kSlice;
        while (left > 0 && active_ > 0) {
          if (token_.poll(ledger_.done())) return interrupt();
          const int n = steps_to_next_event(left);
          advance(n);
          left -= n;
        }
        refill();
      }
    }

   private:
    int slots_in_use() const { return tracks_in_use_ * kWidth<Real>; }

    int steps_to_next_event(int left) const {
      std::int64_t n = left;
      for (int s = 0; s < slots_in_use(); ++s)
        if (slots_[s].run >= 0) n = std::min(n, plan_.events[slots_[s].event] - slots_[s].t);
      if constexpr (!M::kSideBySide) {  // a single run over many samples: notice Ctrl-C within a fraction of a second
        n = std::min(n, mover_.model->patience());
      }
      return static_cast<int>(n);
    }

    void advance(int n) {
      double furthest = 0.0;  // the most advanced run decides what the slice must show
      for (int s = 0; s < slots_in_use(); ++s)
        if (slots_[s].run >= 0) furthest = std::max(furthest, static_cast<double>(slots_[s].t));
      const Wants wants = Wants::at(plan_, furthest);
      for (int p = 0; p < tracks_in_use_; ++p) {
        copy_track(tracks_[p], snapshots_[p], mover_.model->dim(), [](const Real& from, Real& to) { to = from; });
        snapshots_[p].head = tracks_[p].head;
      }
      if (!wants.any()) {
        together<false>(n);
      } else if (wants.loss_alone()) {
        together<true>(n);
      } else {
        for (int p = 0; p < tracks_in_use_; ++p) {
          double latest = 0.0;
          for (int i = 0; i < kWidth<Real>; ++i)
            if (slot(p, i).run >= 0) latest = std::max(latest, static_cast<double>(slot(p, i).t));
          mover_.advance_observed(tracks_[p], point_, n, Wants::at(plan_, latest));
        }
      }
      for (int p = 0; p < tracks_in_use_; ++p) settle(p, n, wants.any());
    }

    template <bool WithLoss>
    void together(int n) {
      if (tracks_in_use_ == kTracks) {
        mover_.template advance<kTracks, WithLoss>(tracks_, point_, n);
      } else {
        for (int p = 0; p < tracks_in_use_; ++p) mover_.template advance<1, WithLoss>(tracks_ + p, point_, n);
      }
    }

    Slot& slot(int p, int lane) { return slots_[p * kWidth<Real> + lane]; }

    // After n steps of one track: ends, anchors and the step counts of its lanes.
    void settle(int p, int n, bool observed) {
      Track<M, O, Real>& track = tracks_[p];
      auto calm = mover_.model->loss_bound(track.peak, track.model_fields()) <= Real(plan_.stop.diverged);
      for (int i = 0; i < mover_.model->dim(); ++i) calm = calm & (track.w[i] - track.w[i] == Real(0.0));
      if (observed && plan_.stop.looks_at_each_step())
        calm = calm & !(track.low[static_cast<int>(Quantity::loss)] < Real(plan_.stop.loss)) &
               !(track.low[static_cast<int>(Quantity::grad_norm)] < Real(plan_.stop.grad_norm));
      const Real verdicts = select(calm, Real(0.0), Real(1.0));
      for (int i = 0; i < kWidth<Real>; ++i) {
        Slot& s = slot(p, i);
        if (s.run < 0) continue;
        if (lane(verdicts, i) != 0.0 && ended_within(p, i, n)) continue;
        s.t += n;
        if (s.t == plan_.num_steps) {
          Single run = extract(tracks_[p], i);
          Status status = Status::completed;
          if (plan_.stop.looks_at_each_step() && mover_.verdict(run, single_point_) == Status::converged)
            status = Status::converged;
          retire(p, i, run, status);
        } else {
          if (s.t == plan_.events[s.event]) ++s.event;
          if (plan_.stop.steady && s.t % kAnchor == 0) compare_with_anchor(p, i);
        }
      }
    }

    // Something happened in the last n steps: again, one at a time, from where they began.
    bool ended_within(int p, int i, int n) {
      Single run = extract(snapshots_[p], i);
      take_ring(tracks_[p], i, run);  // what the slice wrote too far is written again
      const Status status = advance_watched(mover_, run, single_point_, n);
      if (status == Status::pending) return false;
      retire(p, i, run, status);
      return true;
    }

    void compare_with_anchor(int p, int i) {
      Slot& s = slot(p, i);
      const Track<M, O, Real>& track = tracks_[p];
      bool same = true;
      const auto keep = [&](double& old, const Real& now) {
        const double value = lane(now, i);
        same = same && bits(old) == bits(value);
        old = value;
      };
      for (int k = 0; k < mover_.model->dim(); ++k) keep(s.anchor.w[k], track.w[k]);
      for (int k = 0; k < Single::kState; ++k) keep(s.anchor.state[k], track.state[k]);
      if (!same) return;
      Single run = extract(track, i);
      const int period = cycle_length(mover_, run, single_point_);
      cruise_with_all(mover_, ledger_.parts(), run, single_point_, period);
      retire(p, i, run, Status::steady);
    }

    Single extract(const Track<M, O, Real>& track, int i) const {
      Single run;
      copy_track(track, run, mover_.model->dim(), [i](const Real& from, double& to) { to = lane(from, i); });
      run.head = track.head;
      take_ring(track, i, run);
      return run;
    }

    static void take_ring(const Track<M, O, Real>& track, int i, Single& run) {
      run.ring.resize(track.ring.size());
      for (std::size_t k = 0; k < track.ring.size(); ++k) run.ring[k] = lane(track.ring[k], i);
    }

    void insert(const Single& run, int p, int i) {
      copy_track(run, tracks_[p], mover_.model->dim(), [i](const double& from, Real& to) { set_lane(to, i, from); });
      tracks_[p].ring.resize(run.ring.size());
    }

    void refill() {
      for (int p = 0; p < tracks_in_use_; ++p)
        for (int i = 0; i < kWidth<Real>; ++i)
          while (slot(p, i).run < 0 && !queue_empty_) take_next(p, i);
    }

    // The next run of the queue into a free lane; a run that ends where it starts is written at once.
    void take_next(int p, int i) {
      const std::int64_t number = ledger_.take();
      if (number < 0) {
        queue_empty_ = true;
        return;
      }
      Slot& s = slot(p, i);
      s.run = number;
      s.t = 0;
      s.event = 0;
      if constexpr (!M::kSideBySide) {
        mover_.model = &ledger_.model_of(number);
        point_ = mover_.model->template point<Real>();
        single_point_ = mover_.model->template point<double>();
      }
      Single run;
      ledger_.start(mover_, number, run);
      for (int k = 0; k < mover_.model->dim(); ++k) s.anchor.w[k] = run.w[k];
      for (int k = 0; k < Single::kState; ++k) s.anchor.state[k] = run.state[k];
      ++active_;
      const Status status = mover_.verdict(run, single_point_);
      insert(run, p, i);
      if (status != Status::pending) {
        retire(p, i, run, status);
      } else if (plan_.num_steps == 0) {
        retire(p, i, run, Status::completed);
      }
    }

    void retire(int p, int i, Single& run, Status status) {
      ledger_.write(mover_, slot(p, i).run, run, single_point_, status);
      slot(p, i).run = -1;
      --active_;
      for (int k = 0; k < mover_.model->dim(); ++k) set_lane(tracks_[p].w[k], i, 0.0);
      for (int k = 0; k < Single::kState; ++k) set_lane(tracks_[p].state[k], i, 0.0);
    }

    // Begun, but not finished: the state as it is.
    void interrupt() {
      for (int p = 0; p < tracks_in_use_; ++p)
        for (int i = 0; i < kWidth<Real>; ++i) {
          if (slot(p, i).run < 0) continue;
          Single run = extract(tracks_[p], i);
          ledger_.write(mover_, slot(p, i).run, run, single_point_, Status::interrupted);
        }
    }

    Ledger<M, O>& ledger_;
    const Plan& plan_;
    StopToken& token_;
    Mover<M, O> mover_;
    typename M::template Point<Real> point_;
    typename M::template Point<double> single_point_;
    int tracks_in_use_ = 1, active_ = 0;
    bool queue_empty_ = false;
    Track<M, O, Real> tracks_[kTracks]{}, snapshots_[kTracks]{};
    Slot slots_[kSlots];
  };

  Ledger<M, O> ledger_;
  const O rule_;
  StopToken& token_;
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
