// The tied ReLU network of Ahn et al. (2023), eq. (1.2), on n samples (x_i, y_i) in d dimensions:
//
//   f(x) = a_minus sum_j relu(-x_j + b) + a_plus sum_j relu(x_j + b),   loss = mean_i log(1 + exp(-y_i f(x_i))).
//
// Only sums over the coordinates enter, and they are piecewise linear in b. With every sample sorted once and sums of
// its k smallest and k largest entries kept,
//
//   S_minus(b) = N_minus b - below(N_minus),  N_minus = #{x_j < b},
//   S_plus(b)  = N_plus  b + above(N_plus),   N_plus  = #{x_j > -b},
//
// a step costs O(n) for any d: the counts are cursors that seldom move, and an interval of b in which none moves is
// kept. Sums run from the extreme entries inwards, so that the few terms of a far tail are not lost in a large total.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

#include "eosfast/config.hpp"
#include "eosfast/lanes.hpp"
#include "eosfast/math.hpp"
#include "eosfast/parallel.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

struct ThresholdNeuron {
  static constexpr std::string_view kName = "ThresholdNeuron";
  static constexpr std::array<std::string_view, 0> kFieldNames{};
  static constexpr int kMaxDim = 3, kRawFields = 0, kFields = 0;
  static constexpr bool kSideBySide = false;  // vectorised over the samples of one run

  std::ptrdiff_t n = 0, d = 0;
  std::ptrdiff_t blocks = 0;   // ceil(n / kLanes)
  std::vector<double> sorted;  // (n, d) ascending
  std::vector<double> below;   // (n, d + 1): sum of the k smallest
  std::vector<double> above;   // (n, d + 1): sum of the k largest
  std::vector<double> labels;  // (8 blocks): y, then zeros, which drop out of every sum
  double largest = 0.0;        // max |x_ij|

  ThresholdNeuron() = default;
  ThresholdNeuron(const double* X, const double* y, std::ptrdiff_t n_, std::ptrdiff_t d_, int num_threads)
      : n(n_), d(d_), blocks((n_ + kLanes - 1) / kLanes) {
    sorted.assign(X, X + n * d);
    below.resize(static_cast<std::size_t>(n * (d + 1)));
    above.resize(below.size());
    labels.assign(static_cast<std::size_t>(blocks * kLanes), 0.0);
    std::copy(y, y + n, labels.begin());
    parallel_for(n, num_threads, [&](std::ptrdiff_t i) {
      double* const x = sorted.data() + i * d;
      std::sort(x, x + d);
      double *const low = below.data() + i * (d + 1), *const high = above.data() + i * (d + 1);
      low[0] = high[0] = 0.0;
      for (std::ptrdiff_t k = 0; k < d; ++k) {
        low[k + 1] = low[k] + x[k];
        high[k + 1] = high[k] + x[d - 1 - k];
      }
    });
    for (const double x : sorted) largest = std::max(largest, std::abs(x));
  }

  static bool matches(const Config&) { return true; }
  static ThresholdNeuron make(const Config& config, int num_threads) {
    const ArrayView X = config.array("X"), y = config.array("y");
    return {X.data, y.data, X.rows, X.columns, num_threads};
  }
  static constexpr int dim() { return 3; }
  static void derive(const double*, double*) {}

  // Steps that fit into some ten milliseconds: how long Ctrl-C may wait.
  std::int64_t patience() const { return std::max<std::int64_t>(1, 10'000'000 / (n + 1)); }

  // Where the cursors stand for one b, and for which b they stay: lo < b <= hi.
  struct Cursors {
    double lo = std::numeric_limits<double>::infinity(), hi = -lo;
    std::vector<double> count_minus, below, count_plus, above, lo_each, hi_each;
  };
  template <class Real>
  using Point = Cursors;

  template <class Real>
  Cursors point() const {
    const std::vector<double> zeros(labels.size(), 0.0);
    Cursors c;
    c.count_minus = c.below = c.count_plus = c.above = zeros;
    constexpr double infinity = std::numeric_limits<double>::infinity();
    c.lo_each.assign(labels.size(), -infinity);
    c.hi_each.assign(labels.size(), infinity);
    std::fill(c.lo_each.begin(), c.lo_each.begin() + n, infinity);  // nowhere valid yet
    return c;
  }

  void visit(Cursors& c, const double* w, const double*) const {
    if (w[2] > c.lo && w[2] <= c.hi) return;
    if (w[2] != w[2]) return;  // NaN: every sum below is NaN whatever the cursors
    relocate(c, w[2]);
  }

