// One run: core.train.
#include <pybind11/stl.h>

#include <optional>
#include <span>
#include <string_view>
#include <tuple>

#include "arrays.hpp"
#include "bindings.hpp"
#include "calls.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

Schedule schedule_from(const py::object& steps) {
  Schedule schedule;
  if (py::isinstance<py::int_>(steps)) {
    schedule.every = steps.cast<std::int64_t>();
  } else {
    const auto listed = steps.cast<py::array_t<std::int64_t, py::array::c_style | py::array::forcecast>>();
    schedule.listed = true;
    schedule.steps.assign(listed.data(), listed.data() + listed.size());
  }
  return schedule;
}

py::dict outcome_dict(const SingleOutcome& outcome) {
  py::dict out;
  out["status"] = static_cast<int>(outcome.status);
  out["num_steps_done"] = outcome.num_steps_done;
  out["rows"] = outcome.rows;
  out["steady_from"] = outcome.steady_from;
  out["steady_period"] = outcome.steady_period;
  return out;
}

// The checkpoint of Python: (store, seconds until it is called first, state to go on from, rows that there are). What
// it raises ends the run, a Ctrl-C that hits it quietly.
std::optional<Keeper> keeper_from(const py::object& checkpoint, Listener& listener) {
  if (checkpoint.is_none()) return std::nullopt;
  const auto [store, seconds, earlier, rows] =
      checkpoint.cast<std::tuple<py::object, double, py::bytes, std::int64_t>>();
  const std::string_view state = earlier;  // the tuple holds it until the run has ended
  return Keeper(
      [&listener, store = store](const Bytes bytes, const SingleOutcome& so_far) {
        double wait = -1.0;
        listener.call([&] {
          const py::bytes copy(reinterpret_cast<const char*>(bytes.data()), bytes.size());
          wait = store(copy, outcome_dict(so_far)).cast<double>();
        });
        return wait;
      },
      seconds, std::as_bytes(std::span(state.data(), state.size())), rows);
}

py::dict train_one(const py::capsule& capsule, const std::string& optimizer, const Array& optimizer_fields,
                   const Array& w0, double null_norm, std::int64_t num_steps, const py::object& steps,
                   const py::dict& out, const py::list& own, const py::dict& stop, const py::dict& solve,
                   double time_per_step, int num_threads, const py::object& poll, const py::object& checkpoint) {
  const Model& model = model_in(capsule);
  Plan plan;
  plan.num_steps = num_steps;
  plan.stop = stop_from(stop);
  plan.complete();
  const Schedule schedule = schedule_from(steps);
  const RecordOutput record = record_output(out, own, solve);
  const std::span fields(optimizer_fields.data(), static_cast<std::size_t>(optimizer_fields.size()));
  const double* const start = vector_of(w0, model.dim(), "w0");
  Listener listener(poll);
  StopToken token(listener.asker());
  std::optional<Keeper> keeper = keeper_from(checkpoint, listener);
  const SingleOutcome outcome = [&] {
    const py::gil_scoped_release release;
    return model.train({optimizer, fields, start, null_norm, num_threads, plan, schedule, record, token, time_per_step,
                        keeper ? &*keeper : nullptr});
  }();
  listener.rethrow();
  return outcome_dict(outcome);
}

}  // namespace

void bind_train(py::module_& m) { m.def("train", &train_one); }

}  // namespace EOSFAST_ISA
}  // namespace eosfast
