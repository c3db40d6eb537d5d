// The gradient flow of a network: an explicit Runge-Kutta method of order 5 with an embedded one of order 4 (Dormand,
// Prince 1980). Its steps are at most 3.3 over the sharpness, where it is no longer stable. Where that, and not the
// tolerance, is what keeps them short, the second-order Runge-Kutta-Chebyshev method is tried, and kept as long as it
// takes fewer gradients for the time that passes. Positions are double, whatever the precision of the gradient.
#pragma once

#include <functional>
#include <memory>
#include <tuple>
#include <vector>

#include "eosfast/dynamics/flow.hpp"
#include "eosfast/dynamics/recorder.hpp"
#include "eosfast/networks/network.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// Dormand and Prince: the longest stable step times the sharpness.
inline constexpr double kStable = 3.3;

template <class T>
class NetworkFlow final : public Flow {
 public:
  NetworkFlow(const Network<T>& network, const double* w0, const FlowOptions& options, int num_threads);

  FlowStatus advance(double time, StopToken& token) override;
  const double* w() const override { return w_.data(); }
  std::int64_t num_steps() const override { return num_steps_; }
  void save(StateWriter& out) const override;
  void load(StateReader& in) override;

  std::int64_t num_gradients() const { return num_gradients_; }
  // Before the first step, or nothing.
  void begin();
  // One attempted step, at most to `target`; pending: the next may follow. `stop` is asked before what takes long.
  FlowStatus step(double target, const std::function<bool()>& stop);
  const std::vector<double>& slope() const { return f_[0]; }  // -gradient at w()
  // The sharpness is at most about this: from an estimate, or because steps are stable.
  double most_sharpness() const { return chebyshev_ ? sharpness_ : kStable / h_; }

 private:
  using Vector = std::vector<double>;

  // What an attempted step may have changed before it is stopped.
  auto decisions() {
    return std::tie(h_, held_, num_steps_, num_gradients_, chebyshev_, next_look_, wait_, gradients_before_, since_,
                    sharpness_, top_);
  }
  void slope_at(const Vector& w, Vector& f);
  double first_step();
  // With step size h: the new w into next_, the mean square of its error in units of the tolerance is returned.
  double stages(double h);
  double chebyshev_stages(double h, const std::function<bool()>& stop);
  FlowStatus attempt(double target, const std::function<bool()>& stop);
  void choose_method(const std::function<bool()>& stop);
  double estimated_sharpness(const std::function<bool()>& stop);

  const FlowOptions options_;
  const std::unique_ptr<Pass<T>> pass_;
  Vector w_, next_, f_[7];
  std::vector<T> at_, grad_;
  double time_ = 0.0, h_ = 0.0;
  bool begun_ = false, held_ = false;  // held: the last step was rejected, the next one does not grow
  std::int64_t num_steps_ = 0, num_gradients_ = 0;
  // Of the choice between the methods: when it is made again, after how many steps if the answer was no; where
  // the present stretch began.
  bool chebyshev_ = false;
  std::int64_t next_look_ = 50, wait_ = 100, gradients_before_ = 0;
  double since_ = 0.0, sharpness_ = 0.0;
  Vector top_;  // eigenvector
  FlowStatus verdict_ = FlowStatus::pending;
};

// All trajectories of a call, a thread for each; a single one has all threads inside its products. make_runner(run,
// num_threads) writes the rows.
template <class T>
void flow_of_network(const Network<T>& network, const FlowCall& call,
                     const std::function<std::unique_ptr<Runner>(std::int64_t, int)>& make_runner);

}  // namespace EOSFAST_ISA
}  // namespace eosfast