  double loss(const Cursors& c, const double* w, const double*) const {
    Lanes total(0.0);
    for (std::ptrdiff_t k = 0; k < blocks; ++k) {
      const Sample s = sample(c, w, k);
      total = fma(s.y * s.y, softplus(-(s.y * s.f)), total);
    }
    return sum(total) / static_cast<double>(n);
  }

  void grad(const Cursors& c, const double* w, const double*, double* g) const {
    Lanes minus(0.0), plus(0.0), n_minus(0.0), n_plus(0.0);
    for (std::ptrdiff_t k = 0; k < blocks; ++k) {
      const Sample s = sample(c, w, k);
      const Lanes pull = s.y * sigmoid(-(s.y * s.f));  // -dloss/df
      minus = fma(pull, s.S_minus, minus);
      plus = fma(pull, s.S_plus, plus);
      n_minus = fma(pull, s.N_minus, n_minus);
      n_plus = fma(pull, s.N_plus, n_plus);
    }
    const double scale = -1.0 / static_cast<double>(n);
    g[0] = scale * sum(minus);
    g[1] = scale * sum(plus);
    g[2] = scale * fma(w[0], sum(n_minus), w[1] * sum(n_plus));
  }

  // mean[ sigma(z) sigma(-z) J J^T ] with J = df/dw, plus the mixed derivatives of f weighted by dloss/df.
  void hessian(const Cursors& c, const double* w, const double*, double* H) const {
    Lanes h[6], n_minus(0.0), n_plus(0.0);
    for (Lanes& element : h) element = Lanes(0.0);
    for (std::ptrdiff_t k = 0; k < blocks; ++k) {
      const Sample s = sample(c, w, k);
      const Lanes z = s.y * s.f, pull = s.y * sigmoid(-z), weight = (s.y * s.y) * sigmoid_slope(z);
      const Lanes J[3] = {s.S_minus, s.S_plus, fma(Lanes(w[0]), s.N_minus, Lanes(w[1]) * s.N_plus)};
      for (int i = 0, e = 0; i < 3; ++i)
        for (int j = i; j < 3; ++j, ++e) h[e] = fma(weight * J[i], J[j], h[e]);
      n_minus = fma(pull, s.N_minus, n_minus);
      n_plus = fma(pull, s.N_plus, n_plus);
    }
    const double scale = 1.0 / static_cast<double>(n);
    for (int i = 0, e = 0; i < 3; ++i)
      for (int j = i; j < 3; ++j, ++e) H[3 * i + j] = H[3 * j + i] = scale * sum(h[e]);
    H[2] = H[6] = H[2] - scale * sum(n_minus);
    H[5] = H[7] = H[5] - scale * sum(n_plus);
  }

  // |f| <= d (|a_minus| + |a_plus|) (max |x| + |b|) and loss <= log 2 + |f|.
  double reach(const double* w, const double*) const { return (abs(w[0]) + abs(w[1])) * (largest + abs(w[2])); }
  double loss_bound(double reach, const double*) const { return fma(1.01 * static_cast<double>(d), reach, 1.0); }

  // The share of samples with sign(f) = y, on the training data.
  double own(std::string_view /*accuracy*/, const Cursors& c, const double* w, const double*) const {
    return accuracy(c, w);
  }
  double accuracy(const Cursors& c, const double* w) const {
    Lanes right(0.0);
    for (std::ptrdiff_t k = 0; k < blocks; ++k) {
      const Sample s = sample(c, w, k);
      right = right + select(s.y * s.f > Lanes(0.0), Lanes(1.0), Lanes(0.0));
    }
    return sum(right) / static_cast<double>(n);
  }

  // The same on other data, X (count, width), summed directly.
  static double accuracy(const double* w, const double* X, const double* y, std::ptrdiff_t count, std::ptrdiff_t width,
                         int num_threads) {
    std::vector<unsigned char> right(static_cast<std::size_t>(count));
    parallel_for(count, num_threads, [&](std::ptrdiff_t i) {
      const double f = direct(w, X + i * width, width);
      right[static_cast<std::size_t>(i)] = y[i] * f > 0.0;
    });
    std::ptrdiff_t total = 0;
    for (const unsigned char r : right) total += r;
    return static_cast<double>(total) / static_cast<double>(count);
  }

 private:
  struct Sample {  // eight samples, all that their terms need
    Lanes y, N_minus, N_plus, S_minus, S_plus, f;
  };

