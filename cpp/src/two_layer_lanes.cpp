// Loss and gradient of very small two-layer networks, the neurons in lanes.
#include "eosfast/networks/two_layer_lanes.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "eosfast/lanes.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

// f(std::integral_constant<int, k>) with k = count where that is 1 ... 4, else k = 0: the few coordinates of small data
// as constants of the compiler.
template <class F>
void with_count(std::ptrdiff_t count, F&& f) {
  switch (count) {
    case 1:
      return f(std::integral_constant<int, 1>{});
    case 2:
      return f(std::integral_constant<int, 2>{});
    case 3:
      return f(std::integral_constant<int, 3>{});
    case 4:
      return f(std::integral_constant<int, 4>{});
    default:
      return f(std::integral_constant<int, 0>{});
  }
}

// to (columns, stride) = from (rows, columns) transposed, and back.
void transpose(const double* from, std::ptrdiff_t rows, std::ptrdiff_t columns, double* __restrict to,
               std::ptrdiff_t stride) {
  with_count(columns, [&](auto constant) {
    const std::ptrdiff_t count = constant ? constant : columns;
    for (std::ptrdiff_t j = 0; j < rows; ++j)
      for (std::ptrdiff_t k = 0; k < count; ++k) to[k * stride + j] = from[j * count + k];
  });
}
void transpose_back(const double* from, std::ptrdiff_t stride, double* __restrict to, std::ptrdiff_t rows,
                    std::ptrdiff_t columns) {
  with_count(columns, [&](auto constant) {
    const std::ptrdiff_t count = constant ? constant : columns;
    for (std::ptrdiff_t j = 0; j < rows; ++j)
      for (std::ptrdiff_t k = 0; k < count; ++k) to[j * count + k] = from[k * stride + j];
  });
}

}  // namespace

// ------------------------------------------------------------------------------------------------------- the network

std::unique_ptr<Network<double>> TwoLayerLanes::if_small(const Config& config) {
  constexpr double kMostWork = 4096, kMostCoordinates = 16;
  const ArrayView widths = config.array("widths"), X = config.array("X");
  if (widths.rows != 3 || widths.data[2] != 1.0 || config.number("output_bias") != 0.0) return nullptr;
  if (widths.data[0] > kMostCoordinates || static_cast<double>(X.rows) * widths.data[1] > kMostWork) return nullptr;
  return std::make_unique<TwoLayerLanes>(config);
}

TwoLayerLanes::TwoLayerLanes(const Config& config) : whole_(config) {
  const ArrayView X = config.array("X");
  const bool bias = layers()[0].bias >= 0;
  for (std::ptrdiff_t i = 0; i < X.rows; ++i) {
    X_.insert(X_.end(), X.data + i * X.columns, X.data + (i + 1) * X.columns);
    if (bias) X_.push_back(1.0);
  }
  place_rows(bias);
}

void TwoLayerLanes::place_rows(bool bias) {
  std::map<std::vector<double>, std::vector<std::ptrdiff_t>> waiting;  // samples without a partner so far
  std::vector<std::pair<std::ptrdiff_t, std::ptrdiff_t>> mirrored;
  for (std::ptrdiff_t i = 0; i < samples() && !bias; ++i) {
    std::vector<double> x(sample(i), sample(i) + coordinates()), opposite = x;
    for (double& number : opposite) number = -number;
    auto& partners = waiting[opposite];
    if (partners.empty()) {
      waiting[x].push_back(i);
    } else {
      mirrored.emplace_back(partners.back(), i);
      partners.pop_back();
    }
  }
  const auto whole_lanes = [this](std::size_t rows) {
    return (static_cast<std::ptrdiff_t>(rows) * width() + kLanes - 1) / kLanes * kLanes;
  };
  constexpr std::ptrdiff_t kNowhere = -1;
  rows_.assign(static_cast<std::size_t>(samples()), kNowhere);
  mirrored_size_ = whole_lanes(mirrored.size());
  std::ptrdiff_t at = 0;
  for (const auto& [i, opposite] : mirrored) {
    rows_[static_cast<std::size_t>(i)] = at;
    rows_[static_cast<std::size_t>(opposite)] = at + mirrored_size_;
    evaluated_.push_back(i);
    at += width();
  }
  at = 2 * mirrored_size_;
  for (std::ptrdiff_t i = 0; i < samples(); ++i)
    if (std::ptrdiff_t& row = rows_[static_cast<std::size_t>(i)]; row == kNowhere) {
      row = at;
      evaluated_.push_back(i);
      at += width();
    }
  single_size_ = whole_lanes(static_cast<std::size_t>(samples()) - 2 * mirrored.size());
}

