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

// The jet of phi = linear u + gain base(u) from that of the base.
template <bool kMayOverflow>
struct Combination {
  Lanes linear, gain;
  double unit;

  explicit Combination(const Activation& a) : linear(a.linear), gain(a.gain), unit(a.unit) {}

  EOSFAST_INLINE Jet<Lanes> operator()(const Lanes& u, const Jet<Lanes>& base) const {
    Lanes value = fma(linear, u, gain * base.value);
    if constexpr (kMayOverflow) {  // its terms may have opposite signs: then they are added in smaller units
      const auto overflows = !(abs(value) < Lanes(detail::kInfinity));
      const Lanes small =
          fma(linear * Lanes(unit), u * Lanes(0.0625), gain * Lanes(unit) * (base.value * Lanes(0.0625)));
      value = select(overflows, (small * Lanes(1.0 / unit)) * Lanes(16.0), value);
    }
    return {value, fma(gain, base.first, linear), gain * base.second};
  }
};

// visit(jet of the base, what makes that of phi of an argument and the base's jet)
template <class Visit>
void with_jet(const Activation& a, Visit&& visit) {
  const auto apply = [&](auto base) {
    if (a.linear == 0.0 && a.gain == 1.0)
      return visit(base, [](const Lanes&, const Jet<Lanes>& y) __attribute__((always_inline)) { return y; });
    if (std::max(std::fabs(a.linear), std::fabs(a.gain)) <= 1.0) return visit(base, Combination<false>(a));
    visit(base, Combination<true>(a));
  };
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

// phi and its first `kDerivatives` derivatives over whole lanes.
template <int kDerivatives>
void jets(const Activation& a, const double* u, std::size_t count, double* value, double* first, double* second) {
  with_jet(a, [=](auto base, auto combine) {
    for (std::size_t i = 0; i < count; i += kLanes) {
      const Lanes x = Lanes::load(u + i);
      const Jet<Lanes> y = combine(x, base(x));
      y.value.store(value + i);
      if constexpr (kDerivatives >= 1) y.first.store(first + i);
      if constexpr (kDerivatives >= 2) y.second.store(second + i);
    }
  });
}

template <class T>
void rounded(const Block& from, std::size_t count, T* out) {
  for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<T>(from[i]);
}

}  // namespace

Activation activation_named(const std::string& base_name, double linear, double gain, double h) {
  constexpr const char* kNames[] = {"identity", "relu", "tanh", "sigmoid",       "softplus",
                                    "silu",     "gelu", "erf",  "huberized_relu"};  // in the order of ActivationKind
  const double larger = std::max(std::fabs(linear), std::fabs(gain));
  const double unit = larger > 0.0 ? std::ldexp(1.0, std::min(1000, -std::ilogb(larger))) : 1.0;
  for (std::size_t i = 0; i < std::size(kNames); ++i)
    if (base_name == kNames[i]) return {static_cast<ActivationKind>(i), linear, gain, h, unit};
  throw std::logic_error("no activation \"" + base_name + "\"; this is a bug in eosfast");
}

template <class T>
void evaluate(const Activation& a, const T* u, std::size_t count, T* value, T* first, T* second) {
  const auto jet = second != nullptr ? jets<2> : first != nullptr ? jets<1> : jets<0>;
  Block copy, y, y1, y2;
  for (std::size_t at = 0; at < count; at += kBlock) {
    const std::size_t size = std::min(kBlock, count - at), padded = (size + kLanes - 1) / kLanes * kLanes;
    if constexpr (std::is_same_v<T, double>) {
      if (size == padded) {  // straight from array to array
        jet(a, u + at, size, value != nullptr ? value + at : y.data(), first != nullptr ? first + at : y1.data(),
            second != nullptr ? second + at : y2.data());
        continue;
      }
    }
    std::fill(std::copy_n(u + at, size, copy.begin()), copy.begin() + padded, 0.0);
    jet(a, copy.data(), padded, y.data(), y1.data(), y2.data());
    if (value != nullptr) rounded(y, size, value + at);
    if (first != nullptr) rounded(y1, size, first + at);
    if (second != nullptr) rounded(y2, size, second + at);
  }
}

// The jets of |u| and of -|u| share nearly all of their work, which the compiler finds out.
void evaluate_both(const Activation& a, const double* u, std::size_t count, double* value, double* first,
                   double* mirrored_value, double* mirrored_first) {
  with_jet(a, [=](auto base, auto combine) {
    for (std::size_t i = 0; i < count; i += kLanes) {
      const Lanes x = Lanes::load(u + i), plus = abs(x), minus = from_bits(bits(plus) | IntLanes(INT64_MIN));
      const Jet<Lanes> base_above = base(plus), base_below = base(minus);
      const Jet<Lanes> above = combine(plus, base_above), below = combine(minus, base_below);
      const auto negative = x < Lanes(0.0);
      select(negative, below.value, above.value).store(value + i);
      select(negative, below.first, above.first).store(first + i);
      select(negative, above.value, below.value).store(mirrored_value + i);
      select(negative, above.first, below.first).store(mirrored_first + i);
    }
  });
}

template void evaluate(const Activation&, const double*, std::size_t, double*, double*, double*);
template void evaluate(const Activation&, const float*, std::size_t, float*, float*, float*);

}  // namespace EOSFAST_ISA
}  // namespace eosfast
