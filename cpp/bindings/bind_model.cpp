// Models in capsules, and what can be asked of one at a point.
#include "arrays.hpp"
#include "bindings.hpp"
#include "calls.hpp"
#include "eosfast/registry.hpp"
#include "eosfast/rules.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

py::dict registry() {
  py::dict models, rules, out;
  Types<SmallModel>::each([&]<class M>(std::type_identity<M>) {
    py::list fields;
    for (const std::string_view field : M::kFieldNames) fields.append(std::string(field));
    models[py::str(std::string(M::kName))] = fields;
  });
  for (const NamedOptimizer& optimizer : optimizers()) {
    py::list fields;
    for (const std::string_view field : optimizer.fields) fields.append(std::string(field));
    rules[py::str(std::string(optimizer.name))] = fields;
  }
  out["models"] = models;
  out["optimizers"] = rules;
  return out;
}

py::capsule make_model_capsule(const std::string& name, const py::dict& values, int num_threads) {
  Config config;
  py::list keep_alive;
  for (const auto& [key, value] : values) {
    const auto field = key.cast<std::string>();
    if (py::isinstance<py::str>(value)) {
      config.set(field, value.cast<std::string>());
    } else if (py::isinstance<py::array>(value)) {
      const auto array = value.cast<Array>();
      keep_alive.append(array);
      config.set(field, ArrayView{array.data(), array.shape(0), array.ndim() > 1 ? array.shape(1) : 1});
    } else {
      config.set(field, value.cast<double>());
    }
  }
  auto model = [&] {
    const py::gil_scoped_release release;
    return make_model(name, config, num_threads);
  }();
  return py::capsule(static_cast<void*>(model.release()), kCapsuleName, [](PyObject* capsule) {
    delete static_cast<Model*>(PyCapsule_GetPointer(capsule, kCapsuleName));
  });
}

// f(model, w) without the GIL.
template <class F>
auto at(const py::capsule& capsule, const Array& w, F&& f) {
  const Model& model = model_in(capsule);
  const double* const here = vector_of(w, model.dim(), "w");
  const py::gil_scoped_release release;
  return f(model, here);
}

Array grad_array(const py::capsule& capsule, const Array& w) {
  Array out(model_in(capsule).dim());
  double* const to = out.mutable_data();
  at(capsule, w, [&](const Model& model, const double* here) { model.grad(here, to); });
  return out;
}

Array hessian_array(const py::capsule& capsule, const Array& w) {
  const py::ssize_t size = model_in(capsule).dim();
  const auto H = at(capsule, w, [](const Model& model, const double* here) { return model.hessian(here); });
  return Array({size, size}, H.data());
}

// A linear map at w on each row of V (k, from) -> (k, to).
template <class Product>
Array products(const py::capsule& capsule, const Array& w, const Array& V, py::ssize_t from_size, py::ssize_t to_size,
               Product&& product) {
  if (V.ndim() != 2 || V.shape(1) != from_size) bug("products of vectors of another length");
  const py::ssize_t k = V.shape(0);
  Array out({k, to_size});
  const double* const from = V.data();
  double* const to = out.mutable_data();
  at(capsule, w, [&](const Model& model, const double* here) { product(model, here, from, static_cast<int>(k), to); });
  return out;
}

Array hvp(const py::capsule& capsule, const Array& w, const Array& V) {
  const py::ssize_t dim = model_in(capsule).dim();
  return products(capsule, w, V, dim, dim, [](const Model& model, auto... args) { model.hvp(args...); });
}
Array jvp(const py::capsule& capsule, const Array& w, const Array& V) {
  const Model& model = model_in(capsule);
  return products(capsule, w, V, model.dim(), model.num_outputs(),
                  [](const Model& of, auto... args) { of.jvp(args...); });
}
Array vjp(const py::capsule& capsule, const Array& w, const Array& U) {
  const Model& model = model_in(capsule);
  return products(capsule, w, U, model.num_outputs(), model.dim(),
                  [](const Model& of, auto... args) { of.vjp(args...); });
}
Array curvature(const py::capsule& capsule, const Array& w, const Array& u, const Array& V) {
  const Model& model = model_in(capsule);
  const double* const along = vector_of(u, model.num_outputs(), "u");
  return products(capsule, w, V, model.dim(), model.dim(),
                  [&](const Model& of, const double* here, auto... args) { of.curvature(here, along, args...); });
}
Array residual(const py::capsule& capsule, const Array& w) {
  Array out(model_in(capsule).num_outputs());
  double* const to = out.mutable_data();
  at(capsule, w, [&](const Model& model, const double* here) { model.residual(here, to); });
  return out;
}

