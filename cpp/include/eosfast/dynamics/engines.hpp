// Model and optimizer are visited here, once per call; inside, everything is static.
#pragma once

#include "eosfast/dynamics/ensemble.hpp"
#include "eosfast/dynamics/single.hpp"
#include "eosfast/families.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

template <class Family>
std::unique_ptr<Runner> runner_any(const Family& family, const double* raw_model_fields, const RunnerCall& call) {
  return std::visit(
      [&]<class M, class O>(const M& model, const O&) -> std::unique_ptr<Runner> {
        return std::make_unique<SingleRun<M, O>>(model, call.plan, call.optimizer_fields, raw_model_fields, call.w0);
      },
      family, optimizer_named(call.optimizer));
}

template <class Family>
std::int64_t sweep_any(const Family& family, const std::vector<const PreparedModel*>& models, const SweepCall& call) {
  return std::visit(
      [&]<class M, class O>(const M&, const O&) {
        std::vector<const M*> same;
        for (const PreparedModel* prepared : models) same.push_back(&std::get<M>(std::get<Family>(prepared->model)));
        return Ensemble<M, O>(same, call.grid, call.plan, call.out, call.token).run(call.num_threads);
      },
      family, optimizer_named(call.optimizer));
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
