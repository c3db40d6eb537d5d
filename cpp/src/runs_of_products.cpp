// Single runs and sweeps of scalar products, the mean model and the threshold neuron.
#include "eosfast/dynamics/engines.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

std::shared_ptr<Runner> runner_family(const ProductModels& family, const double* raw_fields, const TrainCall& call) {
  return runner_any(family, raw_fields, call);
}

std::int64_t sweep_family(const ProductModels& family, const std::vector<const PreparedModel*>& models,
                          const SweepCall& call) {
  return sweep_any(family, models, call);
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
