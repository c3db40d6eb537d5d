// Coefficients of the second-order Runge-Kutta-Chebyshev method (van der Houwen, Sommeijer 1980; Sommeijer, Shampine,
// Verwer 1998): with s stages a step is stable up to 0.65 s^2 over the sharpness; s gradients spent in steps of Dormand
// and Prince lead to 0.55 s. For a symmetric Jacobian, whose eigenvalues are real.
//
// With stages Y_0 = w, Y_1 = w + first h f_0 and, for j = 2 ... s, Y_s the new w,
//
//   Y_j = (1 - mu_j - nu_j) w + mu_j Y_(j-1) + nu_j Y_(j-2) + mu'_j h f(Y_(j-1)) + gamma_j h f_0
//
// where the coefficients follow from the Chebyshev polynomials T_j and their derivatives at w0 = 1 + kDamping/s^2:
// b_j = T''_j/T'_j^2, a_j = 1 - b_j T_j, w1 = T'_s/T''_s.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "eosfast/isa.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

class Chebyshev {
 public:
  struct Stage {
    double mu, nu, slope, first_slope;  // of Y_(j-1), Y_(j-2), h f(Y_(j-1)), h f_0
  };

  static int stages_for(double h, double sharpness) {
    return std::max(2, static_cast<int>(std::ceil(std::sqrt(1.0 + 1.54 * h * sharpness))));
  }
  static double longest_step(int stages, double sharpness) { return (stages * stages - 1.0) / (1.54 * sharpness); }

  explicit Chebyshev(int stages) {
    const auto s = static_cast<std::size_t>(stages);
    const double at = 1.0 + kDamping / (stages * stages);
    std::vector<double> T{1.0, at}, first{0.0, 1.0}, second{0.0, 0.0}, b(s + 1);
    for (std::size_t j = 2; j <= s; ++j) {
      T.push_back(2.0 * at * T[j - 1] - T[j - 2]);
      first.push_back(2.0 * T[j - 1] + 2.0 * at * first[j - 1] - first[j - 2]);
      second.push_back(4.0 * first[j - 1] + 2.0 * at * second[j - 1] - second[j - 2]);
      b[j] = second[j] / (first[j] * first[j]);
    }
    b[0] = b[1] = b[2];
    const double w1 = first[s] / second[s];
    first_ = b[1] * w1;
    for (std::size_t j = 2; j <= s; ++j) {
      const double slope = 2.0 * b[j] * w1 / b[j - 1];
      stages_.push_back({2.0 * b[j] * at / b[j - 1], -b[j] / b[j - 2], slope, -(1.0 - b[j - 1] * T[j - 1]) * slope});
    }
  }

  double first() const { return first_; }
  const std::vector<Stage>& stages() const { return stages_; }  // j = 2 ... s

 private:
  static constexpr double kDamping = 2.0 / 13.0;
  double first_ = 0.0;
  std::vector<Stage> stages_;
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
