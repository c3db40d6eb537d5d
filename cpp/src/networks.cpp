// Networks as models: precision and optimizer are visited once per call.
#include <cmath>
#include <limits>
#include <memory>
#include <variant>

#include "eosfast/dynamics/fleet.hpp"
#include "eosfast/dynamics/network_flow.hpp"
#include "eosfast/networks/feed_forward.hpp"
#include "eosfast/networks/linear_network.hpp"
#include "eosfast/networks/quadratic_regression.hpp"
#include "eosfast/networks/two_layer_lanes.hpp"
#include "eosfast/rules.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

template <class T>
class NetworkModel final : public Model {
 public:
  NetworkModel(std::unique_ptr<Network<T>> network, std::ptrdiff_t zeros)
      : network_(std::move(network)), zeros_(zeros) {}

  std::ptrdiff_t dim() const override { return network_->dim(); }
  double loss(const double* w) const override {
    return at(w, [](Pass<T>& pass) { return pass.loss(); });
  }
  void grad(const double* w, double* out) const override {
    at(w, [&](Pass<T>& pass) {
      std::vector<T> g(static_cast<std::size_t>(dim()));
      pass.grad(g.data());
      std::copy(g.begin(), g.end(), out);
    });
  }
  void hvp(const double* w, const double* V, int k, double* out) const override {
    at(w, [&](Pass<T>& pass) { hessian_products(pass, dim(), V, k, out); });
  }
  std::vector<double> hessian(const double* w) const override {
    const std::ptrdiff_t n = dim();
    std::vector<double> H(static_cast<std::size_t>(n * n)), unit;
    at(w, [&](Pass<T>& pass) {
      constexpr std::ptrdiff_t kAtOnce = 16;
      for (std::ptrdiff_t i = 0; i < n; i += kAtOnce) {
        const std::ptrdiff_t k = std::min(kAtOnce, n - i);
        unit.assign(static_cast<std::size_t>(k * n), 0.0);
        for (std::ptrdiff_t c = 0; c < k; ++c) unit[static_cast<std::size_t>(c * n + i + c)] = 1.0;
        hessian_products(pass, n, unit.data(), static_cast<int>(k), H.data() + i * n);
      }
    });
    for (std::ptrdiff_t i = 0; i < n; ++i)  // symmetric but for rounding: make it so
      for (std::ptrdiff_t j = 0; j < i; ++j) {
        double &a = H[static_cast<std::size_t>(i * n + j)], &b = H[static_cast<std::size_t>(j * n + i)];
        a = b = 0.5 * a + 0.5 * b;
      }
    return H;
  }
  SpectrumResult sharpness(const double* w, const LanczosOptions& options,
                           const std::function<bool()>& stop) const override {
    return at(w, [&](Pass<T>& pass) {
      const SymmetricProducts products = [&](const double* V, int k, double* out) {
        hessian_products(pass, dim(), V, k, out);
      };
      return lanczos(dim(), products, options, nullptr, stop);
    });
  }
  SingleOutcome train(const TrainCall& call) const override {
    return std::visit(
        [&]<class O>(const O& rule) {
          NetworkRun<T, O> run(*network_, call.plan.stop, rule, rule_fields<O>(call.optimizer_fields), call.w0,
                               call.null_norm, zeros_, call.num_threads, call.token);
          Companion companion{nullptr, call.time_per_step};
          if (call.out.distance_to_flow)
            companion.flow = std::make_unique<NetworkFlow<T>>(*network_, call.w0, FlowOptions{}, call.num_threads);
          const bool steady = call.plan.stop.steady && run.can_repeat();
          return record_run(run, call.plan.num_steps, steady, call.schedule, call.out, call.token, companion,
                            call.keeper);
        },
        rule_of(call));
  }
  std::int64_t sweep(const std::vector<const Model*>& models, const SweepCall& call) const override {
    std::vector<const Network<T>*> networks;
    std::vector<std::ptrdiff_t> zeros;
    for (const Model* model : models) {
      const auto& same = dynamic_cast<const NetworkModel&>(*model);
      networks.push_back(same.network_.get());
      zeros.push_back(same.zeros_);
    }
    return std::visit([&]<class O>(const O& rule) { return Fleet<T, O>(networks, zeros, rule, call).run(); },
                      rule_of(call));
  }

