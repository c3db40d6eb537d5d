// A run under way, or eight of them side by side: where it is and what has been gathered. Both the sweep and the single
// run move tracks, and a lane taken out of the eight goes on as a single one with the same bits.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <limits>
#include <vector>

#include "eosfast/concepts.hpp"
#include "eosfast/math.hpp"
#include "eosfast/measures.hpp"
#include "eosfast/random.hpp"
#include "eosfast/spectrum/small.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

inline constexpr int kSlice = 240;  // steps between two looks at a run
inline constexpr int kRing = 512;   // kWindow + kSlice, rounded up: a slice may overshoot the end of a run

template <class M, class O, class Real>
struct Track {
  static constexpr int kDim = M::kMaxDim, kState = O::kStates * kDim;
  static constexpr int kStateStorage = kState > 0 ? kState : 1;

  Real w[kDim];
  Real state[kStateStorage];
  Real fields[O::kFields + M::kFields];  // the optimizer's, then the model's
  Real t;                                // index of the iterate w
  Real peak;                             // largest reach() of the slice

  // What the measures gather; empty where none is asked.
  Real low[kQuantities];       // smallest quantity of the slice, for the stop rules
  Real previous[kQuantities];  // quantity one step ago
  std::vector<Real> gathered;  // one number a reducer
  std::vector<Real> tangent;   // (dim + state)
  Real log_growth;
  std::vector<Real> ring;  // (kRing, dim): the last iterates
  int head = 0;            // where the next one goes

  const Real* model_fields() const { return fields + O::kFields; }
};

template <class M, class O>
using Run = Track<M, O, double>;

// One lane of eight as a run of its own, or back, but for the ring: a lane inherits the ring of the run before it.
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
  each(from.low, to.low, kQuantities);
  each(from.previous, to.previous, kQuantities);
  copy(from.log_growth, to.log_growth);
  to.gathered.resize(from.gathered.size());
  to.tangent.resize(from.tangent.size());
  each(from.gathered, to.gathered, from.gathered.size());
  each(from.tangent, to.tangent, from.tangent.size());
}

// The arithmetic of runs of one model under one optimizer.
template <class M, class O>
struct Mover {
  const M* model;
  const Plan* plan;
  O rule{};

  // The start of a run: w and the raw fields are in place.
  void start(Run<M, O>& run, const double* raw_model_fields) const {
    for (double& s : run.state) s = 0.0;
    model->derive(raw_model_fields, run.fields + O::kFields);
    run.t = run.peak = run.log_growth = 0.0;
    run.head = 0;
    for (int q = 0; q < kQuantities; ++q) {
      run.low[q] = std::numeric_limits<double>::infinity();
      run.previous[q] = std::numeric_limits<double>::quiet_NaN();
    }
    run.gathered.clear();
    for (const Reducer& r : plan->reducers) run.gathered.push_back(r.initial());
    run.tangent.clear();
    if (plan->lyapunov) run.tangent = random_direction();
    run.ring.assign(plan->period ? static_cast<std::size_t>(kRing) * M::kMaxDim : 0, 0.0);
  }

