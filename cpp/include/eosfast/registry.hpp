// THE list of small models and of optimizers. Bindings, sweeps, single runs and the tests over "every model" follow from
// it; a new model is its header, its line here, its Python dataclass and its NumPy reference.
#pragma once

#include <algorithm>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>
#include <vector>

#include "eosfast/concepts.hpp"
#include "eosfast/config.hpp"
#include "eosfast/models/mean_model.hpp"
#include "eosfast/models/scalar_product.hpp"
#include "eosfast/models/single_neuron.hpp"
#include "eosfast/models/threshold_neuron.hpp"
#include "eosfast/optimizers.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// The first type whose matches(config) holds makes the model.
using SmallModel =
    std::variant<SingleNeuron<SquareRootLoss>, SingleNeuron<LogCoshLoss>, SingleNeuron<LogisticLoss>, SingleNeuron<HuberLoss>,
                 SingleNeuron<PowerLoss>, ScalarProduct<2>, ScalarProduct<3>, ScalarProduct<4>, ScalarProduct<0>, MeanModel,
                 ThresholdNeuron>;

using AnyOptimizer = std::variant<GD, HeavyBall, Nesterov>;

namespace detail {
template <class... M>
constexpr bool all_small_landscapes(const std::variant<M...>*) {
  return (SmallLandscape<M> && ...);
}
template <class... O>
constexpr bool all_optimizers(const std::variant<O...>*) {
  return (Optimizer<O> && ...);
}
}  // namespace detail
static_assert(detail::all_small_landscapes(static_cast<SmallModel*>(nullptr)), "a model breaks the contract in concepts.hpp");
static_assert(detail::all_optimizers(static_cast<AnyOptimizer*>(nullptr)), "an optimizer breaks the contract in concepts.hpp");

// f(type tag) for every type of the list.
template <class F, class... T>
void for_each_type(std::variant<T...>*, F&& f) {
  (f(std::type_identity<T>{}), ...);
}

// A model ready to run, with the numbers that a sweep may replace run by run.
struct PreparedModel {
  SmallModel model;
  std::vector<double> raw_fields;  // in the order of kFieldNames
};

inline PreparedModel prepare_model(std::string_view name, const Config& config, int num_threads) {
  PreparedModel out;
  bool found = false;
  for_each_type(static_cast<SmallModel*>(nullptr), [&]<class M>(std::type_identity<M>) {
    if (found || M::kName != name || !M::matches(config)) return;
    found = true;
    if constexpr (requires { M::make(config, num_threads); }) {
      out.model = M::make(config, num_threads);
    } else {
      out.model = M{};
    }
    for (const std::string_view field : M::kFieldNames) out.raw_fields.push_back(config.number(field));
  });
  if (!found)
    throw std::logic_error("no model \"" + std::string(name) + "\" fits this configuration; this is a bug in eosfast");
  return out;
}

inline AnyOptimizer optimizer_named(std::string_view name) {
  AnyOptimizer out;
  bool found = false;
  for_each_type(static_cast<AnyOptimizer*>(nullptr), [&]<class O>(std::type_identity<O>) {
    if (O::kName != name) return;
    found = true;
    out = O{};
  });
  if (!found) throw std::logic_error("no optimizer \"" + std::string(name) + "\"; this is a bug in eosfast");
  return out;
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
