// Triangular factor of tall data, block by block.
#include "eosfast/networks/second_moments.hpp"

#include <cmath>
#include <vector>

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

constexpr std::ptrdiff_t kBlock = 8 * kLanes;  // samples: a column of a block is eight times eight numbers

struct Column {
  Lanes part[kLanes];
  static Column load(const double* from) {
    Column out;
    for (int i = 0; i < kLanes; ++i) out.part[i] = Lanes::load(from + i * kLanes);
    return out;
  }
};

double inner_product(const Column& a, const double* b) {
  Lanes even(0.0), odd(0.0);
  for (int i = 0; i < kLanes; i += 2) {
    even = fma(a.part[i], Lanes::load(b + i * kLanes), even);
    odd = fma(a.part[i + 1], Lanes::load(b + (i + 1) * kLanes), odd);
  }
  return sum(even + odd);
}

// [R; block] <- Q' [R; block] with Q orthogonal, so that the first d columns of the block become zero; R (d, m) upper
// triangular, the block's m columns contiguous.
void fold(std::vector<double>& R, std::vector<double>& block, std::ptrdiff_t d, std::ptrdiff_t m) {
  for (std::ptrdiff_t j = 0; j < d; ++j) {
    double* const row = R.data() + j * m;
    double* const column = block.data() + j * kBlock;
    Column v = Column::load(column);
    const double below = inner_product(v, column);
    if (below == 0.0) continue;
    const double beta = -std::copysign(std::sqrt(fma(row[j], row[j], below)), row[j]);
    const double tau = (beta - row[j]) / beta, scale = 1.0 / (row[j] - beta);
    for (Lanes& part : v.part) part = part * Lanes(scale);
    row[j] = beta;
    for (std::ptrdiff_t c = j + 1; c < m; ++c) {
      double* const other = block.data() + c * kBlock;
      const double t = tau * (row[c] + inner_product(v, other));
      row[c] -= t;
      for (int i = 0; i < kLanes; ++i)
        fma(Lanes(-t), v.part[i], Lanes::load(other + i * kLanes)).store(other + i * kLanes);
    }
  }
}

}  // namespace

SecondMoments second_moments(ArrayView X, ArrayView Y) {
  const std::ptrdiff_t n = X.rows, d = X.columns, outputs = Y.columns, m = d + outputs, r = std::min(n, d);
  SecondMoments out{Rows(d, r), Rows(outputs, r)};
  const auto entry = [&](std::ptrdiff_t sample, std::ptrdiff_t c) {
    return c < d ? X.data[sample * d + c] : Y.data[sample * outputs + c - d];
  };
  const auto place = [&](std::ptrdiff_t i, std::ptrdiff_t c) -> double& {
    return c < d ? out.L.row(c)[i] : out.T.row(c - d)[i];
  };
  if (n <= d) {  // the data themselves: Q is the identity
    for (std::ptrdiff_t i = 0; i < n; ++i)
      for (std::ptrdiff_t c = 0; c < m; ++c) place(i, c) = entry(i, c);
    return out;
  }
  std::vector<double> R(static_cast<std::size_t>(d * m)), block(static_cast<std::size_t>(kBlock * m));
  for (std::ptrdiff_t from = 0; from < n; from += kBlock) {
    for (std::ptrdiff_t i = 0; i < kBlock; ++i)
      for (std::ptrdiff_t c = 0; c < m; ++c)
        block[static_cast<std::size_t>(c * kBlock + i)] = from + i < n ? entry(from + i, c) : 0.0;
    fold(R, block, d, m);
    for (std::ptrdiff_t c = d; c < m; ++c) {
      const double* const column = block.data() + c * kBlock;
      out.rest += inner_product(Column::load(column), column);
    }
  }
  for (std::ptrdiff_t i = 0; i < d; ++i)
    for (std::ptrdiff_t c = i; c < m; ++c) place(i, c) = R[static_cast<std::size_t>(i * m + c)];
  return out;
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
