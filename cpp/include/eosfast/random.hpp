// Reproducible random numbers: the splitmix64 stream of a seed. Its bits depend on nothing but the seed.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "eosfast/isa.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

class SplitMix64 {
 public:
  explicit SplitMix64(std::uint64_t seed) : state_(seed) {}
  // The seed of the rest of the stream.
  std::uint64_t state() const { return state_; }

  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15u;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  // Uniform in [-1, 1), a multiple of 2^-52.
  double symmetric() { return static_cast<double>(next() >> 11) * 0x1p-52 - 1.0; }

  // A vector of length one whose components are independent but for that length.
  void direction(double* out, std::ptrdiff_t dim) {
    double square = 0.0;
    for (std::ptrdiff_t i = 0; i < dim; ++i) {
      out[i] = symmetric();
      square += out[i] * out[i];
    }
    const double scale = square > 0.0 ? 1.0 / std::sqrt(square) : 0.0;
    for (std::ptrdiff_t i = 0; i < dim; ++i) out[i] *= scale;
    if (square == 0.0) out[0] = 1.0;
  }

 private:
  std::uint64_t state_;
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