  // n steps with nothing kept but the largest reach, over the iterates t, ..., t + n; and, WithLoss, with the loss of
  // each iterate shown to the measures. P tracks are interleaved, so that the processor works on one while it waits for
  // another.
  template <int P, bool WithLoss = false, class Real>
  __attribute__((noinline)) void advance(Track<M, O, Real>* tracks, typename M::template Point<Real>& point,
                                         int n) const {
    constexpr int kLoss = static_cast<int>(Quantity::loss);
    const int dim = model->dim();
    Real w[P][M::kMaxDim], state[P][Track<M, O, Real>::kStateStorage], fields[P][O::kFields + M::kFields], peak[P];
    for (int p = 0; p < P; ++p) {
      std::copy_n(tracks[p].w, std::size(w[p]), w[p]);
      std::copy_n(tracks[p].state, std::size(state[p]), state[p]);
      std::copy_n(tracks[p].fields, std::size(fields[p]), fields[p]);
      peak[p] = Real(0.0);
      tracks[p].low[kLoss] = Real(std::numeric_limits<double>::infinity());
    }
    for (int step = 0; step < n; ++step) {
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p) {
        const Real* const of_model = fields[p] + O::kFields;
        peak[p] = max(peak[p], model->reach(w[p], of_model));
        if constexpr (WithLoss) {
          model->visit(point, w[p], of_model);
          show(tracks[p], Quantity::loss, tracks[p].t + Real(static_cast<double>(step)),
               model->loss(point, w[p], of_model));
        }
        take_step(rule, dim, w[p], state[p], fields[p], [&](const Real* at, Real* g) {
          model->visit(point, at, of_model);
          model->grad(point, at, of_model, g);
        });
      }
    }
    for (int p = 0; p < P; ++p) {
      peak[p] = max(peak[p], model->reach(w[p], fields[p] + O::kFields));
      std::copy_n(w[p], std::size(w[p]), tracks[p].w);
      std::copy_n(state[p], std::size(state[p]), tracks[p].state);
      tracks[p].peak = peak[p];
      tracks[p].t = tracks[p].t + Real(static_cast<double>(n));
    }
  }

  // The value q of one quantity at iterate t to the reducers and to the stop rules' smallest.
  template <class Real>
  EOSFAST_INLINE void show(Track<M, O, Real>& track, Quantity quantity, const Real& t, const Real& q) const {
    Real& previous = track.previous[static_cast<int>(quantity)];
    Real& low = track.low[static_cast<int>(quantity)];
    Real* gathered = track.gathered.data();
    for (const Reducer& reducer : plan->reducers) {
      if (reducer.quantity == quantity) reducer.add(*gathered, t, q, previous);
      ++gathered;
    }
    previous = q;
    low = min(q, low);
  }

  // n steps under observation: before each, the iterate is shown to the measures that want it.
  template <class Real>
  __attribute__((noinline)) void advance_observed(Track<M, O, Real>& track, typename M::template Point<Real>& point,
                                                  int n, const Wants& wants) const {
    track.peak = Real(0.0);
    for (Real& low : track.low) low = Real(std::numeric_limits<double>::infinity());
    for (int step = 0; step < n; ++step) {
      observe(track, point, wants);
      move(track, point, wants.tangent);
      track.t = track.t + Real(1.0);
    }
    track.peak = max(track.peak, model->reach(track.w, track.model_fields()));
  }

  // The iterate w_t into the reducers and the ring.
  template <class Real>
  EOSFAST_INLINE void observe(Track<M, O, Real>& track, typename M::template Point<Real>& point,
                              const Wants& wants) const {
    track.peak = max(track.peak, model->reach(track.w, track.model_fields()));
    if (wants.quantity[0] || wants.quantity[1] || wants.quantity[2]) {
      Real q[kQuantities];
      quantities(track, point, wants, q);
      for (int i = 0; i < kQuantities; ++i)
        if (wants.quantity[static_cast<std::size_t>(i)]) show(track, static_cast<Quantity>(i), track.t, q[i]);
    }
    if (wants.ring) {
      Real* const row = track.ring.data() + static_cast<std::size_t>(track.head) * M::kMaxDim;
      for (int i = 0; i < model->dim(); ++i) row[i] = track.w[i];
      track.head = (track.head + 1) % kRing;
    }
  }

  template <class Real>
  __attribute__((noinline)) void quantities(const Track<M, O, Real>& track, typename M::template Point<Real>& point,
                                            const Wants& wants, Real* q) const {
    const Real* const f = track.model_fields();
    model->visit(point, track.w, f);
    for (int i = 0; i < kQuantities; ++i) q[i] = Real(std::numeric_limits<double>::quiet_NaN());
    if (wants.quantity[static_cast<int>(Quantity::loss)]) q[0] = model->loss(point, track.w, f);
    if (wants.quantity[static_cast<int>(Quantity::sharpness)]) {
      Real H[M::kMaxDim * M::kMaxDim];
      model->hessian(point, track.w, f, H);
      q[1] = largest_eigenvalue(model->dim(), H);
    }
    if (wants.quantity[static_cast<int>(Quantity::grad_norm)]) {
      Real g[M::kMaxDim];
      model->grad(point, track.w, f, g);
      q[2] = norm(model->dim(), g);
    }
  }

  // The verdict of the stop rules on a single run, exactly at its iterate.
  Status verdict(const Run<M, O>& run, typename M::template Point<double>& point) const {
    Wants wants;
    wants.quantity[static_cast<int>(Quantity::loss)] = true;
    wants.quantity[static_cast<int>(Quantity::grad_norm)] = !std::isnan(plan->stop.grad_norm);
    double q[kQuantities];
    quantities(run, point, wants, q);
    return plan->stop.verdict(q[0], q[2]);
  }

 private:
  // One step of the iterate and, if wanted, of the tangent vector.
  template <class Real>
  EOSFAST_INLINE void move(Track<M, O, Real>& track, typename M::template Point<Real>& point, bool with_tangent) const {
    const int dim = model->dim();
    const Real* const f = track.model_fields();
    if (!with_tangent) {
      take_step(rule, dim, track.w, track.state, track.fields, [&](const Real* at, Real* g) {
        model->visit(point, at, f);
        model->grad(point, at, f, g);
      });
      return;
    }
    Real gradient[M::kMaxDim], H[M::kMaxDim * M::kMaxDim];
    take_step(rule, dim, track.w, track.state, track.fields, [&](const Real* at, Real* g) {
      model->visit(point, at, f);
      model->grad(point, at, f, g);
      model->hessian(point, at, f, H);
      std::copy_n(g, dim, gradient);
    });
    Real u[M::kMaxDim], velocity[Track<M, O, Real>::kStateStorage];
    for (int i = 0; i < dim; ++i) u[i] = track.tangent[static_cast<std::size_t>(i)];
    for (int i = 0; i < O::kStates * M::kMaxDim; ++i)
      velocity[i] = track.tangent[static_cast<std::size_t>(M::kMaxDim + i)];
    move_tangent(rule, dim, u, velocity, track.fields, gradient, [&](const Real* at, Real* h) {
      for (int i = 0; i < dim; ++i) {
        h[i] = H[i * dim] * at[0];
        for (int j = 1; j < dim; ++j) h[i] = fma(H[i * dim + j], at[j], h[i]);
      }
    });
    Real size = norm(dim, u);
    for (int s = 0; s < O::kStates; ++s) size = hypotenuse(size, norm(dim, velocity + s * M::kMaxDim));
    const auto counts = track.t >= Real(plan->tangent_from);
    const Real scale = Real(1.0) / size;
    track.log_growth = track.log_growth + select(counts, log(size), Real(0.0));
    for (int i = 0; i < dim; ++i) {
      Real& old = track.tangent[static_cast<std::size_t>(i)];
      old = select(counts, u[i] * scale, old);
    }
    for (int i = 0; i < O::kStates * M::kMaxDim; ++i) {
      Real& old = track.tangent[static_cast<std::size_t>(M::kMaxDim + i)];
      old = select(counts, velocity[i] * scale, old);
    }
  }

  // A direction drawn from the seed, of length one; zero in the optimizer's own state.
  std::vector<double> random_direction() const {
    std::vector<double> u(static_cast<std::size_t>(M::kMaxDim + O::kStates * M::kMaxDim), 0.0);
    SplitMix64 stream(plan->seed);
    for (int i = 0; i < model->dim(); ++i) u[static_cast<std::size_t>(i)] = stream.symmetric();
    const double size = norm(model->dim(), u.data());
    for (double& component : u) component /= size;
    return u;
  }
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
