// Loss, gradient, Hessian-vector products and Jacobian products of deep linear networks.
#include "eosfast/networks/linear_network.hpp"

#include <algorithm>

#include "eosfast/networks/rank_limited.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

// sum().
// What fills up the rows is zero on both sides.
void subtract(Rows& a, const Rows& b) {
  for (std::ptrdiff_t i = 0; i < a.size(); i += kLanes)
    (Lanes::load(a.row(0) + i) - Lanes::load(b.row(0) + i)).store(a.row(0) + i);
}
// A chain for each residue class of columns modulo 8, then the fixed tree of sum().
double squared_norm(const Rows& a) {
  Lanes total(0.0);
  for (std::ptrdiff_t i = 0; i < a.size(); i += kLanes) {
    const Lanes x = Lanes::load(a.row(0) + i);
    total = fma(x, x, total);
  }
  return sum(total);
}
void assign_scaled(const Rows& from, double factor, Rows& out) {
  for (std::ptrdiff_t i = 0; i < from.size(); i += kLanes)
    (Lanes(factor) * Lanes::load(from.row(0) + i)).store(out.row(0) + i);
}
void scale_rows(Rows& a, double factor) { assign_scaled(a, factor, a); }

Rows transposed(const Rows& from) {
  Rows out(from.columns(), from.count());
  transpose(as_left(from), out);
  return out;
}

std::vector<double> numbers(ArrayView view) { return {view.data, view.data + view.rows * view.columns}; }

}  // namespace

// ------------------------------------------------------------------------------------------------------- the network

LinearNetwork::LinearNetwork(const Config& config) : scale_(config.number("loss_scale")) {
  const ArrayView widths = config.array("widths"), X = config.array("X"), y = config.array("y");
  for (std::ptrdiff_t k = 0; k < widths.rows; ++k) {
    widths_.push_back(static_cast<std::ptrdiff_t>(widths.data[k]));
    if (k > 0) dim_ += widths_[static_cast<std::size_t>(k)] * widths_[static_cast<std::size_t>(k - 1)];
  }
  X_ = numbers(X);
  Y_ = numbers(y);
  const std::ptrdiff_t inputs = widths_.front(), outputs = widths_.back();
  if (!has_data()) {
    from_input_ = inputs <= outputs;
    T_ = Rows(from_input_ ? outputs : inputs, from_input_ ? inputs : outputs);
    transpose(from_input_ ? Left{Y_.data(), 1, inputs} : Left{Y_.data(), inputs, 1}, T_);
    return;
  }
  SecondMoments moments = second_moments(X, y);
  rest_ = moments.rest;
  from_input_ = moments.L.columns() < outputs;
  T_ = from_input_ ? std::move(moments.T) : transposed(moments.T);
  L_ = std::move(moments.L);
  L_transposed_ = transposed(L_);
}

std::unique_ptr<Pass<double>> LinearNetwork::pass(int num_threads) const {
  return std::make_unique<LinearNetworkPass>(*this, num_threads);
}

int LinearNetwork::patience() const {
  const double flops = 6.0 * static_cast<double>(dim_) * static_cast<double>(T_.columns());
  return static_cast<int>(std::clamp(1e7 / flops, 1.0, 960.0));
}

// Every local minimum is a global one (Kawaguchi 2016), so that only saddles lie above.
double LinearNetwork::least_loss() const {
  const std::ptrdiff_t rank = *std::min_element(widths_.begin(), widths_.end());
  const Rows turned = from_input_ ? transposed(T_) : Rows();
  return 0.5 * scale_ * (least_square_of_rank(L_, from_input_ ? turned : T_, rank) + rest_);
}

// ------------------------------------------------------------------------------------------------------------ a point

LinearNetworkPass::LinearNetworkPass(const LinearNetwork& network, int num_threads)
    : network_(network),
      num_threads_(num_threads),
      chain_(network.widths(), network.from_input(),
             network.from_input() && network.has_data() ? &network.L() : nullptr, num_threads),
      error_(network.T().count(), network.T().columns()),
      far_(chain_.far()) {}

void LinearNetworkPass::visit(const double* w) {
  w_ = w;
  has_far_ = functions_are_here_ = false;
  chain_.visit(w);
  if (network_.has_data() && !network_.from_input()) {
    multiply(as_left(network_.L_transposed()), chain_.reached(), error_, false, num_threads_);
  } else {
    std::copy_n(chain_.reached().row(0), error_.size(), error_.row(0));
  }
  subtract(error_, network_.T());
  loss_ = 0.5 * network_.scale() * (squared_norm(error_) + network_.rest());
}

// d loss/d near_N at an error: scale E, or scale L E' where L comes after the chain.
void LinearNetworkPass::from_error(const Rows& error, Rows& end) {
  if (network_.has_data() && !network_.from_input()) {
    multiply(as_left(network_.L()), error, end, false, num_threads_);
    if (network_.scale() != 1.0) scale_rows(end, network_.scale());
  } else {
    assign_scaled(error, network_.scale(), end);
  }
}

