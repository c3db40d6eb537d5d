// THE list of small models and of optimizers. Bindings, sweeps, single runs and the tests over "every model" follow
// from it; a new model is its header, its line here, its Python dataclass and its NumPy reference.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "eosfast/concepts.hpp"
#include "eosfast/config.hpp"
#include "eosfast/models/diagonal_quadratic.hpp"
#include "eosfast/models/mean_model.hpp"
#include "eosfast/models/scalar_product.hpp"
#include "eosfast/models/single_neuron.hpp"
#include "eosfast/models/threshold_neuron.hpp"
#include "eosfast/optimizers.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// Families of models: each is compiled in a file of its own, cpp/src/runs_of_<family>.cpp, so that the cores of a
// machine share the work of a build. A new model is appended to one of them.
using NeuronModels = std::variant<SingleNeuron<SquareRootLoss>, SingleNeuron<LogCoshLoss>, SingleNeuron<LogisticLoss>,
                                  SingleNeuron<HuberLoss>, SingleNeuron<PowerLoss>>;
using ProductModels =
    std::variant<ScalarProduct<2>, ScalarProduct<3>, ScalarProduct<4>, ScalarProduct<0>, MeanModel, ThresholdNeuron>;
using QuadraticModels = std::variant<DiagonalQuadratic<2>, DiagonalQuadratic<0>>;
using SmallModel = std::variant<NeuronModels, ProductModels, QuadraticModels>;

using AnyOptimizer = std::variant<GD, HeavyBall, Nesterov>;

namespace detail {
template <class M>
struct AllSmallLandscapes : std::bool_constant<SmallLandscape<M>> {};
template <class... M>
struct AllSmallLandscapes<std::variant<M...>> : std::conjunction<AllSmallLandscapes<M>...> {};
template <class... O>
constexpr bool all_optimizers(const std::variant<O...>*) {
  return (Optimizer<O> && ...);
}
}  // namespace detail
static_assert(detail::AllSmallLandscapes<SmallModel>::value, "a model breaks the contract in concepts.hpp");
static_assert(detail::all_optimizers(static_cast<AnyOptimizer*>(nullptr)),
              "an optimizer breaks the contract in concepts.hpp");

// f(type tag) for every type of a list, families opened.
template <class List>
struct Types {
  template <class F>
  static void each(F&& f) {
    f(std::type_identity<List>{});
  }
};
template <class... T>
struct Types<std::variant<T...>> {
  template <class F>
  static void each(F&& f) {
    (Types<T>::each(f), ...);
  }
};

namespace detail {
template <class M, class... T>
constexpr bool holds(const std::variant<T...>*) {
  return (std::is_same_v<M, T> || ...);
}
}  // namespace detail

// A model as a member of its family.
template <class M>
SmallModel family_of(M model) {
  if constexpr (detail::holds<M>(static_cast<NeuronModels*>(nullptr))) {
    return NeuronModels(std::move(model));
  } else if constexpr (detail::holds<M>(static_cast<QuadraticModels*>(nullptr))) {
    return QuadraticModels(std::move(model));
  } else {
    return ProductModels(std::move(model));
  }
}

// f(model) for the model inside its family.
template <class F>
auto visit_model(const SmallModel& small, F&& f) {
  return std::visit([&](const auto& family) { return std::visit(f, family); }, small);
}

// A model ready to run, with the numbers that a sweep may replace run by run.
struct PreparedModel {
  SmallModel model;
  std::vector<double> raw_fields;  // a number for each of kFieldNames, or the raw_numbers() of the model
};

// The first small model of this name that matches, if there is one.
inline std::optional<PreparedModel> prepare_model(std::string_view name, const Config& config, int num_threads) {
  std::optional<PreparedModel> out;
  Types<SmallModel>::each([&]<class M>(std::type_identity<M>) {
    if (out || M::kName != name || !M::matches(config)) return;
    out.emplace(family_of(M::make(config, num_threads)));
    if constexpr (requires { M::raw_numbers(config); }) {
      out->raw_fields = M::raw_numbers(config);
    } else {
      for (const std::string_view field : M::kFieldNames) out->raw_fields.push_back(config.number(field));
    }
  });
  return out;
}

inline AnyOptimizer optimizer_named(std::string_view name) {
  AnyOptimizer out;
  bool found = false;
  Types<AnyOptimizer>::each([&]<class O>(std::type_identity<O>) {
    if (O::kName != name) return;
    found = true;
    out = O{};
  });
  if (!found) throw std::logic_error("no optimizer \"" + std::string(name) + "\"; this is a bug in eosfast");
  return out;
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
