// The table of lane functions.
#include "eosfast/lane_math.hpp"

#include <array>
#include <stdexcept>
#include <type_traits>

#include "eosfast/math.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

template <class F>
void over(F f, std::span<const double> x, std::span<double> out, bool lanes) {
  std::size_t i = 0;
  if (lanes) {
    for (; i + kLanes <= x.size(); i += kLanes) f(Lanes::load(x.data() + i)).store(out.data() + i);
    if (i < x.size()) {
      std::array<double, kLanes> rest{};
      std::copy(x.begin() + static_cast<std::ptrdiff_t>(i), x.end(), rest.begin());
      f(Lanes::load(rest.data())).store(rest.data());
      std::copy(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(x.size() - i),
                out.begin() + static_cast<std::ptrdiff_t>(i));
    }
  } else {
    for (; i < x.size(); ++i) out[i] = f(x[i]);
  }
}

struct Entry {
  const char* name;
  void (*apply)(std::span<const double>, std::span<double>, bool);
};

#define EOSFAST_ENTRY(name, expression)                                      \
  Entry {                                                                    \
    name, [](std::span<const double> x, std::span<double> out, bool lanes) { \
      over(                                                                  \
          [](const auto& a) {                                                \
            using Real = std::decay_t<decltype(a)>;                          \
            return Real(expression);                                         \
          },                                                                 \
          x, out, lanes);                                                    \
    }                                                                        \
  }
#define EOSFAST_FUNCTION(f) EOSFAST_ENTRY(#f, f(a))
#define EOSFAST_POWER(beta) EOSFAST_ENTRY("pow_abs(" #beta ")", pow_abs(a, Real(beta)))
constexpr Entry kTable[] = {
    EOSFAST_FUNCTION(exp),
    EOSFAST_FUNCTION(expm1),
    EOSFAST_FUNCTION(log),
    EOSFAST_FUNCTION(log1p),
    EOSFAST_FUNCTION(tanh),
    EOSFAST_FUNCTION(sech2),
    EOSFAST_FUNCTION(sigmoid),
    EOSFAST_FUNCTION(sigmoid_slope),
    EOSFAST_FUNCTION(softplus),
    EOSFAST_FUNCTION(logcosh),
    EOSFAST_FUNCTION(erf),
    EOSFAST_FUNCTION(erfc),
    EOSFAST_FUNCTION(normal_pdf),
    EOSFAST_FUNCTION(normal_cdf),
    EOSFAST_FUNCTION(normal_relu),
    EOSFAST_FUNCTION(root_slope),
    EOSFAST_POWER(1.25),
    EOSFAST_POWER(2.0),
    EOSFAST_POWER(3.7),
    EOSFAST_POWER(40.0),
};
#undef EOSFAST_ENTRY
#undef EOSFAST_FUNCTION
#undef EOSFAST_POWER

}  // namespace

std::vector<std::string> math_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kTable) names.emplace_back(entry.name);
  return names;
}

void lane_math(const std::string& name, std::span<const double> x, std::span<double> out, bool lanes) {
  for (const Entry& entry : kTable) {
    if (name != entry.name) continue;
    entry.apply(x, out, lanes);
    return;
  }
  throw std::logic_error("no lane function \"" + name + "\"; this is a bug in eosfast");
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
