// What the bindings of `train` and `sweep` share: models in capsules, plans, and the way Ctrl-C and progress get in.
#pragma once

#include <pybind11/pybind11.h>

#include <exception>
#include <string>

#include "eosfast/model.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace py = pybind11;

inline constexpr const char* kCapsuleName = "eosfast." EOSFAST_ISA_TEXT ".model";

inline const Model& model_in(const py::capsule& capsule) {
  void* const model = PyCapsule_GetPointer(capsule.ptr(), kCapsuleName);
  if (model == nullptr) throw py::error_already_set();
  return *static_cast<const Model*>(model);
}

inline Stop stop_from(const py::dict& d) {
  Stop stop;
  stop.diverged = d["diverged"].cast<double>();
  stop.grad_norm = d["grad_norm"].cast<double>();
  stop.loss = d["loss"].cast<double>();
  stop.steady = d["steady"].cast<bool>();
  return stop;
}

// Asked every 50 ms from the calling thread: handles pending signals and reports progress. Ctrl-C ends the work
// quietly, the caller returns what there is; any other exception ends it too and is thrown again by rethrow().
class Listener {
 public:
  explicit Listener(py::object poll) : poll_(std::move(poll)) {}

  std::function<bool(std::int64_t)> asker() {
    return [this](std::int64_t done) {
      return !call([&] {
        if (PyErr_CheckSignals() != 0) throw py::error_already_set();
        if (!poll_.is_none()) poll_(done);
      });
    };
  }
  // f() with the GIL held; false if it raised.
  template <class F>
  bool call(F&& f) {
    const py::gil_scoped_acquire gil;
    try {
      f();
    } catch (py::error_already_set& error) {
      if (!error.matches(PyExc_KeyboardInterrupt)) error_ = std::current_exception();
      return false;
    }
    return true;
  }
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  py::object poll_;
  std::exception_ptr error_;
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
