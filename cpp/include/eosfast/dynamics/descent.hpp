// Gradient descent on a network: the iterate, the optimizer's state, and a workspace that follows them.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "eosfast/dynamics/own_quantities.hpp"
#include "eosfast/dynamics/recorder.hpp"
#include "eosfast/dynamics/step_quantities.hpp"
#include "eosfast/dynamics/tangent.hpp"
#include "eosfast/networks/network.hpp"
#include "eosfast/norm.hpp"
#include "eosfast/optimizers.hpp"
#include "eosfast/spectrum/tracker.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// H V in double for a workspace of either precision.
template <class T>
void hessian_products(Pass<T>& pass, std::ptrdiff_t dim, const double* V, int k, double* out) {
  in_precision<T>(V, dim * k, dim * k, out, [&](const T* from, T* to) { pass.hvp(from, k, to); });
}

template <class T, class O>
class Descent {
 public:
  // null_norm: length of the part of w outside the row space of the data, where nothing but weight decay changes it.
  Descent(const Network<T>& network, const O& rule, const std::array<double, O::kFields>& fields, int num_threads)
      : network_(network), rule_(rule), pass_(network.pass(num_threads)) {
    const auto dim = static_cast<std::size_t>(network.dim());
    w_.resize(dim);
    grad_.resize(dim);
    velocity_.resize(O::kStates > 0 ? dim : 1);
    if (rule.looks_ahead()) ahead_.resize(dim);
    std::transform(fields.begin(), fields.end(), fields_, [](double x) { return static_cast<T>(x); });
    shrinkage_ = rule.shrinkage(fields.data());
  }

  void start(const double* w0, double null_norm) {
    std::transform(w0, w0 + w_.size(), w_.begin(), [](double x) { return static_cast<T>(x); });
    std::fill(velocity_.begin(), velocity_.end(), T(0));
    null_norm_ = null_norm;
    t_ = 0;
    moved();
  }

  // On to an iterate that was computed elsewhere.
  void stand_at(std::int64_t t, std::vector<T> w, std::vector<T> velocity) {
    w_ = std::move(w);
    velocity_ = std::move(velocity);
    t_ = t;
    moved();
  }

  std::int64_t t() const { return t_; }
  const T* fields() const { return fields_; }
  const std::vector<T>& w() const { return w_; }
  double loss() { return here().loss(); }
  double weight_norm() const { return norm_of(w_, null_norm_ * kept()); }
  // How far the part of w that is outside the row space has come from where it was.
  double unseen_move() const { return null_norm_ * (1.0 - kept()); }
  // Whether an iterate that returns has returned with what is outside the row space.
  bool can_repeat() const { return null_norm_ == 0.0 || shrinkage_ == 1.0; }
  double grad_norm() { return norm_of(grad_here()); }
  Pass<T>& here() {
    if (!visited_) pass_->visit(w_.data());
    visited_ = true;
    return *pass_;
  }
  SymmetricProducts hessian() {
    return [this](const double* V, int k, double* out) { hessian_products(here(), network_.dim(), V, k, out); };
  }
  // The stop rules on the present iterate.
  Status verdict(const Stop& stop) {
    return stop.verdict(loss(), std::isnan(stop.grad_norm) ? stop.grad_norm : grad_norm());
  }

  // What a plain gradient step would do, which is not taken.
  void write_ahead(const RecordOutput& out, std::int64_t row) {
    const double loss_here = loss();
    grad_here();
    std::vector<T> next(w_.size()), next_grad(w_.size());
    for (std::size_t i = 0; i < w_.size(); ++i) next[i] = fma(-fields_[0], grad_[i], w_[i]);
    pass_->visit(next.data());
    visited_ = false;
    pass_->grad(next_grad.data());
    write_step_quantities(out, row, static_cast<double>(fields_[0]), loss_here, pass_->loss(), grad_, next_grad);
  }

  // At w, which no step led to.
  void stand_at(const double* w) {
    std::transform(w, w + w_.size(), w_.begin(), [](double x) { return static_cast<T>(x); });
    moved();
  }

