// Activations over arrays: blocks of lanes, one loop for each base and number of derivatives.
#include "eosfast/activations.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <type_traits>

#include "eosfast/math_activation.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

constexpr std::size_t kBlock = 256;  // numbers at a time; five such arrays fit a first-level cache
using Block = std::array<double, kBlock>;

// The base and its first `kDerivatives` derivatives over whole lanes.
template <int kDerivatives, class F>
void over(F jet, const double* u, std::size_t count, double* value, double* first, double* second) {
  for (std::size_t i = 0; i < count; i += kLanes) {
    const Jet<Lanes> y = jet(Lanes::load(u + i));
    y.value.store(value + i);
    if constexpr (kDerivatives >= 1) y.first.store(first + i);
    if constexpr (kDerivatives >= 2) y.second.store(second + i);
  }
}

template <int kDerivatives>
void bases(const Activation& a, const double* u, std::size_t count, double* value, double* first, double* second) {
  const auto apply = [&](auto jet) { over<kDerivatives>(jet, u, count, value, first, second); };
  switch (a.kind) {
#define EOSFAST_BASE(name)   \
  case ActivationKind::name: \
    return apply([](const Lanes& x) __attribute__((always_inline)) { return name##_jet(x); });
    EOSFAST_BASE(identity)
    EOSFAST_BASE(relu)
    EOSFAST_BASE(tanh)
    EOSFAST_BASE(sigmoid)
    EOSFAST_BASE(softplus)
    EOSFAST_BASE(silu)
    EOSFAST_BASE(gelu)
    EOSFAST_BASE(erf)
#undef EOSFAST_BASE
    case ActivationKind::huberized_relu:
      return apply([h = Lanes(a.h)](const Lanes& x)
                       __attribute__((always_inline)) { return huberized_relu_jet(x, h); });
  }
}

// linear u + gain base, from the base's jet in place. Where that overflows the two terms may have done so with opposite
// signs: there they are added in smaller units.
void combine(const Activation& a, std::size_t count, const Block& u, Block& value, Block& first, Block& second) {
  const double larger = std::max(std::fabs(a.linear), std::fabs(a.gain));
  const double unit = larger > 0.0 ? std::ldexp(1.0, std::min(1000, -std::ilogb(larger))) : 1.0;
  const Lanes linear(a.linear), gain(a.gain), small_linear(a.linear * unit), small_gain(a.gain * unit);
  for (std::size_t i = 0; i < count; i += kLanes) {
    const Lanes x = Lanes::load(&u[i]), y = Lanes::load(&value[i]), sixteenth(0.0625);
    const Lanes sum = fma(linear, x, gain * y);
    const Lanes small_sum = fma(small_linear, x * sixteenth, small_gain * (y * sixteenth));
    const Mask finite = abs(sum) < Lanes(detail::kInfinity);
    select(finite, sum, (small_sum * Lanes(1.0 / unit)) * Lanes(16.0)).store(&value[i]);
    fma(gain, Lanes::load(&first[i]), linear).store(&first[i]);
    (gain * Lanes::load(&second[i])).store(&second[i]);
  }
}

}  // namespace

Activation activation_named(const std::string& base_name, double linear, double gain, double h) {
  constexpr const char* kNames[] = {"identity", "relu", "tanh", "sigmoid",       "softplus",
                                    "silu",     "gelu", "erf",  "huberized_relu"};  // in the order of ActivationKind
  for (std::size_t i = 0; i < std::size(kNames); ++i)
    if (base_name == kNames[i]) return {static_cast<ActivationKind>(i), linear, gain, h};
  throw std::logic_error("no activation \"" + base_name + "\"; this is a bug in eosfast");
}

template <class T>
void evaluate(const Activation& a, const T* u, std::size_t count, T* value, T* first, T* second) {
  const auto base = second != nullptr ? bases<2> : first != nullptr ? bases<1> : bases<0>;
  const bool plain = a.linear == 0.0 && a.gain == 1.0;
  Block x{}, y{}, y1{}, y2{};
  for (std::size_t at = 0; at < count; at += kBlock) {
    const std::size_t size = std::min(kBlock, count - at);
    if constexpr (std::is_same_v<T, double>) {
      if (plain && size == kBlock) {  // straight from array to array
        base(a, u + at, size, value != nullptr ? value + at : y.data(), first != nullptr ? first + at : y1.data(),
             second != nullptr ? second + at : y2.data());
        continue;
      }
    }
    std::copy_n(u + at, size, x.begin());
    const std::size_t padded = (size + kLanes - 1) / kLanes * kLanes;
    base(a, x.data(), padded, y.data(), y1.data(), y2.data());
    if (!plain) combine(a, padded, x, y, y1, y2);
    const auto store = [&](const Block& from, T* to) {
      if (to != nullptr)
        std::transform(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(size), to + at,
                       [](double number) { return static_cast<T>(number); });
    };
    store(y, value);
    store(y1, first);
    store(y2, second);
  }
}

template void evaluate(const Activation&, const double*, std::size_t, double*, double*, double*);
template void evaluate(const Activation&, const float*, std::size_t, float*, float*, float*);

}  // namespace EOSFAST_ISA
}  // namespace eosfast
