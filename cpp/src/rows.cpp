// The inner loops of the product of matrices in rows of lanes.
#include "eosfast/networks/rows.hpp"

#include <array>
#include <utility>

#include "eosfast/parallel.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

#if defined(__AVX512F__)
constexpr int kMostGroups = 3;
#else
constexpr int kMostGroups = 1;
#endif
constexpr int kMostRows = 4;

// The first `count` of eight numbers.
EOSFAST_INLINE void store_first(const Lanes& values, double* out, std::ptrdiff_t count) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_pd(out, static_cast<__mmask8>((1u << count) - 1u), values.r[0]);
#else
  double numbers[kLanes];
  values.store(numbers);
  for (std::ptrdiff_t i = 0; i < count; ++i) out[i] = numbers[i];
#endif
}
EOSFAST_INLINE Lanes load_first(const double* from, std::ptrdiff_t count) {
  double numbers[kLanes] = {};
  for (std::ptrdiff_t i = 0; i < count; ++i) numbers[i] = from[i];
  return Lanes::load(numbers);
}

struct Tile {
  const double* left;
  std::ptrdiff_t row, column;
  const double* right;
  std::ptrdiff_t right_stride, depth;
  double* out;
  std::ptrdiff_t out_stride;
  int last;  // numbers of the last group that are stored
  bool accumulate;
};

// R rows times V groups of lanes.
template <int R, int V>
void tile(const Tile& t) {
  Lanes sum[R][V];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) {
      const double* const from = t.out + r * t.out_stride + v * kLanes;
      if (!t.accumulate) {
        sum[r][v] = Lanes(0.0);
      } else if (v == V - 1 && t.last < kLanes) {
        sum[r][v] = load_first(from, t.last);
      } else {
        sum[r][v] = Lanes::load(from);
      }
    }
  const double *left = t.left, *right = t.right;
  const std::ptrdiff_t row = t.row, column = t.column, stride = t.right_stride;
  for (std::ptrdiff_t k = 0; k < t.depth; ++k, left += column, right += stride) {
    Lanes b[V];
    for (int v = 0; v < V; ++v) b[v] = Lanes::load(right + v * kLanes);
    for (int r = 0; r < R; ++r) {
      const Lanes a(left[r * row]);
      for (int v = 0; v < V; ++v) sum[r][v] = fma(a, b[v], sum[r][v]);
    }
  }
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) {
      double* const to = t.out + r * t.out_stride + v * kLanes;
      if (v == V - 1 && t.last < kLanes) {
        store_first(sum[r][v], to, t.last);
      } else {
        sum[r][v].store(to);
      }
    }
}

template <int V>
void tile_of(const Tile& t, std::ptrdiff_t rows) {
  switch (rows) {
    case 1:
      return tile<1, V>(t);
    case 2:
      return tile<2, V>(t);
    case 3:
      return tile<3, V>(t);
    default:
      return tile<kMostRows, V>(t);
  }
}

// `columns` of the right operand, of which the last group may be stored in part.
void multiply_rows(Tile t, std::ptrdiff_t rows, std::ptrdiff_t columns) {
  const double* const left = t.left;
  double* const out = t.out;
  for (std::ptrdiff_t j = 0; j < columns; j += kMostGroups * kLanes) {
    const std::ptrdiff_t wide = std::min<std::ptrdiff_t>(columns - j, kMostGroups * kLanes);
    const std::ptrdiff_t groups = (wide + kLanes - 1) / kLanes;
    t.last = static_cast<int>(wide - (groups - 1) * kLanes);
    t.left = left;
    t.out = out + j;
    for (std::ptrdiff_t i = 0; i < rows; i += kMostRows) {
      const std::ptrdiff_t count = std::min<std::ptrdiff_t>(kMostRows, rows - i);
      if (kMostGroups == 1 || groups == 1) {
        tile_of<1>(t, count);
      } else if (groups == 2) {
        tile_of<std::min(2, kMostGroups)>(t, count);
      } else {
        tile_of<kMostGroups>(t, count);
      }
      t.left += kMostRows * t.row;
      t.out += kMostRows * t.out_stride;
    }
    t.right += kMostGroups * kLanes;
  }
}

// Threads take blocks of rows, if each has enough to do.
void multiply_in_parallel(const Tile& whole, std::ptrdiff_t rows, std::ptrdiff_t columns, int num_threads) {
  constexpr double kLeast = 2e6;  // multiplications
  const double work = static_cast<double>(rows) * static_cast<double>(columns) * static_cast<double>(whole.depth);
  if (num_threads <= 1 || work < 2 * kLeast) return multiply_rows(whole, rows, columns);
  constexpr std::ptrdiff_t kBlock = 8 * kMostRows;
  const int threads = static_cast<int>(std::min(work / kLeast, static_cast<double>(num_threads)));
  parallel_for((rows + kBlock - 1) / kBlock, threads, [&](std::ptrdiff_t block) {
    Tile part = whole;
    part.left += block * kBlock * whole.row;
    part.out += block * kBlock * whole.out_stride;
    multiply_rows(part, std::min(kBlock, rows - block * kBlock), columns);
  });
}

Tile product(const Left& left, const Rows& right, double* out, std::ptrdiff_t out_stride, bool accumulate) {
  return {left.data, left.row,   left.column, right.row(0), right.stride(), right.count(),
          out,       out_stride, 0,           accumulate};
}

}  // namespace

void multiply(const Left& left, const Rows& right, Rows& out, bool accumulate, int num_threads) {
  const std::ptrdiff_t filled = (right.columns() + kLanes - 1) / kLanes * kLanes;
  multiply_in_parallel(product(left, right, out.row(0), out.stride(), accumulate), out.count(), filled, num_threads);
}

void multiply(const Left& left, const Rows& right, std::ptrdiff_t rows, double* out, bool accumulate, int num_threads) {
  multiply_in_parallel(product(left, right, out, right.columns(), accumulate), rows, right.columns(), num_threads);
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
