// Loss and gradient of eight very small two-layer networks, a network in each lane.
#include "eosfast/networks/two_layer_octet.hpp"

#include <algorithm>
#include <utility>

namespace eosfast {
inline namespace EOSFAST_ISA {

std::unique_ptr<Octet> TwoLayerLanes::octet() const {
  return TwoLayerOctet::suits(*this) ? std::make_unique<TwoLayerOctet>(*this) : nullptr;
}

TwoLayerOctet::TwoLayerOctet(const TwoLayerLanes& network)
    : network_(network), n_(network.samples()), d_(network.coordinates()), m_(network.width()) {
  const std::ptrdiff_t numbers = network.row_numbers();
  const std::pair<double**, std::ptrdiff_t> arrays[] = {{&fixed_, m_},      {&u_, numbers},       {&value_, numbers},
                                                        {&first_, numbers}, {&factors_, n_ * d_}, {&slopes_, n_}};
  std::ptrdiff_t total = 0;
  for (const auto& [array, count] : arrays) total += count * kLanes;
  memory_ = Panels<double>(1, total);
  double* next = memory_.row(0, 0);
  for (const auto& [array, count] : arrays) {
    *array = next;
    next += count * kLanes;
  }
  const auto& output = network.layers()[1];
  for (std::ptrdiff_t j = 0; output.weight < 0 && j < m_; ++j)
    put(fixed_, j, Lanes(network.whole().weights(output, nullptr)[j]));
}

void TwoLayerOctet::preactivations() {
  const auto& hidden = network_.layers()[0];
  const std::ptrdiff_t in = hidden.in;
  const double *const W = w_ + hidden.weight * kLanes, *const X = network_.X();
  for (const std::ptrdiff_t i : network_.evaluated()) {
    const double* const x = X + i * d_;
    double* const u = u_ + network_.rows()[i] * kLanes;
    for (std::ptrdiff_t j = 0; j < m_; ++j) {
      Lanes sum = Lanes(x[0]) * at(W, j * in);
      for (std::ptrdiff_t k = 1; k < in; ++k) sum = fma(Lanes(x[k]), at(W, j * in + k), sum);
      if (hidden.bias >= 0) sum = fma(Lanes(x[in]), at(w_, hidden.bias + j), sum);
      put(u, j, sum);
    }
  }
}

// sum_j a_j phi(u_ij), a chain for each residue class of j modulo 8, then the tree of sum() (lanes.hpp).
Lanes TwoLayerOctet::output(std::ptrdiff_t i) const {
  const auto& layer = network_.layers()[1];
  const double* const a = layer.weight < 0 ? fixed_ : w_ + layer.weight * kLanes;
  const double* const value = value_ + network_.rows()[i] * kLanes;
  Lanes chain[kLanes];
  for (Lanes& one : chain) one = Lanes(0.0);
  std::ptrdiff_t j = 0;
  for (; j + kLanes <= m_; j += kLanes)
    for (int r = 0; r < kLanes; ++r) chain[r] = fma(at(a, j + r), at(value, j + r), chain[r]);
  if (j < m_)  // behind the last neuron zeros are added: they make +0 of -0
    for (int r = 0; r < kLanes; ++r)
      chain[r] = j + r < m_ ? fma(at(a, j + r), at(value, j + r), chain[r]) : chain[r] + Lanes(0.0);
  return ((chain[0] + chain[4]) + (chain[2] + chain[6])) + ((chain[1] + chain[5]) + (chain[3] + chain[7]));
}

Lanes TwoLayerOctet::visit(const double* w) {
  w_ = w;
  preactivations();
  const FeedForward<double>& whole = network_.whole();
  const std::ptrdiff_t mirrored = network_.mirrored_size() * kLanes, single = network_.single_size() * kLanes;
  if (mirrored > 0)
    evaluate_both(whole.activation(), u_, static_cast<std::size_t>(mirrored), value_, first_, value_ + mirrored,
                  first_ + mirrored);
  if (single > 0)
    evaluate<double>(whole.activation(), u_ + 2 * mirrored, static_cast<std::size_t>(single), value_ + 2 * mirrored,
                     first_ + 2 * mirrored, nullptr);
  Lanes total(0.0);
  for (std::ptrdiff_t i = 0; i < n_; ++i) {
    const auto [loss, slope] = whole.output_loss().of_sample(i, Lanes(whole.scale()) * output(i), whole.scale());
    total = total + loss;
    put(slopes_, i, slope);
  }
  return total / Lanes(static_cast<double>(n_));
}

void TwoLayerOctet::grad(double* out) {
  const auto &hidden = network_.layers()[0], &output = network_.layers()[1];
  const std::ptrdiff_t n = n_, d = d_, in = hidden.in;
  const std::ptrdiff_t* const row_of = network_.rows();
  const double *const X = network_.X(), *const a = output.weight < 0 ? fixed_ : w_ + output.weight * kLanes;
  for (std::ptrdiff_t i = 0; i < n; ++i)
    for (std::ptrdiff_t k = 0; k < d; ++k) put(factors_, i * d + k, at(slopes_, i) * Lanes(X[i * d + k]));
  for (std::ptrdiff_t j = 0; j < m_; ++j) {
    const Lanes of_neuron = at(a, j);
    for (std::ptrdiff_t k = 0; k < d; k += 2) {
      const std::ptrdiff_t other = std::min(k + 1, d - 1);  // two sums at a time; with the last one alone, twice
      Lanes sum(0.0), other_sum(0.0);
      for (std::ptrdiff_t i = 0; i < n; ++i) {
        const Lanes slope = at(first_, row_of[i] + j);
        sum = fma(at(factors_, i * d + k), slope, sum);
        other_sum = fma(at(factors_, i * d + other), slope, other_sum);
      }
      const auto place = [&](std::ptrdiff_t c) { return c < in ? hidden.weight + j * in + c : hidden.bias + j; };
      put(out, place(k), sum * of_neuron);
      put(out, place(other), other_sum * of_neuron);
    }
    if (output.weight < 0) continue;
    Lanes sum(0.0);
    for (std::ptrdiff_t i = 0; i < n; ++i) sum = fma(at(slopes_, i), at(value_, row_of[i] + j), sum);
    put(out, output.weight + j, sum);
  }
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