std::unique_ptr<Pass<double>> TwoLayerLanes::pass(int) const { return std::make_unique<TwoLayerLanesPass>(*this); }

// ------------------------------------------------------------------------------------------------------------ a point

TwoLayerLanesPass::TwoLayerLanesPass(const TwoLayerLanes& network)
    : network_(network),
      n_(network.samples()),
      d_(network.coordinates()),
      m_(network.width()),
      padded_(network.padded_width()),
      F_(1, network.samples()),
      dF_(1, network.samples()) {
  const std::ptrdiff_t numbers = network.row_numbers() + kLanes;  // the last lanes of a sample may end behind it
  const std::pair<double**, std::ptrdiff_t> arrays[] = {
      {&W_, d_ * padded_}, {&dW_, d_ * padded_}, {&a_, padded_},        {&da_, padded_},      {&u_, numbers},
      {&value_, numbers},  {&first_, numbers},   {&is_neuron_, kLanes}, {&factors_, n_ * d_},
  };
  const auto whole_lanes = [](std::ptrdiff_t count) { return (count + kLanes - 1) / kLanes * kLanes; };
  std::ptrdiff_t total = 0;
  for (const auto& [array, count] : arrays) total += whole_lanes(count);
  memory_ = Panels<double>(1, total);
  double* next = memory_.row(0, 0);
  for (const auto& [array, count] : arrays) {
    *array = next;
    next += whole_lanes(count);
  }
  losses_.resize(static_cast<std::size_t>(F_.count() * F_.width()));
  std::fill_n(is_neuron_, m_ - (padded_ - kLanes), 1.0);
  if (network.layers()[1].weight < 0) std::copy_n(network.whole().weights(network.layers()[1], nullptr), m_, a_);
}

Pass<double>& TwoLayerLanesPass::whole() const {
  if (!whole_) whole_ = network_.whole().pass(1);
  if (!whole_is_here_) whole_->visit(w_);
  whole_is_here_ = true;
  return *whole_;
}

void TwoLayerLanesPass::take_weights() {
  const Layer &hidden = network_.layers()[0], &output = network_.layers()[1];
  transpose(w_ + hidden.weight, m_, hidden.in, W_, padded_);
  if (hidden.bias >= 0) std::copy_n(w_ + hidden.bias, m_, W_ + hidden.in * padded_);
  if (output.weight >= 0) std::copy_n(w_ + output.weight, m_, a_);
}

// u of sample i. What its last lanes write behind it is overwritten by the next sample, or asked for by nobody.
template <int kColumns>
void TwoLayerLanesPass::preactivations(std::ptrdiff_t i) {
  const std::ptrdiff_t d = kColumns ? kColumns : d_;
  const double *const x = network_.sample(i), *const W = W_;
  double* const u = u_ + network_.row(i);
  for (std::ptrdiff_t j = 0; j < padded_; j += kLanes) {
    Lanes sum = Lanes(x[0]) * Lanes::load(W + j);
    for (std::ptrdiff_t k = 1; k < d; ++k) sum = fma(Lanes(x[k]), Lanes::load(W + k * padded_ + j), sum);
    sum.store(u + j);
  }
}

