// Many independent runs of a small model. Each thread keeps a few registers' worth of runs going; a run that ends is written
// down and its lane takes the next one from the common queue.
//
// A run starts at a slice boundary and is looked at every kSlice steps of its own, so what it does, and when that is
// noticed, depends on nothing but itself. Between the looks no step is checked: a slice in which the largest reach() was
// harmless has met no stop rule. Where it was not, the run is taken out and stepped again, one step at a time.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <thread>
#include <type_traits>
#include <vector>

#include "eosfast/dynamics/finish.hpp"
#include "eosfast/grid.hpp"
#include "eosfast/parallel.hpp"
#include "eosfast/stop_token.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

template <class M, class O>
class Ensemble {
 public:
  Ensemble(const std::vector<const M*>& models, const SweepGrid& grid, const Plan& plan, const SweepOutput& out, StopToken& token)
      : models_(models), grid_(grid), plan_(plan), out_(out), token_(token) {}

  // Returns how many runs are finished.
  std::int64_t run(int num_threads) {
    parallel(num_threads, [&](int thread) {
      working_.fetch_add(1);
      struct Leaving {
        std::atomic<int>& working;
        ~Leaving() { working.fetch_sub(1); }
      } leaving{working_};
      Worker(*this, num_threads).work();
      if (thread == 0) wait_for_the_others();
    });
    return done_.load();
  }

 private:
  using Real = std::conditional_t<M::kSideBySide, Lanes, double>;
  using Single = Run<M, O>;
  static constexpr int kTracks = M::kSideBySide ? 4 : 1;  // independent chains of arithmetic that hide each other's latency
  static constexpr int kSlots = kTracks * kWidth<Real>;
  static constexpr int kRaw = M::kRawFields > 0 ? M::kRawFields : 1;

  struct Slot {  // a lane and the run in it
    std::int64_t run = -1, t = 0;
    std::size_t event = 0;  // index of the plan's next event
    Single anchor;          // the iterate kAnchor steps ago (only w and state are used)
  };

  class Worker {
   public:
    Worker(Ensemble& all, int num_threads)
        : all_(all), mover_{all.models_[0], &all.plan_}, point_(all.models_[0]->template point<Real>()),
          single_point_(all.models_[0]->template point<double>()) {
      // Few runs are spread over the threads, a register at a time.
      const std::int64_t share = (all.grid_.num_runs + num_threads - 1) / num_threads;
      tracks_in_use_ = static_cast<int>(std::clamp<std::int64_t>((share + kWidth<Real> - 1) / kWidth<Real>, 1, kTracks));
    }

