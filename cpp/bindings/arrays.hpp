// The only code that turns NumPy arrays into pointers and shapes. Checks here guard the core against the Python layer,
// not against users: those have been told already.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "eosfast/config.hpp"
#include "eosfast/grid.hpp"
#include "eosfast/record.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace py = pybind11;
using Array = py::array_t<double, py::array::c_style | py::array::forcecast>;

[[noreturn]] inline void bug(const std::string& what) { throw std::logic_error(what + "; this is a bug in eosfast"); }

inline const double* vector_of(const Array& array, std::ptrdiff_t size, const char* name) {
  if (array.ndim() != 1 || array.shape(0) != size)
    bug(std::string(name) + " must have shape (" + std::to_string(size) + ",)");
  return array.data();
}

// The memory of an output array with `rows` rows at least; null where the dictionary has no such key.
template <class T>
T* output(const py::dict& out, const char* key) {
  if (!out.contains(key)) return nullptr;
  const py::object value = out[key];
  if (!py::isinstance<py::array_t<T, py::array::c_style>>(value))
    bug(std::string("out[\"") + key + "\"] has the wrong type");
  return static_cast<T*>(py::reinterpret_borrow<py::array>(value).mutable_data());
}

// Where the rows of a record go. `own` are the model's own quantities; `solve` says how eigenvalues are found.
inline RecordOutput record_output(const py::dict& out, const py::list& own, const py::dict& solve,
                                  py::ssize_t axes = 1) {
  RecordOutput record;
  record.step = output<std::int64_t>(out, "step");
  record.loss = output<double>(out, "loss");
  record.grad_norm = output<double>(out, "grad_norm");
  record.weight_norm = output<double>(out, "weight_norm");
  record.weights = output<double>(out, "weights");
  record.relative_progress = output<double>(out, "relative_progress");
  record.directional_smoothness = output<double>(out, "directional_smoothness");
  record.distance_to_flow = output<double>(out, "distance_to_flow");
  record.hessian_eigs = output<double>(out, "hessian_eigs");
  if (record.hessian_eigs) {
    const py::array eigs(out["hessian_eigs"]);
    record.k = static_cast<int>(eigs.shape(eigs.ndim() - 1));
  }
  record.sharpness = output<double>(out, "sharpness");
  record.sharpness_residual = output<double>(out, "sharpness_residual");
  record.sharpness_converged = output<bool>(out, "sharpness_converged");
  record.sharpness_matvecs = output<std::int64_t>(out, "sharpness_matvecs");
  for (const py::handle& item : own) {
    const auto name = item.cast<std::string>();
    const py::array array(out[name.c_str()]);
    record.own.push_back(
        {name, array.ndim() > axes ? array.shape(array.ndim() - 1) : 1, output<double>(out, name.c_str())});
  }
  record.sharpness_every = solve["every"].cast<std::int64_t>();
  record.tol = solve["tol"].cast<double>();
  record.seed = solve["seed"].cast<std::uint64_t>();
  return record;
}

// A strided array over the grid: its first axes are those of `shape`.
template <class T>
GridArray grid_array(const py::object& value, const std::vector<std::ptrdiff_t>& shape, const char* name, bool writable,
                     std::size_t extra_axes = 0) {
  if (!py::isinstance<py::array_t<T>>(value)) bug(std::string(name) + " has the wrong type");
  const auto array = py::reinterpret_borrow<py::array>(value);
  if (static_cast<std::size_t>(array.ndim()) != shape.size() + extra_axes)
    bug(std::string(name) + " has the wrong shape");
  GridArray out;
  // A read-only array is only ever read.
  out.data = writable ? static_cast<char*>(py::array(array).mutable_data())
                      : static_cast<char*>(const_cast<void*>(array.data()));
  for (std::size_t k = 0; k < shape.size(); ++k) {
    if (array.shape(static_cast<py::ssize_t>(k)) != shape[k]) bug(std::string(name) + " has the wrong shape");
    out.strides.push_back(array.strides(static_cast<py::ssize_t>(k)));
  }
  return out;
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
