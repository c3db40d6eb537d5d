// Products with the derivatives of a fully connected network at a point: of the loss, Hessian times vectors; of its
// outputs, the Jacobian, its transpose, and the curvature along given outputs. The formulas stand in feed_forward.hpp.
#include <algorithm>

#include "eosfast/networks/feed_forward.hpp"
#include "eosfast/parallel.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// --------------------------------------------------------------------------------------- backwards from given outputs

// D (rows from `from`) = scale u; what fills up the last panel stays zero.
template <class T>
void FeedForwardPass<T>::take_outputs(const T* u, Panels<T>& D, std::ptrdiff_t from) const {
  const auto scale = static_cast<T>(network_.scale());
  for (std::ptrdiff_t s = 0; s < D.columns(); ++s)
    for (std::ptrdiff_t j = 0; j < F_.rows(); ++j) D.at(from + j, s) = scale * *u++ + poison_;
}

template <class T>
typename FeedForwardPass<T>::Backward& FeedForwardPass<T>::of_outputs(const T* u) {
  const auto count = static_cast<std::size_t>(network_.num_outputs());
  if (!outputs_backward_.is_here || !std::equal(u, u + count, outputs_along_.begin())) {
    make_room(outputs_backward_);
    outputs_along_.assign(u, u + count);
    take_outputs(u, outputs_backward_.at(last()).D, 0);
    backward(outputs_backward_);
    outputs_backward_.is_here = true;
    outputs_backward_.has_second = false;
  }
  return outputs_backward_;
}

template <class T>
void FeedForwardPass<T>::add_second(Backward& of) {
  if (of.has_second) return;
  of.has_second = true;
  for (int l = 0; l < last(); ++l)
    if (of.at(l).second.rows() == 0) of.at(l).second = Panels<T>(at(l).Z.rows(), at(l).Z.columns());
  parallel_for(F_.count(), num_threads_, [&](std::ptrdiff_t panel) {
    for (int l = 0; l < last(); ++l) {
      const Panels<T>& Z = at(l).Z;
      T* const second = of.at(l).second.row(panel, 0);
      evaluate<T>(network_.activation(), Z.row(panel, 0), static_cast<std::size_t>(Z.stride()), nullptr, nullptr,
                  second);
      const T* const e = of.at(l).E.row(panel, 0);
      for (std::ptrdiff_t i = 0; i < Z.stride(); ++i) second[i] *= e[i];
    }
  });
}

// -------------------------------------------------------------------------------------------------- along directions

template <class T>
void FeedForwardPass<T>::hold_directions(int k) {
  if (k <= directions_held_) return;  // kept for fewer, which use the first rows
  directions_held_ = k;
  for (int l = 0; l <= last(); ++l) {
    const std::ptrdiff_t rows = layers()[static_cast<std::size_t>(l)].out * k, n = network_.samples();
    along(l) = {Panels<T>(rows, n), l < last() ? Panels<T>(rows, n) : Panels<T>(), Panels<T>(rows, n)};
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
  for (int c = 0; c < k; ++c)
    if (const T poisoned = poisons_[static_cast<std::size_t>(c)]; poisoned != T(0))
      std::fill_n(along(last()).Z.row(panel, c * F_.rows()), F_.stride(), poisoned);
}

template <class T>
void FeedForwardPass<T>::directions_backward(std::ptrdiff_t panel, const T* V, int k, const Backward& of) {
  const std::ptrdiff_t outputs = F_.rows(), dim = network_.dim();
  const double scale = network_.scale();
  for (int c = 0; c < k; ++c) {
    if (&of == &loss_backward_) {  // .D_N = scale^2 L''(F) .Z_N
      network_.output_loss().second(F_, panel, along(last()).Z, c * outputs, scale * scale, along(last()).D);
    } else {  // linear in the outputs
      std::fill_n(along(last()).D.row(panel, c * outputs), F_.stride(), poisons_[static_cast<std::size_t>(c)]);
    }
    for (int l = last() - 1; l >= 0; --l) {
      const Layer& above = layers()[static_cast<std::size_t>(l + 1)];
      Panels<T>& D = along(l).D;
      const std::ptrdiff_t from = c * above.out, to = c * above.in;
      pull_back(l, network_.weights(above, w_), along(l + 1).D, from, D, to, panel, false);
      if (above.weight >= 0) pull_back(l, V + c * dim + above.weight, of.at(l + 1).D, 0, D, to, panel, true);
      const T *const first = at(l).first.row(panel, 0), *const second = of.at(l).second.row(panel, 0);
      const T* const z = along(l).Z.row(panel, to);
      T* const d = D.row(panel, to);
      for (std::ptrdiff_t i = 0; i < at(l).first.stride(); ++i) d[i] = d[i] * first[i] + second[i] * z[i];
    }
  }
}

// out + c dim = the sums over samples of .D_l A_{l-1}', to which of second derivatives D_l .A_{l-1}' belongs.
template <class T>
void FeedForwardPass<T>::sum_over_samples(int k, const Backward* of, T* out) {
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
        if (of)
          multiply_transposed(of->at(l).D, from, end, along(l - 1).A, c * layer.in, layer.in, rows, layer.in, true);
      });
    }
  }
}

