// The row space of a matrix with more columns than rows: by Cholesky factors of Gram matrices, which are products of
// panels almost wholly, or, where the rows are nearly dependent, row by row.
#include "eosfast/networks/row_space.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "eosfast/parallel.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

constexpr std::ptrdiff_t kTile = 48;  // rows and columns of a task
constexpr std::ptrdiff_t kChunk =
    768;  // columns of X at a time, in the second cache: a multiple of every panel's width
constexpr std::ptrdiff_t kRowBlock = 32;
constexpr double kMostUneven = 1e5;  // largest over smallest pivot that Cholesky factors may have

std::ptrdiff_t parts_of(std::ptrdiff_t count, std::ptrdiff_t part) { return (count + part - 1) / part; }

// U'U = G in the upper half of G (n x n); false if a pivot is not positive.
bool cholesky(std::vector<double>& G, std::ptrdiff_t n, const std::function<void()>& pause) {
  for (std::ptrdiff_t j = 0; j < n; ++j) {
    double* const u = &G[static_cast<std::size_t>(j * n)];
    if (!(u[j] > 0.0) || !std::isfinite(u[j])) return false;
    const double root = std::sqrt(u[j]);
    for (std::ptrdiff_t k = j; k < n; ++k) u[k] /= root;
    for (std::ptrdiff_t i = j + 1; i < n; ++i) {
      double* const to = &G[static_cast<std::size_t>(i * n)];
      const double factor = u[i];
      for (std::ptrdiff_t k = i; k < n; ++k) to[k] -= factor * u[k];
    }
    if (j % 64 == 0) pause();
  }
  return true;
}

// The first `columns` of each row of W, `stride` apart, as panels.
void copy_rows(const double* W, std::ptrdiff_t stride, std::ptrdiff_t columns, Panels<double>& out) {
  for (std::ptrdiff_t p = 0; p < out.count(); ++p)
    for (std::ptrdiff_t i = 0; i < out.rows(); ++i)
      std::copy_n(W + i * stride + p * out.width(), std::min<std::ptrdiff_t>(out.width(), columns - p * out.width()),
                  out.row(p, i));
}

double uneven(const std::vector<double>& U, std::ptrdiff_t n) {
  double least = U[0], most = U[0];
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    least = std::min(least, U[static_cast<std::size_t>(i * (n + 1))]);
    most = std::max(most, U[static_cast<std::size_t>(i * (n + 1))]);
  }
  return most / least;
}

double distance_to_identity(const std::vector<double>& G, std::ptrdiff_t n) {
  double most = 0.0;
  for (std::ptrdiff_t i = 0; i < n; ++i)
    for (std::ptrdiff_t j = i; j < n; ++j)
      most = std::max(most, std::abs(G[static_cast<std::size_t>(i * n + j)] - (i == j ? 1.0 : 0.0)));
  return most;
}

}  // namespace

RowSpace::RowSpace(const double* X, std::ptrdiff_t n, std::ptrdiff_t d, int num_threads, std::function<void()> pause)
    : basis_(n, d), num_threads_(num_threads), pause_(std::move(pause)) {
  fill(X);
  if (!cholesky_twice()) {
    fill(X);
    gram_schmidt();
  }
  pause_ = {};
}

// work(i) for 0 <= i < count by all threads, with pauses.
void RowSpace::in_batches(std::ptrdiff_t count, const std::function<void(std::ptrdiff_t)>& work) const {
  const std::ptrdiff_t batch = 16 * num_threads_;
  for (std::ptrdiff_t from = 0; from < count; from += batch) {
    parallel_for(std::min(batch, count - from), num_threads_, [&](std::ptrdiff_t i) { work(from + i); });
    pause_();
  }
}

// Q' = X, each row divided by a power of two, so that no square overflows: that does not change what it spans.
void RowSpace::fill(const double* X) {
  const std::ptrdiff_t d = dim();
  copy_rows(X, d, d, basis_);
  in_batches(size(), [&](std::ptrdiff_t i) {
    double largest = 0.0;
    for (std::ptrdiff_t c = 0; c < d; ++c) largest = std::max(largest, std::abs(X[i * d + c]));
    if (largest > 0.0) scale(i, std::ldexp(1.0, -std::clamp(std::ilogb(largest), -1000, 1000)));
  });
}

