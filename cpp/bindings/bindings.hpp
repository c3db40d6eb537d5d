// One function a topic, each in its own file.
#pragma once

#include <pybind11/pybind11.h>

#include "eosfast/isa.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace py = pybind11;

void bind_activation(py::module_& m);
void bind_flow(py::module_& m);
void bind_info(py::module_& m);
void bind_model(py::module_& m);
void bind_train(py::module_& m);
void bind_row_space(py::module_& m);
void bind_sweep(py::module_& m);
void bind_spectrum(py::module_& m);

}  // namespace EOSFAST_ISA
}  // namespace eosfast

namespace py = pybind11;
