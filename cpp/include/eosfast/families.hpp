// The engines, compiled family by family: one pair of overloads in each cpp/src/runs_of_<family>.cpp.
#pragma once

#include <memory>
#include <vector>

#include "eosfast/dynamics/recorder.hpp"
#include "eosfast/small.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// A single run at its start; the model and the plan must outlive it.
struct RunnerCall {
  std::string_view optimizer;
  const double *optimizer_fields, *w0;
  const Plan& plan;
};

std::unique_ptr<Runner> runner_family(const NeuronModels& family, const double* raw_model_fields,
                                      const RunnerCall& call);
std::unique_ptr<Runner> runner_family(const ProductModels& family, const double* raw_model_fields,
                                      const RunnerCall& call);
std::int64_t sweep_family(const NeuronModels& family, const std::vector<const PreparedModel*>& models,
                          const SweepCall& call);
std::int64_t sweep_family(const ProductModels& family, const std::vector<const PreparedModel*>& models,
                          const SweepCall& call);

}  // namespace EOSFAST_ISA
}  // namespace eosfast
