// Loss, gradient, Hessian and accuracy of a small model at one point, and the way of a run to the file of its family.
#include <algorithm>
#include <cmath>
#include <limits>

#include "eosfast/families.hpp"
#include "eosfast/lacking.hpp"
#include "eosfast/small.hpp"
#include "eosfast/spectrum/small.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

// f(model, point, fields) with the forward pass at w done.
template <class F>
auto visit_at(const PreparedModel& prepared, const double* w, F&& f) {
  return visit_model(prepared.model, [&]<class M>(const M& model) {
    double fields[M::kFields + 1] = {};
    model.derive(prepared.raw_fields.data(), fields);
    auto point = model.template point<double>();
    model.visit(point, w, fields);
    return f(model, point, static_cast<const double*>(fields));
  });
}

}  // namespace

std::ptrdiff_t SmallModelDoor::dim() const {
  return visit_model(prepared_.model, [](const auto& model) { return std::ptrdiff_t{model.dim()}; });
}

double SmallModelDoor::loss(const double* w) const {
  return visit_at(prepared_, w,
                  [&](const auto& model, const auto& point, const double* f) { return model.loss(point, w, f); });
}

void SmallModelDoor::grad(const double* w, double* out) const {
  visit_at(prepared_, w, [&](const auto& model, const auto& point, const double* f) { model.grad(point, w, f, out); });
}

std::vector<double> SmallModelDoor::hessian(const double* w) const {
  return visit_at(prepared_, w, [&](const auto& model, const auto& point, const double* f) {
    std::vector<double> H(static_cast<std::size_t>(model.dim()) * static_cast<std::size_t>(model.dim()));
    model.hessian(point, w, f, H.data());
    if (std::any_of(w, w + model.dim(),
                    [](double x) { return std::isnan(x); }))  // a constant Hessian too: NaN in, NaN out
      std::fill(H.begin(), H.end(), std::numeric_limits<double>::quiet_NaN());
    return H;
  });
}

void SmallModelDoor::hvp(const double* w, const double* V, int k, double* out) const {
  const std::vector<double> H = hessian(w);
  const std::ptrdiff_t size = dim();
  for (std::ptrdiff_t c = 0; c < k; ++c)
    for (std::ptrdiff_t i = 0; i < size; ++i) {
      double total = 0.0;
      for (std::ptrdiff_t j = 0; j < size; ++j)
        total = fma(H[static_cast<std::size_t>(i * size + j)], V[c * size + j], total);
      out[c * size + i] = total;
    }
}

SpectrumResult SmallModelDoor::sharpness(const double* w, const LanczosOptions& options,
                                         const std::function<bool()>&) const {
  const auto size = static_cast<std::size_t>(dim()), k = static_cast<std::size_t>(options.k);
  const Eigenpairs pairs = eigenpairs(static_cast<int>(size), hessian(w), options.k);
  SpectrumResult result;
  result.values = pairs.values;
  result.residuals = pairs.residuals;
  result.vectors.resize(k * size);
  double largest = 0.0;
  for (std::size_t c = 0; c < k; ++c) {
    largest = std::max(largest, std::abs(pairs.values[c]));
    for (std::size_t i = 0; i < size; ++i) result.vectors[c * size + i] = pairs.vectors[i * k + c];
  }
  for (std::size_t c = 0; c < k; ++c) result.converged.push_back(pairs.residuals[c] <= options.tol * largest);
  return result;
}

double SmallModelDoor::accuracy(const double* w, ArrayView X, const double* y, int num_threads) const {
  return visit_at(prepared_, w, [&]<class M, class P>(const M& model, const P& point, const double*) {
    if constexpr (requires { model.accuracy(point, w); }) {
      if (X.data) return M::accuracy(w, X.data, y, X.rows, X.columns, num_threads);
      return model.accuracy(point, w);
    } else {
      return std::numeric_limits<double>::quiet_NaN();
    }
  });
}

// Of a model with one output (DiagonalQuadratic): f(model, point, fields) with the forward pass at w done.
template <class F>
void at_output(const PreparedModel& prepared, const double* w, F&& f) {
  visit_at(prepared, w, [&]<class M, class P>(const M& model, const P& point, const double* fields) {
    if constexpr (requires { model.output(point); }) {
      f(model, point, fields);
    } else {
      lacking("outputs");
    }
  });
}

std::ptrdiff_t SmallModelDoor::num_outputs() const {
  return visit_model(prepared_.model, []<class M>(const M&) -> std::ptrdiff_t {
    if constexpr (requires(const M& m, typename M::template Point<double> p) { m.output(p); }) return 1;
    lacking("outputs");
  });
}

void SmallModelDoor::residual(const double* w, double* out) const {
  at_output(prepared_, w, [&](const auto& model, const auto& point, const double*) { *out = model.output(point); });
}

void SmallModelDoor::jvp(const double* w, const double* V, int k, double* out) const {
  at_output(prepared_, w, [&](const auto& model, const auto& point, const double*) {
    const std::ptrdiff_t size = model.dim();
    for (std::ptrdiff_t c = 0; c < k; ++c) {
      out[c] = 0.0;
      for (std::ptrdiff_t i = 0; i < size; ++i) out[c] = fma(model.output_slopes(point)[i], V[c * size + i], out[c]);
    }
  });
}

void SmallModelDoor::vjp(const double* w, const double* U, int k, double* out) const {
  at_output(prepared_, w, [&](const auto& model, const auto& point, const double*) {
    const std::ptrdiff_t size = model.dim();
    for (std::ptrdiff_t c = 0; c < k; ++c)
      for (std::ptrdiff_t i = 0; i < size; ++i) out[c * size + i] = U[c] * model.output_slopes(point)[i];
  });
}

void SmallModelDoor::curvature(const double* w, const double* u, const double* V, int k, double* out) const {
  at_output(prepared_, w, [&](const auto& model, const auto&, const double* fields) {
    const std::ptrdiff_t size = model.dim();
    for (std::ptrdiff_t c = 0; c < k; ++c) {
      model.multiply_output_hessian(fields, V + c * size, out + c * size);
      for (std::ptrdiff_t i = 0; i < size; ++i) out[c * size + i] *= u[0];
    }
  });
}

SingleOutcome SmallModelDoor::train(const TrainCall& call) const {
  const auto run = std::visit(
      [&](const auto& family) { return runner_family(family, prepared_.raw_fields.data(), call); }, prepared_.model);
  Companion companion{call.out.distance_to_flow ? flow_from(call.w0) : nullptr, call.time_per_step};
  return record_run(*run, call.plan.num_steps, call.plan.stop.steady, call.schedule, call.out, call.token, companion,
                    call.keeper);
}

std::int64_t SmallModelDoor::sweep(const std::vector<const Model*>& models, const SweepCall& call) const {
  std::vector<const PreparedModel*> prepared;
  for (const Model* model : models) prepared.push_back(&dynamic_cast<const SmallModelDoor&>(*model).prepared());
  return std::visit([&](const auto& family) { return sweep_family(family, prepared, call); }, prepared_.model);
}

std::unique_ptr<Model> make_small_model(std::string_view name, const Config& config, int num_threads) {
  std::optional<PreparedModel> prepared = prepare_model(name, config, num_threads);
  return prepared ? std::make_unique<SmallModelDoor>(std::move(*prepared)) : nullptr;
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