py::tuple sharpness(const py::capsule& capsule, const Array& w, int k, double tol, std::uint64_t seed) {
  LanczosOptions options;
  options.k = k;
  options.tol = tol;
  options.seed = seed;
  Listener listener{py::none()};
  const auto ask = listener.asker();
  bool interrupted = false;
  const SpectrumResult found = at(capsule, w, [&](const Model& model, const double* here) {
    return model.sharpness(here, options, [&] { return interrupted = interrupted || ask(0); });
  });
  listener.rethrow();
  if (interrupted) {
    PyErr_SetNone(PyExc_KeyboardInterrupt);
    throw py::error_already_set();
  }
  const py::ssize_t size = model_in(capsule).dim();
  Array vectors({size, py::ssize_t{k}});
  for (py::ssize_t c = 0; c < k; ++c)
    for (py::ssize_t i = 0; i < size; ++i)
      vectors.mutable_at(i, c) = found.vectors[static_cast<std::size_t>(c * size + i)];
  py::array_t<bool> converged(k);
  for (py::ssize_t c = 0; c < k; ++c) converged.mutable_at(c) = found.converged[static_cast<std::size_t>(c)];
  return py::make_tuple(Array(k, found.values.data()), vectors, Array(k, found.residuals.data()), converged,
                        found.matvecs);
}

double accuracy_on(const py::capsule& capsule, const Array& w, const py::object& X, const py::object& y,
                   int num_threads) {
  ArrayView view;
  const double* signs = nullptr;
  Array samples, labels;
  if (!X.is_none()) {
    samples = X.cast<Array>();
    labels = y.cast<Array>();
    view = {samples.data(), samples.shape(0), samples.shape(1)};
    signs = vector_of(labels, view.rows, "y");
  }
  return at(capsule, w,
            [&](const Model& model, const double* here) { return model.accuracy(here, view, signs, num_threads); });
}

py::list matrices(const std::vector<std::vector<double>>& found, py::ssize_t samples) {
  py::list out;
  for (const auto& matrix : found)
    out.append(Array({samples, static_cast<py::ssize_t>(matrix.size()) / samples}, matrix.data()));
  return out;
}

}  // namespace

void bind_model(py::module_& m) {
  m.def("registry", &registry);
  m.def("model", &make_model_capsule, py::arg("name"), py::arg("config"), py::arg("num_threads") = 1);
  m.def("dim", [](const py::capsule& model) { return model_in(model).dim(); });
  m.def("loss", [](const py::capsule& capsule, const Array& w) {
    return at(capsule, w, [](const Model& model, const double* here) { return model.loss(here); });
  });
  m.def("grad", &grad_array);
  m.def("hessian", &hessian_array);
  m.def("hvp", &hvp);
  m.def("num_outputs", [](const py::capsule& model) { return model_in(model).num_outputs(); });
  m.def("residual", &residual);
  m.def("jvp", &jvp);
  m.def("vjp", &vjp);
  m.def("curvature", &curvature);
  m.def("sharpness", &sharpness);
  m.def("accuracy", &accuracy_on, py::arg("model"), py::arg("w"), py::arg("X") = py::none(), py::arg("y") = py::none(),
        py::arg("num_threads") = 1);
  m.def("outputs", [](const py::capsule& capsule, const Array& w, py::ssize_t samples) {
    const auto f = at(capsule, w, [](const Model& model, const double* here) { return model.outputs(here); });
    return Array({samples, static_cast<py::ssize_t>(f.size()) / samples}, f.data());
  });
  m.def("layer_inputs", [](const py::capsule& capsule, const Array& w, py::ssize_t samples) {
    return matrices(at(capsule, w, [](const Model& model, const double* here) { return model.layer_inputs(here); }),
                    samples);
  });
  m.def("layer_slopes", [](const py::capsule& capsule, const Array& w, int output, py::ssize_t samples) {
    return matrices(
        at(capsule, w, [&](const Model& model, const double* here) { return model.layer_slopes(here, output); }),
        samples);
  });
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
