// The passes over Q and over J.
#include "eosfast/networks/quadratic_regression.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "eosfast/lanes.hpp"
#include "eosfast/parallel.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

#if defined(__AVX512F__)
constexpr int kTileRows = 8, kSumsAtOnce = 8;
#elif defined(__AVX2__)
constexpr int kTileRows = 4, kSumsAtOnce = 4;
#else
constexpr int kTileRows = 2, kSumsAtOnce = 2;
#endif

std::ptrdiff_t whole_lanes(std::ptrdiff_t count) { return (count + kLanes - 1) / kLanes * kLanes; }

// The place of the pair (r, s), r <= s, in a triangle with n rows, row after row.
constexpr std::ptrdiff_t in_triangle(std::ptrdiff_t r, std::ptrdiff_t s, std::ptrdiff_t n) {
  return r * n - r * (r - 1) / 2 + (s - r);
}

// Rows i ... i + n of one panel: Q is read from the triangle of the pairs among them on, then column by column. What
// the columns before i add to these rows, the tiles before have added; what these rows add to the columns behind them
// is added here, so that each sum grows in the order of the parameters. n is a constant, or less at the end.
template <class N>
EOSFAST_INLINE const double* tile(N n, const double* q, std::ptrdiff_t i, std::ptrdiff_t parameters, const double* w,
                                  double* J) {
  Lanes sum[kTileRows];
  for (int r = 0; r < n; ++r) sum[r] = Lanes::load(J + (i + r) * kLanes);
  for (int s = 0; s < n; ++s)
    for (int r = 0; r < n; ++r)
      sum[r] = fma(Lanes::load(q + in_triangle(std::min(r, s), std::max(r, s), n) * kLanes), Lanes(w[i + s]), sum[r]);
  q += n * (n + 1) / 2 * kLanes;
  for (std::ptrdiff_t j = i + n; j < parameters; ++j, q += n * kLanes) {
    const Lanes wj(w[j]);
    Lanes column = Lanes::load(J + j * kLanes);
    for (int r = 0; r < n; ++r) {
      const Lanes element = Lanes::load(q + r * kLanes);
      sum[r] = fma(element, wj, sum[r]);
      column = fma(element, Lanes(w[i + r]), column);
    }
    column.store(J + j * kLanes);
  }
  for (int r = 0; r < n; ++r) sum[r].store(J + (i + r) * kLanes);
  return q;
}

// The sums of kSumsAtOnce lanes, each in the order of sum().
EOSFAST_INLINE void store_sums(const Lanes (&x)[kSumsAtOnce], double* to) {
#if defined(__AVX512F__)
  Register quarter[4], pair[2];  // of eight lanes there remain four, of two numbers each; then two; then one
  for (int r = 0; r < 4; ++r) {
    const Register a = x[r].r[0], b = x[r + 4].r[0];
    quarter[r] = _mm512_shuffle_f64x2(a, b, 0x44) + _mm512_shuffle_f64x2(a, b, 0xee);
  }
  const __m512i low = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13), high = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
  for (int r = 0; r < 2; ++r)
    pair[r] = _mm512_permutex2var_pd(quarter[r], low, quarter[r + 2]) +
              _mm512_permutex2var_pd(quarter[r], high, quarter[r + 2]);
  _mm512_storeu_pd(to, _mm512_unpacklo_pd(pair[0], pair[1]) + _mm512_unpackhi_pd(pair[0], pair[1]));
#else
  for (int r = 0; r < kSumsAtOnce; ++r) to[r] = sum(x[r]);
#endif
}

// out[row] = sum over the outputs of rows(row, .) u, for all rows, whose number is one of whole lanes.
void sum_over_outputs(const Panels<double>& rows, const double* u, int num_threads, double* out) {
  const std::ptrdiff_t panels = rows.count(), stride = rows.stride();
  parallel_for(rows.rows() / kSumsAtOnce, num_threads, [&](std::ptrdiff_t group) {
    const double* at = rows.row(0, group * kSumsAtOnce);
    Lanes sums[kSumsAtOnce];
    for (Lanes& one : sums) one = Lanes(0.0);
    for (std::ptrdiff_t panel = 0; panel < panels; ++panel, at += stride) {
      const Lanes by = Lanes::load(u + panel * kLanes);
      for (int r = 0; r < kSumsAtOnce; ++r) sums[r] = fma(Lanes::load(at + r * kLanes), by, sums[r]);
    }
    store_sums(sums, out + group * kSumsAtOnce);
  });
}

}  // namespace

// --------------------------------------------------------------------------------------------------------- the model

template <class F>
void QuadraticRegression::each_pair(F&& f) const {
  std::ptrdiff_t pair = 0;
  for (std::ptrdiff_t i = 0; i < parameters_; i += kTileRows) {
    const std::ptrdiff_t end = std::min<std::ptrdiff_t>(i + kTileRows, parameters_);
    for (std::ptrdiff_t r = i; r < end; ++r)
      for (std::ptrdiff_t s = r; s < end; ++s) f(pair++, r, s);
    for (std::ptrdiff_t j = end; j < parameters_; ++j)
      for (std::ptrdiff_t r = i; r < end; ++r) f(pair++, r, j);
  }
}

