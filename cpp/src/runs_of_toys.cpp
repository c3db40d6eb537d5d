// Single runs and sweeps of the toys, and of all models that have no engine of their own for a rule.
#include "eosfast/dynamics/engines.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

// A run and the model that it calls.
template <class O>
struct IndirectRun {
  IndirectRun(const Indirect& called, const O& rule, const double* raw_fields, const TrainCall& call)
      : model(called), run(model, call.plan, rule, rule_fields<O>(call.optimizer_fields), raw_fields, call.w0) {}
  const Indirect model;
  SingleRun<Indirect, O> run;
};

}  // namespace

std::shared_ptr<Runner> runner_indirect(const Indirect& model, const double* raw_fields, const TrainCall& call) {
  return std::visit(
      [&]<class O>(const O& rule) {
        const auto both = std::make_shared<IndirectRun<O>>(model, rule, raw_fields, call);
        return std::shared_ptr<Runner>(both, &both->run);
      },
      rule_of(call));
}

std::int64_t sweep_indirect(const std::vector<Indirect>& models, const SweepCall& call) {
  std::vector<const Indirect*> pointers;
  for (const Indirect& model : models) pointers.push_back(&model);
  return std::visit([&](const auto& rule) { return sweep_many(pointers, rule, call); }, rule_of(call));
}

std::shared_ptr<Runner> runner_family(const ToyModels& family, const double* raw_fields, const TrainCall& call) {
  return std::visit([&](const auto& model) { return runner_indirect(Indirect(model), raw_fields, call); }, family);
}

std::int64_t sweep_family(const ToyModels&, const std::vector<const PreparedModel*>& prepared, const SweepCall& call) {
  std::vector<Indirect> models;
  for (const PreparedModel* one : prepared)
    std::visit([&](const auto& model) { models.emplace_back(model); }, std::get<ToyModels>(one->model));
  return sweep_indirect(models, call);
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
