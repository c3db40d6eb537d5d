// One run: core.train.
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

py::dict train_one(const py::capsule& capsule, const std::string& optimizer, const Array& optimizer_fields,
                   const Array& w0, double null_norm, std::int64_t num_steps, const py::object& steps,
                   const py::dict& out, const py::list& own, const py::dict& stop, const py::dict& solve,
                   double time_per_step, int num_threads, const py::object& poll) {
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
  const SingleOutcome outcome = [&] {
    const py::gil_scoped_release release;
    return model.train(
        {optimizer, fields, start, null_norm, num_threads, plan, schedule, record, token, time_per_step});
  }();
  listener.rethrow();
  py::dict result;
  result["status"] = static_cast<int>(outcome.status);
  result["num_steps_done"] = outcome.num_steps_done;
  result["rows"] = outcome.rows;
  result["steady_from"] = outcome.steady_from;
  result["steady_period"] = outcome.steady_period;
  return result;
}

}  // namespace

void bind_train(py::module_& m) { m.def("train", &train_one); }

}  // namespace EOSFAST_ISA
}  // namespace eosfast