QuadraticRegression::QuadraticRegression(const Config& config)
    : outputs_(config.array("G").rows),
      parameters_(config.array("G").columns),
      G_(whole_lanes(parameters_), outputs_, kLanes),
      y_(1, outputs_, kLanes) {
  const ArrayView G = config.array("G"), y = config.array("y"), Q = config.array("Q");
  for (std::ptrdiff_t a = 0; a < outputs_; ++a) {
    y_.at(0, a) = y.data[a];
    for (std::ptrdiff_t i = 0; i < parameters_; ++i) G_.at(i, a) = G.data[a * parameters_ + i];
  }
  pack(Q);
}

void QuadraticRegression::pack(const ArrayView& Q) {
  const std::ptrdiff_t P = parameters_;
  diagonal_ = Q.columns == P;
  Q_ = Panels<double>(whole_lanes(diagonal_ ? P : P * (P + 1) / 2), outputs_, kLanes);
  const auto take = [&](std::ptrdiff_t row, std::ptrdiff_t i, std::ptrdiff_t j) {
    for (std::ptrdiff_t a = 0; a < outputs_; ++a) Q_.at(row, a) = Q.data[a * Q.columns + i * P + j];
  };
  if (!diagonal_) return each_pair(take);
  for (std::ptrdiff_t i = 0; i < P; ++i) take(i, 0, i);
}

std::unique_ptr<Pass<double>> QuadraticRegression::pass(int num_threads) const {
  return std::make_unique<QuadraticRegressionPass>(*this, num_threads);
}

int QuadraticRegression::patience() const {
  constexpr double kNumbersInAMillisecond = 5e6;
  return static_cast<int>(std::clamp(kNumbersInAMillisecond / static_cast<double>(Q_.size() + G_.size()), 1.0, 1e4));
}

void QuadraticRegression::add_products(std::ptrdiff_t panel, const double* w, double* J) const {
  const double* q = Q_.row(panel, 0);
  if (diagonal_) {
    for (std::ptrdiff_t i = 0; i < parameters_; ++i, q += kLanes, J += kLanes)
      fma(Lanes::load(q), Lanes(w[i]), Lanes::load(J)).store(J);
    return;
  }
  std::ptrdiff_t i = 0;
  for (; i + kTileRows <= parameters_; i += kTileRows)
    q = tile(std::integral_constant<int, kTileRows>{}, q, i, parameters_, w, J);
  if (i < parameters_) tile(static_cast<int>(parameters_ - i), q, i, parameters_, w, J);
}

// ------------------------------------------------------------------------------------------------------------ a point

QuadraticRegressionPass::QuadraticRegressionPass(const QuadraticRegression& model, int num_threads)
    : model_(model),
      outputs_(model.num_outputs()),
      padded_(whole_lanes(outputs_)),
      parameters_(model.dim()),
      // A thread costs some microseconds at each pass; so much memory is read in the meantime.
      num_threads_(model.Q().size() < 32768 ? 1 : num_threads),
      J_(whole_lanes(parameters_), outputs_, kLanes),
      z_(1, outputs_, kLanes) {}

void QuadraticRegressionPass::visit(const double* w) {
  const std::ptrdiff_t P = parameters_;
  parallel_for(J_.count(), num_threads_, [&](std::ptrdiff_t panel) {
    const double* const G = model_.G().row(panel, 0);
    double* const J = J_.row(panel, 0);
    std::copy_n(G, P * kLanes, J);
    model_.add_products(panel, w, J);
    constexpr int kChains = 4;  // side by side, or each sum would wait for the one before
    Lanes z[kChains] = {Lanes::load(model_.y() + panel * kLanes), Lanes(0.0), Lanes(0.0), Lanes(0.0)};
    for (std::ptrdiff_t i = 0; i < P; ++i) {
      const Lanes mean = Lanes(0.5) * (Lanes::load(G + i * kLanes) + Lanes::load(J + i * kLanes));
      z[i % kChains] = fma(mean, Lanes(w[i]), z[i % kChains]);
    }
    ((z[0] + z[1]) + (z[2] + z[3])).store(z_.row(panel, 0));
  });
  Lanes total(0.0);
  for (std::ptrdiff_t panel = 0; panel < z_.count(); ++panel) {
    const Lanes z = Lanes::load(z_.row(panel, 0));
    total = fma(Lanes(0.5) * z, z, total);
  }
  loss_ = sum(total);
}

std::vector<double>& QuadraticRegressionPass::room(std::vector<double>& numbers, std::ptrdiff_t size) {
  if (std::ssize(numbers) < size) numbers.resize(static_cast<std::size_t>(size));
  return numbers;
}

