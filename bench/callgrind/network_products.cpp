// At one point of a tanh network 50-24-3 with biases on 100 samples: products of the Hessian with two vectors, then
// with one, five times in turn.
#include "networks.hpp"

using namespace eosfast;

static Pass<double>* pass;
static std::vector<double> V, out;

EOSFAST_MEASURED {
  for (int t = 0; t < 5; ++t) {
    pass->hvp(V.data(), 2, out.data());
    pass->hvp(V.data(), 1, out.data());
  }
}

int main() {
  Problem problem = two_layer(100, 50, 24);
  problem.activation = "tanh";
  problem.loss = "mse";
  problem.widths.back() = 3.0;
  problem.output_weights.clear();
  problem.scale = 1.0;
  problem.bias = true;
  problem.y.resize(300);
  const FeedForward<double> network = problem.network();
  const std::vector<double> w = start(network.dim());
  const auto here = network.pass(1);
  here->visit(w.data());
  V = start(2 * network.dim());
  out.resize(V.size());
  pass = here.get();
  opaque(V);
  measured_region();
  opaque(out);
  double curvature = 0.0, other = 0.0;  // u'Hv = v'Hu
  const auto dim = static_cast<std::size_t>(network.dim());
  pass->hvp(V.data(), 2, out.data());
  for (std::size_t i = 0; i < dim; ++i) {
    curvature += V[i] * out[dim + i];
    other += V[dim + i] * out[i];
  }
  return std::abs(curvature - other) <= 1e-9 * std::abs(curvature) ? 0 : 1;
}
