// The largest eigenvalues along a trajectory: one matrix after another, each near the last.
//
// A warm start from the old eigenvectors alone follows them wherever they go, past the moment when another eigenvalue
// overtakes. So the tracker also keeps an explorer, an approximation of the next eigenvector with a little noise in it,
// and multiplies it whenever the gap could have closed since it was last seen; and every now and then it looks deeper,
// from a fresh random direction.
#pragma once

#include <cstdint>
#include <vector>

#include "eosfast/random.hpp"
#include "eosfast/spectrum/ritz.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

class Tracker {
 public:
  // `tol` as in LanczosOptions, `k` from 1 to dim. One solve takes at most `max_matvecs` products.
  Tracker(std::ptrdiff_t dim, int k, double tol, std::uint64_t seed, std::int64_t max_matvecs = 1100);

  // The k largest eigenvalues of the next matrix of the trajectory.
  SpectrumResult solve(const SymmetricProducts& products);

 private:
  SpectrumResult cold(const SymmetricProducts& products);
  SpectrumResult warm(const SymmetricProducts& products);
  bool take(int count, const SymmetricProducts& products);
  bool refine(const SymmetricProducts& products);
  bool look_deeper(const SymmetricProducts& products);
  SpectrumResult result(bool verified);

  std::ptrdiff_t dim_;
  int k_;
  double tol_;
  std::uint64_t seed_;
  std::int64_t max_matvecs_;
  SplitMix64 random_;
  RitzBasis basis_;
  std::vector<double> top_, explorer_;  // (k, dim), (dim): what is kept from solve to solve
  bool started_ = false;
  std::int64_t matvecs_ = 0;             // of the solve under way
  int since_seen_ = 0, since_deep_ = 0;  // solves since the explorer was multiplied, since the last deep look
  double lowest_ = 0.0;                  // k-th value of the last solve
  double next_value_ = 0.0;              // the explorer's value when it was last seen
  double drift_ = 0.0;                   // recent change of the values from one solve to the next
  double smallest_ = 0.0;                // smallest Ritz value seen
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
