// Many runs of networks: threads take whole runs from a common queue; a single run has all threads inside its products.
// Of very small networks a thread steps two runs in turn: a step is mostly one chain of dependent operations, and the
// processor begins the next one's meanwhile.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "eosfast/dynamics/gather.hpp"
#include "eosfast/model.hpp"
#include "eosfast/parallel.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

template <class T, class O>
class Fleet {
 public:
  Fleet(const std::vector<const Network<T>*>& networks, const std::vector<std::ptrdiff_t>& zeros, const SweepCall& call)
      : networks_(networks), zeros_(zeros), call_(call), grid_(call.grid) {}

  std::int64_t run() {
    const bool alone = grid_.num_runs == 1;
    const int threads = alone ? 1 : call_.num_threads;
    parallel(threads, [&](int thread) {
      working_.fetch_add(1);
      struct Leaving {
        std::atomic<int>& working;
        ~Leaving() { working.fetch_sub(1); }
      } leaving{working_};
      run_some(runs_abreast(threads), alone ? call_.num_threads : 1);
      if (thread == 0) wait_for_the_others();
    });
    return done_.load();
  }

 private:
  // A run under way.
  struct Course {
    Course(const Fleet& fleet, std::int64_t number_, int num_threads)
        : number(number_),
          which(fleet.grid_.model_index
                    ? static_cast<std::size_t>(fleet.grid_.template get<std::int64_t>(fleet.grid_.model_index, number))
                    : 0),
          network(*fleet.networks_[which]),
          patience(network.patience()),
          descent(network, fleet.optimizer_fields(number).data(), num_threads),
          gather(descent, network, fleet.call_.plan, fleet.zeros_[which]) {
      fleet.start(number, descent);
      const Plan& plan = fleet.call_.plan;
      status = descent.verdict(plan.stop);
      if (plan.stop.steady && plan.num_steps >= kAnchor) anchor = descent.snapshot();
    }

    const std::int64_t number;
    const std::size_t which;
    const Network<T>& network;
    const std::int64_t patience;
    Descent<T, O> descent;
    Gather<T, O> gather;
    Snapshot anchor;
    Status status;
  };

  int runs_abreast(int threads) const {
    constexpr int kMost = 2, kPatient = 960;  // the patience of the smallest networks
    if (grid_.num_runs < kMost * threads) return 1;
    for (const Network<T>* network : networks_)
      if (network->patience() < kPatient) return 1;
    return kMost;
  }

  void run_some(int abreast, int num_threads) {
    std::vector<std::unique_ptr<Course>> courses(static_cast<std::size_t>(abreast));
    do {
      for (auto& course : courses) {
        if (!course) {
          const std::int64_t number = call_.token.requested() ? grid_.num_runs : next_.fetch_add(1);
          if (number < grid_.num_runs) course = std::make_unique<Course>(*this, number, num_threads);
        }
        if (!course || goes_on(*course)) continue;
        write(*course);
        if (course->status != Status::interrupted) done_.fetch_add(1, std::memory_order_relaxed);
        course.reset();
      }
    } while (std::any_of(courses.begin(), courses.end(), [](const auto& course) { return course != nullptr; }) ||
             (next_.load(std::memory_order_relaxed) < grid_.num_runs && !call_.token.requested()));
  }

  std::array<double, O::kFields> optimizer_fields(std::int64_t number) const {
    std::array<double, O::kFields> fields;
    for (std::size_t i = 0; i < O::kFields; ++i) fields[i] = grid_.get<double>(grid_.columns[i], number);
    return fields;
  }

  void start(std::int64_t number, Descent<T, O>& descent) const {
    std::vector<double> w0(descent.w().size());
    const char* from = grid_.place(grid_.start, number);
    for (double& w : w0) {
      std::memcpy(&w, from, sizeof w);
      from += grid_.start_stride;
    }
    descent.start(w0.data(), grid_.null_norm ? grid_.get<double>(grid_.null_norm, number) : 0.0);
  }

  // One step, unless the run has ended.
  bool goes_on(Course& course) {
    const Plan& plan = call_.plan;
    Descent<T, O>& descent = course.descent;
    Status& status = course.status;
    if (status == Status::pending && descent.t() >= plan.num_steps) status = Status::completed;
    if (status != Status::pending) return false;
    if (descent.t() % course.patience == 0 && call_.token.poll(done_.load(std::memory_order_relaxed))) {
      status = Status::interrupted;
      return false;
    }
    course.gather.observe();
    course.gather.step();
    status = descent.verdict(plan.stop);
    if (status != Status::pending || !plan.stop.steady || descent.t() % kAnchor != 0) return true;
    if (descent.t() < plan.num_steps && descent.is_at(course.anchor)) {
      course.gather.go_round(cycle_length(descent));
      status = Status::steady;
    } else {
      course.anchor = descent.snapshot();
    }
    return true;
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

  void write(Course& course) {
    auto& [number, which, network, patience, descent, gather, anchor, status] = course;
    const SweepOutput& out = call_.out;
    gather.observe(true);
    const auto put = [&](const GridArray& array, auto value) { grid_.put(array, number, value); };
    put(out.status, static_cast<std::int8_t>(status));
    put(out.num_steps_done, descent.t());
    put(out.loss, descent.loss());
    if (out.grad_norm) put(out.grad_norm, descent.grad_norm());
    if (out.sharpness) put(out.sharpness, last_sharpness(network, descent, zeros_[which]));
    if (out.weights) {
      char* to = grid_.place(out.weights, number);
      for (const T w : descent.w()) {
        const auto value = static_cast<double>(w);
        std::memcpy(to, &value, sizeof value);
        to += out.weight_stride;
      }
    }
    for (const auto& [name, array] : out.own) {
      double value = 0.0;
      descent.here().quantity(name, descent.weight_norm(), &value);
      put(array, value);
    }
    if (out.period) put(out.period, status == Status::diverged ? std::int64_t{0} : gather.period());
    if (out.lyapunov) put(out.lyapunov, gather.lyapunov());
    for (std::size_t i = 0; i < out.reducers.size(); ++i) put(out.reducers[i], gather.result(i));
  }

  double last_sharpness(const Network<T>& network, Descent<T, O>& descent, std::ptrdiff_t zeros) const {
    if (!std::isfinite(descent.loss())) return std::numeric_limits<double>::quiet_NaN();
    LanczosOptions options;
    options.tol = std::is_same_v<T, double> ? 1e-6 : 1e-4;
    options.seed = call_.plan.seed;
    SpectrumResult result = lanczos(network.dim(), descent.hessian(), options, nullptr,
                                    [this] { return call_.token.poll(done_.load(std::memory_order_relaxed)); });
    with_zeros(result, zeros, 1);
    return result.converged[0] ? result.values[0] : std::numeric_limits<double>::quiet_NaN();
  }

  // The caller's thread alone hears Ctrl-C: it listens until the last run is done.
  void wait_for_the_others() {
    while (working_.load() > 1) {
      call_.token.poll(done_.load(std::memory_order_relaxed));
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
  }

  const std::vector<const Network<T>*>& networks_;
  const std::vector<std::ptrdiff_t>& zeros_;
  const SweepCall& call_;
  const SweepGrid& grid_;
  std::atomic<std::int64_t> next_{0}, done_{0};
  std::atomic<int> working_{0};
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