void QuadraticRegressionPass::push(const double* V, int k, double* to) {
  std::vector<const double*> from(static_cast<std::size_t>(k));
  std::vector<double*> out(static_cast<std::size_t>(k));
  for (int c = 0; c < k; ++c) from[static_cast<std::size_t>(c)] = V + c * parameters_;
  const LeftRows<double> left{from.data(), k, 1, parameters_, 0};
  for (std::ptrdiff_t panel = 0; panel < J_.count(); ++panel) {
    for (int c = 0; c < k; ++c) out[static_cast<std::size_t>(c)] = to + c * padded_ + panel * kLanes;
    multiply(left, J_.row(panel, 0), parameters_, kLanes, out.data(), false);
  }
}

void QuadraticRegressionPass::pull(const double* U, int k, double* out) {
  double* const sums = room(over_parameters_, J_.rows()).data();
  for (int c = 0; c < k; ++c) {
    sum_over_outputs(J_, U + c * padded_, 1, sums);
    std::copy_n(sums, parameters_, out + c * parameters_);
  }
}

const QuadraticRegressionPass::Mixture& QuadraticRegressionPass::mixture(const double* u, Mixture& kept) {
  if (!kept.u.empty() && std::equal(u, u + padded_, kept.u.begin())) return kept;
  kept.u.assign(u, u + padded_);
  std::vector<double>& sums = kept.diagonal;
  sum_over_outputs(model_.Q(), u, num_threads_, room(sums, model_.Q().rows()).data());
  if (model_.diagonal()) return kept;
  if (kept.matrix.rows() == 0) kept.matrix = Panels<double>(parameters_, parameters_);
  model_.each_pair([&](std::ptrdiff_t pair, std::ptrdiff_t i, std::ptrdiff_t j) {
    kept.matrix.at(i, j) = kept.matrix.at(j, i) = sums[static_cast<std::size_t>(pair)];
  });
  return kept;
}

void QuadraticRegressionPass::multiply_mixture(const Mixture& by, const double* V, int k, double* out,
                                               bool accumulate) {
  const std::ptrdiff_t P = parameters_;
  if (model_.diagonal()) {
    for (std::ptrdiff_t c = 0; c < k; ++c)
      for (std::ptrdiff_t i = 0; i < P; ++i) {
        double& to = out[c * P + i];
        to = fma(by.diagonal[static_cast<std::size_t>(i)], V[c * P + i], accumulate ? to : 0.0);
      }
    return;
  }
  const std::ptrdiff_t wide = by.matrix.count() * by.matrix.width();
  double* const products = room(products_, k * wide).data();
  std::vector<const double*> from(static_cast<std::size_t>(k));
  std::vector<double*> to(static_cast<std::size_t>(k));
  for (int c = 0; c < k; ++c) from[static_cast<std::size_t>(c)] = V + c * P;
  const LeftRows<double> left{from.data(), k, 1, P, 0};
  for (std::ptrdiff_t panel = 0; panel < by.matrix.count(); ++panel) {
    for (int c = 0; c < k; ++c) to[static_cast<std::size_t>(c)] = products + c * wide + panel * by.matrix.width();
    multiply(left, by.matrix.row(panel, 0), P, by.matrix.width(), to.data(), false);
  }
  for (std::ptrdiff_t c = 0; c < k; ++c)
    for (std::ptrdiff_t i = 0; i < P; ++i)
      out[c * P + i] = (accumulate ? out[c * P + i] : 0.0) + products[c * wide + i];
}

void QuadraticRegressionPass::grad(double* out) { pull(z_.row(0, 0), 1, out); }

void QuadraticRegressionPass::hvp(const double* V, int k, double* out) {
  double* const JV = room(over_outputs_, k * padded_).data();
  push(V, k, JV);
  pull(JV, k, out);
  multiply_mixture(mixture(z_.row(0, 0), of_residual_), V, k, out, true);
}

void QuadraticRegressionPass::residual(double* out) { std::copy_n(z_.row(0, 0), outputs_, out); }

void QuadraticRegressionPass::jvp(const double* V, int k, double* out) {
  double* const JV = room(over_outputs_, k * padded_).data();
  push(V, k, JV);
  for (int c = 0; c < k; ++c) std::copy_n(JV + c * padded_, outputs_, out + c * outputs_);
}

void QuadraticRegressionPass::vjp(const double* U, int k, double* out) {
  double* const padded = room(over_outputs_, k * padded_).data();
  std::fill_n(padded, k * padded_, 0.0);
  for (int c = 0; c < k; ++c) std::copy_n(U + c * outputs_, outputs_, padded + c * padded_);
  pull(padded, k, out);
}

void QuadraticRegressionPass::curvature(const double* u, const double* V, int k, double* out) {
  std::vector<double> padded(static_cast<std::size_t>(padded_));
  std::copy_n(u, outputs_, padded.begin());
  multiply_mixture(mixture(padded.data(), of_direction_), V, k, out, false);
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
