// Forward pass and backpropagation of fully connected networks (products with derivatives: feed_forward_products.cpp).
// Panels of samples are independent of each other until the sums over samples; threads share panels first, then parts
// of those sums.
#include "eosfast/networks/feed_forward.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "eosfast/parallel.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

template <class T>
Panels<T> as_panels(ArrayView X, bool transposed) {  // X (n, d) as (d, n), or as it is
  const std::ptrdiff_t rows = transposed ? X.rows : X.columns, columns = transposed ? X.columns : X.rows;
  Panels<T> out(rows, columns);
  for (std::ptrdiff_t i = 0; i < X.rows; ++i)
    for (std::ptrdiff_t j = 0; j < X.columns; ++j)
      (transposed ? out.at(i, j) : out.at(j, i)) = static_cast<T>(X.data[i * X.columns + j]);
  return out;
}

// From the first row of each panel that is not zero, rounded down to a multiple of `step`, to behind the last one.
template <class Range, class T>
std::vector<Range> nonzero_rows(const Panels<T>& X, std::ptrdiff_t step) {
  std::vector<Range> out;
  for (std::ptrdiff_t panel = 0; panel < X.count(); ++panel) {
    const auto is_zero = [&](std::ptrdiff_t i) {
      return std::all_of(X.row(panel, i), X.row(panel, i) + X.width(), [](T x) { return x == T(0); });
    };
    Range rows{0, X.rows()};
    while (rows.to > 1 && is_zero(rows.to - 1)) --rows.to;
    while (rows.from < rows.to - 1 && is_zero(rows.from)) ++rows.from;
    rows.from = rows.from / step * step;
    out.push_back(rows);
  }
  return out;
}

// Threads for a pass: a part of the work for one of them takes some 20 microseconds at least, or waiting costs more.
template <class T>
int worth_threads(const Network<T>& network, int num_threads) {
  constexpr double kLeast = 2e6;
  double multiplications = 0.0;
  for (const auto& layer : network.layers())
    multiplications +=
        static_cast<double>(layer.in) * static_cast<double>(layer.out) * static_cast<double>(network.samples());
  return static_cast<int>(std::clamp(multiplications / kLeast, 1.0, static_cast<double>(std::max(num_threads, 1))));
}

}  // namespace

// ------------------------------------------------------------------------------------------------------- the network

template <class T>
FeedForward<T>::FeedForward(const Config& config)
    : X_(as_panels<T>(config.array("X"), false)),
      X_transposed_(as_panels<T>(config.array("X"), true)),
      activation_(activation_named(config.text("activation"), config.number("activation_linear"),
                                   config.number("activation_gain"), config.number("activation_h"))),
      loss_(output_loss_named(config.text("loss")), config.array("y"), X_.width()),
      scale_(config.number("output_scale")),
      degree_(static_cast<int>(config.number("degree"))) {
  const ArrayView widths = config.array("widths");  // d, hidden widths, outputs
  const bool bias = config.number("bias") != 0.0, output_bias = config.number("output_bias") != 0.0;
  const ArrayView fixed = config.array("output_weights");  // empty: the last layer is trained
  for (std::ptrdiff_t l = 0; l + 1 < widths.rows; ++l) {
    const bool is_last = l + 2 == widths.rows;
    Layer layer{static_cast<std::ptrdiff_t>(widths.data[l]), static_cast<std::ptrdiff_t>(widths.data[l + 1]), -1, -1};
    if (!is_last || fixed.rows == 0) {
      layer.weight = dim_;
      dim_ += layer.in * layer.out;
    }
    if (is_last ? output_bias : bias) {
      layer.bias = dim_;
      dim_ += layer.out;
    }
    layers_.push_back(layer);
  }
  for (std::ptrdiff_t i = 0; i < fixed.rows; ++i) fixed_.push_back(static_cast<T>(fixed.data[i]));
  X_rows_ = nonzero_rows<Range>(X_, 1);
  X_transposed_rows_ =
      nonzero_rows<Range>(X_transposed_, X_.width());  // a product enters whole panels of its left side
  has_holes_ = std::any_of(X_rows_.begin(), X_rows_.end(),
                           [this](const Range& rows) { return rows.from > 0 || rows.to < X_.rows(); });
}