template <class T>
void FeedForwardPass<T>::take_directions(const T* V, int k) {
  hold_directions(k);
  poisons_.assign(static_cast<std::size_t>(k), poison_);
  for (int c = 0; c < k && network_.has_holes(); ++c)
    poisons_[static_cast<std::size_t>(c)] += network_.poison(V + c * network_.dim());
}

// ------------------------------------------------------------------------------------------------------- the products

template <class T>
void FeedForwardPass<T>::second_derivatives(Backward& of, const T* V, int k, T* out) {
  add_second(of);
  take_directions(V, k);
  parallel_for(F_.count(), num_threads_, [&](std::ptrdiff_t panel) {
    directions_forward(panel, V, k);
    directions_backward(panel, V, k, of);
  });
  sum_over_samples(k, &of, out);
}

template <class T>
void FeedForwardPass<T>::hvp(const T* V, int k, T* out) {
  second_derivatives(of_loss(), V, k, out);
}

template <class T>
void FeedForwardPass<T>::curvature(const T* u, const T* V, int k, T* out) {
  second_derivatives(of_outputs(u), V, k, out);
}

template <class T>
void FeedForwardPass<T>::jvp(const T* V, int k, T* out) {
  take_directions(V, k);
  parallel_for(F_.count(), num_threads_, [&](std::ptrdiff_t panel) { directions_forward(panel, V, k); });
  const Panels<T>& Z = along(last()).Z;
  const auto scale = static_cast<T>(network_.scale());
  for (int c = 0; c < k; ++c)
    for (std::ptrdiff_t s = 0; s < F_.columns(); ++s)
      for (std::ptrdiff_t j = 0; j < F_.rows(); ++j) *out++ = scale * Z.at(c * F_.rows() + j, s);
}

template <class T>
void FeedForwardPass<T>::vjp(const T* U, int k, T* out) {
  hold_directions(k);
  for (int c = 0; c < k; ++c) take_outputs(U + c * network_.num_outputs(), along(last()).D, c * F_.rows());
  parallel_for(F_.count(), num_threads_, [&](std::ptrdiff_t panel) {
    for (int l = last() - 1; l >= 0; --l)
      for (int c = 0; c < k; ++c) {
        const Layer& above = layers()[static_cast<std::size_t>(l + 1)];
        pull_back(l, network_.weights(above, w_), along(l + 1).D, c * above.out, along(l).D, c * above.in, panel,
                  false);
        const T* const first = at(l).first.row(panel, 0);
        T* const d = along(l).D.row(panel, c * above.in);
        for (std::ptrdiff_t i = 0; i < at(l).first.stride(); ++i) d[i] *= first[i];
      }
  });
  sum_over_samples(k, nullptr, out);
}

// The class is instantiated in feed_forward.cpp; here, what is defined here.
template void FeedForwardPass<double>::hvp(const double*, int, double*);
template void FeedForwardPass<double>::jvp(const double*, int, double*);
template void FeedForwardPass<double>::vjp(const double*, int, double*);
template void FeedForwardPass<double>::curvature(const double*, const double*, int, double*);
template void FeedForwardPass<float>::hvp(const float*, int, float*);
template void FeedForwardPass<float>::jvp(const float*, int, float*);
template void FeedForwardPass<float>::vjp(const float*, int, float*);
template void FeedForwardPass<float>::curvature(const float*, const float*, int, float*);

}  // namespace EOSFAST_ISA
}  // namespace eosfast