  // One step. tangent (weights, then velocity), if given, is moved by the Jacobian of the step.
  void step(std::vector<double>* tangent = nullptr) {
    if (!look_ahead()) {
      grad_here();
      if (tangent) here();
    }
    const double size = rule_.normalises() ? norm_of(grad_) : 0.0;
    if (tangent) move(*tangent, size);
    if (size != 0.0 && rule_.normalises())
      for (T& g : grad_) g = static_cast<T>(g / size);
    update();
    ++t_;
    moved();
  }

  Snapshot snapshot() const {
    Snapshot out{t_, std::vector<std::byte>(bytes() + velocity_.size() * sizeof(T))};
    std::memcpy(out.bits.data(), w_.data(), bytes());
    std::memcpy(out.bits.data() + bytes(), velocity_.data(), velocity_.size() * sizeof(T));
    return out;
  }
  bool is_at(const Snapshot& place) const {
    return std::memcmp(place.bits.data(), w_.data(), bytes()) == 0 &&
           std::memcmp(place.bits.data() + bytes(), velocity_.data(), velocity_.size() * sizeof(T)) == 0;
  }
  void stand_on(const Snapshot& place) {
    std::memcpy(w_.data(), place.bits.data(), bytes());
    std::memcpy(velocity_.data(), place.bits.data() + bytes(), velocity_.size() * sizeof(T));
    t_ = place.step;
    moved();
  }

 private:
  double kept() const { return std::pow(shrinkage_, static_cast<double>(t_)); }
  std::size_t bytes() const { return w_.size() * sizeof(T); }
  void moved() { visited_ = has_grad_ = false; }
  const std::vector<T>& grad_here() {
    if (!has_grad_) here().grad(grad_.data());
    has_grad_ = true;
    return grad_;
  }

  // The gradient where the rule wants it, if that is not here.
  bool look_ahead() {
    if constexpr (O::kStates > 0) {
      if (!rule_.looks_ahead()) return false;
      for (std::size_t i = 0; i < w_.size(); ++i) ahead_[i] = O::ahead(w_[i], velocity_[i], fields_);
      pass_->visit(ahead_.data());
      pass_->grad(grad_.data());
      return true;
    }
    return false;
  }

  // The compiler must see that nothing here overlaps, or it goes number by number.
  void update() {
    T fields[O::kFields];
    std::copy(fields_, fields_ + O::kFields, fields);
    T* __restrict const w = w_.data(), * __restrict const v = velocity_.data();
    const T* __restrict const g = grad_.data();
    const std::size_t dim = w_.size();
    for (std::size_t i = 0; i < dim; ++i) {
      T unused{};
      O::update(w[i], O::kStates > 0 ? v[i] : unused, g[i], fields);
    }
  }

  // The Jacobian of the step, as in move_tangent(); `size` is the norm of the gradient.
  void move(std::vector<double>& tangent, double size) {
    const std::size_t dim = w_.size();
    double fields[O::kFields], unused = 0.0;
    std::copy(fields_, fields_ + O::kFields, fields);
    double *const u = tangent.data(), *const v = O::kStates > 0 ? u + dim : &unused;
    std::vector<double> at(u, u + dim), product(dim);
    if constexpr (O::kStates > 0)
      if (rule_.looks_ahead())
        for (std::size_t i = 0; i < dim; ++i) at[i] = O::ahead(u[i], v[i], fields);
    hessian_products(*pass_, network_.dim(), at.data(), 1, product.data());
    if (rule_.normalises()) {
      const std::vector<double> g(grad_.begin(), grad_.end());
      move_direction(static_cast<int>(dim), g.data(), size, product.data());
    }
    for (std::size_t i = 0; i < dim; ++i) O::update(u[i], v[O::kStates > 0 ? i : 0], product[i], fields);
  }

  const Network<T>& network_;
  const O rule_;
  std::unique_ptr<Pass<T>> pass_;
  std::vector<T> w_, grad_, velocity_, ahead_;
  T fields_[O::kFields];
  double null_norm_ = 0.0, shrinkage_ = 1.0;
  std::int64_t t_ = 0;
  bool visited_ = false, has_grad_ = false;
};

// Thrown out of a product with the Hessian when the run is to stop.
struct Interrupted {};

