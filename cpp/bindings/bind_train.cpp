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

RecordOutput output_from(const py::dict& out, const py::list& own, const py::dict& solve) {
  RecordOutput record;
  record.step = output<std::int64_t>(out, "step");
  record.loss = output<double>(out, "loss");
  record.grad_norm = output<double>(out, "grad_norm");
  record.weight_norm = output<double>(out, "weight_norm");
  record.relative_progress = output<double>(out, "relative_progress");
  record.directional_smoothness = output<double>(out, "directional_smoothness");
  record.weights = output<double>(out, "weights");
  record.hessian_eigs = output<double>(out, "hessian_eigs");
  if (record.hessian_eigs) record.k = static_cast<int>(py::array(out["hessian_eigs"]).shape(1));
  record.sharpness = output<double>(out, "sharpness");
  record.sharpness_residual = output<double>(out, "sharpness_residual");
  record.sharpness_converged = output<bool>(out, "sharpness_converged");
  record.sharpness_matvecs = output<std::int64_t>(out, "sharpness_matvecs");
  for (const py::handle& item : own) {
    const auto name = item.cast<std::string>();
    const py::array array(out[name.c_str()]);
    record.own.push_back({name, array.ndim() > 1 ? array.shape(1) : 1, output<double>(out, name.c_str())});
  }
  record.sharpness_every = solve["every"].cast<std::int64_t>();
  record.tol = solve["tol"].cast<double>();
  record.seed = solve["seed"].cast<std::uint64_t>();
  return record;
}

py::dict train_one(const py::capsule& capsule, const std::string& optimizer, const Array& optimizer_fields,
                   const Array& w0, double null_norm, std::int64_t num_steps, const py::object& steps,
                   const py::dict& out, const py::list& own, const py::dict& stop, const py::dict& solve,
                   int num_threads, const py::object& poll) {
  const Model& model = model_in(capsule);
  Plan plan;
  plan.num_steps = num_steps;
  plan.stop = stop_from(stop);
  plan.complete();
  const Schedule schedule = schedule_from(steps);
  const RecordOutput record = output_from(out, own, solve);
  const std::span fields(optimizer_fields.data(), static_cast<std::size_t>(optimizer_fields.size()));
  const double* const start = vector_of(w0, model.dim(), "w0");
  Listener listener(poll);
  StopToken token(listener.asker());
  const SingleOutcome outcome = [&] {
    const py::gil_scoped_release release;
    return model.train({optimizer, fields, start, null_norm, num_threads, plan, schedule, record, token});
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
