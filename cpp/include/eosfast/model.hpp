// What the bindings (or a C++ program) may ask of a model, whatever kind it is. One virtual call leads to a whole
// computation; inside, everything is as static as its kind wants it.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "eosfast/config.hpp"
#include "eosfast/dynamics/flow.hpp"
#include "eosfast/dynamics/keeper.hpp"
#include "eosfast/grid.hpp"
#include "eosfast/measures.hpp"
#include "eosfast/record.hpp"
#include "eosfast/spectrum/lanczos.hpp"
#include "eosfast/stop_token.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

struct TrainCall {
  std::string_view optimizer;
  std::span<const double> optimizer_fields;
  const double* w0;
  double null_norm;  // length of the part of the start that is outside the row space of reduced data; else 0
  int num_threads;
  const Plan& plan;
  const Schedule& schedule;
  const RecordOutput& out;
  StopToken& token;
  double time_per_step;      // of the gradient flow that the run is compared with
  Keeper* keeper = nullptr;  // of the checkpoint, if there is one
};

struct SweepCall {
  std::string_view optimizer;
  const SweepGrid& grid;
  const Plan& plan;
  const SweepOutput& out;
  int num_threads;
  StopToken& token;
};

class Model {
 public:
  virtual ~Model() = default;
  virtual std::ptrdiff_t dim() const = 0;
  virtual double loss(const double* w) const = 0;
  virtual void grad(const double* w, double* out) const = 0;
  // Hessian times k vectors, one after the other in memory.
  virtual void hvp(const double* w, const double* V, int k, double* out) const = 0;
  virtual std::vector<double> hessian(const double* w) const = 0;  // (dim, dim)
  virtual SpectrumResult sharpness(const double* w, const LanczosOptions& options,
                                   const std::function<bool()>& stop) const = 0;
  virtual SingleOutcome train(const TrainCall& call) const = 0;
  // All models are of one type. Returns how many runs are finished.
  virtual std::int64_t sweep(const std::vector<const Model*>& models, const SweepCall& call) const = 0;

  // Many trajectories of the gradient flow.
  virtual void flow(const FlowCall& call) const = 0;

  // Share of the signs that are right on X (n, d), y, or on the model's own data where they are null.
  virtual double accuracy(const double* w, ArrayView X, const double* y, int num_threads) const;
  // Of least-squares problems: the residual f - y, products with the Jacobian J of f, with its transpose, and with
  // sum_a u_a Hess f_a (network.hpp); k vectors, one after the other in memory.
  virtual std::ptrdiff_t num_outputs() const;
  virtual void residual(const double* w, double* out) const;
  virtual void jvp(const double* w, const double* V, int k, double* out) const;
  virtual void vjp(const double* w, const double* U, int k, double* out) const;
  virtual void curvature(const double* w, const double* u, const double* V, int k, double* out) const;
  // Of networks in layers: the outputs (n, c), and what the Jacobian consists of.
  virtual std::vector<double> outputs(const double* w) const;
  virtual std::vector<std::vector<double>> layer_inputs(const double* w) const;
  virtual std::vector<std::vector<double>> layer_slopes(const double* w, int output) const;
};

std::unique_ptr<Model> make_model(std::string_view name, const Config& config, int num_threads);

// The kinds of models: null if `name` is none of theirs.
std::unique_ptr<Model> make_small_model(std::string_view name, const Config& config, int num_threads);
std::unique_ptr<Model> make_network(std::string_view name, const Config& config);

}  // namespace EOSFAST_ISA
}  // namespace eosfast
