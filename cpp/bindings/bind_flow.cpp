// The gradient flow: core.gradient_flow.
#include "arrays.hpp"
#include "bindings.hpp"
#include "calls.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

// Returns whether Ctrl-C was heard.
bool flow_many(const py::capsule& capsule, const Array& starts, const Array& null_norms, const Array& times,
               const py::dict& options, const py::dict& out, const py::list& own, const py::dict& solve,
               int num_threads, const py::object& poll) {
  const Model& model = model_in(capsule);
  if (starts.ndim() != 2 || starts.shape(1) != model.dim()) bug("starts must have shape (runs, dim)");
  const std::vector<double> at(times.data(), times.data() + times.size());
  const RecordOutput record = record_output(out, own, solve, 2);
  FlowOptions asked;
  asked.rtol = options["rtol"].cast<double>();
  asked.atol = options["atol"].cast<double>();
  asked.max_steps = options["max_steps"].cast<std::int64_t>();
  Listener listener(poll);
  StopToken token(listener.asker());
  const FlowCall call{starts.data(),
                      vector_of(null_norms, starts.shape(0), "null_norms"),
                      starts.shape(0),
                      at,
                      asked,
                      record,
                      reinterpret_cast<FlowStatus*>(output<std::int8_t>(out, "status")),
                      output<std::int64_t>(out, "rows"),
                      output<std::int64_t>(out, "num_steps"),
                      num_threads,
                      token};
  {
    const py::gil_scoped_release release;
    model.flow(call);
  }
  listener.rethrow();
  return token.requested();
}

}  // namespace

void bind_flow(py::module_& m) { m.def("gradient_flow", &flow_many); }

}  // namespace EOSFAST_ISA
}  // namespace eosfast
