// 2400 steps of eight lanes in each of the ensemble's tracks, SingleNeuron with the loss log cosh s.
#include "neuron_tracks.hpp"

static Tracks<eosfast::LogCoshLoss> tracks;
EOSFAST_MEASURED { tracks.advance(); }
int main() { return tracks.run(measured_region); }
