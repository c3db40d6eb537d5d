// The engines, compiled family by family: one pair of overloads in each cpp/src/runs_of_<family>.cpp.
#pragma once

#include <memory>
#include <vector>

#include "eosfast/dynamics/indirect.hpp"
#include "eosfast/dynamics/recorder.hpp"
#include "eosfast/small.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// A single run at its start; the model and the plan must outlive it.
std::shared_ptr<Runner> runner_family(const NeuronModels& family, const double* raw_fields, const TrainCall& call);
std::shared_ptr<Runner> runner_family(const ProductModels& family, const double* raw_fields, const TrainCall& call);
std::shared_ptr<Runner> runner_family(const QuadraticModels& family, const double* raw_fields, const TrainCall& call);
std::shared_ptr<Runner> runner_family(const ToyModels& family, const double* raw_fields, const TrainCall& call);
std::int64_t sweep_family(const NeuronModels& family, const std::vector<const PreparedModel*>& models,
                          const SweepCall& call);
std::int64_t sweep_family(const ProductModels& family, const std::vector<const PreparedModel*>& models,
                          const SweepCall& call);
std::int64_t sweep_family(const QuadraticModels& family, const std::vector<const PreparedModel*>& models,
                          const SweepCall& call);
std::int64_t sweep_family(const ToyModels& family, const std::vector<const PreparedModel*>& models,
                          const SweepCall& call);

// The engines of every model that has none of its own; in cpp/src/runs_of_toys.cpp.
std::shared_ptr<Runner> runner_indirect(const Indirect& model, const double* raw_fields, const TrainCall& call);
std::int64_t sweep_indirect(const std::vector<Indirect>& models, const SweepCall& call);

}  // namespace EOSFAST_ISA
}  // namespace eosfast