// With X X' = L L' the rows of L^-1 X are orthonormal up to the square of the condition number in units of the last
// place, and doing it again repairs that (Yamamoto, Nakatsukasa, Yanagisawa, Fukaya 2015). False if X is so
// ill-conditioned that it does not.
bool RowSpace::cholesky_twice() {
  const std::ptrdiff_t n = size(), tiles = parts_of(n, kTile);
  std::vector<double> G(static_cast<std::size_t>(n * n)), minus_L(G.size());
  std::vector<std::pair<std::ptrdiff_t, std::ptrdiff_t>> upper;
  for (std::ptrdiff_t a = 0; a < tiles; ++a)
    for (std::ptrdiff_t b = a; b < tiles; ++b) upper.emplace_back(a * kTile, b * kTile);

  for (int round = 0; round < 2; ++round) {
    in_batches(std::ssize(upper), [&](std::ptrdiff_t task) {  // G = Q'Q
      const auto [i, j] = upper[static_cast<std::size_t>(task)];
      inner_products(i, std::min(kTile, n - i), j, std::min(kTile, n - j), &G[static_cast<std::size_t>(i * n + j)], n);
    });
    if (round == 1 && !(distance_to_identity(G, n) < 1e-3)) return false;
    if (!cholesky(G, n, pause_)) return false;
    if (round == 0 && !(uneven(G, n) < kMostUneven)) return false;
    pause_();

    for (std::ptrdiff_t i = 0; i < n; ++i)
      for (std::ptrdiff_t j = 0; j < i; ++j)
        minus_L[static_cast<std::size_t>(i * n + j)] = -G[static_cast<std::size_t>(j * n + i)];
    in_batches(basis_.count(), [&](std::ptrdiff_t p) {  // Q' = L^-1 Q', blocks of rows from top to bottom
      const int width = basis_.width();
      for (std::ptrdiff_t from = 0; from < n; from += kRowBlock) {
        const std::ptrdiff_t to = std::min(from + kRowBlock, n);
        if (from > 0)
          multiply_panel(&minus_L[static_cast<std::size_t>(from * n)], to - from, n, from, basis_.row(p, 0), basis_,
                         from, p, true);
        for (std::ptrdiff_t i = from; i < to; ++i) {
          double* const row = basis_.row(p, i);
          for (std::ptrdiff_t j = from; j < i; ++j) {
            const double factor = minus_L[static_cast<std::size_t>(i * n + j)];
            const double* const other = basis_.row(p, j);
            for (int c = 0; c < width; ++c) row[c] += factor * other[c];
          }
          const double pivot = G[static_cast<std::size_t>(i * (n + 1))];
          for (int c = 0; c < width; ++c) row[c] /= pivot;
        }
      }
    });
  }
  return true;
}

// Gram and Schmidt, each row twice or as often as it takes: one that keeps its length when the others' parts are taken
// away again is orthogonal to them. One of which nothing but rounding is left may point anywhere else.
void RowSpace::gram_schmidt() {
  for (std::ptrdiff_t from = 0; from < size(); from += kRowBlock) {
    const std::ptrdiff_t to = std::min(from + kRowBlock, size());
    std::vector<double> length(static_cast<std::size_t>(to - from));
    subtract(from, to, 0, from);
    for (std::ptrdiff_t i = from; i < to; ++i) length[static_cast<std::size_t>(i - from)] = norm(i);
    subtract(from, to, 0, from);
    for (std::ptrdiff_t i = from; i < to; ++i) {
      // Orthogonal to the rows before the block, if the second time took little, and as long as the others leave much.
      double kept = norm(i) > 0.99 * length[static_cast<std::size_t>(i - from)] ? 1.0 : 0.0;
      for (std::uint64_t attempt = 0;; ++attempt) {
        if (attempt % 4 == 3 || !(norm(i) > 1e-100)) {
          draw(i, attempt);
          kept = 0.0;
        }
        const std::ptrdiff_t first = kept > 0.5 ? from : 0;
        scale(i, 1.0 / norm(i));
        subtract(i, i + 1, first, i);
        const double left = norm(i);
        if (left > 0.0) scale(i, 1.0 / left);
        kept *= left;
        if (attempt > 0 && left > 0.7 && (first == 0 || kept > 0.5)) break;
      }
    }
  }
}

