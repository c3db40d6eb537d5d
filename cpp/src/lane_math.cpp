// The table of lane functions.
#include "eosfast/lane_math.hpp"

#include <array>
#include <stdexcept>
#include <utility>

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

#define EOSFAST_ENTRY(f)                                                  \
  Entry {                                                                 \
    #f, [](std::span<const double> x, std::span<double> out, bool lanes) { \
      over([](const auto& a) { return f(a); }, x, out, lanes);            \
    }                                                                     \
  }
constexpr Entry kTable[] = {
    EOSFAST_ENTRY(exp),        EOSFAST_ENTRY(expm1),       EOSFAST_ENTRY(log),         EOSFAST_ENTRY(log1p),
    EOSFAST_ENTRY(tanh),       EOSFAST_ENTRY(sech2),       EOSFAST_ENTRY(sigmoid),     EOSFAST_ENTRY(sigmoid_slope),
    EOSFAST_ENTRY(softplus),   EOSFAST_ENTRY(logcosh),     EOSFAST_ENTRY(erf),         EOSFAST_ENTRY(erfc),
    EOSFAST_ENTRY(normal_pdf), EOSFAST_ENTRY(normal_cdf),  EOSFAST_ENTRY(normal_relu), EOSFAST_ENTRY(root_slope),
};
#undef EOSFAST_ENTRY

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
