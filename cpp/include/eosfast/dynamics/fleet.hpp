// Many runs of networks: threads take whole runs from a common queue; a single run has all threads inside its products.
#pragma once

#include <array>
#include <atomic>
#include <vector>

#include "eosfast/dynamics/gather.hpp"
#include "eosfast/dynamics/octet_runs.hpp"
#include "eosfast/model.hpp"
#include "eosfast/parallel.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

template <class T, class O>
class Fleet {
 public:
  Fleet(const std::vector<const Network<T>*>& networks, const std::vector<std::ptrdiff_t>& zeros, const O& rule,
        const SweepCall& call)
      : networks_(networks), zeros_(zeros), rule_(rule), call_(call), grid_(call.grid) {}

  std::int64_t run() {
    const bool alone = grid_.num_runs == 1;
    const int threads = alone ? 1 : call_.num_threads;
    parallel_listening(
        threads,
        [&](int) {
          if constexpr (std::is_same_v<T, double>)
            if (OctetRuns<O>::possible(rule_) && grid_.num_runs >= std::int64_t{threads} * OctetRuns<O>::kFewest)
              run_octets();
          while (auto one = next(alone ? call_.num_threads : 1)) go_on(std::move(one));
        },
        [&] { poll(); });
    return done_.load();
  }

 private:
  using Run = FleetRun<T, O>;

  // The next run at its first iterate; null when all are taken.
  std::unique_ptr<Run> next(int num_threads) {
    const std::int64_t number = call_.token.requested() ? grid_.num_runs : next_.fetch_add(1);
    return number < grid_.num_runs ? begin(number, num_threads) : nullptr;
  }

  std::size_t network_of(std::int64_t number) const {
    return grid_.model_index ? static_cast<std::size_t>(grid_.get<std::int64_t>(grid_.model_index, number)) : 0;
  }

  std::unique_ptr<Run> begin(std::int64_t number, int num_threads) {
    const std::size_t which = network_of(number);
    const Network<T>& network = *networks_[which];
    std::array<double, O::kFields> fields;
    grid_.optimizer_fields(number, grid_.columns.size(), fields.data(), fields.size());
    std::vector<double> w0(static_cast<std::size_t>(network.dim()));
    const char* from = grid_.place(grid_.start, number);
    for (double& w : w0) {
      std::memcpy(&w, from, sizeof w);
      from += grid_.start_stride;
    }
    auto run = std::make_unique<Run>(number, which, network, rule_, fields, num_threads, call_.plan, zeros_[which]);
    run->descent.start(w0.data(), grid_.null_norm ? grid_.get<double>(grid_.null_norm, number) : 0.0);
    return run;
  }

  // Very small networks go side by side, one network after the other.
  void run_octets() {
    if (OctetRuns<O>::until(call_.plan) == 0 || !std::isnan(call_.plan.stop.grad_norm)) return;
    std::unique_ptr<Run> held = next(1);
    while (held) {
      const auto which = held->which;
      auto octet = networks_[which]->octet();
      if (!octet) {
        go_on(std::move(held));
        held = next(1);
        continue;
      }
      const auto of_same_network = [&] {
        if (!held) held = next(1);
        return held && held->which == which ? std::move(held) : nullptr;
      };
      OctetRuns<O>(*networks_[which], std::move(octet), call_.plan)
          .go(of_same_network, [this](std::unique_ptr<Run> run) { go_on(std::move(run)); }, [this] { return poll(); });
    }
  }

  void go_on(std::unique_ptr<Run> run) {
    const Status status = go(*run);
    write(*run, status);
    if (status != Status::interrupted) done_.fetch_add(1, std::memory_order_relaxed);
  }

