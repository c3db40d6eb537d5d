// What is kept of a single run: which steps, which quantities, and where they are written.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "eosfast/measures.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// The steps that are recorded: every so many, or a list. The last iterate of a run is recorded besides.
struct Schedule {
  std::int64_t every = 1;           // used when steps is empty
  std::vector<std::int64_t> steps;  // increasing
  bool listed = false;

  // The first recorded step >= t; `never` if there is none.
  std::int64_t at_or_after(std::int64_t t, std::int64_t never) const {
    if (!listed) return (t + every - 1) / every * every;
    const auto next = std::lower_bound(steps.begin(), steps.end(), t);
    return next == steps.end() ? never : *next;
  }
};

// A quantity of the model's own: `width` numbers a row.
struct OwnQuantity {
  std::string name;
  std::ptrdiff_t width;
  double* data;
};

// One row for each recorded iterate; a null pointer where a quantity is not asked for.
struct RecordOutput {
  std::int64_t* step = nullptr;
  double *loss = nullptr, *grad_norm = nullptr, *weight_norm = nullptr;
  double *relative_progress = nullptr, *directional_smoothness = nullptr;
  double* weights = nullptr;       // (rows, dim)
  double* hessian_eigs = nullptr;  // (rows, k)
  double* distance_to_flow = nullptr;
  int k = 1;
  double *sharpness = nullptr, *sharpness_residual = nullptr;
  bool* sharpness_converged = nullptr;
  std::int64_t* sharpness_matvecs = nullptr;
  std::vector<OwnQuantity> own;
  std::int64_t sharpness_every = 0;  // 0: at every record
  double tol = 1e-3;                 // relative residual at which an eigenvalue is converged
  std::uint64_t seed = 0;            // of the directions in which eigenvectors are looked for

  bool looks_a_step_ahead() const { return relative_progress || directional_smoothness; }
  bool wants_eigenvalues() const { return hessian_eigs || sharpness; }
  bool solves_at(std::int64_t t) const { return sharpness_every == 0 || t % sharpness_every == 0; }
};

// How a single run ended.
struct SingleOutcome {
  Status status = Status::completed;
  std::int64_t num_steps_done = 0, rows = 0, steady_from = -1, steady_period = 0;
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
