// One run of a small model, with records along the way: the verb `train`. The arithmetic is that of a lane of a sweep.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <unordered_map>
#include <vector>

#include "eosfast/dynamics/finish.hpp"
#include "eosfast/record.hpp"
#include "eosfast/stop_token.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

template <class M, class O>
class SingleRun {
 public:
  SingleRun(const M& model, const Plan& plan, const Schedule& schedule, const RecordOutput& out, StopToken& token)
      : mover_{&model, &plan}, schedule_(schedule), out_(out), token_(token), point_(model.template point<double>()) {}

  SingleOutcome go(const double* optimizer_fields, const double* raw_model_fields, const double* w0) {
    for (int i = 0; i < dim(); ++i) run_.w[i] = w0[i];
    for (int i = 0; i < O::kFields; ++i) run_.fields[i] = optimizer_fields[i];
    mover_.start(run_, raw_model_fields);
    anchor_ = older_anchor_ = run_;
    Status status = mover_.verdict(run_, point_);
    if (status == Status::pending && num_steps() == 0) status = Status::completed;
    next_record_ = schedule_.at_or_after(0, num_steps());
    while (status == Status::pending) {
      if (next_record_ == now()) {
        record();
        next_record_ = schedule_.at_or_after(now() + 1, num_steps());
      }
      status = token_.poll(now()) ? Status::interrupted : slice();
    }
    record();
    outcome_.status = status;
    outcome_.num_steps_done = now();
    outcome_.rows = row_;
    return outcome_;
  }

 private:
  int dim() const { return mover_.model->dim(); }
  std::int64_t now() const { return static_cast<std::int64_t>(run_.t); }
  std::int64_t num_steps() const { return mover_.plan->num_steps; }

  // On to the next record, anchor or end, whichever comes first.
  Status slice() {
    const Stop& stop = mover_.plan->stop;
    std::int64_t n =
        std::min({std::max(next_record_ - now(), std::int64_t{1}), kAnchor - now() % kAnchor, num_steps() - now()});
    if constexpr (!M::kSideBySide) n = std::min(n, mover_.model->patience());
    Status status = Status::pending;
    if (stop.looks_at_each_step()) {
      status = advance_watched(mover_, run_, point_, n);
    } else {
      const Run<M, O> before = run_;
      mover_.template advance<1>(&run_, point_, static_cast<int>(n));
      bool calm = mover_.model->loss_bound(run_.peak, run_.model_fields()) <= stop.diverged;
      for (int i = 0; i < dim(); ++i) calm = calm && std::isfinite(run_.w[i]);
      if (!calm) {
        run_ = before;
        status = advance_watched(mover_, run_, point_, n);
      }
    }
    if (status != Status::pending) return status;
    if (now() == num_steps()) return Status::completed;
    if (stop.steady && now() % kAnchor == 0) {
      if (same_iterate<M, O>(dim(), run_, anchor_)) return fill_in();
      older_anchor_ = anchor_;
      anchor_ = run_;
    }
    return Status::pending;
  }

  // The run repeats with a period that divides kAnchor: every later iterate is one of the cycle's.
  Status fill_in() {
    const int period = cycle_length(mover_, run_, point_);
    outcome_.steady_period = period;
    outcome_.steady_from = first_on_cycle(period);
    const Run<M, O> entry = run_;
    const auto place_of = [&](std::int64_t step) { return (step - static_cast<std::int64_t>(entry.t)) % period; };
    const auto stand_on = [&](std::int64_t step) {
      run_ = entry;
      mover_.template advance<1>(&run_, point_, static_cast<int>(place_of(step)));
      run_.t = static_cast<double>(step);
    };
    std::unordered_map<std::int64_t, std::int64_t> rows;  // (place on the cycle, solved or not) -> a row that holds it
    while (next_record_ < num_steps()) {
      if (token_.poll(next_record_)) return Status::interrupted;
      const auto [known, is_new] = rows.try_emplace(2 * place_of(next_record_) + solves_at(next_record_), row_);
      if (is_new) {
        stand_on(next_record_);
        record();
      } else {
        copy_row(known->second, next_record_);
      }
      next_record_ = schedule_.at_or_after(next_record_ + 1, num_steps());
    }
    stand_on(num_steps());
    return Status::steady;
  }

