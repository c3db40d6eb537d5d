// The row space of data with more coordinates than samples: core.row_space, core.inside, core.outside.
#include "arrays.hpp"
#include "bindings.hpp"
#include "eosfast/networks/row_space.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

constexpr const char* kSpace = "eosfast." EOSFAST_ISA_TEXT ".row_space";

const RowSpace& space_in(const py::capsule& capsule) {
  void* const space = PyCapsule_GetPointer(capsule.ptr(), kSpace);
  if (space == nullptr) throw py::error_already_set();
  return *static_cast<const RowSpace*>(space);
}

py::capsule row_space(const Array& X, int num_threads) {
  if (X.ndim() != 2 || X.shape(0) < 1 || X.shape(0) > X.shape(1)) bug("X must have at least as many columns as rows");
  const auto pause = [] {
    const py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
  };
  std::unique_ptr<RowSpace> space;
  {
    const py::gil_scoped_release release;
    space = std::make_unique<RowSpace>(X.data(), X.shape(0), X.shape(1), num_threads, pause);
  }
  return {space.release(), kSpace, [](void* made) { delete static_cast<RowSpace*>(made); }};
}

// Rows of `from` numbers each become rows of `to` numbers.
Array product(const Array& rows, std::ptrdiff_t from, std::ptrdiff_t to,
              const std::function<void(const double*, std::ptrdiff_t, double*)>& multiply) {
  if (rows.ndim() != 2 || rows.shape(1) != from) bug("rows must have shape (count, " + std::to_string(from) + ")");
  Array out({rows.shape(0), to});
  const double* const source = rows.data();
  double* const target = out.mutable_data();
  const std::ptrdiff_t count = rows.shape(0);
  const py::gil_scoped_release release;
  multiply(source, count, target);
  return out;
}

Array inside(const py::capsule& capsule, const Array& W, int num_threads) {
  const RowSpace& space = space_in(capsule);
  return product(W, space.dim(), space.size(), [&](const double* from, std::ptrdiff_t count, double* to) {
    space.inside(from, count, to, num_threads);
  });
}

Array outside(const py::capsule& capsule, const Array& C, int num_threads) {
  const RowSpace& space = space_in(capsule);
  return product(C, space.size(), space.dim(), [&](const double* from, std::ptrdiff_t count, double* to) {
    space.outside(from, count, to, num_threads);
  });
}

}  // namespace

void bind_row_space(py::module_& m) {
  m.def("row_space", &row_space);
  m.def("inside", &inside);
  m.def("outside", &outside);
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
