// The gradient flow of networks.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>
#include <tuple>

#include "eosfast/dynamics/chebyshev.hpp"
#include "eosfast/dynamics/network_flow.hpp"
#include "eosfast/parallel.hpp"
#include "eosfast/spectrum/lanczos.hpp"

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

// Of the choice between the methods.
constexpr double kGradients = 6.0;                 // in a step of Dormand and Prince
constexpr double kStiff = 2.0;                     // step size times sharpness at which stability may be the limit
constexpr double kWorthwhile = 0.8;                // of the gradients that the other method would take
constexpr std::int64_t kStretch = 25;              // Chebyshev steps between two estimates of the sharpness
constexpr double kMargin = 1.15, kRoughly = 0.05;  // the sharpness may rise in between; tolerance of the estimate
constexpr int kMostStages = 200;
constexpr double kChebyshevExponent = -1.0 / 6.0;  // the error is of order 3

// Thrown out of a step when the run is to stop.
struct Stopped {};

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
  ++num_gradients_;
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

// The error is that of the solution's third derivative, from both ends of the step (Sommeijer, Shampine, Verwer 1998).
template <class T>
double NetworkFlow<T>::chebyshev_stages(double h, const std::function<bool()>& stop) {
  const Chebyshev method(Chebyshev::stages_for(h, kMargin * sharpness_));
  const std::size_t dim = w_.size();
  Vector &older = f_[1], &old = f_[2], &slope = f_[3];
  older = w_;
  for (std::size_t i = 0; i < dim; ++i) old[i] = w_[i] + method.first() * h * f_[0][i];
  for (const Chebyshev::Stage& c : method.stages()) {
    if (stop()) throw Stopped{};
    slope_at(old, slope);
    const double rest = 1.0 - c.mu - c.nu;
    for (std::size_t i = 0; i < dim; ++i)
      next_[i] = rest * w_[i] + c.mu * old[i] + c.nu * older[i] + h * (c.slope * slope[i] + c.first_slope * f_[0][i]);
    older.swap(old);
    old = next_;
  }
  slope_at(next_, f_[6]);
  return mean(dim, [&](std::size_t i) {
    const double error = 0.8 * (w_[i] - next_[i]) + 0.4 * h * (f_[0][i] + f_[6][i]);
    const double ratio = error / (options_.atol + options_.rtol * std::max(std::abs(w_[i]), std::abs(next_[i])));
    return ratio * ratio;
  });
}

template <class T>
double NetworkFlow<T>::estimated_sharpness(const std::function<bool()>& stop) {
  const auto dim = static_cast<std::ptrdiff_t>(w_.size());
  std::transform(w_.begin(), w_.end(), at_.begin(), [](double x) { return static_cast<T>(x); });
  pass_->visit(at_.data());
  LanczosOptions options;
  options.tol = kRoughly;
  const SymmetricProducts products = [&](const double* V, int k, double* out) {
    if (stop()) throw Stopped{};
    in_precision<T>(V, dim * k, dim * k, out, [&](const T* from, T* to) { pass_->hvp(from, k, to); });
  };
  SpectrumResult found = lanczos(dim, products, options, top_.empty() ? nullptr : top_.data(), nullptr);
  if (!std::isfinite(found.values[0])) return 0.0;
  top_ = std::move(found.vectors);
  return std::max(found.values[0], 0.0);  // what is not convex anywhere bounds no step
}

template <class T>
void NetworkFlow<T>::choose_method(const std::function<bool()>& stop) {
  if (num_steps_ < next_look_) return;
  sharpness_ = estimated_sharpness(stop);
  const bool before = chebyshev_;
  if (before) {
    const double others = kGradients / kStable * sharpness_ * (time_ - since_);  // gradients in the same time
    chebyshev_ = static_cast<double>(num_gradients_ - gradients_before_) < kWorthwhile * others;
  } else {
    chebyshev_ = h_ * sharpness_ > kStiff;
  }
  if (before && !chebyshev_) h_ = std::min(h_, kStable / sharpness_);
  next_look_ = num_steps_ + (chebyshev_ ? kStretch : wait_);
  if (!chebyshev_) wait_ *= 2;
  gradients_before_ = num_gradients_;
  since_ = time_;
}

template <class T>
void NetworkFlow<T>::begin() {
  if (begun_) return;
  slope_at(w_, f_[0]);
  h_ = first_step();
  begun_ = true;
}

template <class T>
FlowStatus NetworkFlow<T>::step(double target, const std::function<bool()>& stop) {
  begin();
  const auto before = std::apply([](const auto&... members) { return std::make_tuple(members...); }, decisions());
  try {
    return attempt(target, stop);
  } catch (const Stopped&) {  // as if the step had not begun
    decisions() = before;
    return FlowStatus::interrupted;
  }
}

template <class T>
FlowStatus NetworkFlow<T>::attempt(double target, const std::function<bool()>& stop) {
  begin();
  if (!std::isfinite(std::accumulate(f_[0].begin(), f_[0].end(), 0.0))) return verdict_ = FlowStatus::diverged;
  choose_method(stop);
  if (chebyshev_) h_ = std::min(h_, Chebyshev::longest_step(kMostStages, kMargin * sharpness_));
  const double room = target - time_, h = std::min(h_, room);
  const double error = chebyshev_ ? chebyshev_stages(h, stop) : stages(h);
  double factor = kFlowSafety * std::pow(error, chebyshev_ ? kChebyshevExponent : kFlowExponent);
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
    if (chebyshev_) sharpness_ = estimated_sharpness(stop);  // it may have risen
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
    if (token.poll(0) || step(time, [&] { return token.poll(0); }) == FlowStatus::interrupted)
      return FlowStatus::interrupted;
  }
  return verdict_;
}

template <class T>
void NetworkFlow<T>::save(StateWriter& out) const {
  out.vector(w_);
  out.vector(f_[0]);
  out.vector(top_);
  for (const double value : {time_, h_, since_, sharpness_}) out.number(value);
  for (const bool flag : {begun_, held_, chebyshev_}) out.number(flag);
  for (const std::int64_t count : {num_steps_, num_gradients_, next_look_, wait_, gradients_before_}) out.number(count);
  out.number(verdict_);
}

template <class T>
void NetworkFlow<T>::load(StateReader& in) {
  in.vector(w_, w_.size());
  in.vector(f_[0], w_.size());
  in.vector_or_none(top_, w_.size());
  for (double* value : {&time_, &h_, &since_, &sharpness_}) *value = in.number<double>();
  for (bool* flag : {&begun_, &held_, &chebyshev_}) *flag = in.flag();
  for (std::int64_t* count : {&num_steps_, &num_gradients_, &next_look_, &wait_, &gradients_before_})
    *count = in.count();
  StateReader::demand(std::isfinite(sharpness_) && wait_ > 0);
  verdict_ = load_flow_status(in);
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