// Take the parts along the rows [first, last), which are orthonormal, from the rows [from, to).
void RowSpace::subtract(std::ptrdiff_t from, std::ptrdiff_t to, std::ptrdiff_t first, std::ptrdiff_t last) {
  const std::ptrdiff_t count = to - from, depth = last - first;
  if (depth == 0) return;
  std::vector<double> C(static_cast<std::size_t>(count * depth));
  in_batches(parts_of(depth, kTile), [&](std::ptrdiff_t tile) {
    const std::ptrdiff_t j = tile * kTile;
    inner_products(from, count, first + j, std::min(kTile, depth - j), &C[static_cast<std::size_t>(j)], depth);
  });
  for (double& c : C) c = -c;
  in_batches(basis_.count(), [&](std::ptrdiff_t p) {
    multiply_panel(C.data(), count, depth, depth, basis_.row(p, first), basis_, from, p, true);
  });
}

// out[r][c] = row i + r times row j + c, chunk by chunk.
void RowSpace::inner_products(std::ptrdiff_t i, std::ptrdiff_t rows, std::ptrdiff_t j, std::ptrdiff_t columns,
                              double* out, std::ptrdiff_t out_stride) const {
  const std::ptrdiff_t panels = kChunk / basis_.width();
  for (std::ptrdiff_t p = 0; p < basis_.count(); p += panels)
    multiply_transposed<double>({basis_.row(p, i), basis_.stride()}, rows, {basis_.row(p, j), basis_.stride()}, columns,
                                std::min(panels, basis_.count() - p), basis_.width(), out, out_stride, p > 0);
}

double RowSpace::norm(std::ptrdiff_t i) const {
  double square;
  multiply_transposed(basis_, i, i + 1, basis_, i, 1, &square, 1, false);
  return std::sqrt(square);
}

void RowSpace::scale(std::ptrdiff_t i, double factor) {
  for (std::ptrdiff_t p = 0; p < basis_.count(); ++p)
    for (int c = 0; c < basis_.width(); ++c) basis_.row(p, i)[c] *= factor;
}

// Any direction: signs of a generator (splitmix64).
void RowSpace::draw(std::ptrdiff_t i, std::uint64_t seed) {
  std::uint64_t state = static_cast<std::uint64_t>(i) + (seed << 32);
  for (std::ptrdiff_t c = 0; c < dim(); ++c) {
    std::uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    basis_.at(i, c) = ((z ^ (z >> 31)) & 1u) != 0 ? 1.0 : -1.0;
  }
}

void RowSpace::inside(const double* W, std::ptrdiff_t count, double* out, int num_threads) const {
  const std::ptrdiff_t n = size(), d = dim(), across = parts_of(n, kTile);
  const int width = basis_.width();
  parallel_for(parts_of(count, kTile) * across, num_threads, [&](std::ptrdiff_t task) {
    const std::ptrdiff_t i = task / across * kTile, j = task % across * kTile, rows = std::min(kTile, count - i);
    for (std::ptrdiff_t from = 0; from < d; from += kChunk) {
      Panels<double> part(rows, std::min(kChunk, d - from), width);
      copy_rows(W + i * d + from, d, part.columns(), part);
      multiply_transposed<double>({part.row(0, 0), part.stride()}, rows, {basis_.row(from / width, j), basis_.stride()},
                                  std::min(kTile, n - j), part.count(), width, out + i * n + j, n, from > 0);
    }
  });
}

void RowSpace::outside(const double* C, std::ptrdiff_t count, double* out, int num_threads) const {
  const std::ptrdiff_t n = size(), d = dim(), width = basis_.width();
  parallel_for(basis_.count() * parts_of(count, kTile), num_threads, [&](std::ptrdiff_t task) {
    const std::ptrdiff_t p = task % basis_.count(), i = task / basis_.count() * kTile,
                         rows = std::min(kTile, count - i);
    Panels<double> part(rows, width, basis_.width());
    multiply_panel(C + i * n, rows, n, n, basis_.row(p, 0), part, 0, 0, false);
    for (std::ptrdiff_t r = 0; r < rows; ++r)
      std::copy_n(part.row(0, r), std::min(width, d - p * width), out + (i + r) * d + p * width);
  });
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