  EOSFAST_INLINE Sample sample(const Cursors& c, const double* w, std::ptrdiff_t k) const {
    Sample s;
    const std::ptrdiff_t at = k * kLanes;
    s.y = Lanes::load(labels.data() + at);
    s.N_minus = Lanes::load(c.count_minus.data() + at);
    s.N_plus = Lanes::load(c.count_plus.data() + at);
    s.S_minus = fma(s.N_minus, Lanes(w[2]), -Lanes::load(c.below.data() + at));
    s.S_plus = fma(s.N_plus, Lanes(w[2]), Lanes::load(c.above.data() + at));
    s.f = fma(Lanes(w[0]), s.S_minus, Lanes(w[1]) * s.S_plus);
    return s;
  }

  static double direct(const double* w, const double* x, std::ptrdiff_t width) {
    Lanes minus(0.0), plus(0.0);
    std::ptrdiff_t j = 0;
    for (; j + kLanes <= width; j += kLanes) {
      const Lanes at = Lanes::load(x + j), b(w[2]), zero(0.0);
      minus = minus + max(b - at, zero);
      plus = plus + max(b + at, zero);
    }
    double S_minus = sum(minus), S_plus = sum(plus);
    for (; j < width; ++j) {
      S_minus += max(w[2] - x[j], 0.0);
      S_plus += max(w[2] + x[j], 0.0);
    }
    return fma(w[0], S_minus, w[1] * S_plus);
  }

  void relocate(Cursors& c, double b) const {
    Lanes lo(-std::numeric_limits<double>::infinity()), hi(std::numeric_limits<double>::infinity());
    for (std::ptrdiff_t k = 0; k < blocks; ++k) {
      double *const lo_at = c.lo_each.data() + k * kLanes, *const hi_at = c.hi_each.data() + k * kLanes;
      const Mask stale = (Lanes(b) <= Lanes::load(lo_at)) | (Lanes(b) > Lanes::load(hi_at));
      if (any(stale))
        for (int i = 0; i < kLanes; ++i)
          if (!(b > lo_at[i] && b <= hi_at[i])) relocate_sample(c, k * kLanes + i, b);
      lo = max(lo, Lanes::load(lo_at));
      hi = min(hi, Lanes::load(hi_at));
    }
    c.lo = lo[0];
    c.hi = hi[0];
    for (int i = 1; i < kLanes; ++i) {
      c.lo = std::max(c.lo, lo[i]);
      c.hi = std::min(c.hi, hi[i]);
    }
  }

  // How many of the ascending x are < b (or, for `inclusive`, <= b), searched from the neighbourhood of `from`.
  static std::ptrdiff_t count_below(const double* x, std::ptrdiff_t d, double b, std::ptrdiff_t from, bool inclusive) {
    const auto is_below = [&](double value) { return inclusive ? value <= b : value < b; };
    constexpr int kPatience = 8;
    for (int k = 0; k < kPatience; ++k) {
      if (from < d && is_below(x[from])) {
        ++from;
      } else if (from > 0 && !is_below(x[from - 1])) {
        --from;
      } else {
        return from;
      }
    }
    return std::partition_point(x, x + d, is_below) - x;
  }

  void relocate_sample(Cursors& c, std::ptrdiff_t i, double b) const {
    const double* const x = sorted.data() + i * d;
    const auto at = static_cast<std::size_t>(i);
    const std::ptrdiff_t minus = count_below(x, d, b, static_cast<std::ptrdiff_t>(c.count_minus[at]), false);
    const std::ptrdiff_t plus = d - count_below(x, d, -b, d - static_cast<std::ptrdiff_t>(c.count_plus[at]), true);
    c.count_minus[at] = static_cast<double>(minus);
    c.count_plus[at] = static_cast<double>(plus);
    c.below[at] = below[static_cast<std::size_t>(i * (d + 1) + minus)];
    c.above[at] = above[static_cast<std::size_t>(i * (d + 1) + plus)];
    // x[minus - 1] < b <= x[minus]  and  -x[d - plus] < b <= -x[d - plus - 1]
    double lo = -std::numeric_limits<double>::infinity(), hi = -lo;
    if (minus > 0) lo = std::max(lo, x[minus - 1]);
    if (minus < d) hi = std::min(hi, x[minus]);
    if (plus > 0) lo = std::max(lo, -x[d - plus]);
    if (plus < d) hi = std::min(hi, -x[d - plus - 1]);
    c.lo_each[at] = lo;
    c.hi_each[at] = hi;
  }
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
