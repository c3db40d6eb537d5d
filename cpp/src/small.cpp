// Loss, gradient, Hessian and accuracy of a small model at one point, and the way of a run to the file of its family.
#include <algorithm>
#include <cmath>
#include <limits>

#include "eosfast/families.hpp"
#include "eosfast/small.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

// f(model, point, fields) with the forward pass at w done.
template <class F>
auto visit_at(const PreparedModel& prepared, const double* w, F&& f) {
  return visit_model(prepared.model, [&]<class M>(const M& model) {
    double fields[M::kFields + 1] = {};
    M::derive(prepared.raw_fields.data(), fields);
    auto point = model.template point<double>();
    model.visit(point, w, fields);
    return f(model, point, static_cast<const double*>(fields));
  });
}

}  // namespace

int dim(const PreparedModel& prepared) {
  return visit_model(prepared.model, [](const auto& model) { return model.dim(); });
}

double loss(const PreparedModel& prepared, const double* w) {
  return visit_at(prepared, w,
                  [&](const auto& model, const auto& point, const double* f) { return model.loss(point, w, f); });
}

void grad(const PreparedModel& prepared, const double* w, double* out) {
  visit_at(prepared, w, [&](const auto& model, const auto& point, const double* f) { model.grad(point, w, f, out); });
}

std::vector<double> hessian(const PreparedModel& prepared, const double* w) {
  return visit_at(prepared, w, [&](const auto& model, const auto& point, const double* f) {
    std::vector<double> H(static_cast<std::size_t>(model.dim()) * static_cast<std::size_t>(model.dim()));
    model.hessian(point, w, f, H.data());
    if (std::any_of(w, w + model.dim(),
                    [](double x) { return std::isnan(x); }))  // a constant Hessian too: NaN in, NaN out
      std::fill(H.begin(), H.end(), std::numeric_limits<double>::quiet_NaN());
    return H;
  });
}

double accuracy(const PreparedModel& prepared, const double* w, ArrayView X, const double* y, int num_threads) {
  return visit_at(prepared, w, [&]<class M, class P>(const M& model, const P& point, const double*) {
    if constexpr (requires { model.accuracy(point, w); }) {
      if (X.data) return M::accuracy(w, X.data, y, X.rows, X.columns, num_threads);
      return model.accuracy(point, w);
    } else {
      return std::numeric_limits<double>::quiet_NaN();
    }
  });
}

SingleOutcome train(const PreparedModel& prepared, const TrainCall& call) {
  return std::visit([&](const auto& family) { return train_family(family, prepared.raw_fields.data(), call); },
                    prepared.model);
}

std::int64_t sweep(const std::vector<const PreparedModel*>& models, const SweepCall& call) {
  return std::visit([&](const auto& family) { return sweep_family(family, models, call); }, models.front()->model);
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