  void flow(const FlowCall& call) const override {
    const Plan plan;
    flow_of_network<T>(*network_, call, [&](std::int64_t run, int num_threads) {
      return std::make_unique<NetworkRun<T, GD>>(*network_, plan.stop, GD{}, std::array<double, GD::kFields>{},
                                                 call.starts + run * dim(), call.null_norms[run], zeros_, num_threads,
                                                 call.token);
    });
  }

  double accuracy(const double* w, ArrayView, const double*, int) const override {
    double out = 0.0;
    at(w, [&](Pass<T>& pass) { pass.quantity("accuracy", 0.0, &out); });
    return out;
  }
  std::ptrdiff_t num_outputs() const override { return network_->num_outputs(); }
  void residual(const double* w, double* out) const override {
    at(w, [&](Pass<T>& pass) {
      in_precision<T>(nullptr, 0, num_outputs(), out, [&](const T*, T* to) { pass.residual(to); });
    });
  }
  void jvp(const double* w, const double* V, int k, double* out) const override {
    at(w, [&](Pass<T>& pass) {
      in_precision<T>(V, k * dim(), k * num_outputs(), out, [&](const T* from, T* to) { pass.jvp(from, k, to); });
    });
  }
  void vjp(const double* w, const double* U, int k, double* out) const override {
    at(w, [&](Pass<T>& pass) {
      in_precision<T>(U, k * num_outputs(), k * dim(), out, [&](const T* from, T* to) { pass.vjp(from, k, to); });
    });
  }
  void curvature(const double* w, const double* u, const double* V, int k, double* out) const override {
    const std::vector<T> along(u, u + num_outputs());
    at(w, [&](Pass<T>& pass) {
      in_precision<T>(V, k * dim(), k * dim(), out,
                      [&](const T* from, T* to) { pass.curvature(along.data(), from, k, to); });
    });
  }
  std::vector<double> outputs(const double* w) const override {
    std::vector<double> out(static_cast<std::size_t>(num_outputs()));
    at(w, [&](Pass<T>& pass) { pass.outputs(out.data()); });
    return out;
  }
  std::vector<std::vector<double>> layer_inputs(const double* w) const override {
    return by_layer(w, &Network<T>::Layer::in, [](Pass<T>& pass, int l, double* out) { pass.layer_inputs(l, out); });
  }
  std::vector<std::vector<double>> layer_slopes(const double* w, int output) const override {
    return by_layer(w, &Network<T>::Layer::out,
                    [&](Pass<T>& pass, int l, double* out) { pass.layer_slopes(l, output, out); });
  }

 private:
  // f(workspace at w)
  template <class F>
  auto at(const double* w, F&& f) const {
    const std::vector<T> here(w, w + dim());
    const auto pass = network_->pass(1);
    pass->visit(here.data());
    return f(*pass);
  }
  template <class F>
  std::vector<std::vector<double>> by_layer(const double* w, std::ptrdiff_t Network<T>::Layer::* width, F&& f) const {
    std::vector<std::vector<double>> out;
    at(w, [&](Pass<T>& pass) {
      for (const auto& layer : network_->layers()) {
        out.emplace_back(static_cast<std::size_t>(network_->samples() * layer.*width));
        f(pass, static_cast<int>(out.size()) - 1, out.back().data());
      }
    });
    return out;
  }

  std::unique_ptr<Network<T>> network_;
  std::ptrdiff_t zeros_;  // eigenvalues of the Hessian that are not seen in reduced coordinates
};

template <class T>
std::unique_ptr<Network<T>> network_of(const Config& config) {
  if constexpr (std::is_same_v<T, double>)
    if (auto small = TwoLayerLanes::if_small(config)) return small;
  return std::make_unique<FeedForward<T>>(config);
}

template <class T>
std::unique_ptr<Model> network_model(const Config& config) {
  return std::make_unique<NetworkModel<T>>(network_of<T>(config), static_cast<std::ptrdiff_t>(config.number("unseen")));
}

}  // namespace

std::unique_ptr<Model> make_network(std::string_view name, const Config& config) {
  if (name == "LinearNetwork")
    return std::make_unique<NetworkModel<double>>(std::make_unique<LinearNetwork>(config), 0);
  if (name == "QuadraticRegression")
    return std::make_unique<NetworkModel<double>>(std::make_unique<QuadraticRegression>(config), 0);
  if (name != "FeedForward") return nullptr;
  if (config.text("dtype") == "float32") return network_model<float>(config);
  return network_model<double>(config);
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
