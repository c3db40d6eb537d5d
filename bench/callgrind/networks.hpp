// What the drivers of the networks share: samples, a configuration as Python sends it, a start.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "eosfast/dynamics/descent.hpp"
#include "eosfast/networks/feed_forward.hpp"
#include "eosfast/optimizers.hpp"
#include "region.hpp"

class Uniform {
 public:
  double operator()() {  // in (-1, 1)
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<double>(state_ >> 11) * 0x1p-52 - 1.0;
  }

 private:
  std::uint64_t state_ = 1;
};

struct Problem {
  std::vector<double> X, y, widths, output_weights;
  const char *activation, *loss;
  double linear = 0.0, gain = 1.0, scale = 1.0;
  bool bias = false;

  eosfast::FeedForward<double> network() const { return eosfast::FeedForward<double>(config()); }

  eosfast::Config config() const {
    const auto rows = static_cast<std::ptrdiff_t>(X.size()) / static_cast<std::ptrdiff_t>(widths.front());
    const auto view = [](const std::vector<double>& x, std::ptrdiff_t n) {
      return eosfast::ArrayView{x.data(), n, n ? static_cast<std::ptrdiff_t>(x.size()) / n : 1};
    };
    eosfast::Config out;
    out.set("X", view(X, rows));
    out.set("y", view(y, rows));
    out.set("widths", view(widths, static_cast<std::ptrdiff_t>(widths.size())));
    out.set("output_weights", view(output_weights, static_cast<std::ptrdiff_t>(output_weights.size())));
    out.set("activation", std::string(activation));
    out.set("loss", std::string(loss));
    out.set("activation_linear", linear);
    out.set("activation_gain", gain);
    out.set("activation_h", 1.0);
    out.set("output_scale", scale);
    out.set("degree", 1.0);
    out.set("bias", bias ? 1.0 : 0.0);
    out.set("output_bias", bias ? 1.0 : 0.0);
    return out;
  }
};

// Samples of norm about one with labels of the sign of their first coordinate, m neurons, fixed output weights.
inline Problem two_layer(int n, int d, int m) {
  Uniform uniform;
  Problem out{{}, {}, {double(d), double(m), 1.0}, {}, "gelu", "logistic"};
  for (int i = 0; i < n * d; ++i) out.X.push_back(uniform() * std::sqrt(3.0 / d));
  for (int i = 0; i < n; ++i) out.y.push_back(out.X[static_cast<std::size_t>(i * d)] > 0.0 ? 1.0 : -1.0);
  for (int j = 0; j < m; ++j) out.output_weights.push_back(2 * j < m ? 1.0 : -1.0);
  out.scale = 1.0 / m;
  return out;
}

inline std::vector<double> start(std::ptrdiff_t dim) {
  Uniform uniform;
  std::vector<double> w(static_cast<std::size_t>(dim));
  for (double& x : w) x = uniform();
  return w;
}
