// The doors of the small models: everything the bindings (or a C++ program) may ask, without templates.
#pragma once

#include <string_view>
#include <vector>

#include "eosfast/grid.hpp"
#include "eosfast/measures.hpp"
#include "eosfast/record.hpp"
#include "eosfast/registry.hpp"
#include "eosfast/spectrum/small.hpp"
#include "eosfast/stop_token.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

int dim(const PreparedModel& model);
double loss(const PreparedModel& model, const double* w);
void grad(const PreparedModel& model, const double* w, double* out);
std::vector<double> hessian(const PreparedModel& model, const double* w);  // (dim, dim)
// NaN for a model that classifies nothing. X (rows, columns) and y may be null: the training data.
double accuracy(const PreparedModel& model, const double* w, ArrayView X, const double* y, int num_threads);

struct TrainCall {
  std::string_view optimizer;
  const double *optimizer_fields, *w0;
  const Plan& plan;
  const Schedule& schedule;
  const RecordOutput& out;
  StopToken& token;
};
SingleOutcome train(const PreparedModel& model, const TrainCall& call);

struct SweepCall {
  std::string_view optimizer;
  const SweepGrid& grid;
  const Plan& plan;
  const SweepOutput& out;
  int num_threads;
  StopToken& token;
};
// All models are of one type. Returns how many runs are finished.
std::int64_t sweep(const std::vector<const PreparedModel*>& models, const SweepCall& call);

}  // namespace EOSFAST_ISA
}  // namespace eosfast
