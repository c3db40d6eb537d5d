// 200 steps of ThresholdNeuron on 300 samples in 50 dimensions, from a start whose b drifts: cursors move, sums follow.
#include <cstdint>
#include <vector>

#include "eosfast/dynamics/mover.hpp"
#include "eosfast/models/threshold_neuron.hpp"
#include "eosfast/optimizers.hpp"
#include "region.hpp"

using namespace eosfast;

static ThresholdNeuron model;
static Plan plan;
static Mover<ThresholdNeuron, GD> mover{&model, &plan};
static ThresholdNeuron::Point<double> point;
static Run<ThresholdNeuron, GD> run;

EOSFAST_MEASURED { mover.advance<1>(&run, point, 200); }

// Noise that is about normal (the sum of twelve uniform numbers) with a signal of the label's sign in one coordinate.
int main() {
  constexpr int n = 300, d = 50;
  std::uint64_t state = 1;
  const auto uniform = [&] {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<double>(state >> 11) * 0x1p-53;
  };
  std::vector<double> X(n * d), y(n);
  for (double& x : X) {
    x = -6.0;
    for (int k = 0; k < 12; ++k) x += uniform();
  }
  for (int i = 0; i < n; ++i) {
    y[i] = i % 2 ? 1.0 : -1.0;
    X[i * d + static_cast<int>(uniform() * d)] += 3.0 * y[i];
  }
  model = ThresholdNeuron(X.data(), y.data(), n, d, 1);
  point = model.point<double>();
  run.w[0] = run.w[1] = 0.05;
  run.w[2] = 0.0;
  run.fields[0] = 100.0 / (d * d);
  opaque(run);
  measured_region();
  opaque(run);
  return run.w[2] < -0.1 && run.w[2] > -10.0 ? 0 : 1;
}
