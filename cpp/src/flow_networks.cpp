// The gradient flow of networks.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>

#include "eosfast/dynamics/network_flow.hpp"
#include "eosfast/parallel.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

// Dormand and Prince: row i belongs to stage i + 2; the last is the new w itself, so that the seventh slope is the next
// step's first. The error is h sum_j kError_j f_j.
constexpr double kA[6][6] = {{1.0 / 5},
                             {3.0 / 40, 9.0 / 40},
                             {44.0 / 45, -56.0 / 15, 32.0 / 9},
                             {19372.0 / 6561, -25360.0 / 2187, 64448.0 / 6561, -212.0 / 729},
                             {9017.0 / 3168, -355.0 / 33, 46732.0 / 5247, 49.0 / 176, -5103.0 / 18656},
                             {35.0 / 384, 0.0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784, 11.0 / 84}};
constexpr double kError[7] = {71.0 / 57600, 0.0, -71.0 / 16695, 71.0 / 1920, -17253.0 / 339200, 22.0 / 525, -1.0 / 40};

// The mean of square(i), in eight interleaved sums.
template <class Square>
double mean(std::size_t size, Square&& square) {
  double sums[8] = {};
  std::size_t i = 0;
  for (; i + 8 <= size; i += 8)
    for (std::size_t k = 0; k < 8; ++k) sums[k] += square(i + k);
  for (; i < size; ++i) sums[i % 8] += square(i);
  return (((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]))) /
         static_cast<double>(size);
}

}  // namespace

template <class T>
NetworkFlow<T>::NetworkFlow(const Network<T>& network, const double* w0, const FlowOptions& options, int num_threads)
    : options_(options), pass_(network.pass(num_threads)) {
  const auto dim = static_cast<std::size_t>(network.dim());
  w_.assign(w0, w0 + dim);
  for (double& w : w_) w = static_cast<double>(static_cast<T>(w));  // where a run would start
  next_.resize(dim);
  for (Vector& f : f_) f.resize(dim);
  at_.resize(dim);
  grad_.resize(dim);
}

template <class T>
void NetworkFlow<T>::slope_at(const Vector& w, Vector& f) {
  std::transform(w.begin(), w.end(), at_.begin(), [](double x) { return static_cast<T>(x); });
  pass_->visit(at_.data());
  pass_->grad(grad_.data());
  std::transform(grad_.begin(), grad_.end(), f.begin(), [](T g) { return -static_cast<double>(g); });
}

template <class T>
double NetworkFlow<T>::first_step() {
  const auto in_tolerances = [&](const Vector& x) {
    return std::sqrt(mean(x.size(), [&](std::size_t i) {
      const double ratio = x[i] / (options_.atol + options_.rtol * std::abs(w_[i]));
      return ratio * ratio;
    }));
  };
  return std::min(kFlowFirst * (in_tolerances(w_) + 1.0) / in_tolerances(f_[0]), std::numeric_limits<double>::max());
}

template <class T>
double NetworkFlow<T>::stages(double h) {
  const std::size_t dim = w_.size();
  for (std::size_t s = 0; s < 6; ++s) {
    double a[6];
    for (std::size_t j = 0; j <= s; ++j) a[j] = h * kA[s][j];
    const double* const w = w_.data();
    double* const next = next_.data();
    std::copy_n(w, dim, next);
    for (std::size_t j = 0; j <= s; ++j) {
      const double* const f = f_[j].data();
      for (std::size_t i = 0; i < dim; ++i) next[i] += a[j] * f[i];
    }
    slope_at(next_, f_[s + 1]);
  }
  return mean(dim, [&](std::size_t i) {
    double error = 0.0;
    for (std::size_t j = 0; j < 7; ++j) error += kError[j] * f_[j][i];
    const double ratio = h * error / (options_.atol + options_.rtol * std::max(std::abs(w_[i]), std::abs(next_[i])));
    return ratio * ratio;
  });
}

template <class T>
void NetworkFlow<T>::begin() {
  if (begun_) return;
  slope_at(w_, f_[0]);
  h_ = first_step();
  begun_ = true;
}

template <class T>
FlowStatus NetworkFlow<T>::step(double target) {
  begin();
  if (!std::isfinite(std::accumulate(f_[0].begin(), f_[0].end(), 0.0))) return verdict_ = FlowStatus::diverged;
  const double room = target - time_, h = std::min(h_, room), error = stages(h);
  double factor = kFlowSafety * std::pow(error, kFlowExponent);
  factor = std::isnan(factor) ? kFlowSmallest : std::clamp(factor, kFlowSmallest, held_ ? 1.0 : kFlowLargest);
  ++num_steps_;
  held_ = !(error <= 1.0);
  if (!held_) {
    w_.swap(next_);
    f_[0].swap(f_[6]);
    time_ = h < room ? time_ + h : target;
    h_ = h < h_ ? std::max(h_, factor * h) : factor * h;  // cut short by the target: that does not shorten the next
  } else {
    h_ = factor * h;
  }
  if (!(time_ < target)) return verdict_;
  if (!(time_ + h_ > time_) || h_ < 1e-290) {
    verdict_ = FlowStatus::stalled;
  } else if (num_steps_ >= options_.max_steps) {
    verdict_ = FlowStatus::budget;
  }
  return verdict_;
}

template <class T>
FlowStatus NetworkFlow<T>::advance(double time, StopToken& token) {
  while (time_ < time && verdict_ == FlowStatus::pending) {
    if (token.poll(0)) return FlowStatus::interrupted;
    step(time);
  }
  return verdict_;
}

template <class T>
void flow_of_network(const Network<T>& network, const FlowCall& call,
                     const std::function<std::unique_ptr<Runner>(std::int64_t, int)>& make_runner) {
  const bool alone = call.num_runs == 1;
  const int threads_inside = alone ? call.num_threads : 1;
  std::atomic<std::int64_t> next{0}, rows_done{0};
  const auto num_times = static_cast<std::int64_t>(call.times.size());
  const auto follow = [&](std::int64_t run) {
    NetworkFlow<T> flow(network, call.starts + run * network.dim(), call.options, threads_inside);
    const auto runner = make_runner(run, threads_inside);
    FlowStatus status = FlowStatus::pending;
    std::int64_t row = 0;
    for (; row < num_times; ++row) {
      status = flow.advance(call.times[static_cast<std::size_t>(row)], call.token);
      if (status == FlowStatus::pending && call.token.poll(rows_done.load())) status = FlowStatus::interrupted;
      if (status != FlowStatus::pending) break;
      runner->stand_at(flow.w());
      runner->write(call.out, run * num_times + row, true);
      rows_done.fetch_add(1);
    }
    call.status[run] = row == num_times ? FlowStatus::completed : status;
    call.rows[run] = row;
    call.num_steps[run] = flow.num_steps();
  };
  parallel_listening(
      alone ? 1 : call.num_threads,
      [&](int) {
        for (std::int64_t run; (run = next.fetch_add(1)) < call.num_runs && !call.token.requested();) follow(run);
      },
      [&] { call.token.poll(rows_done.load()); });
}

template class NetworkFlow<double>;
template class NetworkFlow<float>;
template void flow_of_network(const Network<double>&, const FlowCall&,
                              const std::function<std::unique_ptr<Runner>(std::int64_t, int)>&);
template void flow_of_network(const Network<float>&, const FlowCall&,
                              const std::function<std::unique_ptr<Runner>(std::int64_t, int)>&);

}  // namespace EOSFAST_ISA
}  // namespace eosfast
