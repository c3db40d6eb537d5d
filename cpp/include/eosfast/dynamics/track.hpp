// A run under way, or eight of them side by side: where it is and what has been gathered. Both the sweep and the single
// run move tracks, and a lane taken out of the eight goes on as a single one with the same bits.
#pragma once

#include <cstddef>
#include <iterator>
#include <vector>

#include "eosfast/concepts.hpp"
#include "eosfast/measures.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

inline constexpr int kRing = 512;  // kWindow + kSlice, rounded up: a slice may overshoot the end of a run

// Tracks that are moved together, to hide each other's latency: as many as the registers hold without spilling much.
template <class M>
inline constexpr int kInterleaved = !M::kSideBySide   ? 1
                                    : kRegisters == 1 ? 6
                                    : kRegisters == 2 ? 2
                                                      : 1;

template <class M, class O, class Real>
struct Track {
  static constexpr int kDim = M::kMaxDim, kState = O::kStates * kDim;
  static constexpr int kStateStorage = kState > 0 ? kState : 1;

  Real w[kDim];
  Real state[kStateStorage];
  Real fields[O::kFields + M::kFields];  // the optimizer's, then the model's
  Real t;                                // index of the iterate w
  Real peak;                             // largest reach() of the slice
  Real moves;  // 1; 0 from the iterate on at which a stop rule may hold, if the slice is guarded

  // What the measures gather; empty where none is asked.
  Real previous[kQuantities];  // quantity one step ago
  std::vector<Real> gathered;  // one number a reducer
  std::vector<Real> tangent;   // (dim + state)
  Real log_growth;
  std::vector<Real> ring;  // (kRing, dim): the last iterates
  int head = 0;            // where the next one goes

  const Real* model_fields() const { return fields + O::kFields; }

  void make_room(const Plan& plan) {
    gathered.resize(plan.reducers.size());
    tangent.resize(plan.lyapunov ? kDim + kState : 0);
    ring.resize(plan.period ? static_cast<std::size_t>(kRing) * kDim : 0);
  }
  void clear_lane(int i, int dim) {
    for (int k = 0; k < dim; ++k) set_lane(w[k], i, 0.0);
    for (int k = 0; k < kState; ++k) set_lane(state[k], i, 0.0);
    set_lane(moves, i, 0.0);
  }
};

template <class M, class O>
using Run = Track<M, O, double>;

// All but the ring: a lane inherits the ring of the run before it.
template <class From, class To, class Copy>
void copy_track(From& from, To& to, int dim, Copy&& copy) {
  const auto each = [&](auto& a, auto& b, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) copy(a[i], b[i]);
  };
  each(from.w, to.w, static_cast<std::size_t>(dim));
  each(from.state, to.state, std::size(from.state));
  each(from.fields, to.fields, std::size(from.fields));
  copy(from.t, to.t);
  copy(from.peak, to.peak);
  copy(from.moves, to.moves);
  each(from.previous, to.previous, kQuantities);
  copy(from.log_growth, to.log_growth);
  to.gathered.resize(from.gathered.size());
  to.tangent.resize(from.tangent.size());
  each(from.gathered, to.gathered, from.gathered.size());
  each(from.tangent, to.tangent, from.tangent.size());
}

// One lane of eight as a run of its own.
template <class M, class O, class Real>
Run<M, O> extract(const Track<M, O, Real>& track, int i, int dim) {
  Run<M, O> run;
  copy_track(track, run, dim, [i](const Real& from, double& to) { to = lane(from, i); });
  run.head = track.head;
  run.ring.resize(track.ring.size());
  for (std::size_t k = 0; k < track.ring.size(); ++k) run.ring[k] = lane(track.ring[k], i);
  return run;
}

template <class M, class O, class Real>
void insert(const Run<M, O>& run, Track<M, O, Real>& track, int i, int dim) {
  copy_track(run, track, dim, [i](const double& from, Real& to) { set_lane(to, i, from); });
  track.ring.resize(run.ring.size());
}

// Where a track is.
template <class M, class O, class Real>
struct Place {
  Real w[Track<M, O, Real>::kDim], state[Track<M, O, Real>::kStateStorage];

  void keep(const Track<M, O, Real>& track, int dim) {
    for (int k = 0; k < dim; ++k) w[k] = track.w[k];
    for (int k = 0; k < Track<M, O, Real>::kState; ++k) state[k] = track.state[k];
  }
  // `ones`, but 0 in the lanes in which a track does not stand here, by numbers if not by all their bits.
  Real where_same(const Track<M, O, Real>& track, int dim, Real ones) const {
    for (int k = 0; k < dim; ++k) ones = select(w[k] == track.w[k], ones, Real(0.0));
    for (int k = 0; k < Track<M, O, Real>::kState; ++k) ones = select(state[k] == track.state[k], ones, Real(0.0));
    return ones;
  }
  // A lane of it.
  Place<M, O, double> operator()(int i, int dim) const {
    Place<M, O, double> out;
    for (int k = 0; k < dim; ++k) out.w[k] = lane(w[k], i);
    for (int k = 0; k < Track<M, O, Real>::kState; ++k) out.state[k] = lane(state[k], i);
    return out;
  }
  // A run that stands there.
  void put(Run<M, O>& run, int dim) const {
    for (int k = 0; k < dim; ++k) run.w[k] = w[k];
    for (int k = 0; k < Track<M, O, Real>::kState; ++k) run.state[k] = state[k];
  }
  bool is_that_of(const Run<M, O>& run, int dim) const {
    for (int k = 0; k < dim; ++k)
      if (bits(w[k]) != bits(run.w[k])) return false;
    for (int k = 0; k < Track<M, O, Real>::kState; ++k)
      if (bits(state[k]) != bits(run.state[k])) return false;
    return true;
  }
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
