// Activations of networks, elementwise.
#include "eosfast/activations.hpp"

#include "arrays.hpp"
#include "bindings.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

py::tuple activation(const std::string& name, double linear, double gain, double h, const Array& x) {
  const Activation phi = activation_named(name, linear, gain, h);
  const std::vector<py::ssize_t> shape(x.shape(), x.shape() + x.ndim());
  Array value(shape), first(shape), second(shape);
  evaluate(phi, x.data(), static_cast<std::size_t>(x.size()), value.mutable_data(), first.mutable_data(),
           second.mutable_data());
  return py::make_tuple(value, first, second);
}

}  // namespace

void bind_activation(py::module_& m) {
  m.def("activation", &activation, py::arg("name"), py::arg("linear"), py::arg("gain"), py::arg("h"), py::arg("x"));
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