// A run of a network as `train` wants it.
template <class T, class O>
class NetworkRun final : public Runner {
 public:
  NetworkRun(const Network<T>& network, const Stop& stop, const O& rule, const std::array<double, O::kFields>& fields,
             const double* w0, double null_norm, std::ptrdiff_t zeros, int num_threads, StopToken& token)
      : network_(network),
        stop_(stop),
        descent_(network, rule, fields, num_threads),
        zeros_(zeros),
        num_threads_(num_threads),
        token_(token) {
    descent_.start(w0, null_norm);
  }

  std::ptrdiff_t dim() const override { return network_.dim(); }
  std::int64_t now() const override { return descent_.t(); }
  Status look() override { return descent_.verdict(stop_); }
  std::int64_t patience() const override { return network_.patience(); }
  bool can_repeat() const { return descent_.can_repeat(); }
  Status advance(std::int64_t n) override {
    Status status = Status::pending;
    for (; n > 0 && status == Status::pending; --n) {
      descent_.step();
      status = look();
    }
    return status;
  }
  void write(const RecordOutput& out, std::int64_t row, bool solves) override {
    if (out.loss) out.loss[row] = descent_.loss();
    if (out.grad_norm) out.grad_norm[row] = descent_.grad_norm();
    if (out.weight_norm) out.weight_norm[row] = descent_.weight_norm();
    if (out.weights) std::copy(descent_.w().begin(), descent_.w().end(), out.weights + row * dim());
    const auto stop = [this] { return token_.poll(now()); };
    write_own_quantities(network_, descent_.here(), descent_.w(), descent_.weight_norm(), out.own, row, num_threads_,
                         stop);
    tangent(out).write(descent_.here(), row, solves && std::isfinite(descent_.loss()), stop);
    if (out.wants_eigenvalues()) write_spectrum(out, row, solves);
    if (out.looks_a_step_ahead()) descent_.write_ahead(out, row);
  }
  Snapshot snapshot() const override { return descent_.snapshot(); }
  bool is_at(const Snapshot& place) const override { return descent_.is_at(place); }
  void stand_on(const Snapshot& place) override { descent_.stand_on(place); }
  void save(StateWriter& out) const override {
    out.optional(tracker_);
    out.optional(tangent_);
  }
  void load(StateReader& in, const RecordOutput& out) override {
    if (in.flag()) tracker(out).load(in);
    if (in.flag()) tangent(out).load(in);
  }

 private:
  Tracker& tracker(const RecordOutput& out) {
    if (!tracker_) tracker_.emplace(dim(), static_cast<int>(std::min<std::ptrdiff_t>(out.k, dim())), out.tol, out.seed);
    return *tracker_;
  }
  Tangent<T>& tangent(const RecordOutput& out) {
    constexpr double kFinest = 100.0 * std::numeric_limits<T>::epsilon();
    const double vector_tol = std::min(out.tol, std::max(0.1 * out.tol, kFinest));
    if (!tangent_) tangent_.emplace(network_, zeros_, out.own, out.tol, vector_tol, out.seed);
    return *tangent_;
  }
  void write_spectrum(const RecordOutput& out, std::int64_t row, bool solves) {
    if (!solves || !std::isfinite(descent_.loss())) return write_no_eigenvalues(out, row);
    const SymmetricProducts products = [this](const double* V, int count, double* to) {
      if (token_.poll(now())) throw Interrupted{};
      hessian_products(descent_.here(), dim(), V, count, to);
    };
    try {
      SpectrumResult found = tracker(out).solve(products);
      with_zeros(found, zeros_, out.k);
      write_eigenvalues(out, row, found.values.data(), found.residuals[0], found.converged[0], found.matvecs);
    } catch (const Interrupted&) {
      write_no_eigenvalues(out, row);
    }
  }
  void copy_w(double* out) const override { std::copy(descent_.w().begin(), descent_.w().end(), out); }
  double unseen_move() const override { return descent_.unseen_move(); }
  void stand_at(const double* w) override { descent_.stand_at(w); }

  const Network<T>& network_;
  const Stop stop_;
  Descent<T, O> descent_;
  const std::ptrdiff_t zeros_;  // eigenvalues of the whole Hessian that the reduced one lacks
  const int num_threads_;
  StopToken& token_;
  std::optional<Tracker> tracker_;
  std::optional<Tangent<T>> tangent_;
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
