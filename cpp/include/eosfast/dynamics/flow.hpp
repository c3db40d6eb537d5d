// The verb `gradient_flow`: w' = -grad loss(w), error-controlled, whatever the model. What integrates it are
// dynamics/rosenbrock.hpp (small models, whose Hessian is at hand: no stiffness matters) and
// dynamics/network_flow.hpp (networks).
#pragma once

#include <cstdint>
#include <vector>

#include "eosfast/dynamics/saved_state.hpp"
#include "eosfast/record.hpp"
#include "eosfast/stop_token.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// How a trajectory ended: at the last time; its steps were used up; no step is small enough to meet the tolerance; the
// field is not finite; Ctrl-C. `pending`: it goes on.
enum class FlowStatus : std::int8_t { completed, budget, stalled, diverged, interrupted, pending };

inline FlowStatus load_flow_status(StateReader& in) {
  const auto status = in.number<std::int8_t>();
  StateReader::demand(0 <= status && status <= static_cast<std::int8_t>(FlowStatus::pending));
  return static_cast<FlowStatus>(status);
}

struct FlowOptions {
  double rtol = 1e-8, atol = 1e-10;
  std::int64_t max_steps = 1'000'000;  // attempted steps of a trajectory
};

// One trajectory that is followed from time to time.
class Flow {
 public:
  virtual ~Flow() = default;
  // On to `time`, not before the present one; pending: arrived. Once it has given up it stays where it is.
  virtual FlowStatus advance(double time, StopToken& token) = 0;
  virtual const double* w() const = 0;
  virtual std::int64_t num_steps() const = 0;
  // All that its future depends on.
  virtual void save(StateWriter& out) const = 0;
  virtual void load(StateReader& in) = 0;
};

struct FlowCall {
  const double* starts;      // (num_runs, dim)
  const double* null_norms;  // (num_runs), as TrainCall::null_norm
  std::int64_t num_runs;
  const std::vector<double>& times;  // increasing, from 0 on
  FlowOptions options;
  const RecordOutput& out;  // row run * times.size() + i: at times[i]; rows that are not reached are left as they are
  FlowStatus* status;       // (num_runs), and likewise
  std::int64_t *rows, *num_steps;
  int num_threads;
  StopToken& token;
};

// How the step size follows from the error of a step that was estimated with an embedded method of order 4: what the
// step is to be multiplied with, from the mean square of the error in units of the tolerance (NaN: as if infinite).
inline constexpr double kFlowSafety = 0.9, kFlowSmallest = 0.2, kFlowLargest = 6.0, kFlowExponent = -0.1;
// The first step moves w by about this part of itself.
inline constexpr double kFlowFirst = 0.01;
// A step below this part of the time cannot be told from none.
inline constexpr double kFlowResolution = 0x1p-52;

}  // namespace EOSFAST_ISA
}  // namespace eosfast
