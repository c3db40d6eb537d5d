// Forward pass, backpropagation and Hessian-vector products of fully connected networks. Panels of samples are
// independent of each other until the sums over samples; threads share panels first, then parts of those sums.
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

// Pointers to `count` rows, `stride` apart.
template <class T>
std::vector<T*> row_pointers(T* first, std::ptrdiff_t count, std::ptrdiff_t stride) {
  std::vector<T*> rows(static_cast<std::size_t>(count));
  for (T*& row : rows) {
    row = first;
    first += stride;
  }
  return rows;
}

// out (rows from `to`) (+)= W in, one panel; W (count x ...) row-major, its columns `depth` of rows `stride` apart.
template <class T>
void multiply_panel(const T* W, std::ptrdiff_t count, std::ptrdiff_t stride, std::ptrdiff_t depth, const T* in,
                    Panels<T>& out, std::ptrdiff_t to, std::ptrdiff_t panel, bool accumulate) {
  const auto rows = row_pointers<const T>(W, count, stride);
  const auto targets = row_pointers(out.row(panel, to), count, out.width());
  multiply<T>({rows.data(), count, 1, depth, 0}, in, depth, out.width(), targets.data(), accumulate);
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

// 0, or NaN if a weight of the first layer is not finite: coordinates that are zero in all samples of a panel are
// skipped, and shall hide nothing.
template <class T>
T poison(const typename Network<T>::Layer& first, const T* w) {
  T sum = T(0);
  for (std::ptrdiff_t i = 0; i < first.in * first.out; ++i) sum += w[first.weight + i] * T(0);
  return sum;
}

template <class T>
void fill_rows(Panels<T>& out, std::ptrdiff_t to, std::ptrdiff_t panel, const T* values, std::ptrdiff_t count) {
  for (std::ptrdiff_t i = 0; i < count; ++i) std::fill_n(out.row(panel, to + i), out.width(), values[i]);
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
  for (int l = 0; l <= last(); ++l) {
    const std::ptrdiff_t width = layers()[static_cast<std::size_t>(l)].out;
    if (l == last()) {
      at(l).D = Panels<T>(width, n);
    } else {
      for (Panels<T>* panels : {&at(l).Z, &at(l).A, &at(l).first, &at(l).E, &at(l).D}) *panels = Panels<T>(width, n);
    }
  }
  F_ = Panels<T>(layers().back().out, n);
  dF_ = Panels<T>(layers().back().out, n);
  losses_.resize(static_cast<std::size_t>(F_.count() * F_.width()));
}

template <class T>
void FeedForwardPass<T>::visit(const T* w) {
  w_ = w;
  has_backward_ = has_second_ = false;
  poison_ = network_.has_holes() ? poison<T>(layers().front(), w) : T(0);
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
void FeedForwardPass<T>::backward(std::ptrdiff_t panel) {
  for (int l = last() - 1; l >= 0; --l) {
    Values& here = at(l);
    pull_back(l, network_.weights(layers()[static_cast<std::size_t>(l + 1)], w_), at(l + 1).D, 0, here.E, 0, panel,
              false);
    const T *const e = here.E.row(panel, 0), *const first = here.first.row(panel, 0);
    T* const d = here.D.row(panel, 0);
    for (std::ptrdiff_t i = 0; i < here.D.stride(); ++i) d[i] = e[i] * first[i];
  }
}

template <class T>
void FeedForwardPass<T>::ensure_backward() {
  if (has_backward_) return;
  has_backward_ = true;
  std::copy_n(dF_.row(0, 0), dF_.size(), at(last()).D.row(0, 0));
  parallel_for(F_.count(), num_threads_, [&](std::ptrdiff_t panel) { backward(panel); });
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
  ensure_backward();
  for (int l = 0; l <= last(); ++l) {
    const Layer& layer = layers()[static_cast<std::size_t>(l)];
    if (layer.bias >= 0) sum_rows(at(l).D, 0, layer.out, out + layer.bias, false);
    if (layer.weight < 0) continue;
    if (l == 0) {
      first_layer_product(at(0).D, 1, out);
    } else {
      constexpr std::ptrdiff_t kRows = 12;
      parallel_for((layer.out + kRows - 1) / kRows, num_threads_, [&](std::ptrdiff_t part) {
        const std::ptrdiff_t from = part * kRows, to = std::min(from + kRows, layer.out);
        multiply_transposed(at(l).D, from, to, input(l), 0, layer.in, out + layer.weight + from * layer.in, layer.in,
                            false);
      });
    }
  }
}

// --------------------------------------------------------------------------------------------- Hessian-vector products

template <class T>
void FeedForwardPass<T>::ensure_second() {
  if (has_second_) return;
  has_second_ = true;
  for (int l = 0; l < last(); ++l)
    if (at(l).second.rows() == 0) at(l).second = Panels<T>(at(l).Z.rows(), at(l).Z.columns());
  parallel_for(F_.count(), num_threads_, [&](std::ptrdiff_t panel) {
    for (int l = 0; l < last(); ++l) {  // kept as E phi''
      Values& here = at(l);
      T* const second = here.second.row(panel, 0);
      evaluate<T>(network_.activation(), here.Z.row(panel, 0), static_cast<std::size_t>(here.Z.stride()), nullptr,
                  nullptr, second);
      const T* const e = here.E.row(panel, 0);
      for (std::ptrdiff_t i = 0; i < here.Z.stride(); ++i) second[i] *= e[i];
    }
  });
}

template <class T>
void FeedForwardPass<T>::hvp(const T* V, int k, T* out) {
  ensure_backward();
  ensure_second();
  poisons_.assign(static_cast<std::size_t>(k), T(0));
  for (int c = 0; c < k && network_.has_holes(); ++c)
    poisons_[static_cast<std::size_t>(c)] = poison<T>(layers().front(), V + c * network_.dim());
  if (k > directions_held_) {  // kept for fewer, which use the first rows
    directions_held_ = k;
    for (int l = 0; l <= last(); ++l) {
      const std::ptrdiff_t rows = layers()[static_cast<std::size_t>(l)].out * k, n = network_.samples();
      along(l) = {Panels<T>(rows, n), l < last() ? Panels<T>(rows, n) : Panels<T>(), Panels<T>(rows, n)};
    }
  }
  parallel_for(F_.count(), num_threads_, [&](std::ptrdiff_t panel) {
    directions_forward(panel, V, k);
    directions_backward(panel, V, k);
  });
  first_layer_product(along(0).D, k, out);
  for (int c = 0; c < k; ++c) {
    T* const to = out + c * network_.dim();
    for (int l = 0; l <= last(); ++l) {
      const Layer& layer = layers()[static_cast<std::size_t>(l)];
      if (layer.bias >= 0) sum_rows(along(l).D, c * layer.out, (c + 1) * layer.out, to + layer.bias, false);
      if (layer.weight < 0 || l == 0) continue;
      constexpr std::ptrdiff_t kRows = 12;
      parallel_for((layer.out + kRows - 1) / kRows, num_threads_, [&](std::ptrdiff_t part) {
        const std::ptrdiff_t from = part * kRows, end = std::min(from + kRows, layer.out);
        T* const rows = to + layer.weight + from * layer.in;
        multiply_transposed(along(l).D, c * layer.out + from, c * layer.out + end, input(l), 0, layer.in, rows,
                            layer.in, false);
        multiply_transposed(at(l).D, from, end, along(l - 1).A, c * layer.in, layer.in, rows, layer.in, true);
      });
    }
  }
}

template <class T>
void FeedForwardPass<T>::directions_forward(std::ptrdiff_t panel, const T* V, int k) {
  const std::ptrdiff_t dim = network_.dim();
  for (int l = 0; l <= last(); ++l) {
    const Layer& layer = layers()[static_cast<std::size_t>(l)];
    Panels<T>& Z = along(l).Z;
    for (int c = 0; c < k; ++c)
      if (layer.bias >= 0) fill_rows(Z, c * layer.out, panel, V + c * dim + layer.bias, layer.out);
    bool accumulate = layer.bias >= 0;
    if (layer.weight >= 0) {  // V_l A_{l-1}, all directions in one product
      const Range range = input_rows(l, panel);
      std::vector<const T*> rows;
      rows.reserve(static_cast<std::size_t>(layer.out * k));
      for (int c = 0; c < k; ++c)
        for (std::ptrdiff_t i = 0; i < layer.out; ++i)
          rows.push_back(V + c * dim + layer.weight + i * layer.in + range.from);
      const auto targets = row_pointers(Z.row(panel, 0), layer.out * k, Z.width());
      multiply<T>({rows.data(), layer.out * k, 1, layer.in, 0}, input(l).row(panel, range.from), range.to - range.from,
                  Z.width(), targets.data(), accumulate);
      accumulate = true;
    }
    if (l > 0)
      for (int c = 0; c < k; ++c)
        multiply_panel(network_.weights(layer, w_), layer.out, layer.in, layer.in,
                       along(l - 1).A.row(panel, c * layer.in), Z, c * layer.out, panel, accumulate);
    if (l == last()) continue;
    const T* const first = at(l).first.row(panel, 0);
    const std::ptrdiff_t size = at(l).first.stride();
    for (int c = 0; c < k; ++c) {
      const T* const z = Z.row(panel, c * layer.out);
      T* const a = along(l).A.row(panel, c * layer.out);
      for (std::ptrdiff_t i = 0; i < size; ++i) a[i] = first[i] * z[i];
    }
  }
}

template <class T>
void FeedForwardPass<T>::directions_backward(std::ptrdiff_t panel, const T* V, int k) {
  const std::ptrdiff_t outputs = F_.rows(), dim = network_.dim();
  const double scale = network_.scale();
  for (int c = 0; c < k; ++c) {
    const T poisoned = poisons_[static_cast<std::size_t>(c)];
    if (poisoned != T(0)) std::fill_n(along(last()).Z.row(panel, c * outputs), outputs * F_.width(), poisoned);
    // .D_N = scale^2 L''(F) .Z_N
    network_.output_loss().second(F_, panel, along(last()).Z, c * outputs, scale * scale, along(last()).D);
    for (int l = last() - 1; l >= 0; --l) {
      const Layer& above = layers()[static_cast<std::size_t>(l + 1)];
      Panels<T>& D = along(l).D;
      const std::ptrdiff_t from = c * above.out, to = c * above.in;
      pull_back(l, network_.weights(above, w_), along(l + 1).D, from, D, to, panel, false);
      if (above.weight >= 0) pull_back(l, V + c * dim + above.weight, at(l + 1).D, 0, D, to, panel, true);
      const T *const first = at(l).first.row(panel, 0), *const second = at(l).second.row(panel, 0);
      const T* const z = along(l).Z.row(panel, to);
      T* const d = D.row(panel, to);
      for (std::ptrdiff_t i = 0; i < at(l).D.stride(); ++i) d[i] = d[i] * first[i] + second[i] * z[i];
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
  Panels<T>& D = at(last()).D;
  std::fill_n(D.row(0, 0), D.size(), T(0));
  for (std::ptrdiff_t s = 0; s < D.columns(); ++s) D.at(output, s) = static_cast<T>(network_.scale());
  for (std::ptrdiff_t panel = 0; panel < F_.count(); ++panel) backward(panel);
  has_backward_ = has_second_ = false;  // of the loss no longer
  for (std::ptrdiff_t s = 0; s < D.columns(); ++s)
    for (std::ptrdiff_t i = 0; i < at(layer).D.rows(); ++i) *out++ = static_cast<double>(at(layer).D.at(i, s));
}

template class FeedForward<double>;
template class FeedForward<float>;
template class FeedForwardPass<double>;
template class FeedForwardPass<float>;

}  // namespace EOSFAST_ISA
}  // namespace eosfast
