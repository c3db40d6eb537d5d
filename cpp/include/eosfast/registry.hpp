// THE list of small models; that of optimizers is rules.hpp. Bindings, sweeps, single runs and the tests over "every
// model" follow from it; a new model is its header, its line here, its Python dataclass and its NumPy reference.
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
#include "eosfast/models/curved_valley.hpp"
#include "eosfast/models/diagonal_quadratic.hpp"
#include "eosfast/models/mean_model.hpp"
#include "eosfast/models/scalar_1d.hpp"
#include "eosfast/models/scalar_product.hpp"
#include "eosfast/models/scale_invariant.hpp"
#include "eosfast/models/self_stabilization.hpp"
#include "eosfast/models/single_neuron.hpp"
#include "eosfast/models/threshold_neuron.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// Families of models: each is compiled in a file of its own, cpp/src/runs_of_<family>.cpp, so that the cores of a
// machine share the work of a build. A new model is appended to one of them. Toys share one engine, which calls them
// (dynamics/indirect.hpp): they cost little to compile, and a step takes a nanosecond more.
using NeuronModels = std::variant<SingleNeuron<SquareRootLoss>, SingleNeuron<LogCoshLoss>, SingleNeuron<LogisticLoss>,
                                  SingleNeuron<HuberLoss>, SingleNeuron<PowerLoss>>;
using ProductModels =
    std::variant<ScalarProduct<2>, ScalarProduct<3>, ScalarProduct<4>, ScalarProduct<0>, MeanModel, ThresholdNeuron>;
using QuadraticModels = std::variant<DiagonalQuadratic<2>>;
using ToyModels = std::variant<Scalar1D<SquareRootLoss>, Scalar1D<LogCoshLoss>, Scalar1D<LogisticLoss>,
                               Scalar1D<HuberLoss>, Scalar1D<PowerLoss>, Scalar1D<QuarticLoss>, SelfStabilization,
                               CurvedValley<false>, CurvedValley<true>, ScaleInvariant, DiagonalQuadratic<0>>;
using SmallModel = std::variant<NeuronModels, ProductModels, QuadraticModels, ToyModels>;

namespace detail {
template <class M>
struct AllSmallLandscapes : std::bool_constant<SmallLandscape<M>> {};
template <class... M>
struct AllSmallLandscapes<std::variant<M...>> : std::conjunction<AllSmallLandscapes<M>...> {};
}  // namespace detail
static_assert(detail::AllSmallLandscapes<SmallModel>::value, "a model breaks the contract in concepts.hpp");

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
  } else if constexpr (detail::holds<M>(static_cast<ProductModels*>(nullptr))) {
    return ProductModels(std::move(model));
  } else {
    return ToyModels(std::move(model));
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

}  // namespace EOSFAST_ISA
}  // namespace eosfast
