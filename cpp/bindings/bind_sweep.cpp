// Many runs: core.sweep.
#include <pybind11/stl.h>

#include "arrays.hpp"
#include "bindings.hpp"
#include "calls.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

Reducer reducer_from(const py::tuple& t) {
  static const std::map<std::string, Reduction> kinds{{"max", Reduction::max},
                                                      {"increases", Reduction::increases},
                                                      {"last_increase", Reduction::last_increase},
                                                      {"first_below", Reduction::first_below},
                                                      {"mean_last", Reduction::mean_last}};
  static const std::map<std::string, Quantity> quantities{
      {"loss", Quantity::loss}, {"sharpness", Quantity::sharpness}, {"grad_norm", Quantity::grad_norm}};
  const auto kind = kinds.find(t[0].cast<std::string>());
  const auto quantity = quantities.find(t[1].cast<std::string>());
  if (kind == kinds.end() || quantity == quantities.end()) bug("unknown reducer");
  return {kind->second, quantity->second, t[2].cast<double>()};
}

SweepOutput sweep_output_from(const py::dict& out, const py::list& own, const std::vector<std::ptrdiff_t>& shape,
                              std::size_t num_reducers) {
  SweepOutput result;
  const auto real = [&](const char* key, GridArray& place, std::size_t extra_axes = 0) {
    if (out.contains(key)) place = grid_array<double>(out[key], shape, key, true, extra_axes);
  };
  result.status = grid_array<std::int8_t>(out["status"], shape, "status", true);
  result.num_steps_done = grid_array<std::int64_t>(out["num_steps_done"], shape, "num_steps_done", true);
  if (out.contains("period")) result.period = grid_array<std::int64_t>(out["period"], shape, "period", true);
  real("loss", result.loss);
  real("sharpness", result.sharpness);
  real("grad_norm", result.grad_norm);
  real("lyapunov", result.lyapunov);
  real("weights", result.weights, 1);
  if (result.weights) result.weight_stride = py::array(out["weights"]).strides(static_cast<py::ssize_t>(shape.size()));
  for (const py::handle& item : own) {
    const auto name = item.cast<std::string>();
    real(name.c_str(), result.own.emplace_back(name, GridArray{}).second);
  }
  for (std::size_t i = 0; i < num_reducers; ++i) {
    const std::string key = "reducer" + std::to_string(i);
    real(key.c_str(), result.reducers.emplace_back());
  }
  return result;
}

// Returns how many runs are finished, and whether Ctrl-C was heard (perhaps when the last run was just done).
py::tuple sweep_grid(const std::vector<py::capsule>& capsules, const py::object& model_index,
                     const std::string& optimizer, const std::vector<std::ptrdiff_t>& shape,
                     const std::vector<py::object>& columns, const py::object& start, const py::object& null_norm,
                     std::int64_t num_steps, const std::vector<py::tuple>& reducers, const py::dict& out,
                     const py::list& own, const py::dict& stop, std::uint64_t seed, int num_threads,
                     const py::object& poll) {
  std::vector<const Model*> models;
  for (const py::capsule& capsule : capsules) models.push_back(&model_in(capsule));
  SweepGrid grid;
  grid.shape = shape;
  grid.num_runs = 1;
  for (const std::ptrdiff_t size : shape) grid.num_runs *= size;
  for (const py::object& column : columns) grid.columns.push_back(grid_array<double>(column, shape, "column", false));
  if (!start.is_none()) {
    grid.start = grid_array<double>(start, shape, "start", false, 1);
    grid.start_stride = py::array(start).strides(static_cast<py::ssize_t>(shape.size()));
    grid.null_norm = grid_array<double>(null_norm, shape, "null_norm", false);
  }
  if (!model_index.is_none()) grid.model_index = grid_array<std::int64_t>(model_index, shape, "model_index", false);
  Plan plan;
  plan.num_steps = num_steps;
  plan.stop = stop_from(stop);
  plan.seed = seed;
  plan.period = out.contains("period");
  plan.lyapunov = out.contains("lyapunov");
  for (const py::tuple& reducer : reducers) plan.reducers.push_back(reducer_from(reducer));
  plan.complete();
  const SweepOutput output = sweep_output_from(out, own, shape, reducers.size());
  Listener listener(poll);
  StopToken token(listener.asker());
  const std::int64_t done = [&] {
    const py::gil_scoped_release release;
    return models.front()->sweep(models, {optimizer, grid, plan, output, num_threads, token});
  }();
  listener.rethrow();
  return py::make_tuple(done, token.requested());
}

}  // namespace

void bind_sweep(py::module_& m) { m.def("sweep", &sweep_grid); }

}  // namespace EOSFAST_ISA
}  // namespace eosfast