void LinearNetworkPass::ensure_far() {
  if (has_far_) return;
  has_far_ = true;
  from_error(error_, chain_.end(far_));
  chain_.walk_back(far_);
}

void LinearNetworkPass::grad(double* out) {
  ensure_far();
  chain_.grad(far_, out);
}

void LinearNetworkPass::hvp(const double* V, int k, double* out) {
  ensure_far();
  if (far_along_.at.empty()) {
    far_along_ = chain_.far();
    error_along_ = Rows(error_.count(), error_.columns());
  }
  for (int c = 0; c < k; ++c, V += network_.dim(), out += network_.dim()) {
    chain_.visit_along(V);
    if (network_.has_data() && !network_.from_input()) {
      multiply(as_left(network_.L_transposed()), chain_.reached_along(), error_along_, false, num_threads_);
      from_error(error_along_, chain_.end(far_along_));
    } else {
      from_error(chain_.reached_along(), chain_.end(far_along_));
    }
    chain_.grad_along(far_, V, far_along_, out);
  }
}

// -------------------------------------------------------------------------------------------- outputs and their
// Jacobian

MatrixChain& LinearNetworkPass::functions() {
  if (!(network_.has_data() && network_.from_input())) return chain_;
  if (!functions_) functions_ = std::make_unique<MatrixChain>(network_.widths(), true, nullptr, num_threads_);
  if (!functions_are_here_) functions_->visit(w_);
  functions_are_here_ = true;
  return *functions_;
}

// W X sample by sample, or W row by row, where W or W' is what the chain has reached.
void LinearNetworkPass::outputs_of(const Rows& reached, double* out) {
  const std::ptrdiff_t inputs = network_.widths().front(), outputs = network_.widths().back();
  const bool from_input = functions().from_input();
  if (!network_.has_data()) {
    for (std::ptrdiff_t o = 0; o < outputs; ++o)
      for (std::ptrdiff_t j = 0; j < inputs; ++j)
        out[o * inputs + j] = from_input ? reached.row(o)[j] : reached.row(j)[o];
    return;
  }
  if (product_transposed_.empty()) product_transposed_ = Rows(inputs, outputs);
  if (from_input) transpose(as_left(reached), product_transposed_);
  multiply({network_.X(), inputs, 1}, from_input ? product_transposed_ : reached, network_.samples(), out, false,
           num_threads_);
}

// far, where the function of near_N is sum_a u_a f_a.
void LinearNetworkPass::weigh_outputs(const double* u, Far& far) {
  const std::ptrdiff_t inputs = network_.widths().front(), outputs = network_.widths().back();
  MatrixChain& chain = functions();
  if (far.at.empty()) far = chain.far();
  Rows& end = chain.end(far);
  if (!network_.has_data()) {
    transpose(chain.from_input() ? Left{u, 1, inputs} : Left{u, inputs, 1}, end);
  } else {
    const std::ptrdiff_t n = network_.samples();
    if (weights_.empty()) {
      weights_ = Rows(n, outputs);
      pulled_ = Rows(inputs, outputs);
    }
    for (std::ptrdiff_t i = 0; i < n; ++i) std::copy_n(u + i * outputs, outputs, weights_.row(i));
    multiply({network_.X(), 1, inputs}, weights_, pulled_, false, num_threads_);
    if (chain.from_input()) {
      transpose(as_left(pulled_), end);
    } else {
      std::copy_n(pulled_.row(0), pulled_.size(), end.row(0));
    }
  }
  chain.walk_back(far);
}

void LinearNetworkPass::residual(double* out) {
  outputs_of(functions().reached(), out);
  for (std::ptrdiff_t a = 0; a < network_.num_outputs(); ++a) out[a] -= network_.Y()[a];
}

void LinearNetworkPass::jvp(const double* V, int k, double* out) {
  for (int c = 0; c < k; ++c, V += network_.dim(), out += network_.num_outputs()) {
    functions().visit_along(V);
    outputs_of(functions().reached_along(), out);
  }
}

void LinearNetworkPass::vjp(const double* U, int k, double* out) {
  for (int c = 0; c < k; ++c, U += network_.num_outputs(), out += network_.dim()) {
    weigh_outputs(U, weighed_);
    functions().grad(weighed_, out);
  }
}

void LinearNetworkPass::curvature(const double* u, const double* V, int k, double* out) {
  weigh_outputs(u, weighed_);
  MatrixChain& chain = functions();
  if (weighed_along_.at.empty()) weighed_along_ = chain.far();  // its end stays zero: u is fixed
  for (int c = 0; c < k; ++c, V += network_.dim(), out += network_.dim()) {
    chain.visit_along(V);
    chain.grad_along(weighed_, V, weighed_along_, out);
  }
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