template <class T>
std::unique_ptr<Pass<T>> FeedForward<T>::pass(int num_threads) const {
  return std::make_unique<FeedForwardPass<T>>(*this, num_threads);
}

template <class T>
T FeedForward<T>::poison(const T* w) const {
  const Layer& first = layers_.front();
  T sum = T(0);
  for (std::ptrdiff_t i = 0; i < first.in * first.out; ++i) sum += w[first.weight + i] * T(0);
  return sum;
}

template <class T>
int FeedForward<T>::patience() const {
  double flops = 0.0;
  for (const Layer& layer : layers_)
    flops += 6.0 * static_cast<double>(layer.in) * static_cast<double>(layer.out) * static_cast<double>(samples());
  return static_cast<int>(std::clamp(1e7 / flops, 1.0, 960.0));
}

// ------------------------------------------------------------------------------------------------------------ a point

template <class T>
FeedForwardPass<T>::FeedForwardPass(const FeedForward<T>& network, int num_threads)
    : network_(network),
      num_threads_(worth_threads(network, num_threads)),
      values_(network.layers().size()),
      directions_(network.layers().size()) {
  const std::ptrdiff_t n = network.samples();
  for (int l = 0; l < last(); ++l) {
    const std::ptrdiff_t width = layers()[static_cast<std::size_t>(l)].out;
    for (Panels<T>* panels : {&at(l).Z, &at(l).A, &at(l).first}) *panels = Panels<T>(width, n);
  }
  make_room(loss_backward_);
  F_ = Panels<T>(layers().back().out, n);
  dF_ = Panels<T>(layers().back().out, n);
  losses_.resize(static_cast<std::size_t>(F_.count() * F_.width()));
}

template <class T>
void FeedForwardPass<T>::make_room(Backward& of) const {
  if (!of.layers.empty()) return;
  of.layers.resize(layers().size());
  for (int l = 0; l <= last(); ++l) {
    const std::ptrdiff_t width = layers()[static_cast<std::size_t>(l)].out, n = network_.samples();
    of.at(l).D = Panels<T>(width, n);
    if (l < last()) of.at(l).E = Panels<T>(width, n);
  }
}

template <class T>
void FeedForwardPass<T>::visit(const T* w) {
  w_ = w;
  for (Backward* of : {&loss_backward_, &outputs_backward_}) of->is_here = of->has_second = false;
  poison_ = network_.has_holes() ? network_.poison(w) : T(0);
  parallel_for(F_.count(), num_threads_, [&](std::ptrdiff_t panel) { forward(panel); });
  loss_ = 0.0;
  for (std::ptrdiff_t s = 0; s < network_.samples(); ++s) loss_ += losses_[static_cast<std::size_t>(s)];
  loss_ /= static_cast<double>(network_.samples());
}

template <class T>
void FeedForwardPass<T>::forward(std::ptrdiff_t panel) {
  for (int l = 0; l <= last(); ++l) {
    const Layer& layer = layers()[static_cast<std::size_t>(l)];
    Panels<T>& Z = l == last() ? F_ : at(l).Z;
    if (layer.bias >= 0) fill_rows(Z, 0, panel, w_ + layer.bias, layer.out);
    const Range rows = input_rows(l, panel);
    multiply_panel(network_.weights(layer, w_) + rows.from, layer.out, layer.in, rows.to - rows.from,
                   input(l).row(panel, rows.from), Z, 0, panel, layer.bias >= 0);
    if (l < last())
      evaluate<T>(network_.activation(), Z.row(panel, 0), static_cast<std::size_t>(Z.stride()), at(l).A.row(panel, 0),
                  at(l).first.row(panel, 0), nullptr);
  }
  if (network_.scale() != 1.0) {
    T* const f = F_.row(panel, 0);
    for (std::ptrdiff_t i = 0; i < F_.stride(); ++i) f[i] *= static_cast<T>(network_.scale());
  }
  if (poison_ != T(0)) std::fill_n(F_.row(panel, 0), F_.stride(), poison_);
  network_.output_loss().first(F_, panel, losses_.data(), network_.scale(), dF_);
}

