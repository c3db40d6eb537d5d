// The loop of a recorded run.
#include "eosfast/dynamics/recorder.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <unordered_map>
#include <utility>

#include "eosfast/norm.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

constexpr std::uint32_t kForm = 1;  // of what is saved

class Recording {
 public:
  Recording(Runner& run, std::int64_t num_steps, bool steady, const Schedule& schedule, const RecordOutput& out,
            StopToken& token, Companion& companion, Keeper* keeper)
      : run_(run),
        num_steps_(num_steps),
        steady_(steady && num_steps >= kAnchor),
        schedule_(schedule),
        out_(out),
        token_(token),
        companion_(companion),
        keeper_(keeper) {}

  SingleOutcome go() {
    Status status = keeper_ && !keeper_->earlier().empty() ? go_on() : begin();
    while (status == Status::pending && !cycle_) {
      if (next_record_ == now()) {
        record_next();
        next_record_ = schedule_.at_or_after(now() + 1, num_steps_);
      }
      status = interrupted(now()) ? Status::interrupted : slice();
    }
    if (status == Status::pending) status = fill_in();
    record();
    outcome_.status = status;
    outcome_.num_steps_done = now();
    outcome_.rows = row_;
    if (keeper_ && !token_.requested()) keeper_->keep({}, outcome_);
    return outcome_;
  }

 private:
  // A cycle on which the run stays: the iterate at which it was noticed, and by (place on the cycle, solved or not) a
  // row that holds it.
  struct Cycle {
    Snapshot entry;
    std::unordered_map<std::int64_t, std::int64_t> rows;
  };

  std::int64_t now() const { return run_.now(); }

  Status begin() {
    if (steady_) anchor_ = older_anchor_ = run_.snapshot();
    next_record_ = schedule_.at_or_after(0, num_steps_);
    const Status status = run_.look();
    return status == Status::pending && num_steps_ == 0 ? Status::completed : status;
  }

  // On to the next record, anchor or end, whichever comes first.
  Status slice() {
    const Status status = run_.advance(std::min({std::max(next_record_ - now(), std::int64_t{1}),
                                                 kAnchor - now() % kAnchor, num_steps_ - now(), run_.patience()}));
    if (status != Status::pending) return status;
    if (now() == num_steps_) return Status::completed;
    if (steady_ && now() % kAnchor == 0) {
      if (run_.is_at(anchor_)) {
        notice_cycle();
      } else {
        older_anchor_ = std::move(anchor_);
        anchor_ = run_.snapshot();
      }
    }
    return Status::pending;
  }

  // The record that is due. If it is interrupted half-way, the checkpoint is renewed as if it had not begun.
  void record_next() {
    const bool may_change = keeper_ && out_.solves_at(now());
    if (may_change) {
      before_.clear();
      run_.save(before_);
    }
    record();
    if (!keeper_ || !token_.requested()) return;
    --row_;
    keep(now(), may_change ? before_ : followed());
    ++row_;
  }

  // Whether to stop, asked between two records or slices. The checkpoint is renewed when it is time, and at a stop; at
  // one that came in the middle of a record it has been, or, in a cycle, stays the last.
  bool interrupted(std::int64_t done) {
    if (token_.requested()) return true;
    const bool stop = token_.poll(done);
    if (keeper_ && (stop || keeper_->is_due(token_.time()))) keep(done, followed());
    return token_.requested();
  }

  // The run repeats with a period that divides kAnchor.
  void notice_cycle() {
    cycle_.emplace();
    cycle_->entry = run_.snapshot();
    const std::int64_t period = cycle_length(cycle_->entry);
    outcome_.steady_period = period;
    outcome_.steady_from = first_on_cycle(period);
    run_.stand_on(cycle_->entry);
  }

  // Every later iterate is one of the cycle's.
  Status fill_in() {
    while (next_record_ < num_steps_) {
      if (interrupted(next_record_)) {
        if (row_ > 0 && out_.step[row_ - 1] > cycle_->entry.step) stand_on_cycle(out_.step[row_ - 1]);
        return Status::interrupted;
      }
      const std::int64_t key = 2 * place_of(next_record_) + out_.solves_at(next_record_);
      const auto [known, is_new] = cycle_->rows.try_emplace(key, row_);
      if (is_new) {
        stand_on_cycle(next_record_);
        record();
      } else {
        copy_row(known->second, next_record_);
        if (out_.distance_to_flow) {
          stand_on_cycle(next_record_);
          write_distance(row_ - 1);
        }
      }
      next_record_ = schedule_.at_or_after(next_record_ + 1, num_steps_);
    }
    stand_on_cycle(num_steps_);
    return Status::steady;
  }

