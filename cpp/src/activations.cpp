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

// Blocks of the base's jet as activations: linear u + gain base, rounded to the type of the output.
class Combination {
 public:
  explicit Combination(const Activation& a) : linear_(a.linear), gain_(a.gain) {
    const double larger = std::max(std::fabs(linear_), std::fabs(gain_));
    unit_ = larger > 0.0 ? std::ldexp(1.0, std::min(1000, -std::ilogb(larger))) : 1.0;
  }

  // Where the sum overflows its two terms may have done so with opposite signs: there they are added in smaller units.
  template <class T>
  void values(const double* u, const Block& base, std::size_t count, T* out) const {
    const double linear = linear_, gain = gain_, small_linear = linear * unit_, small_gain = gain * unit_;
    const double unit = 1.0 / unit_;
    for (std::size_t i = 0; i < count; ++i) {
      const double sum = fma(linear, u[i], gain * base[i]);
      const double small_sum = fma(small_linear, u[i] * 0.0625, small_gain * (base[i] * 0.0625));
      out[i] = static_cast<T>(abs(sum) < detail::kInfinity ? sum : (small_sum * unit) * 16.0);
    }
  }
  template <class T>
  void firsts(const Block& base, std::size_t count, T* out) const {
    const double linear = linear_, gain = gain_;
    for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<T>(fma(gain, base[i], linear));
  }
  template <class T>
  void seconds(const Block& base, std::size_t count, T* out) const {
    const double gain = gain_;
    for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<T>(gain * base[i]);
  }

 private:
  double linear_, gain_, unit_;
};

template <class T>
void rounded(const Block& base, std::size_t count, T* out) {
  for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<T>(base[i]);
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
  const Combination combination(a);
  Block copy, y, y1, y2;
  for (std::size_t at = 0; at < count; at += kBlock) {
    const std::size_t size = std::min(kBlock, count - at), padded = (size + kLanes - 1) / kLanes * kLanes;
    const double* x = copy.data();
    if constexpr (std::is_same_v<T, double>) {
      if (size == padded) x = u + at;
      if (plain && size == padded) {  // straight from array to array
        base(a, x, size, value != nullptr ? value + at : y.data(), first != nullptr ? first + at : y1.data(),
             second != nullptr ? second + at : y2.data());
        continue;
      }
    }
    if (x == copy.data()) std::fill(std::copy_n(u + at, size, copy.begin()), copy.begin() + padded, 0.0);
    base(a, x, padded, y.data(), y1.data(), y2.data());
    if (plain) {
      if (value != nullptr) rounded(y, size, value + at);
      if (first != nullptr) rounded(y1, size, first + at);
      if (second != nullptr) rounded(y2, size, second + at);
    } else {
      if (value != nullptr) combination.values(x, y, size, value + at);
      if (first != nullptr) combination.firsts(y1, size, first + at);
      if (second != nullptr) combination.seconds(y2, size, second + at);
    }
  }
}

template void evaluate(const Activation&, const double*, std::size_t, double*, double*, double*);
template void evaluate(const Activation&, const float*, std::size_t, float*, float*, float*);

}  // namespace EOSFAST_ISA
}  // namespace eosfast
