// One step of the linearly implicit method, for eight trajectories at once or for one.
#include "eosfast/dynamics/rosenbrock.hpp"

#include <algorithm>
#include <limits>

#include "eosfast/math.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

// Steinebach's Rodas5P in the form that needs no products with the matrix. Row i belongs to stage i + 2; the arguments
// of the stages 7 and 8 are those before plus the last u.
constexpr int kStages = 8;
constexpr double kGamma = 0.21193756319429014;
constexpr double kA[5][5] = {
    {3.0},
    {2.849394379747939, 0.45842242204463923},
    {-6.954028509809101, 2.489845061869568, -10.358996098473584},
    {2.8029986275628964, 0.5072464736228206, -0.3988312541770524, -0.04721187230404641},
    {-7.502846399306121, 2.561846144803919, -11.627539656261098, -0.18268767659942256, 0.030198172008377946}};
constexpr double kC[7][7] = {
    {-14.155112264123755},
    {-17.97296035885952, -2.859693295451294},
    {147.12150275711716, -1.41221402718213, 71.68940251302358},
    {165.43517024871676, -0.4592823456491126, 42.90938336958603, -5.961986721573306},
    {24.854864614690072, -3.0009227002832186, 47.4931110020768, 5.5814197821558125, -0.6610691825249471},
    {30.91273214028599, -3.1208243349937974, 77.79954646070892, 34.28646028294783, -19.097331116725623,
     -28.087943162872662},
    {37.80277123390563, -3.2571969029072276, 112.26918849496327, 66.9347231244047, -40.06618937091002,
     -54.66780262877968, -9.48861652309627}};

template <class Real>
using MaskOf = decltype(Real(0.0) < Real(0.0));

}  // namespace

template <class Real>
Rosenbrock<Real>::Rosenbrock(std::unique_ptr<Field<Real>> field, const FlowOptions& options)
    : field_(std::move(field)), options_(options), dim_(field_->dim()) {
  const auto n = static_cast<std::size_t>(dim_);
  for (auto* vector : {&w_, &next_, &f_, &inverse_pivots_}) vector->assign(n, Real(0.0));
  stages_.assign(kStages * n, Real(0.0));
  H_.assign(n * n, Real(0.0));
  time_ = target_ = held_ = fresh_ = num_steps_ = Real(0.0);
  h_ = Real(1.0);
}

template <class Real>
void Rosenbrock<Real>::start(int i, const double* w) {
  for (int k = 0; k < dim_; ++k) set_lane(w_[static_cast<std::size_t>(k)], i, w[k]);
  for (Real* number : {&time_, &target_, &held_, &num_steps_}) set_lane(*number, i, 0.0);
  set_lane(fresh_, i, 1.0);
  verdicts_[i] = FlowStatus::pending;
}

template <class Real>
void Rosenbrock<Real>::stop(int i) {
  set_lane(target_, i, lane(time_, i));
  for (Real& w : w_) set_lane(w, i, 0.0);
}

template <class Real>
void Rosenbrock<Real>::copy_w(int i, double* out) const {
  for (int k = 0; k < dim_; ++k) out[k] = lane(w_[static_cast<std::size_t>(k)], i);
}

template <class Real>
void Rosenbrock<Real>::save(int i, StateWriter& out) const {
  for (const Real& w : w_) out.number(lane(w, i));
  for (const Real* number : {&time_, &h_, &held_, &fresh_, &num_steps_}) out.number(lane(*number, i));
  out.number(verdicts_[i]);
}

template <class Real>
void Rosenbrock<Real>::load(int i, StateReader& in) {
  for (Real& w : w_) set_lane(w, i, in.number<double>());
  for (Real* number : {&time_, &h_, &held_, &fresh_, &num_steps_}) set_lane(*number, i, in.number<double>());
  StateReader::demand(lane(num_steps_, i) >= 0.0);
  verdicts_[i] = load_flow_status(in);
}

// The mean square of e in units of the tolerance at w and `other`.
template <class Real>
Real Rosenbrock<Real>::mean_square(const Real* e, const Real* other) const {
  Real total(0.0);
  for (int k = 0; k < dim_; ++k) {
    const Real size = max(abs(w_[static_cast<std::size_t>(k)]), abs(other[k]));
    const Real ratio = e[k] / fma(Real(options_.rtol), size, Real(options_.atol));
    total = fma(ratio, ratio, total);
  }
  return total * Real(1.0 / dim_);
}

// L D L' of I + factor H over its lower triangle; tells where it is positive definite.
template <class Real>
auto Rosenbrock<Real>::factorise(const Real& factor) {
  Real* const A = H_.data();
  MaskOf<Real> positive = factor > Real(0.0);
  for (int i = 0; i < dim_; ++i)
    for (int j = 0; j <= i; ++j) A[i * dim_ + j] = fma(factor, A[i * dim_ + j], Real(i == j ? 1.0 : 0.0));
  for (int j = 0; j < dim_; ++j) {
    const Real pivot = A[j * dim_ + j], inverse = Real(1.0) / pivot;
    positive = positive & (pivot > Real(0.0));
    inverse_pivots_[static_cast<std::size_t>(j)] = inverse;
    for (int i = j + 1; i < dim_; ++i) {
      const Real whole = A[i * dim_ + j];
      A[i * dim_ + j] = whole * inverse;
      for (int k = j + 1; k <= i; ++k) A[i * dim_ + k] = fma(-whole, A[k * dim_ + j], A[i * dim_ + k]);
    }
  }
  return positive;
}

