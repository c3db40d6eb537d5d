// The loop of a recorded run.
#include "eosfast/dynamics/recorder.hpp"

#include <algorithm>
#include <limits>
#include <unordered_map>
#include <utility>

#include "eosfast/norm.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

class Recording {
 public:
  Recording(Runner& run, std::int64_t num_steps, bool steady, const Schedule& schedule, const RecordOutput& out,
            StopToken& token, Companion& companion)
      : run_(run),
        num_steps_(num_steps),
        steady_(steady),
        schedule_(schedule),
        out_(out),
        token_(token),
        companion_(companion) {}

  SingleOutcome go() {
    if (steady_ && num_steps_ >= kAnchor) anchor_ = older_anchor_ = run_.snapshot();
    Status status = run_.look();
    if (status == Status::pending && num_steps_ == 0) status = Status::completed;
    next_record_ = schedule_.at_or_after(0, num_steps_);
    while (status == Status::pending) {
      if (next_record_ == now()) {
        record();
        next_record_ = schedule_.at_or_after(now() + 1, num_steps_);
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
  std::int64_t now() const { return run_.now(); }

  // On to the next record, anchor or end, whichever comes first.
  Status slice() {
    const Status status = run_.advance(std::min({std::max(next_record_ - now(), std::int64_t{1}),
                                                 kAnchor - now() % kAnchor, num_steps_ - now(), run_.patience()}));
    if (status != Status::pending) return status;
    if (now() == num_steps_) return Status::completed;
    if (steady_ && now() % kAnchor == 0) {
      if (run_.is_at(anchor_)) return fill_in();
      older_anchor_ = std::move(anchor_);
      anchor_ = run_.snapshot();
    }
    return Status::pending;
  }

  // The run repeats with a period that divides kAnchor: every later iterate is one of the cycle's.
  Status fill_in() {
    const Snapshot entry = run_.snapshot();
    const std::int64_t period = cycle_length(entry);
    outcome_.steady_period = period;
    outcome_.steady_from = first_on_cycle(period);
    run_.stand_on(entry);
    const auto place_of = [&](std::int64_t step) { return (step - entry.step) % period; };
    const auto stand_on = [&](std::int64_t step) {
      Snapshot place = entry;
      place.step = step - place_of(step);
      run_.stand_on(place);
      if (step > place.step) run_.advance(step - place.step);
    };
    std::unordered_map<std::int64_t, std::int64_t> rows;  // (place on the cycle, solved or not) -> a row that holds it
    while (next_record_ < num_steps_) {
      if (token_.poll(next_record_)) return Status::interrupted;
      const auto [known, is_new] = rows.try_emplace(2 * place_of(next_record_) + out_.solves_at(next_record_), row_);
      if (is_new) {
        stand_on(next_record_);
        record();
      } else {
        copy_row(known->second, next_record_);
        if (out_.distance_to_flow) {
          stand_on(next_record_);
          write_distance(row_ - 1);
        }
      }
      next_record_ = schedule_.at_or_after(next_record_ + 1, num_steps_);
    }
    stand_on(num_steps_);
    return Status::steady;
  }

  std::int64_t cycle_length(const Snapshot& entry) {
    do run_.advance(1);
    while (!run_.is_at(entry) && now() - entry.step < kAnchor);
    return now() - entry.step;
  }

  // The first step from which the run repeats: behind the anchor before the last, so walk from there.
  std::int64_t first_on_cycle(std::int64_t period) {
    Snapshot behind = older_anchor_;
    run_.stand_on(behind);
    run_.advance(period);
    while (!run_.is_at(behind)) {
      run_.advance(1);
      const Snapshot ahead = run_.snapshot();
      run_.stand_on(behind);
      run_.advance(1);
      behind = run_.snapshot();
      run_.stand_on(ahead);
    }
    return behind.step;
  }

  // The iterate into the next row, once.
  void record() {
    if (row_ > 0 && out_.step[row_ - 1] == now()) return;
    out_.step[row_] = now();
    run_.write(out_, row_, out_.solves_at(now()));
    if (out_.distance_to_flow) write_distance(row_);
    ++row_;
  }

  // ||w - flow at the matched time||; NaN once the flow has given up.
  void write_distance(std::int64_t row) {
    Flow& flow = *companion_.flow;
    const double time = companion_.time_per_step * static_cast<double>(now());
    double distance = std::numeric_limits<double>::quiet_NaN();
    if (flow.advance(time, token_) == FlowStatus::pending) {
      std::vector<double> w(static_cast<std::size_t>(run_.dim()));
      run_.copy_w(w.data());
      for (std::size_t i = 0; i < w.size(); ++i) w[i] -= flow.w()[i];
      distance = norm_of(w, run_.unseen_move());
    }
    out_.distance_to_flow[row] = distance;
  }

  void copy_row(std::int64_t from, std::int64_t step) {
    const auto copy = [&](auto* column, std::ptrdiff_t width = 1) {
      if (column) std::copy(column + from * width, column + (from + 1) * width, column + row_ * width);
    };
    out_.step[row_] = step;
    for (double* column : {out_.loss, out_.grad_norm, out_.weight_norm, out_.relative_progress,
                           out_.directional_smoothness, out_.sharpness, out_.sharpness_residual})
      copy(column);
    for (const OwnQuantity& own : out_.own) copy(own.data, own.width);
    copy(out_.weights, run_.dim());
    copy(out_.hessian_eigs, out_.k);
    copy(out_.sharpness_converged);
    copy(out_.sharpness_matvecs);
    ++row_;
  }

  Runner& run_;
  const std::int64_t num_steps_;
  const bool steady_;
  const Schedule& schedule_;
  const RecordOutput& out_;
  StopToken& token_;
  Companion& companion_;
  Snapshot anchor_, older_anchor_;
  std::int64_t next_record_ = 0, row_ = 0;
  SingleOutcome outcome_;
};

}  // namespace

SingleOutcome record_run(Runner& run, std::int64_t num_steps, bool steady, const Schedule& schedule,
                         const RecordOutput& out, StopToken& token, Companion& companion) {
  return Recording(run, num_steps, steady, schedule, out, token, companion).go();
}

void write_eigenvalues(const RecordOutput& out, std::int64_t row, const double* values, double residual, bool converged,
                       std::int64_t matvecs) {
  if (out.hessian_eigs) std::copy_n(values, out.k, out.hessian_eigs + row * out.k);
  if (!out.sharpness) return;
  out.sharpness[row] = values[0];
  out.sharpness_residual[row] = residual;
  out.sharpness_converged[row] = converged;
  out.sharpness_matvecs[row] = matvecs;
}

void write_no_eigenvalues(const RecordOutput& out, std::int64_t row) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  write_eigenvalues(out, row, std::vector<double>(static_cast<std::size_t>(out.k), nan).data(), nan, false, 0);
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
