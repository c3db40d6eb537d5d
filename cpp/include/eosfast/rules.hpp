// THE list of optimizers: what Python calls them, and the rule that each one is.
#pragma once

#include <algorithm>
#include <array>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "eosfast/concepts.hpp"
#include "eosfast/model.hpp"
#include "eosfast/optimizers.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// Update rules, each compiled into the engines.
using AnyRule = std::variant<GD, Momentum, ModifiedGD>;

template <class... O>
constexpr bool all_rules(const std::variant<O...>*) {
  return (UpdateRule<O> && ...);
}
static_assert(all_rules(static_cast<AnyRule*>(nullptr)), "a rule breaks the contract in concepts.hpp");

// The optimizers of Python: name, fields, and the rule for runs in which is_zero(i) says of field i whether it is 0
// for all of them.
struct NamedOptimizer {
  using IsZero = std::function<bool(std::size_t)>;
  std::string_view name;
  std::vector<std::string_view> fields;
  AnyRule (*rule)(const IsZero& is_zero);
};

inline const std::vector<NamedOptimizer>& optimizers() {
  using IsZero = NamedOptimizer::IsZero;
  static const std::vector<NamedOptimizer> all{
      {"GD",
       {"lr", "weight_decay"},
       [](const IsZero& is_zero) { return is_zero(1) ? AnyRule(GD{}) : AnyRule(ModifiedGD(false)); }},
      {"NormalizedGD", {"lr"}, [](const IsZero&) { return AnyRule(ModifiedGD(true)); }},
      {"HeavyBall", {"lr", "momentum"}, [](const IsZero&) { return AnyRule(Momentum(false)); }},
      {"Nesterov", {"lr", "momentum"}, [](const IsZero&) { return AnyRule(Momentum(true)); }},
  };
  return all;
}

inline AnyRule rule_named(std::string_view name, const NamedOptimizer::IsZero& is_zero) {
  for (const NamedOptimizer& optimizer : optimizers())
    if (optimizer.name == name) return optimizer.rule(is_zero);
  throw std::logic_error("no optimizer \"" + std::string(name) + "\"; this is a bug in eosfast");
}

// The numbers of a rule, from those of an optimizer.
template <class O>
std::array<double, O::kFields> rule_fields(std::span<const double> given) {
  std::array<double, O::kFields> fields{};
  std::copy_n(given.begin(), std::min(given.size(), fields.size()), fields.begin());
  return fields;
}

inline AnyRule rule_of(const TrainCall& call) {
  return rule_named(call.optimizer, [&](std::size_t i) { return call.optimizer_fields[i] == 0.0; });
}
inline AnyRule rule_of(const SweepCall& call) {
  return rule_named(call.optimizer, [&](std::size_t i) { return call.grid.is_zero(call.grid.columns[i]); });
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
