// What a thread of a sweep does most of its time: slices of steps of several tracks of eight runs.
#pragma once

#include "eosfast/dynamics/ensemble.hpp"
#include "eosfast/models/single_neuron.hpp"
#include "eosfast/optimizers.hpp"
#include "region.hpp"

template <class Loss>
struct Tracks {
  using Model = eosfast::SingleNeuron<Loss>;
  using Track = eosfast::Track<Model, eosfast::GD, eosfast::Lanes>;
  static constexpr int kTracks = 2, kSlices = 10;  // tracks as in the ensemble, with four doubles in a register

  Model model;
  eosfast::Plan plan;
  eosfast::Mover<Model, eosfast::GD> mover{&model, &plan};
  typename Model::template Point<eosfast::Lanes> point{};
  Track tracks[kTracks]{};

  void advance() {
    for (int slice = 0; slice < kSlices; ++slice) mover.template advance<kTracks>(tracks, point, eosfast::kSlice);
  }

  // At the edge of stability, where s = x y is of order one: lr y^2 between 2 and 4.
  int run(void (*region)()) {
    for (int p = 0; p < kTracks; ++p) {
      tracks[p].w[0] = eosfast::Lanes(0.03);
      tracks[p].w[1] = eosfast::Lanes(50.0 + p);
      tracks[p].fields[0] = eosfast::Lanes(1.2e-3);
    }
    opaque(tracks);
    region();
    opaque(tracks);
    const double s = eosfast::lane(tracks[0].w[0], 0) * eosfast::lane(tracks[0].w[1], 0);
    return s * s > 1e-4 && s * s < 100.0 ? 0 : 1;  // still oscillating
  }
};
