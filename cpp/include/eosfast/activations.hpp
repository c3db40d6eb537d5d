// Activations of networks, phi(u) = linear u + gain base(u), with both derivatives, over arrays.
//
// Plain ones have linear = 0 and gain = 1; the leaky ones of Cai et al. (2024, arXiv 2406.08654), Example 3.1, are
// c u + k base(u). Formulas and bounds of the bases: math_activation.hpp.
#pragma once

#include <cstddef>
#include <string>

#include "eosfast/isa.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

enum class ActivationKind { identity, relu, tanh, sigmoid, softplus, silu, gelu, erf, huberized_relu };

struct Activation {
  ActivationKind kind = ActivationKind::identity;
  double linear = 0.0, gain = 1.0;
  double h = 1.0;     // the width of the quadratic piece of huberized_relu
  double unit = 1.0;  // a power of two by which the larger of |linear| and |gain| comes to lie in [1, 2)
};

Activation activation_named(const std::string& base_name, double linear, double gain, double h);

// phi, phi' and phi'' of `count` numbers, each null where it is not wanted; an output may be `u` itself. What is asked
// for together shares its work. The bits of an element depend on the activation and on the element alone. T = double or
// float; floats are evaluated in double and rounded once.
template <class T>
void evaluate(const Activation& activation, const T* u, std::size_t count, T* value, T* first, T* second);

// phi and phi' of `count` numbers u, and of all -u, with the same bits for little more than half the work. `count` is a
// multiple of 8, and no array overlaps another.
void evaluate_both(const Activation& activation, const double* u, std::size_t count, double* value, double* first,
                   double* mirrored_value, double* mirrored_first);

extern template void evaluate(const Activation&, const double*, std::size_t, double*, double*, double*);
extern template void evaluate(const Activation&, const float*, std::size_t, float*, float*, float*);

}  // namespace EOSFAST_ISA
}  // namespace eosfast
