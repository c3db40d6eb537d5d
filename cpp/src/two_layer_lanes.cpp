// Loss and gradient of very small two-layer networks, the neurons in lanes.
#include "eosfast/networks/two_layer_lanes.hpp"

#include <algorithm>
#include <map>
#include <type_traits>
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
  constexpr double kMostNumbers = 8192, kMostCoordinates = 10;
  const ArrayView widths = config.array("widths"), X = config.array("X");
  if (widths.rows != 3 || widths.data[2] != 1.0 || config.number("output_bias") != 0.0) return nullptr;
  if (widths.data[0] > kMostCoordinates || static_cast<double>(X.rows) * widths.data[1] > kMostNumbers) return nullptr;
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
    std::vector<double> x(X() + i * coordinates(), X() + (i + 1) * coordinates()), opposite = x;
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

// u of the samples whose rows are evaluated. What the last lanes of one write behind it is overwritten by the next, or
// asked for by nobody.
template <int kCoordinates>
void TwoLayerLanesPass::preactivations() {
  const std::ptrdiff_t d = kCoordinates ? kCoordinates : d_, padded = padded_;
  const double* const W = W_;
  for (const std::ptrdiff_t i : network_.evaluated()) {
    const double* const x = network_.X() + i * d;
    double* const u = u_ + network_.rows()[i];
    for (std::ptrdiff_t j = 0; j < padded; j += kLanes) {
      Lanes sum = Lanes(x[0]) * Lanes::load(W + j);
      for (std::ptrdiff_t k = 1; k < d; ++k) sum = fma(Lanes(x[k]), Lanes::load(W + k * padded + j), sum);
      sum.store(u + j);
    }
  }
}

void TwoLayerLanesPass::visit(const double* w) {
  w_ = w;
  whole_is_here_ = false;
  take_weights();
  with_count(d_, [&](auto d) { preactivations<d>(); });
  const Activation& phi = network_.whole().activation();
  const std::ptrdiff_t mirrored = network_.mirrored_size(), single = network_.single_size();
  if (mirrored > 0)
    evaluate_both(phi, u_, static_cast<std::size_t>(mirrored), value_, first_, value_ + mirrored, first_ + mirrored);
  if (single > 0)
    evaluate<double>(phi, u_ + 2 * mirrored, static_cast<std::size_t>(single), value_ + 2 * mirrored,
                     first_ + 2 * mirrored, nullptr);

  const auto is_neuron = Lanes::load(is_neuron_) > Lanes(0.0);
  double* const f = F_.row(0, 0);  // the panels of one row follow each other
  const double *const a = a_, scale = network_.whole().scale();
  const std::ptrdiff_t tail = padded_ - kLanes, n = n_;
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    const double* const value = value_ + network_.rows()[i];
    Lanes total(0.0);
    for (std::ptrdiff_t j = 0; j < tail; j += kLanes) total = fma(Lanes::load(a + j), Lanes::load(value + j), total);
    const Lanes last = select(is_neuron, Lanes::load(value + tail), Lanes(0.0));  // a = 0 would not do: 0 infinity
    f[i] = scale * sum(fma(Lanes::load(a + tail), last, total));
  }
  for (std::ptrdiff_t panel = 0; panel < F_.count(); ++panel)
    network_.whole().output_loss().first(F_, panel, losses_.data(), network_.whole().scale(), dF_);
  double total = 0.0;
  for (std::ptrdiff_t i = 0; i < n_; ++i) total += losses_[static_cast<std::size_t>(i)];
  loss_ = total / static_cast<double>(n_);
}

// Rows from ... from + kRows of out (., padded) = of_neuron(j) sum_i factors(i, row) values(i, j), factors (n, rows).
template <int kRows, class OfNeuron>
void TwoLayerLanesPass::pull_back(std::ptrdiff_t from, std::ptrdiff_t rows, const double* factors, const double* values,
                                  double* out, OfNeuron&& of_neuron) const {
  const std::ptrdiff_t *const row_of = network_.rows(), n = n_, padded = padded_;
  for (std::ptrdiff_t j = 0; j < padded; j += kLanes) {
    Lanes sums[kRows];
    for (int r = 0; r < kRows; ++r) sums[r] = Lanes(0.0);
    for (std::ptrdiff_t i = 0; i < n; ++i) {
      const Lanes value = Lanes::load(values + row_of[i] + j);
      for (int r = 0; r < kRows; ++r) sums[r] = fma(Lanes(factors[i * rows + from + r]), value, sums[r]);
    }
    for (int r = 0; r < kRows; ++r) of_neuron(sums[r], j).store(out + (from + r) * padded + j);
  }
}

void TwoLayerLanesPass::grad(double* out) {
  const Layer &hidden = network_.layers()[0], &output = network_.layers()[1];
  const double *const g = dF_.row(0, 0), *const X = network_.X(), *const a = a_;
  const std::ptrdiff_t n = n_, d = d_;
  double* const factors = factors_;
  for (std::ptrdiff_t i = 0; i < n; ++i)
    for (std::ptrdiff_t k = 0; k < d; ++k) factors[i * d + k] = g[i] * X[i * d + k];
  constexpr std::ptrdiff_t kAtOnce = 4;
  for (std::ptrdiff_t k = 0; k < d; k += kAtOnce)
    with_count(std::min(kAtOnce, d - k), [&](auto rows) {
      const auto times_a = [a](const Lanes& sum, std::ptrdiff_t j) { return sum * Lanes::load(a + j); };
      if constexpr (rows > 0) pull_back<rows>(k, d, factors, first_, dW_, times_a);
    });
  transpose_back(dW_, padded_, out + hidden.weight, m_, hidden.in);
  if (hidden.bias >= 0) std::copy_n(dW_ + hidden.in * padded_, m_, out + hidden.bias);
  if (output.weight < 0) return;
  pull_back<1>(0, 1, g, value_, da_, [](const Lanes& sum, std::ptrdiff_t) { return sum; });
  std::copy_n(da_, m_, out + output.weight);
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
