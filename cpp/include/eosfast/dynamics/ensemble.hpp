// Many independent runs of a small model, on some threads.
#pragma once

#include <cstdint>
#include <vector>

#include "eosfast/dynamics/worker.hpp"
#include "eosfast/parallel.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

template <class M, class O>
class Ensemble {
 public:
  Ensemble(const std::vector<const M*>& models, const O& rule, const SweepGrid& grid, const Plan& plan,
           const SweepOutput& out, StopToken& token)
      : ledger_(models, grid, plan, out), rule_(rule), token_(token) {}

  // Returns how many runs are finished.
  std::int64_t run(int num_threads) {
    parallel_listening(
        num_threads, [&](int) { Worker<M, O>(ledger_, rule_, token_, num_threads).work(); },
        [&] { token_.poll(ledger_.done()); });
    return ledger_.done();
  }

 private:
  Ledger<M, O> ledger_;
  const O rule_;
  StopToken& token_;
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
