// The verb `train`: one run with records along the way, whatever is running. The loop knows when to record, when to
// stop, and that a run which returns bitwise to an earlier iterate repeats for ever.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "eosfast/dynamics/flow.hpp"
#include "eosfast/dynamics/keeper.hpp"
#include "eosfast/dynamics/saved_state.hpp"
#include "eosfast/record.hpp"
#include "eosfast/stop_token.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// Where a run is: everything that its future depends on.
struct Snapshot {
  std::int64_t step = 0;
  std::vector<std::byte> bits;
};

class Runner {
 public:
  virtual ~Runner() = default;
  virtual std::int64_t now() const = 0;
  // The stop rules on the present iterate; pending: none holds.
  virtual Status look() = 0;
  // n steps, fewer if a stop rule holds: exactly up to that iterate.
  virtual Status advance(std::int64_t n) = 0;
  // Steps between two looks at Ctrl-C.
  virtual std::int64_t patience() const { return kAnchor; }
  // The present iterate into a row; its eigenvalues too, if `solves`, else NaN.
  virtual void write(const RecordOutput& out, std::int64_t row, bool solves) = 0;

  virtual std::ptrdiff_t dim() const = 0;
  virtual void copy_w(double* out) const = 0;
  // Of weights that are not among copy_w's: how far they are from the start, where the gradient flow leaves them.
  virtual double unseen_move() const { return 0.0; }
  // The iterate becomes w, whoever made it: for writing it only.
  virtual void stand_at(const double* w) = 0;
  virtual Snapshot snapshot() const = 0;
  virtual bool is_at(const Snapshot& place) const = 0;  // bitwise, the step apart
  virtual void stand_on(const Snapshot& place) = 0;
  // What later rows depend on besides the iterates: eigenvectors that are followed.
  virtual void save(StateWriter&) const {}
  virtual void load(StateReader&, const RecordOutput&) {}
};

// The gradient flow from the same start, if the distance to it is asked for: it is at time_per_step t when the run is
// at step t.
struct Companion {
  std::unique_ptr<Flow> flow;
  double time_per_step;
};

// keeper: null if there is no checkpoint.
SingleOutcome record_run(Runner& run, std::int64_t num_steps, bool steady, const Schedule& schedule,
                         const RecordOutput& out, StopToken& token, Companion& companion, Keeper* keeper);

// The eigenvalues of a row, or what stands where they were not solved for.
void write_eigenvalues(const RecordOutput& out, std::int64_t row, const double* values, double residual, bool converged,
                       std::int64_t matvecs);
void write_no_eigenvalues(const RecordOutput& out, std::int64_t row);

}  // namespace EOSFAST_ISA
}  // namespace eosfast