void TwoLayerLanesPass::visit(const double* w) {
  w_ = w;
  whole_is_here_ = false;
  take_weights();
  with_count(d_, [&](auto d) {
    for (const std::ptrdiff_t i : network_.evaluated()) preactivations<d>(i);
  });
  const Activation& phi = network_.whole().activation();
  const std::ptrdiff_t mirrored = network_.mirrored_size(), single = network_.single_size();
  if (mirrored > 0)
    evaluate_both(phi, u_, static_cast<std::size_t>(mirrored), value_, first_, value_ + mirrored, first_ + mirrored);
  if (single > 0)
    evaluate<double>(phi, u_ + 2 * mirrored, static_cast<std::size_t>(single), value_ + 2 * mirrored,
                     first_ + 2 * mirrored, nullptr);

  const auto is_neuron = Lanes::load(is_neuron_) > Lanes(0.0);
  double* const f = F_.row(0, 0);  // the panels of one row follow each other
  for (std::ptrdiff_t i = 0; i < n_; ++i) {
    const double* const here = value_ + network_.row(i);
    Lanes total(0.0);
    for (std::ptrdiff_t j = 0; j + kLanes < padded_; j += kLanes)
      total = fma(Lanes::load(a_ + j), Lanes::load(here + j), total);
    const std::ptrdiff_t j = padded_ - kLanes;  // a = 0 there would not do: 0 times infinity
    total = fma(Lanes::load(a_ + j), select(is_neuron, Lanes::load(here + j), Lanes(0.0)), total);
    f[i] = network_.whole().scale() * sum(total);
  }
  for (std::ptrdiff_t panel = 0; panel < F_.count(); ++panel)
    network_.whole().output_loss().first(F_, panel, losses_.data(), network_.whole().scale(), dF_);
  double total = 0.0;
  for (std::ptrdiff_t i = 0; i < n_; ++i) total += losses_[static_cast<std::size_t>(i)];
  loss_ = total / static_cast<double>(n_);
}

// Rows from ... from + kRows of out (., padded) = sum_i factors(i, row) values(i, .), factors (n, rows).
template <int kRows>
void TwoLayerLanesPass::pull_back(std::ptrdiff_t from, std::ptrdiff_t rows, const double* factors, const double* values,
                                  double* out) const {
  for (std::ptrdiff_t j = 0; j < padded_; j += kLanes) {
    Lanes sums[kRows];
    for (int r = 0; r < kRows; ++r) sums[r] = Lanes(0.0);
    for (std::ptrdiff_t i = 0; i < n_; ++i) {
      const Lanes value = Lanes::load(values + network_.row(i) + j);
      for (int r = 0; r < kRows; ++r) sums[r] = fma(Lanes(factors[i * rows + from + r]), value, sums[r]);
    }
    for (int r = 0; r < kRows; ++r) sums[r].store(out + (from + r) * padded_ + j);
  }
}

void TwoLayerLanesPass::grad(double* out) {
  const Layer &hidden = network_.layers()[0], &output = network_.layers()[1];
  const double* const g = dF_.row(0, 0);
  for (std::ptrdiff_t i = 0; i < n_; ++i)
    for (std::ptrdiff_t k = 0; k < d_; ++k) factors_[i * d_ + k] = g[i] * network_.sample(i)[k];
  constexpr int kAtOnce = 4;
  for (std::ptrdiff_t k = 0; k < d_; k += kAtOnce)
    with_count(std::min<std::ptrdiff_t>(kAtOnce, d_ - k), [&](auto rows) {
      if constexpr (rows > 0) pull_back<rows>(k, d_, factors_, first_, dW_);
    });
  for (std::ptrdiff_t k = 0; k < d_; ++k)
    for (std::ptrdiff_t j = 0; j < padded_; j += kLanes) {
      double* const row = dW_ + k * padded_ + j;
      (Lanes::load(row) * Lanes::load(a_ + j)).store(row);
    }
  transpose_back(dW_, padded_, out + hidden.weight, m_, hidden.in);
  if (hidden.bias >= 0) std::copy_n(dW_ + hidden.in * padded_, m_, out + hidden.bias);
  if (output.weight < 0) return;
  pull_back<1>(0, 1, g, value_, da_);
  std::copy_n(da_, m_, out + output.weight);
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
