// Least squares over matrices of limited rank.
#include "eosfast/networks/rank_limited.hpp"

#include <algorithm>
#include <vector>

#include "eosfast/spectrum/dense.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

constexpr double kEigenvalueTol = 1e-12;
// Of an eigenvalue of L'L, in units of the largest: below it a direction counts as outside the range of L'.
constexpr double kNoRange = 1e-14;

// A' A, A (m, n)
SpectrumResult gram_spectrum(const Rows& A, int k) {
  const auto n = A.columns();
  return dense_spectrum(
      n,
      [&](const double* V, int count, double* out) {
        std::fill_n(out, n * count, 0.0);
        for (int c = 0; c < count; ++c)
          for (std::ptrdiff_t i = 0; i < A.count(); ++i) {
            double along = 0.0;
            for (std::ptrdiff_t j = 0; j < n; ++j) along += A.row(i)[j] * V[c * n + j];
            for (std::ptrdiff_t j = 0; j < n; ++j) out[c * n + j] += A.row(i)[j] * along;
          }
      },
      k, kEigenvalueTol);
}

// V' A, V an orthonormal basis of the range of L'.
Rows in_range(const Rows& L, const Rows& A) {
  const auto r = A.count();
  const SpectrumResult found = gram_spectrum(L, static_cast<int>(r));
  std::ptrdiff_t rank = 0;
  while (rank < r && found.values[static_cast<std::size_t>(rank)] > kNoRange * found.values[0]) ++rank;
  Rows out(rank, A.columns());
  if (rank > 0) multiply({found.vectors.data(), r, 1}, A, out, false);
  return out;
}

}  // namespace

double least_square_of_rank(const Rows& L, const Rows& T_transposed, std::ptrdiff_t rank) {
  double total = 0.0;
  for (std::ptrdiff_t i = 0; i < T_transposed.count(); ++i)
    for (std::ptrdiff_t j = 0; j < T_transposed.columns(); ++j)
      total += T_transposed.row(i)[j] * T_transposed.row(i)[j];
  const Rows whole = L.empty() ? Rows() : in_range(L, T_transposed);
  const Rows& reached = L.empty() ? T_transposed : whole;
  if (reached.empty()) return total;
  Rows turned(reached.columns(), reached.count());
  transpose(as_left(reached), turned);
  const Rows& narrow = reached.columns() <= reached.count() ? reached : turned;
  const auto k = static_cast<int>(std::min(rank, narrow.columns()));
  for (const double square : gram_spectrum(narrow, k).values) total -= square;
  return std::max(total, 0.0);
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