    void work() {
      refill();
      while (active_ > 0) {
        int left = kSlice;
        while (left > 0 && active_ > 0) {
          if (all_.token_.poll(all_.done_.load(std::memory_order_relaxed))) return interrupt();
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
        if (slots_[s].run >= 0) n = std::min(n, all_.plan_.events[slots_[s].event] - slots_[s].t);
      if constexpr (!M::kSideBySide) {  // a single run over many samples: notice Ctrl-C within a fraction of a second
        n = std::min(n, mover_.model->patience());
      }
      return static_cast<int>(n);
    }

    void advance(int n) {
      double furthest = 0.0;  // the most advanced run decides what the slice must show
      for (int s = 0; s < slots_in_use(); ++s)
        if (slots_[s].run >= 0) furthest = std::max(furthest, static_cast<double>(slots_[s].t));
      const Wants wants = Wants::at(all_.plan_, furthest);
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
          mover_.advance_observed(tracks_[p], point_, n, Wants::at(all_.plan_, latest));
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
      auto calm = all_.within(mover_.model->loss_bound(track.peak, track.model_fields()));
      for (int i = 0; i < mover_.model->dim(); ++i) calm = calm & (track.w[i] - track.w[i] == Real(0.0));
      if (observed && all_.plan_.stop.looks_at_each_step())
        calm = calm & !(track.low[static_cast<int>(Quantity::loss)] < Real(all_.plan_.stop.loss)) &
               !(track.low[static_cast<int>(Quantity::grad_norm)] < Real(all_.plan_.stop.grad_norm));
      const Real verdicts = select(calm, Real(0.0), Real(1.0));
      for (int i = 0; i < kWidth<Real>; ++i) {
        Slot& s = slot(p, i);
        if (s.run < 0) continue;
        if (lane(verdicts, i) != 0.0 && ended_within(p, i, n)) continue;
        s.t += n;
        if (s.t == all_.plan_.num_steps) {
          Single run = extract(tracks_[p], i);
          Status status = Status::completed;
          if (all_.plan_.stop.looks_at_each_step() && mover_.verdict(run, single_point_) == Status::converged)
            status = Status::converged;
          retire(p, i, run, status);
        } else {
          if (s.t == all_.plan_.events[s.event]) ++s.event;
          if (all_.plan_.stop.steady && s.t % kAnchor == 0) compare_with_anchor(p, i);
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
      cruise(mover_, run, single_point_, period, all_.plan_.num_steps);
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
      const std::int64_t number = all_.next_.fetch_add(1, std::memory_order_relaxed);
      if (number >= all_.grid_.num_runs) {
        queue_empty_ = true;
        return;
      }
      Slot& s = slot(p, i);
      s.run = number;
      s.t = 0;
      s.event = 0;
      std::vector<std::ptrdiff_t>& index = index_;
      all_.unravel(number, index);
      const auto column = [&](std::size_t c) {
        double value;
        std::memcpy(&value, all_.grid_.columns[c].at(index.data(), index.size()), sizeof value);
        return value;
      };
      if constexpr (!M::kSideBySide) {
        mover_ = Mover<M, O>{&all_.model_of(index), &all_.plan_};
        point_ = mover_.model->template point<Real>();
        single_point_ = mover_.model->template point<double>();
      }
      Single run;
      for (int k = 0; k < O::kFields; ++k) run.fields[k] = column(static_cast<std::size_t>(k));
      double raw[kRaw] = {};
      for (int k = 0; k < M::kRawFields; ++k) raw[k] = column(static_cast<std::size_t>(O::kFields + k));
      for (int k = 0; k < mover_.model->dim(); ++k)
        run.w[k] = column(static_cast<std::size_t>(O::kFields + M::kRawFields + k));
      mover_.start(run, raw);
      for (int k = 0; k < mover_.model->dim(); ++k) s.anchor.w[k] = run.w[k];
      for (int k = 0; k < Single::kState; ++k) s.anchor.state[k] = run.state[k];
      ++active_;
      const Status status = mover_.verdict(run, single_point_);
      insert(run, p, i);
      if (status != Status::pending) {
        retire(p, i, run, status);
      } else if (all_.plan_.num_steps == 0) {
        retire(p, i, run, Status::completed);
      }
    }

    void retire(int p, int i, Single& run, Status status) {
      all_.write(mover_, slot(p, i).run, run, single_point_, status);
      slot(p, i).run = -1;
      --active_;
      for (int k = 0; k < mover_.model->dim(); ++k) set_lane(tracks_[p].w[k], i, 0.0);
      for (int k = 0; k < Single::kState; ++k) set_lane(tracks_[p].state[k], i, 0.0);
      all_.done_.fetch_add(1, std::memory_order_relaxed);
    }

    // Begun, but not finished: the state as it is.
    void interrupt() {
      for (int p = 0; p < tracks_in_use_; ++p)
        for (int i = 0; i < kWidth<Real>; ++i) {
          if (slot(p, i).run < 0) continue;
          Single run = extract(tracks_[p], i);
          all_.write(mover_, slot(p, i).run, run, single_point_, Status::interrupted);
        }
    }

    Ensemble& all_;
    Mover<M, O> mover_;
    typename M::template Point<Real> point_;
    typename M::template Point<double> single_point_;
    int tracks_in_use_ = 1, active_ = 0;
    bool queue_empty_ = false;
    std::vector<std::ptrdiff_t> index_;
    Track<M, O, Real> tracks_[kTracks]{}, snapshots_[kTracks]{};
    Slot slots_[kSlots];
  };

  // The caller's thread alone hears Ctrl-C: it listens until the last run is done.
  void wait_for_the_others() {
    while (working_.load() > 1) {
      token_.poll(done_.load(std::memory_order_relaxed));
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
  }

  template <class R>
  auto within(const R& bound) const {
    return bound <= R(plan_.stop.diverged);
  }

  void unravel(std::int64_t number, std::vector<std::ptrdiff_t>& index) const {
    index.resize(grid_.shape.size());
    for (std::size_t k = grid_.shape.size(); k-- > 0;) {
      index[k] = number % grid_.shape[k];
      number /= grid_.shape[k];
    }
  }

  const M& model_of(const std::vector<std::ptrdiff_t>& index) const {
    if (!grid_.model_index) return *models_[0];
    std::int64_t which;
    std::memcpy(&which, grid_.model_index.at(index.data(), index.size()), sizeof which);
    return *models_[static_cast<std::size_t>(which)];
  }

  // The last iterate to the measures, and everything to its place.
  void write(const Mover<M, O>& mover, std::int64_t number, Single& run, typename M::template Point<double>& point,
             Status status) {
    std::vector<std::ptrdiff_t> index;
    unravel(number, index);
    const auto put = [&]<class T>(const GridArray& array, T value) {
      if (array) std::memcpy(array.at(index.data(), index.size()), &value, sizeof value);
    };
    Wants wants;
    for (const Reducer& r : plan_.reducers) wants.quantity[static_cast<std::size_t>(r.quantity)] = true;
    wants.quantity[static_cast<int>(Quantity::loss)] = wants.quantity[static_cast<int>(Quantity::loss)] || out_.loss;
    wants.quantity[static_cast<int>(Quantity::sharpness)] =
        wants.quantity[static_cast<int>(Quantity::sharpness)] || out_.sharpness;
    wants.quantity[static_cast<int>(Quantity::grad_norm)] =
        wants.quantity[static_cast<int>(Quantity::grad_norm)] || out_.grad_norm;
    wants.ring = plan_.period;
    double q[kQuantities];
    mover.quantities(run, point, wants, q);
    mover.observe(run, point, wants);
    put(out_.status, static_cast<std::int8_t>(status));
    put(out_.num_steps_done, static_cast<std::int64_t>(run.t));
    put(out_.loss, q[static_cast<int>(Quantity::loss)]);
    put(out_.sharpness, q[static_cast<int>(Quantity::sharpness)]);
    put(out_.grad_norm, q[static_cast<int>(Quantity::grad_norm)]);
    if (out_.weights)
      for (int k = 0; k < mover.model->dim(); ++k)
        std::memcpy(out_.weights.at(index.data(), index.size()) + k * out_.weight_stride, &run.w[k], sizeof run.w[k]);
    if constexpr (requires { mover.model->accuracy(point, run.w); }) {
      if (out_.accuracy) put(out_.accuracy, mover.model->accuracy(point, run.w));
    }
    if (out_.period)
      put(out_.period, static_cast<std::int64_t>(status == Status::diverged ? 0 : period_of<M, O>(run, mover.model->dim())));
    put(out_.lyapunov, run.log_growth / (run.t - plan_.tangent_from));  // no step in the window: 0 / 0, NaN
    for (std::size_t i = 0; i < out_.reducers.size(); ++i) {
      const Reducer& r = plan_.reducers[i];
      put(out_.reducers[i], r.result(run.gathered[i], run.t, q[static_cast<std::size_t>(r.quantity)]));
    }
  }

  const std::vector<const M*>& models_;
  const SweepGrid& grid_;
  const Plan& plan_;
  const SweepOutput& out_;
  StopToken& token_;
  std::atomic<std::int64_t> next_{0}, done_{0};
  std::atomic<int> working_{0};
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
