// From a name to a model, and what a model answers that has nothing to say.
#include "eosfast/model.hpp"

#include "eosfast/lacking.hpp"

#include <stdexcept>
#include <string>

namespace eosfast {
inline namespace EOSFAST_ISA {

double Model::accuracy(const double*, ArrayView, const double*, int) const { lacking("accuracy"); }
std::ptrdiff_t Model::num_outputs() const { lacking("outputs"); }
std::vector<double> Model::outputs(const double*) const { lacking("outputs"); }
void Model::residual(const double*, double*) const { lacking("residual"); }
void Model::jvp(const double*, const double*, int, double*) const { lacking("Jacobian"); }
void Model::vjp(const double*, const double*, int, double*) const { lacking("Jacobian"); }
void Model::curvature(const double*, const double*, const double*, int, double*) const { lacking("curvature"); }
std::vector<std::vector<double>> Model::layer_inputs(const double*) const { lacking("layers"); }
std::vector<std::vector<double>> Model::layer_slopes(const double*, int) const { lacking("layers"); }

std::unique_ptr<Model> make_model(std::string_view name, const Config& config, int num_threads) {
  if (auto model = make_small_model(name, config, num_threads)) return model;
  if (auto model = make_network(name, config)) return model;
  throw std::logic_error("no model \"" + std::string(name) + "\" fits this configuration; this is a bug in eosfast");
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
