// 500 steps of 20 neurons on the four XOR points: too little arithmetic to hide anything behind.
#include "eosfast/networks/two_layer_lanes.hpp"
#include "networks.hpp"

using namespace eosfast;

static Descent<double, GD>* descent;

EOSFAST_MEASURED {
  for (int t = 0; t < 500; ++t) descent->step();
}

int main() {
  Problem problem = two_layer(4, 2, 20);
  problem.X = {-1, -1, 1, 1, 1, -1, -1, 1};
  problem.y = {1, 1, -1, -1};
  problem.activation = "softplus";
  problem.linear = 0.5;
  problem.gain = 0.125;
  const TwoLayerLanes network(problem.config());
  const double lr = 40.0;
  Descent<double, GD> run(network, GD{}, {lr}, 1);
  run.start(start(network.dim()).data(), 0.0);
  const double before = run.loss();
  descent = &run;
  opaque(run);
  measured_region();
  opaque(run);
  return run.loss() < before ? 0 : 1;
}
