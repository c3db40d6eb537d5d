// Model and rule are visited here, once per call; inside, everything is static.
#pragma once

#include <type_traits>

#include "eosfast/dynamics/ensemble.hpp"
#include "eosfast/dynamics/single.hpp"
#include "eosfast/families.hpp"
#include "eosfast/rules.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

template <class M, class O>
std::shared_ptr<Runner> runner_one(const M& model, const O& rule, const double* raw_model_fields,
                                   const TrainCall& call) {
  return std::make_shared<SingleRun<M, O>>(model, call.plan, rule, rule_fields<O>(call.optimizer_fields),
                                           raw_model_fields, call.w0);
}

template <class M, class O>
std::int64_t sweep_many(const std::vector<const M*>& models, const O& rule, const SweepCall& call) {
  return Ensemble<M, O>(models, rule, call.grid, call.plan, call.out, call.token).run(call.num_threads);
}

// Which engines are compiled for the model itself; the others call it (indirect.hpp). For processors without AVX2,
// which are few and slow, momentum is not worth the time that its engines take to compile either.
#if defined(__SSE4_1__) && !defined(__AVX2__)
inline constexpr bool kMomentumIsDirect = false;
#else
inline constexpr bool kMomentumIsDirect = true;
#endif
template <class M, class O>
inline constexpr bool kIsDirect =
    std::is_same_v<O, GD> || !fits_indirect<M> || (std::is_same_v<O, Momentum> && kMomentumIsDirect);

template <class Family>
std::shared_ptr<Runner> runner_any(const Family& family, const double* raw_model_fields, const TrainCall& call) {
  return std::visit(
      [&]<class M, class O>(const M& model, const O& rule) -> std::shared_ptr<Runner> {
        if constexpr (kIsDirect<M, O>) {
          return runner_one(model, rule, raw_model_fields, call);
        } else {
          return runner_indirect(Indirect(model), raw_model_fields, call);
        }
      },
      family, rule_of(call));
}

template <class Family>
std::int64_t sweep_any(const Family& family, const std::vector<const PreparedModel*>& prepared, const SweepCall& call) {
  return std::visit(
      [&]<class M, class O>(const M&, const O& rule) {
        const auto model = [](const PreparedModel* one) -> const M& {
          return std::get<M>(std::get<Family>(one->model));
        };
        if constexpr (kIsDirect<M, O>) {
          std::vector<const M*> models;
          for (const PreparedModel* one : prepared) models.push_back(&model(one));
          return sweep_many(models, rule, call);
        } else {
          std::vector<Indirect> models;
          for (const PreparedModel* one : prepared) models.emplace_back(model(one));
          return sweep_indirect(models, call);
        }
      },
      family, rule_of(call));
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