template <class Real>
void Rosenbrock<Real>::solve(Real* x) const {
  const Real* const L = H_.data();
  for (int i = 1; i < dim_; ++i)
    for (int k = 0; k < i; ++k) x[i] = fma(-L[i * dim_ + k], x[k], x[i]);
  for (int i = dim_ - 1; i >= 0; --i) {
    x[i] = x[i] * inverse_pivots_[static_cast<std::size_t>(i)];
    for (int k = i + 1; k < dim_; ++k) x[i] = fma(-L[k * dim_ + i], x[k], x[i]);
  }
}

// Lanes that have no step size yet: w moves by a small part of itself, but for zeros at once out of the tolerance.
template <class Real>
void Rosenbrock<Real>::first_step() {
  const Real size = sqrt(mean_square(w_.data(), w_.data())), speed = sqrt(mean_square(f_.data(), w_.data()));
  const Real first = min(Real(kFlowFirst) * (size + Real(1.0)) / speed, Real(std::numeric_limits<double>::max()));
  h_ = select(fresh_ > Real(0.0), first, h_);
  fresh_ = Real(0.0);
}

// The stages with step size h into next_ and the last of stages_.
template <class Real>
void Rosenbrock<Real>::stages(const Real& h) {
  for (int s = 0; s < kStages; ++s) {
    Real* const u = stages_.data() + s * dim_;
    const auto earlier = [&](int j, int k) -> const Real& { return stages_[static_cast<std::size_t>(j * dim_ + k)]; };
    if (s > 0) {
      for (int k = 0; k < dim_; ++k) {
        Real& at = next_[static_cast<std::size_t>(k)];
        if (s <= 5) {
          at = w_[static_cast<std::size_t>(k)];
          for (int j = 0; j < s; ++j) at = fma(Real(kA[s - 1][j]), earlier(j, k), at);
        } else {
          at = at + earlier(s - 1, k);
        }
      }
      field_->slope(next_.data(), f_.data());
    }
    for (int k = 0; k < dim_; ++k) {
      Real right = h * f_[static_cast<std::size_t>(k)];
      for (int j = 0; j < s; ++j) right = fma(Real(kC[s - 1][j]), earlier(j, k), right);
      u[k] = Real(kGamma) * right;
    }
    solve(u);
  }
  for (int k = 0; k < dim_; ++k)
    next_[static_cast<std::size_t>(k)] =
        next_[static_cast<std::size_t>(k)] + stages_[static_cast<std::size_t>((kStages - 1) * dim_ + k)];
}

template <class Real>
void Rosenbrock<Real>::step() {
  const auto live = time_ < target_;
  field_->slope_and_hessian(w_.data(), f_.data(), H_.data());
  auto sound = live, still = live;  // still: at a critical point, perhaps a saddle that no step size would be long for
  for (const Real& f : f_) {
    sound = sound & (f - f == Real(0.0));
    still = still & (f == Real(0.0));
  }
  if (any(fresh_ > Real(0.0))) first_step();
  const Real room = target_ - time_, h = select(live, min(h_, room), Real(1.0));
  const auto positive = factorise(Real(kGamma) * h);
  stages(h);

  constexpr double infinity = std::numeric_limits<double>::infinity();
  const Real error = select(positive, mean_square(stages_.data() + (kStages - 1) * dim_, next_.data()), Real(infinity));
  const auto accepted = still | (live & (error <= Real(1.0)));
  const Real wish = Real(kFlowSafety) * exp(Real(kFlowExponent) * log(error));
  Real factor = min(max(wish, Real(kFlowSmallest)), Real(kFlowLargest));
  factor = select(held_ > Real(0.0), min(factor, Real(1.0)), factor);
  for (int k = 0; k < dim_; ++k) {
    Real& w = w_[static_cast<std::size_t>(k)];
    w = select(still, w, select(accepted, next_[static_cast<std::size_t>(k)], w));
  }
  // A step cut short by its target does not shorten the next one.
  const Real tried = factor * h;
  h_ = select(live, select(accepted & (h < h_), max(h_, tried), tried), h_);
  held_ = select(live, select(accepted, Real(0.0), Real(1.0)), held_);
  time_ = select(still, target_, select(accepted, select(h < room, time_ + h, target_), time_));
  num_steps_ = num_steps_ + select(live, Real(1.0), Real(0.0));
  judge(live, sound);
}

template <class Real>
template <class Mask>
void Rosenbrock<Real>::judge(const Mask& live, const Mask& sound) {
  const auto on_the_way = live & (time_ < target_);
  const auto lost = select(sound, Real(0.0), Real(1.0)) > Real(0.0);
  const auto stuck = (time_ + h_ <= time_) | (h_ < Real(1e-290));
  const auto spent = num_steps_ >= Real(static_cast<double>(options_.max_steps));
  if (!any(on_the_way & (lost | stuck | spent))) return;
  const auto number = [](const auto& mask) { return select(mask, Real(1.0), Real(0.0)); };
  const Real here = number(on_the_way), is_lost = number(lost), is_stuck = number(stuck);
  for (int i = 0; i < kWidth<Real>; ++i) {
    if (lane(here, i) == 0.0) continue;
    if (lane(is_lost, i) != 0.0) {
      verdicts_[i] = FlowStatus::diverged;
    } else if (lane(is_stuck, i) != 0.0) {
      verdicts_[i] = FlowStatus::stalled;
    } else if (lane(num_steps_, i) >= static_cast<double>(options_.max_steps)) {
      verdicts_[i] = FlowStatus::budget;
    }
  }
}

template class Rosenbrock<double>;
template class Rosenbrock<Lanes>;

}  // namespace EOSFAST_ISA
}  // namespace eosfast
