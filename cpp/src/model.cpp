// From a name to a model, and what a model answers that has nothing to say.
#include "eosfast/model.hpp"

#include <stdexcept>
#include <string>

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {
[[noreturn]] void lacking(const char* what) {
  throw std::logic_error(std::string("this model has no ") + what + "; this is a bug in eosfast");
}
}  // namespace

double Model::accuracy(const double*, ArrayView, const double*, int) const { lacking("accuracy"); }
std::vector<double> Model::outputs(const double*) const { lacking("outputs"); }
std::vector<std::vector<double>> Model::layer_inputs(const double*) const { lacking("layers"); }
std::vector<std::vector<double>> Model::layer_slopes(const double*, int) const { lacking("layers"); }

std::unique_ptr<Model> make_model(std::string_view name, const Config& config, int num_threads) {
  if (auto model = make_small_model(name, config, num_threads)) return model;
  if (auto model = make_network(name, config)) return model;
  throw std::logic_error("no model \"" + std::string(name) + "\" fits this configuration; this is a bug in eosfast");
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
