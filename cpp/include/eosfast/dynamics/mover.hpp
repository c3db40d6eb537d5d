// The steps of a track: freely, guarded by the stop rules, or under the eyes of the measures. All are the same
// arithmetic, so that a run has the same bits whichever of them moved it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <vector>

#include "eosfast/dynamics/track.hpp"
#include "eosfast/math.hpp"
#include "eosfast/random.hpp"
#include "eosfast/spectrum/small.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

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
    run.moves = 1.0;
    run.head = 0;
    for (double& previous : run.previous) previous = std::numeric_limits<double>::quiet_NaN();
    run.gathered.clear();
    for (const Reducer& r : plan->reducers) run.gathered.push_back(r.initial());
    run.tangent.clear();
    if (plan->lyapunov) run.tangent = random_direction();
    run.ring.assign(plan->period ? static_cast<std::size_t>(kRing) * M::kMaxDim : 0, 0.0);
  }

  // n steps with nothing kept but the largest reach, over the iterates t, ..., t + n. P tracks are interleaved, so that
  // the processor works on one while it waits for another.
  template <int P, class Real>
  __attribute__((noinline)) void advance(Track<M, O, Real>* tracks, typename M::template Point<Real>& point,
                                         int n) const {
    const int dim = model->dim();
    Real w[P][M::kMaxDim], state[P][Track<M, O, Real>::kStateStorage], fields[P][O::kFields + M::kFields], peak[P];
    for (int p = 0; p < P; ++p) {
      std::copy_n(tracks[p].w, std::size(w[p]), w[p]);
      std::copy_n(tracks[p].state, std::size(state[p]), state[p]);
      std::copy_n(tracks[p].fields, std::size(fields[p]), fields[p]);
      peak[p] = Real(0.0);
    }
    for (int step = 0; step < n; ++step) {
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p) {
        const Real* const of_model = fields[p] + O::kFields;
        peak[p] = max(peak[p], model->reach(w[p], of_model));
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

  // n steps at most: before each, a run at which a stop rule may hold stays where it is. WithLoss, the loss of each
  // iterate decides, and is shown to the measures; else its bound.
  template <int P, bool WithLoss, class Real>
  __attribute__((noinline)) void advance_guarded(Track<M, O, Real>* tracks, typename M::template Point<Real>& point,
                                                 int n) const {
    const int dim = model->dim();
    Real w[P][M::kMaxDim], state[P][Track<M, O, Real>::kStateStorage], fields[P][O::kFields + M::kFields], t[P],
        moves[P];
    for (int p = 0; p < P; ++p) {
      std::copy_n(tracks[p].w, std::size(w[p]), w[p]);
      std::copy_n(tracks[p].state, std::size(state[p]), state[p]);
      std::copy_n(tracks[p].fields, std::size(fields[p]), fields[p]);
      t[p] = tracks[p].t;
      moves[p] = tracks[p].moves;
    }
    for (int step = 0; step < n; ++step) {
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p) {
        const Real* const of_model = fields[p] + O::kFields;
        if constexpr (WithLoss) {
          model->visit(point, w[p], of_model);
          const Real loss = model->loss(point, w[p], of_model);
          moves[p] = where_calm(moves[p], loss);
          show(tracks[p], Quantity::loss, t[p], loss, moves[p] > Real(0.0));
        } else {
          moves[p] = select(surely_calm(model->reach(w[p], of_model), w[p], of_model), moves[p], Real(0.0));
        }
        step_where(moves[p] > Real(0.0), w[p], state[p], fields[p], point);
        t[p] = t[p] + moves[p];
      }
      if constexpr (kWidth<Real> == 1)
        if (!(moves[0] > 0.0)) break;
    }
    for (int p = 0; p < P; ++p) {
      std::copy_n(w[p], dim, tracks[p].w);
      std::copy_n(state[p], std::size(state[p]), tracks[p].state);
      tracks[p].t = t[p];
      tracks[p].moves = moves[p];
    }
  }

  // `moves`, but 0 where a rule on the loss holds. One comparison at a time: their conjunction is dearer (AVX-512).
  template <class Real>
  EOSFAST_INLINE Real where_calm(const Real& moves, const Real& loss) const {
    const Real below = select(loss + Real(0.0) * loss <= Real(plan->stop.diverged), moves, Real(0.0));
    return select(loss < Real(plan->stop.loss), Real(0.0), below);
  }

  // Whether the loss is finite and not above Stop.diverged for certain, and w finite, at w or at all iterates up to it
  // whose largest reach is given.
  template <class Real>
  EOSFAST_INLINE auto surely_calm(const Real& reach, const Real* w, const Real* of_model) const {
    const Real bound = model->loss_bound(reach, of_model);
    Real finite = Real(0.0) * bound;  // NaN if anything is not
    for (int i = 0; i < model->dim(); ++i) finite = fma(Real(0.0), w[i], finite);
    return bound + finite <= Real(plan->stop.diverged);
  }

  // The value q of one quantity at iterate t to the reducers of the runs that go `on`.
  template <class Real, class Where>
  EOSFAST_INLINE void show(Track<M, O, Real>& track, Quantity quantity, const Real& t, const Real& q,
                           const Where& on) const {
    Real& previous = track.previous[static_cast<int>(quantity)];
    Real* gathered = track.gathered.data();
    for (const Reducer& reducer : plan->reducers) {
      if (reducer.quantity == quantity) {
        Real next = *gathered;
        reducer.add(next, t, q, previous);
        *gathered = select(on, next, *gathered);
      }
      ++gathered;
    }
    previous = select(on, q, previous);
  }

  // n steps under observation: before each, the iterate is shown to the measures that want it. Guarded, a run at which
  // a stop rule may hold stays where it is, and has not been shown there.
  template <bool Guarded, class Real>
  __attribute__((noinline)) void advance_observed(Track<M, O, Real>& track, typename M::template Point<Real>& point,
                                                  int n, const Wants& wants) const {
    for (int step = 0; step < n; ++step) {
      Real q[kQuantities];
      if (wants.quantity[0] || wants.quantity[1] || wants.quantity[2]) quantities(track, point, wants, q);
      if constexpr (Guarded) {
        const Real* const f = track.model_fields();
        if (wants.quantity[static_cast<int>(Quantity::loss)]) {
          track.moves = where_calm(track.moves, q[0]);
        } else {
          track.moves = select(surely_calm(model->reach(track.w, f), track.w, f), track.moves, Real(0.0));
        }
        if (wants.quantity[static_cast<int>(Quantity::grad_norm)])
          track.moves = select(q[2] < Real(plan->stop.grad_norm), Real(0.0), track.moves);
        gather(track, wants, q, track.moves > Real(0.0));
        move(track, point, wants.tangent, track.moves > Real(0.0));
        track.t = track.t + track.moves;
      } else {
        gather(track, wants, q, true);
        move(track, point, wants.tangent, true);
        track.t = track.t + Real(1.0);
      }
    }
  }

  // The iterate w_t, where wanted quantities are q, into the reducers of the runs that go `on`, and into the ring.
  template <class Real, class Where>
  EOSFAST_INLINE void gather(Track<M, O, Real>& track, const Wants& wants, const Real* q, const Where& on) const {
    for (int i = 0; i < kQuantities; ++i)
      if (wants.quantity[static_cast<std::size_t>(i)]) show(track, static_cast<Quantity>(i), track.t, q[i], on);
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
  // A step of the runs that go `on`.
  template <class Real, class Where>
  EOSFAST_INLINE void step_where(const Where& on, Real* w, Real* state, const Real* fields,
                                 typename M::template Point<Real>& point) const {
    const int dim = model->dim();
    const Real* const f = fields + O::kFields;
    Real next[M::kMaxDim], next_state[Track<M, O, Real>::kStateStorage];
    std::copy_n(w, dim, next);
    for (int i = 0; i < O::kStates * dim; ++i) next_state[i] = state[i];
    take_step(rule, dim, next, next_state, fields, [&](const Real* at, Real* g) {
      model->visit(point, at, f);
      model->grad(point, at, f, g);
    });
    for (int i = 0; i < dim; ++i) w[i] = select(on, next[i], w[i]);
    for (int i = 0; i < O::kStates * dim; ++i) state[i] = select(on, next_state[i], state[i]);
  }

  // One step of the iterate and, if wanted, of the tangent vector, of the runs that go `on`.
  template <class Real, class Where>
  EOSFAST_INLINE void move(Track<M, O, Real>& track, typename M::template Point<Real>& point, bool with_tangent,
                           const Where& on) const {
    if (!with_tangent) return step_where(on, track.w, track.state, track.fields, point);
    const int dim = model->dim();
    const Real* const f = track.model_fields();
    Real next[M::kMaxDim], next_state[Track<M, O, Real>::kStateStorage];
    std::copy_n(track.w, dim, next);
    for (int i = 0; i < O::kStates * dim; ++i) next_state[i] = track.state[i];
    Real gradient[M::kMaxDim], H[M::kMaxDim * M::kMaxDim];
    take_step(rule, dim, next, next_state, track.fields, [&](const Real* at, Real* g) {
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
    for (int i = 0; i < dim; ++i) track.w[i] = select(on, next[i], track.w[i]);
    for (int i = 0; i < O::kStates * dim; ++i) track.state[i] = select(on, next_state[i], track.state[i]);
    const auto counts = (track.t >= Real(plan->tangent_from)) & on;
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
