// Trajectories of w' = f(w) = -grad loss(w) side by side, each with its own time and step size, by a linearly implicit
// Runge-Kutta method of order 5 with an embedded one of order 4, L-stable: Rodas5P of Steinebach (2023), "Construction
// of Rosenbrock-Wanner method Rodas5P and numerical benchmarks within the Julia Differential Equations package",
// BIT 63.
//
// With H the Hessian at w, stage i solves
//   (I + gamma h H) u_i = gamma (h f(w + sum_{j<i} a_ij u_j) + sum_{j<i} c_ij u_j).
// The last argument of f plus u_8 is the new w, and u_8 the estimate of its error. Where the matrix is not positive
// definite, loss decreases so fast along a direction of negative curvature that the step is too long for any accuracy.
#pragma once

#include <memory>
#include <vector>

#include "eosfast/dynamics/flow.hpp"
#include "eosfast/lanes.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// The vector field of a small model; Real is Lanes, or double for models that fill the lanes themselves.
template <class Real>
class Field {
 public:
  virtual ~Field() = default;
  virtual int dim() const = 0;
  virtual void slope(const Real* w, Real* f) = 0;                       // f = -grad loss
  virtual void slope_and_hessian(const Real* w, Real* f, Real* H) = 0;  // H (dim, dim)
};

template <class Real>
class Rosenbrock {
 public:
  Rosenbrock(std::unique_ptr<Field<Real>> field, const FlowOptions& options);

  int dim() const { return dim_; }
  // Lane i stands at w at time 0, and waits.
  void start(int i, const double* w);
  // Lane i is to arrive at `time`, exactly.
  void aim(int i, double time) { set_lane(target_, i, time); }
  // Lane i is empty.
  void stop(int i);
  // One attempted step of every lane that has not arrived.
  void step();
  bool arrived(int i) const { return !(lane(time_, i) < lane(target_, i)); }
  // pending: all is well.
  FlowStatus verdict(int i) const { return verdicts_[i]; }
  std::int64_t num_steps(int i) const { return static_cast<std::int64_t>(lane(num_steps_, i)); }
  void copy_w(int i, double* out) const;
  // Where lane i is, but for its target.
  void save(int i, StateWriter& out) const;
  void load(int i, StateReader& in);

 private:
  void first_step();
  auto factorise(const Real& factor);
  void solve(Real* x) const;
  void stages(const Real& h);
  Real mean_square(const Real* e, const Real* other) const;
  template <class Mask>
  void judge(const Mask& live, const Mask& sound);

  const std::unique_ptr<Field<Real>> field_;
  const FlowOptions options_;
  const int dim_;
  std::vector<Real> w_, next_, f_, stages_, H_, inverse_pivots_;
  Real time_, target_, h_, num_steps_;
  Real held_;   // 1 in a lane whose last step was rejected: the next one does not grow
  Real fresh_;  // 1 in a lane that has no step size yet
  FlowStatus verdicts_[kLanes]{};
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
