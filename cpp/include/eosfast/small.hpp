// A small model as one of the models: every question goes to the compiled code of its type.
#pragma once

#include "eosfast/model.hpp"
#include "eosfast/registry.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

class SmallModelDoor final : public Model {
 public:
  explicit SmallModelDoor(PreparedModel prepared) : prepared_(std::move(prepared)) {}
  const PreparedModel& prepared() const { return prepared_; }

  std::ptrdiff_t dim() const override;
  double loss(const double* w) const override;
  void grad(const double* w, double* out) const override;
  void hvp(const double* w, const double* V, int k, double* out) const override;
  std::vector<double> hessian(const double* w) const override;
  SpectrumResult sharpness(const double* w, const LanczosOptions& options,
                           const std::function<bool()>& stop) const override;
  double accuracy(const double* w, ArrayView X, const double* y, int num_threads) const override;
  std::ptrdiff_t num_outputs() const override;
  void residual(const double* w, double* out) const override;
  void jvp(const double* w, const double* V, int k, double* out) const override;
  void vjp(const double* w, const double* U, int k, double* out) const override;
  void curvature(const double* w, const double* u, const double* V, int k, double* out) const override;
  SingleOutcome train(const TrainCall& call) const override;
  std::int64_t sweep(const std::vector<const Model*>& models, const SweepCall& call) const override;
  void flow(const FlowCall& call) const override;

 private:
  std::unique_ptr<Flow> flow_from(const double* w0) const;

  PreparedModel prepared_;
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
