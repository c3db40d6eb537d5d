// How this module was built, and its lane functions for the tests.
#include <pybind11/stl.h>

#include <Eigen/src/Core/util/Macros.h>  // the version alone

#include "arrays.hpp"
#include "bindings.hpp"
#include "eosfast/build_info.hpp"
#include "eosfast/lane_math.hpp"
#include "eosfast/lanes.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

py::dict build_info() {
  py::dict info;
  info["version"] = kVersion;
  info["isa"] = EOSFAST_ISA_TEXT;
#if defined(__clang__)
  info["compiler"] = "Clang " __clang_version__;
#else
  info["compiler"] = "GCC " __VERSION__;
#endif
  info["flags"] = kFlags;
  info["eigen"] = std::to_string(EIGEN_WORLD_VERSION) + "." + std::to_string(EIGEN_MAJOR_VERSION) + "." +
                  std::to_string(EIGEN_MINOR_VERSION);
#if defined(_OPENMP)
  info["openmp"] = _OPENMP;
#else
  info["openmp"] = 0;
#endif
  info["lanes"] = kLanes;
  info["register_doubles"] = kRegisterDoubles;
  info["fused_multiply_add"] = kFused;
#if defined(NDEBUG)
  info["assertions"] = false;
#else
  info["assertions"] = true;
#endif
  return info;
}

Array math(const std::string& name, const Array& x, bool lanes) {
  Array out(x.size());
  lane_math(name, std::span(x.data(), static_cast<std::size_t>(x.size())),
            std::span(out.mutable_data(), static_cast<std::size_t>(x.size())), lanes);
  return out;
}

}  // namespace

void bind_info(py::module_& m) {
  m.def("build_info", &build_info);
  m.def("math", &math, py::arg("name"), py::arg("x"), py::arg("lanes") = true);
  m.def("math_names", &math_names);
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
