// Which runs a sweep has and where their results go: the queue from which threads take runs, the numbers that each
// starts with, and the arrays that it fills.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <vector>

#include "eosfast/dynamics/finish.hpp"
#include "eosfast/grid.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

template <class M, class O>
class Ledger {
 public:
  Ledger(const std::vector<const M*>& models, const SweepGrid& grid, const Plan& plan, const SweepOutput& out)
      : models_(models), grid_(grid), plan_(plan), out_(out), bare_(plan.bare()), parts_(plan.parts()) {}

  const Plan& plan() const { return plan_; }
  const Plan& bare() const { return bare_; }
  const std::vector<Plan>& parts() const { return parts_; }
  std::int64_t num_runs() const { return grid_.num_runs; }
  std::int64_t done() const { return done_.load(std::memory_order_relaxed); }
  const M& first_model() const { return *models_.front(); }

  // The number of the next run; -1 when all are taken.
  std::int64_t take() {
    const std::int64_t number = next_.fetch_add(1, std::memory_order_relaxed);
    return number < grid_.num_runs ? number : -1;
  }

  const M& model_of(std::int64_t number) const {
    if (!grid_.model_index) return first_model();
    return *models_[static_cast<std::size_t>(grid_.get<std::int64_t>(grid_.model_index, number))];
  }

  // The run at its first iterate.
  void start(const Mover<M, O>& mover, std::int64_t number, Run<M, O>& run) const {
    const auto dim = static_cast<std::size_t>(mover.model->dim());
    const auto raw_fields = static_cast<std::size_t>(num_raw_fields(*mover.model));
    const Cell cell = cell_of(number);
    const std::size_t optimizer_fields = grid_.columns.size() - raw_fields - dim;
    std::size_t next = 0;
    const auto column = [&] {
      double value;
      std::memcpy(&value, place(grid_.columns[next++], cell), sizeof value);
      return value;
    };
    for (std::size_t k = 0; k < O::kFields; ++k) run.fields[k] = k < optimizer_fields ? column() : 0.0;
    next = optimizer_fields;
    double raw[M::kRawFields + 1] = {};
    for (std::size_t k = 0; k < raw_fields; ++k) raw[k] = column();
    for (std::size_t k = 0; k < dim; ++k) run.w[k] = column();
    mover.start(run, raw);
  }

  // The last iterate to the measures, and everything to its place.
  void write(const Mover<M, O>& mover, std::int64_t number, Run<M, O>& run, typename M::template Point<double>& point,
             Status status) {
    const Cell cell = cell_of(number);
    const auto put = [&](const GridArray& array, auto value) {
      if (array) std::memcpy(place(array, cell), &value, sizeof value);
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
    mover.gather(run, wants, q, true);
    put(out_.status, static_cast<std::int8_t>(status));
    put(out_.num_steps_done, static_cast<std::int64_t>(run.t));
    put(out_.loss, q[static_cast<int>(Quantity::loss)]);
    put(out_.sharpness, q[static_cast<int>(Quantity::sharpness)]);
    put(out_.grad_norm, q[static_cast<int>(Quantity::grad_norm)]);
    if (out_.weights)
      for (int k = 0; k < mover.model->dim(); ++k)
        std::memcpy(place(out_.weights, cell) + k * out_.weight_stride, &run.w[k], sizeof run.w[k]);
    for (const auto& [name, array] : out_.own)
      put(array, own_quantity(*mover.model, name, point, run.w, run.model_fields()));
    if (out_.period)
      put(out_.period,
          static_cast<std::int64_t>(status == Status::diverged ? 0 : period_of<M, O>(run, mover.model->dim())));
    put(out_.lyapunov, run.log_growth / (run.t - plan_.tangent_from));  // no step in the window: 0 / 0, NaN
    for (std::size_t i = 0; i < out_.reducers.size(); ++i) {
      const Reducer& r = plan_.reducers[i];
      put(out_.reducers[i], r.result(run.gathered[i], run.t, q[static_cast<std::size_t>(r.quantity)]));
    }
    if (status != Status::interrupted) done_.fetch_add(1, std::memory_order_relaxed);
  }

 private:
  // The indices of a run along the axes of the grid: divisions, so once for all its numbers.
  using Cell = std::array<std::ptrdiff_t, 64>;  // NumPy has no more axes

  Cell cell_of(std::int64_t number) const {
    Cell cell;
    for (std::size_t k = grid_.shape.size(); k-- > 0;) {
      cell[k] = number % grid_.shape[k];
      number /= grid_.shape[k];
    }
    return cell;
  }
  char* place(const GridArray& array, const Cell& cell) const {
    char* at = array.data;
    for (std::size_t k = 0; k < grid_.shape.size(); ++k) at += array.strides[k] * cell[k];
    return at;
  }

  const std::vector<const M*>& models_;
  const SweepGrid& grid_;
  const Plan& plan_;
  const SweepOutput& out_;
  const Plan bare_;
  const std::vector<Plan> parts_;
  std::atomic<std::int64_t> next_{0}, done_{0};
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
