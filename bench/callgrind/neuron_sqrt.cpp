// 2400 steps of eight lanes in each of the ensemble's tracks, SingleNeuron with the loss sqrt(1 + s^2).
#include "neuron_tracks.hpp"

static Tracks<eosfast::SquareRootLoss> tracks;
EOSFAST_MEASURED { tracks.advance(); }
int main() { return tracks.run(measured_region); }