  std::int64_t place_of(std::int64_t step) const { return (step - cycle_->entry.step) % outcome_.steady_period; }

  void stand_on_cycle(std::int64_t step) {
    Snapshot place = cycle_->entry;
    place.step = step - place_of(step);
    run_.stand_on(place);
    if (step > place.step) run_.advance(step - place.step);
  }

  std::int64_t cycle_length(const Snapshot& entry) {
    do run_.advance(1);
    while (!run_.is_at(entry) && now() - entry.step < kAnchor);
    StateReader::demand(run_.is_at(entry));  // an anchor of its own run would have been right
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
      StateReader::demand(behind.step < cycle_->entry.step);  // likewise
    }
    return behind.step;
  }

  StateWriter followed() const {
    StateWriter out;
    run_.save(out);
    return out;
  }

  // All that the rest of the run depends on, but for the rows that there are. followed: what the run itself saves.
  void keep(std::int64_t done, const StateWriter& followed) {
    StateWriter out;
    out.number(kForm);
    save(run_.snapshot(), out);
    if (steady_) {
      save(anchor_, out);
      save(older_anchor_, out);
    }
    out.number(cycle_.has_value());
    if (cycle_) {
      save(cycle_->entry, out);
      out.number(outcome_.steady_period);
      out.number(outcome_.steady_from);
      out.number<std::uint64_t>(cycle_->rows.size());
      for (const auto& [key, row] : cycle_->rows) {
        out.number(key);
        out.number(row);
      }
    }
    out.append(followed);
    if (companion_.flow) companion_.flow->save(out);
    SingleOutcome so_far;
    so_far.status = Status::pending;
    so_far.num_steps_done = done;
    so_far.rows = row_;
    if (!keeper_->keep(out.bytes(), so_far)) token_.request();
  }

  // On from what keep() saved.
  Status go_on() {
    StateReader in(keeper_->earlier());
    StateReader::demand(in.number<std::uint32_t>() == kForm);
    const Snapshot place = load_snapshot(in);
    next_record_ = schedule_.at_or_after(0, num_steps_);
    for (; row_ < keeper_->earlier_rows(); ++row_) {
      StateReader::demand(next_record_ < num_steps_ && out_.step[row_] == next_record_);
      next_record_ = schedule_.at_or_after(next_record_ + 1, num_steps_);
    }
    if (steady_) {
      anchor_ = load_snapshot(in);
      older_anchor_ = load_snapshot(in);
      StateReader::demand(anchor_.step % kAnchor == 0 && older_anchor_.step <= anchor_.step &&
                          anchor_.step <= place.step);
    }
    if (in.flag()) load_cycle(in);
    StateReader::demand(place.step < num_steps_ && (cycle_ || place.step <= next_record_));
    run_.load(in, out_);
    if (companion_.flow) companion_.flow->load(in);
    in.finish();
    run_.stand_on(place);
    return Status::pending;
  }

  void load_cycle(StateReader& in) {
    cycle_.emplace();
    cycle_->entry = load_snapshot(in);
    outcome_.steady_period = in.number<std::int64_t>();
    outcome_.steady_from = in.number<std::int64_t>();
    const std::int64_t period = outcome_.steady_period, from = outcome_.steady_from;
    StateReader::demand(0 < period && period <= kAnchor && 0 <= from && from <= cycle_->entry.step &&
                        cycle_->entry.step <= next_record_);
    for (auto left = in.number<std::uint64_t>(); left > 0; --left) {
      const auto key = in.number<std::int64_t>(), row = in.number<std::int64_t>();
      StateReader::demand(0 <= key && key < 2 * period && 0 <= row && row < row_);
      cycle_->rows.emplace(key, row);
    }
  }

  static void save(const Snapshot& place, StateWriter& out) {
    out.number(place.step);
    out.vector(place.bits);
  }
  Snapshot load_snapshot(StateReader& in) const {
    Snapshot place = run_.snapshot();
    place.step = in.number<std::int64_t>();
    in.vector(place.bits, place.bits.size());
    StateReader::demand(place.step >= 0 && place.step <= num_steps_);
    return place;
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
  Keeper* const keeper_;
  StateWriter before_;  // what the run itself saves, as it was before the last record
  Snapshot anchor_, older_anchor_;
  std::optional<Cycle> cycle_;
  std::int64_t next_record_ = 0, row_ = 0;
  SingleOutcome outcome_;
};

}  // namespace

SingleOutcome record_run(Runner& run, std::int64_t num_steps, bool steady, const Schedule& schedule,
                         const RecordOutput& out, StopToken& token, Companion& companion, Keeper* keeper) {
  return Recording(run, num_steps, steady, schedule, out, token, companion, keeper).go();
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
