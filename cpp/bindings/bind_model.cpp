// Models in capsules, and what can be asked of one at a point.
#include "arrays.hpp"
#include "bindings.hpp"
#include "calls.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

py::dict registry() {
  py::dict models, optimizers, out;
  Types<SmallModel>::each([&]<class M>(std::type_identity<M>) {
    py::list fields;
    for (const std::string_view field : M::kFieldNames) fields.append(std::string(field));
    models[py::str(std::string(M::kName))] = fields;
  });
  Types<AnyOptimizer>::each([&]<class O>(std::type_identity<O>) {
    py::list fields;
    for (const std::string_view field : O::kFieldNames) fields.append(std::string(field));
    optimizers[py::str(std::string(O::kName))] = fields;
  });
  out["models"] = models;
  out["optimizers"] = optimizers;
  return out;
}

py::capsule make_model(const std::string& name, const py::dict& values, int num_threads) {
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
  auto prepared = [&] {
    const py::gil_scoped_release release;
    return std::make_unique<PreparedModel>(prepare_model(name, config, num_threads));
  }();
  return py::capsule(prepared.release(), kCapsuleName, [](PyObject* capsule) {
    delete static_cast<PreparedModel*>(PyCapsule_GetPointer(capsule, kCapsuleName));
  });
}

Array hessian_array(const PreparedModel& model, const Array& w) {
  const auto size = static_cast<py::ssize_t>(dim(model));
  const std::vector<double> H = hessian(model, vector_of(w, size, "w"));
  return Array({size, size}, H.data());
}

Array hvp(const py::capsule& capsule, const Array& w, const Array& V) {
  const PreparedModel& model = model_in(capsule);
  const py::ssize_t size = dim(model), k = V.shape(1);
  const std::vector<double> H = hessian(model, vector_of(w, size, "w"));
  Array out({size, k});
  for (py::ssize_t i = 0; i < size; ++i)
    for (py::ssize_t c = 0; c < k; ++c) {
      double total = 0.0;
      for (py::ssize_t j = 0; j < size; ++j) total = fma(H[static_cast<std::size_t>(i * size + j)], V.at(j, c), total);
      out.mutable_at(i, c) = total;
    }
  return out;
}

py::tuple eigs(const py::capsule& capsule, const Array& w, int k) {
  const PreparedModel& model = model_in(capsule);
  const py::ssize_t size = dim(model);
  const Eigenpairs pairs = eigenpairs(dim(model), hessian(model, vector_of(w, size, "w")), k);
  return py::make_tuple(Array(k, pairs.values.data()), Array({size, py::ssize_t{k}}, pairs.vectors.data()),
                        Array(k, pairs.residuals.data()));
}

double accuracy_on(const py::capsule& capsule, const Array& w, const py::object& X, const py::object& y,
                   int num_threads) {
  const PreparedModel& model = model_in(capsule);
  const double* const at = vector_of(w, dim(model), "w");
  if (X.is_none()) return accuracy(model, at, {}, nullptr, num_threads);
  const auto samples = X.cast<Array>(), labels = y.cast<Array>();
  const ArrayView view{samples.data(), samples.shape(0), samples.shape(1)};
  const double* const signs = vector_of(labels, view.rows, "y");
  const py::gil_scoped_release release;
  return accuracy(model, at, view, signs, num_threads);
}

}  // namespace

void bind_model(py::module_& m) {
  m.def("registry", &registry);
  m.def("model", &make_model, py::arg("name"), py::arg("config"), py::arg("num_threads") = 1);
  m.def("loss", [](const py::capsule& model, const Array& w) {
    return loss(model_in(model), vector_of(w, dim(model_in(model)), "w"));
  });
  m.def("grad", [](const py::capsule& model, const Array& w) {
    Array out(dim(model_in(model)));
    grad(model_in(model), vector_of(w, dim(model_in(model)), "w"), out.mutable_data());
    return out;
  });
  m.def("hessian", [](const py::capsule& model, const Array& w) { return hessian_array(model_in(model), w); });
  m.def("hvp", &hvp);
  m.def("eigs", &eigs);
  m.def("accuracy", &accuracy_on, py::arg("model"), py::arg("w"), py::arg("X") = py::none(), py::arg("y") = py::none(),
        py::arg("num_threads") = 1);
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