  // The first step from which the run repeats: behind the anchor before the last, so walk from there.
  std::int64_t first_on_cycle(int period) {
    Run<M, O> behind = older_anchor_, ahead = older_anchor_;
    if (period > 0) mover_.template advance<1>(&ahead, point_, period);
    typename M::template Point<double> other = mover_.model->template point<double>();
    while (!same_iterate<M, O>(dim(), behind, ahead)) {
      mover_.template advance<1>(&behind, other, 1);
      mover_.template advance<1>(&ahead, point_, 1);
    }
    return static_cast<std::int64_t>(behind.t);
  }

  bool solves_at(std::int64_t step) const { return out_.sharpness_every == 0 || step % out_.sharpness_every == 0; }

  // The iterate into the next row, once.
  void record() {
    if (row_ > 0 && out_.step[row_ - 1] == now()) return;
    const double* const f = run_.model_fields();
    mover_.model->visit(point_, run_.w, f);
    out_.step[row_] = now();
    if (out_.loss) out_.loss[row_] = mover_.model->loss(point_, run_.w, f);
    if (out_.grad_norm) {
      double g[M::kMaxDim];
      mover_.model->grad(point_, run_.w, f, g);
      out_.grad_norm[row_] = Mover<M, O>::norm(dim(), g);
    }
    if (out_.weight_norm) out_.weight_norm[row_] = Mover<M, O>::norm(dim(), run_.w);
    if (out_.weights) std::copy(run_.w, run_.w + dim(), out_.weights + row_ * dim());
    if constexpr (requires { mover_.model->accuracy(point_, run_.w); }) {
      if (out_.accuracy) out_.accuracy[row_] = mover_.model->accuracy(point_, run_.w);
    }
    if (out_.wants_eigenvalues()) record_eigenvalues();
    ++row_;
  }

  void record_eigenvalues() {
    const bool solves = solves_at(now());
    Eigenpairs pairs;
    if (solves) {
      std::vector<double> H(static_cast<std::size_t>(dim()) * static_cast<std::size_t>(dim()));
      mover_.model->hessian(point_, run_.w, run_.model_fields(), H.data());
      pairs = eigenpairs(dim(), H, out_.k);
    } else {
      constexpr double nan = std::numeric_limits<double>::quiet_NaN();
      pairs.values.assign(static_cast<std::size_t>(out_.k), nan);
      pairs.residuals.assign(1, nan);
    }
    if (out_.hessian_eigs) std::copy(pairs.values.begin(), pairs.values.end(), out_.hessian_eigs + row_ * out_.k);
    if (!out_.sharpness) return;
    out_.sharpness[row_] = pairs.values[0];
    out_.sharpness_residual[row_] = pairs.residuals[0];
    out_.sharpness_converged[row_] = solves && std::isfinite(pairs.residuals[0]);
    out_.sharpness_matvecs[row_] = 0;  // dense: no product is spent
  }

  void copy_row(std::int64_t from, std::int64_t step) {
    const auto copy = [&](auto* column, std::ptrdiff_t width = 1) {
      if (column) std::copy(column + from * width, column + (from + 1) * width, column + row_ * width);
    };
    out_.step[row_] = step;
    for (double* column :
         {out_.loss, out_.grad_norm, out_.weight_norm, out_.accuracy, out_.sharpness, out_.sharpness_residual})
      copy(column);
    copy(out_.weights, dim());
    copy(out_.hessian_eigs, out_.k);
    copy(out_.sharpness_converged);
    copy(out_.sharpness_matvecs);
    ++row_;
  }

  Mover<M, O> mover_;
  const Schedule& schedule_;
  const RecordOutput& out_;
  StopToken& token_;
  typename M::template Point<double> point_;
  Run<M, O> run_{}, anchor_{}, older_anchor_{};
  std::int64_t next_record_ = 0, row_ = 0;
  SingleOutcome outcome_;
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
