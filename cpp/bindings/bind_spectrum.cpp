// Eigenvalues of operators that Python multiplies: core.lanczos, and core.track for a list of them.
#include <algorithm>

#include "arrays.hpp"
#include "bindings.hpp"
#include "eosfast/spectrum/lanczos.hpp"
#include "eosfast/spectrum/tracker.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

using Columns = py::array_t<double, py::array::f_style | py::array::forcecast>;

// matvec takes and gives (dim, j) arrays of j columns; an exception of it, or of Ctrl-C, goes through.
SymmetricProducts products_of(std::ptrdiff_t dim, const py::function& matvec) {
  return [dim, matvec](const double* V, int k, double* out) {
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    Columns block({dim, std::ptrdiff_t{k}});
    std::copy_n(V, dim * k, block.mutable_data());
    const Columns product = matvec(block).cast<Columns>();
    if (product.ndim() != 2 || product.shape(0) != dim || product.shape(1) != k) bug("a product has the wrong shape");
    std::copy_n(product.data(), dim * k, out);
  };
}

py::tuple spectrum_tuple(const SpectrumResult& found, std::ptrdiff_t dim) {
  const auto k = static_cast<std::ptrdiff_t>(found.values.size());
  Columns vectors({dim, k});
  std::copy(found.vectors.begin(), found.vectors.end(), vectors.mutable_data());
  py::array_t<bool> converged(k);
  std::copy(found.converged.begin(), found.converged.end(), converged.mutable_data());
  return py::make_tuple(Array(k, found.values.data()), vectors, Array(k, found.residuals.data()), converged,
                        found.matvecs);
}

py::tuple lanczos_of(const py::function& matvec, std::ptrdiff_t dim, int k, const py::object& v0, double tol,
                     std::int64_t max_matvecs, std::uint64_t seed) {
  const LanczosOptions options{k, tol, max_matvecs, seed};
  const Array start = v0.is_none() ? Array(0) : v0.cast<Array>();
  const double* const given = v0.is_none() ? nullptr : vector_of(start, dim, "v0");
  return spectrum_tuple(lanczos(dim, products_of(dim, matvec), options, given, {}), dim);
}

py::list track(const py::iterable& matvecs, std::ptrdiff_t dim, int k, double tol, std::uint64_t seed) {
  Tracker tracker(dim, k, tol, seed);
  py::list out;
  for (const py::handle matvec : matvecs)
    out.append(spectrum_tuple(tracker.solve(products_of(dim, py::reinterpret_borrow<py::function>(matvec))), dim));
  return out;
}

}  // namespace

void bind_spectrum(py::module_& m) {
  m.def("lanczos", &lanczos_of);
  m.def("track", &track);
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
