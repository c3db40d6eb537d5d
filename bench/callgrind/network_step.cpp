// 20 steps of a two-layer GELU network: 100 samples in 50 dimensions, 24 neurons.
#include "networks.hpp"

using namespace eosfast;

static Descent<double, GD>* descent;

EOSFAST_MEASURED {
  for (int t = 0; t < 20; ++t) descent->step();
}

int main() {
  const FeedForward<double> network = two_layer(100, 50, 24).network();
  const double lr = 24.0;
  Descent<double, GD> run(network, GD{}, {lr}, 1);
  run.start(start(network.dim()).data(), 0.0);
  const double before = run.loss();
  descent = &run;
  opaque(run);
  measured_region();
  opaque(run);
  return run.loss() < before ? 0 : 1;
}