// out (rows from `to`) (+)= W' D (rows from `from`), W that of the layer above l, given as `weights`.
template <class T>
void FeedForwardPass<T>::pull_back(int l, const T* weights, const Panels<T>& D, std::ptrdiff_t from, Panels<T>& out,
                                   std::ptrdiff_t to, std::ptrdiff_t panel, bool accumulate) const {
  const Layer& above = layers()[static_cast<std::size_t>(l + 1)];
  const auto columns = row_pointers<const T>(weights, above.in, 1);
  const auto targets = row_pointers(out.row(panel, to), above.in, out.width());
  multiply<T>({columns.data(), above.in, above.in, above.out, 0}, D.row(panel, from), above.out, out.width(),
              targets.data(), accumulate);
}

template <class T>
void FeedForwardPass<T>::backward(Backward& of) {
  parallel_for(F_.count(), num_threads_, [&](std::ptrdiff_t panel) {
    for (int l = last() - 1; l >= 0; --l) {
      Back& here = of.at(l);
      pull_back(l, network_.weights(layers()[static_cast<std::size_t>(l + 1)], w_), of.at(l + 1).D, 0, here.E, 0, panel,
                false);
      const T *const e = here.E.row(panel, 0), *const first = at(l).first.row(panel, 0);
      T* const d = here.D.row(panel, 0);
      for (std::ptrdiff_t i = 0; i < here.D.stride(); ++i) d[i] = e[i] * first[i];
    }
  });
}

template <class T>
typename FeedForwardPass<T>::Backward& FeedForwardPass<T>::of_loss() {
  if (!loss_backward_.is_here) {
    std::copy_n(dF_.row(0, 0), dF_.size(), loss_backward_.at(last()).D.row(0, 0));
    backward(loss_backward_);
    loss_backward_.is_here = true;
  }
  return loss_backward_;
}

// ----------------------------------------------------------------------------------------------------------- gradient

// out + c dim (+ i d + j) = sum over samples of D (row c m + i) X (row j): rows of all directions in one product.
template <class T>
void FeedForwardPass<T>::first_layer_product(const Panels<T>& D, int k, T* out) const {
  const Layer& layer = layers().front();
  const Panels<T>& right = network_.X_transposed();
  const std::ptrdiff_t d = layer.in, dim = network_.dim();
  constexpr std::ptrdiff_t kRows = 48;  // of one task: a multiple of every tile's
  const std::ptrdiff_t total = layer.out * k, parts = (total + kRows - 1) / kRows;
  parallel_for(right.count() * parts, num_threads_, [&](std::ptrdiff_t task) {
    const std::ptrdiff_t panel = task / parts, from = task % parts * kRows, count = std::min(kRows, total - from);
    const std::ptrdiff_t wide = std::min<std::ptrdiff_t>(right.width(), d - panel * right.width());
    const Range range = network_.X_transposed_rows()[static_cast<std::size_t>(panel)];
    const auto rows = row_pointers<const T>(D.row(range.from / D.width(), from), count, D.width());
    std::vector<T> narrow(wide < right.width() ? static_cast<std::size_t>(count * right.width()) : 0);
    std::vector<T*> targets(static_cast<std::size_t>(count));
    const auto place = [&](std::ptrdiff_t i) {
      const std::ptrdiff_t row = from + i;
      return out + row / layer.out * dim + layer.weight + row % layer.out * d + panel * right.width();
    };
    for (std::ptrdiff_t i = 0; i < count; ++i)
      targets[static_cast<std::size_t>(i)] = narrow.empty() ? place(i) : narrow.data() + i * right.width();
    multiply<T>({rows.data(), count, 1, D.width(), D.stride()}, right.row(panel, range.from), range.to - range.from,
                right.width(), targets.data(), false);
    if (!narrow.empty())
      for (std::ptrdiff_t i = 0; i < count; ++i) std::copy_n(targets[static_cast<std::size_t>(i)], wide, place(i));
  });
}

