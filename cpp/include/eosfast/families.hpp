// The engines, compiled family by family: one pair of overloads in each cpp/src/runs_of_<family>.cpp.
#pragma once

#include <vector>

#include "eosfast/dynamics/indirect.hpp"
#include "eosfast/small.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

SingleOutcome train_family(const NeuronModels& family, const double* raw_model_fields, const TrainCall& call);
SingleOutcome train_family(const ProductModels& family, const double* raw_model_fields, const TrainCall& call);
SingleOutcome train_family(const ToyModels& family, const double* raw_model_fields, const TrainCall& call);
std::int64_t sweep_family(const NeuronModels& family, const std::vector<const PreparedModel*>& models,
                          const SweepCall& call);
std::int64_t sweep_family(const ProductModels& family, const std::vector<const PreparedModel*>& models,
                          const SweepCall& call);
std::int64_t sweep_family(const ToyModels& family, const std::vector<const PreparedModel*>& models,
                          const SweepCall& call);

// The engines of every model that has none of its own; in cpp/src/runs_of_toys.cpp.
SingleOutcome train_indirect(const Indirect& model, const double* raw_model_fields, const TrainCall& call);
std::int64_t sweep_indirect(const std::vector<Indirect>& models, const SweepCall& call);

}  // namespace EOSFAST_ISA
}  // namespace eosfast
