// Single runs and sweeps of the toys, and of all models that have no engine of their own for a rule.
#include "eosfast/dynamics/engines.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

SingleOutcome train_indirect(const Indirect& model, const double* raw_model_fields, const TrainCall& call) {
  return std::visit([&](const auto& rule) { return train_one(model, rule, raw_model_fields, call); }, rule_of(call));
}

std::int64_t sweep_indirect(const std::vector<Indirect>& models, const SweepCall& call) {
  std::vector<const Indirect*> pointers;
  for (const Indirect& model : models) pointers.push_back(&model);
  return std::visit([&](const auto& rule) { return sweep_many(pointers, rule, call); }, rule_of(call));
}

SingleOutcome train_family(const ToyModels& family, const double* raw_model_fields, const TrainCall& call) {
  return std::visit([&](const auto& model) { return train_indirect(Indirect(model), raw_model_fields, call); }, family);
}

std::int64_t sweep_family(const ToyModels&, const std::vector<const PreparedModel*>& prepared, const SweepCall& call) {
  std::vector<Indirect> models;
  for (const PreparedModel* one : prepared)
    std::visit([&](const auto& model) { models.emplace_back(model); }, std::get<ToyModels>(one->model));
  return sweep_indirect(models, call);
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