template <class T>
void FeedForwardPass<T>::grad(T* out) {
  const Backward& of = of_loss();
  for (int l = 0; l <= last(); ++l) {
    const Layer& layer = layers()[static_cast<std::size_t>(l)];
    if (layer.bias >= 0) sum_rows(of.at(l).D, 0, layer.out, out + layer.bias, false);
    if (layer.weight < 0) continue;
    if (l == 0) {
      first_layer_product(of.at(0).D, 1, out);
    } else {
      constexpr std::ptrdiff_t kRows = 12;
      parallel_for((layer.out + kRows - 1) / kRows, num_threads_, [&](std::ptrdiff_t part) {
        const std::ptrdiff_t from = part * kRows, to = std::min(from + kRows, layer.out);
        multiply_transposed(of.at(l).D, from, to, input(l), 0, layer.in, out + layer.weight + from * layer.in, layer.in,
                            false);
      });
    }
  }
}

// ------------------------------------------------------------------------------------------------- other questions

template <class T>
void FeedForwardPass<T>::quantity(std::string_view name, double weight_norm, double* out) {
  if (name == "accuracy") {
    *out = network_.output_loss().accuracy(F_);
  } else if (name == "margin") {
    *out = network_.output_loss().least_margin(F_);
    for (int factor = 0; factor < network_.degree(); ++factor) *out /= weight_norm;  // its power may be out of range
  } else {
    throw std::logic_error("no quantity \"" + std::string(name) + "\" of a network; this is a bug in eosfast");
  }
}

template <class T>
void FeedForwardPass<T>::residual(T* out) {
  network_.output_loss().residual(F_, out);
}

template <class T>
void FeedForwardPass<T>::outputs(double* out) const {
  for (std::ptrdiff_t s = 0; s < F_.columns(); ++s)
    for (std::ptrdiff_t j = 0; j < F_.rows(); ++j) *out++ = static_cast<double>(F_.at(j, s));
}

template <class T>
void FeedForwardPass<T>::layer_inputs(int layer, double* out) const {
  const Panels<T>& A = input(layer);
  for (std::ptrdiff_t s = 0; s < A.columns(); ++s)
    for (std::ptrdiff_t i = 0; i < A.rows(); ++i) *out++ = static_cast<double>(A.at(i, s));
}

template <class T>
void FeedForwardPass<T>::layer_slopes(int layer, int output, double* out) {
  make_room(outputs_backward_);
  outputs_backward_.is_here = outputs_backward_.has_second = false;
  Panels<T>& D = outputs_backward_.at(last()).D;
  std::fill_n(D.row(0, 0), D.size(), T(0));
  for (std::ptrdiff_t s = 0; s < D.columns(); ++s) D.at(output, s) = static_cast<T>(network_.scale()) + poison_;
  backward(outputs_backward_);
  const Panels<T>& slopes = outputs_backward_.at(layer).D;
  for (std::ptrdiff_t s = 0; s < slopes.columns(); ++s)
    for (std::ptrdiff_t i = 0; i < slopes.rows(); ++i) *out++ = static_cast<double>(slopes.at(i, s));
}

template class FeedForward<double>;
template class FeedForward<float>;
template class FeedForwardPass<double>;
template class FeedForwardPass<float>;

}  // namespace EOSFAST_ISA
}  // namespace eosfast
