// The extension module of one instruction-set variant.
#include <pybind11/pybind11.h>

#include "bindings.hpp"

PYBIND11_MODULE(EOSFAST_MODULE, m, py::mod_gil_not_used()) {
  m.doc() = "The compiled core of eosfast. Not a public interface.";
  eosfast::bind_activation(m);
  eosfast::bind_flow(m);
  eosfast::bind_info(m);
  eosfast::bind_model(m);
  eosfast::bind_train(m);
  eosfast::bind_row_space(m);
  eosfast::bind_sweep(m);
  eosfast::bind_spectrum(m);
}
