// The largest (algebraic) eigenvalues of a symmetric operator that is known by its products only, each with a
// certificate: the residual ||H v - theta v||, within which an eigenvalue lies.
//
// Block Lanczos with full reorthogonalisation and thick restarts (K. Wu and H. Simon, SIAM J. Matrix Anal. Appl. 22,
// 2000). A residual proves that a value is an eigenvalue, not that it is the largest. That rests on the start: k + 1
// random vectors at least, one more than is asked for, because a cluster of k eigenvalues overlaps badly with k + 1
// random vectors only with probability O(epsilon^2); and on the guard, the first Ritz value not asked for, which must
// have settled, or be so far below that nothing can hide in between (see `Lanczos::verified`).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "eosfast/isa.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// out = H V for k vectors, each contiguous, of length dim, one after the other.
using SymmetricProducts = std::function<void(const double* V, int k, double* out)>;

struct LanczosOptions {
  int k = 1;                     // how many, 1 ... dim
  double tol = 1e-8;             // converged: residual <= tol * largest Ritz value in magnitude
  std::int64_t max_matvecs = 0;  // never exceeded, each vector of a block counts; 0: usual_max_matvecs
  std::uint64_t seed = 0;
};

inline std::int64_t usual_max_matvecs(std::ptrdiff_t dim, int k) {
  return std::max<std::int64_t>(1000, std::min<std::int64_t>(10 * std::int64_t{dim}, 20'000)) + 100 * std::int64_t{k};
}

struct SpectrumResult {
  std::vector<double> values;     // (k) descending; NaN where nothing is known
  std::vector<double> vectors;    // k vectors of length dim, one after the other
  std::vector<double> residuals;  // (k)
  std::vector<bool> converged;    // (k)
  std::int64_t matvecs = 0;
};

// `v0` (or null) is a guess at the top eigenvector; it is one vector of the start among random ones, so that a bad
// guess costs products, never the answer. `stop` (may be empty) is asked before each block of products; true ends the
// solve with what there is. Products that are not finite end it with values NaN.
SpectrumResult lanczos(std::ptrdiff_t dim, const SymmetricProducts& products, const LanczosOptions& options,
                       const double* v0, const std::function<bool()>& stop);

// Of the k largest eigenvalues of a reduced Hessian, those of the whole one, which has `zeros` zeros besides.
inline void with_zeros(SpectrumResult& found, std::ptrdiff_t zeros, int k) {
  if (zeros == 0 || found.values.empty() || !(found.values[0] == found.values[0])) return;
  const auto negative = std::find_if(found.values.begin(), found.values.end(), [](double x) { return x < 0.0; });
  const auto at = negative - found.values.begin();
  const auto count = static_cast<std::size_t>(std::min<std::ptrdiff_t>(zeros, k - at));
  found.values.insert(found.values.begin() + at, count, 0.0);
  found.residuals.insert(found.residuals.begin() + at, count, 0.0);
  found.converged.insert(found.converged.begin() + at, count, true);
  found.values.resize(static_cast<std::size_t>(k));
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