  Status go(Run& run) {
    auto& [number, which, descent, gather, anchor] = run;
    const Stop& stop = call_.plan.stop;
    const std::int64_t patience = networks_[which]->patience();
    Status status = descent.verdict(stop);
    const bool steady = stop.steady && descent.can_repeat();
    while (status == Status::pending && descent.t() < call_.plan.num_steps) {
      if (steady && descent.t() % kAnchor == 0) {
        if (descent.t() > 0 && descent.is_at(anchor)) {
          gather.go_round(cycle_length(descent));
          return Status::steady;
        }
        anchor = descent.snapshot();
      }
      if (poll_every(patience, descent.t())) return Status::interrupted;
      gather.observe();
      gather.step();
      status = descent.verdict(stop);
    }
    return status == Status::pending ? Status::completed : status;
  }
  bool poll_every(std::int64_t patience, std::int64_t t) const {
    return t % patience == 0 ? poll() : call_.token.requested();
  }

  static int cycle_length(Descent<T, O>& descent) {
    const Snapshot entry = descent.snapshot();
    int period = 0;
    do {
      descent.step();
      ++period;
    } while (!descent.is_at(entry) && period < kAnchor);
    descent.stand_on(entry);
    return period;
  }

  void write(Run& run, Status status) {
    auto& [number, which, descent, gather, anchor] = run;
    const SweepOutput& out = call_.out;
    gather.observe(true);
    const auto put = [&, to = run.number](const GridArray& array, auto value) { grid_.put(array, to, value); };
    put(out.status, static_cast<std::int8_t>(status));
    put(out.num_steps_done, descent.t());
    put(out.loss, descent.loss());
    if (out.grad_norm) put(out.grad_norm, descent.grad_norm());
    if (out.sharpness) put(out.sharpness, last_sharpness(*networks_[which], descent, zeros_[which]));
    if (out.weights) {
      char* to = grid_.place(out.weights, number);
      for (const T w : descent.w()) {
        const auto value = static_cast<double>(w);
        std::memcpy(to, &value, sizeof value);
        to += out.weight_stride;
      }
    }
    const std::vector<double> own = own_quantities(*networks_[which], descent, zeros_[which]);
    for (std::size_t i = 0; i < own.size(); ++i) put(out.own[i].second, own[i]);
    if (out.period) put(out.period, status == Status::diverged ? std::int64_t{0} : gather.period());
    if (out.lyapunov) put(out.lyapunov, gather.lyapunov());
    for (std::size_t i = 0; i < out.reducers.size(); ++i) put(out.reducers[i], gather.result(i));
  }

  std::vector<double> own_quantities(const Network<T>& network, Descent<T, O>& descent, std::ptrdiff_t zeros) const {
    std::vector<double> values(call_.out.own.size());
    std::vector<OwnQuantity> own;
    for (std::size_t i = 0; i < values.size(); ++i) own.push_back({call_.out.own[i].first, 1, &values[i]});
    const auto stop = [this] { return poll(); };
    const int num_threads = grid_.num_runs == 1 ? call_.num_threads : 1;
    write_own_quantities(network, descent.here(), descent.w(), descent.weight_norm(), own, 0, num_threads, stop);
    Tangent<T>(network, zeros, own, kLastTol, kLastTol, call_.plan.seed)
        .write(descent.here(), 0, std::isfinite(descent.loss()), stop);
    return values;
  }

  static constexpr double kLastTol = std::is_same_v<T, double> ? 1e-6 : 1e-4;  // of what is solved for at the end

  double last_sharpness(const Network<T>& network, Descent<T, O>& descent, std::ptrdiff_t zeros) const {
    if (!std::isfinite(descent.loss())) return std::numeric_limits<double>::quiet_NaN();
    LanczosOptions options;
    options.tol = kLastTol;
    options.seed = call_.plan.seed;
    SpectrumResult result = lanczos(network.dim(), descent.hessian(), options, nullptr, [this] { return poll(); });
    with_zeros(result, zeros, 1);
    return result.converged[0] ? result.values[0] : std::numeric_limits<double>::quiet_NaN();
  }

  bool poll() const { return call_.token.poll(done_.load(std::memory_order_relaxed)); }

  const std::vector<const Network<T>*>& networks_;
  const std::vector<std::ptrdiff_t>& zeros_;
  const O rule_;
  const SweepCall& call_;
  const SweepGrid& grid_;
  std::atomic<std::int64_t> next_{0}, done_{0};
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
