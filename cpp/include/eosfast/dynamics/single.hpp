// One run of a small model as `train` wants it. The arithmetic is that of a lane of a sweep.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "eosfast/dynamics/finish.hpp"
#include "eosfast/dynamics/recorder.hpp"
#include "eosfast/dynamics/step_quantities.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

template <class M, class O>
class SingleRun final : public Runner {
 public:
  SingleRun(const M& model, const Plan& plan, const O& rule, const std::array<double, O::kFields>& optimizer_fields,
            const double* raw_model_fields, const double* w0)
      : mover_{&model, &plan, rule}, point_(model.template point<double>()) {
    std::copy_n(w0, model.dim(), run_.w);
    std::copy(optimizer_fields.begin(), optimizer_fields.end(), run_.fields);
    mover_.start(run_, raw_model_fields);
  }

  std::ptrdiff_t dim() const override { return mover_.model->dim(); }
  std::int64_t now() const override { return static_cast<std::int64_t>(run_.t); }
  Status look() override { return mover_.verdict(run_, point_); }
  std::int64_t patience() const override {
    if constexpr (M::kSideBySide) {
      return kAnchor;
    } else {
      return mover_.model->patience();
    }
  }

  Status advance(std::int64_t n) override {
    if (mover_.plan->stop.looks_at_each_step()) return advance_watched(mover_, run_, point_, n);
    const Run<M, O> before = run_;
    mover_.template advance<1>(&run_, point_, static_cast<int>(n));
    if (mover_.surely_calm(run_.peak, run_.w, run_.model_fields())) return Status::pending;
    run_ = before;
    return advance_watched(mover_, run_, point_, n);
  }

  void write(const RecordOutput& out, std::int64_t row, bool solves) override {
    const double* const f = run_.model_fields();
    const M& model = *mover_.model;
    model.visit(point_, run_.w, f);
    if (out.loss) out.loss[row] = model.loss(point_, run_.w, f);
    if (out.grad_norm) {
      double g[M::kMaxDim];
      model.grad(point_, run_.w, f, g);
      out.grad_norm[row] = norm(model.dim(), g);
    }
    if (out.weight_norm) out.weight_norm[row] = norm(model.dim(), run_.w);
    if (out.weights) std::copy_n(run_.w, dim(), out.weights + row * dim());
    for (const OwnQuantity& own : out.own) own.data[row] = own_quantity(model, own.name, point_, run_.w, f);
    if (out.wants_eigenvalues()) solves ? solve(out, row) : write_no_eigenvalues(out, row);
    if (out.looks_a_step_ahead()) look_ahead(out, row);
  }

  void copy_w(double* out) const override { std::copy_n(run_.w, dim(), out); }
  void stand_at(const double* w) override { std::copy_n(w, dim(), run_.w); }

  Snapshot snapshot() const override {
    Snapshot out{now(), std::vector<std::byte>(size_of_w() + sizeof run_.state)};
    std::memcpy(out.bits.data(), run_.w, size_of_w());
    std::memcpy(out.bits.data() + size_of_w(), run_.state, sizeof run_.state);
    return out;
  }
  bool is_at(const Snapshot& place) const override {
    return std::memcmp(place.bits.data(), run_.w, size_of_w()) == 0 &&
           std::memcmp(place.bits.data() + size_of_w(), run_.state, sizeof run_.state) == 0;
  }
  void stand_on(const Snapshot& place) override {
    std::memcpy(run_.w, place.bits.data(), size_of_w());
    std::memcpy(run_.state, place.bits.data() + size_of_w(), sizeof run_.state);
    run_.t = static_cast<double>(place.step);
  }

 private:
  // The eigenvalues where the point is; dense: no product is spent.
  void solve(const RecordOutput& out, std::int64_t row) {
    const M& model = *mover_.model;
    std::vector<double> H(static_cast<std::size_t>(dim() * dim()));
    model.hessian(point_, run_.w, run_.model_fields(), H.data());
    const Eigenpairs pairs = eigenpairs(model.dim(), H, out.k);
    write_eigenvalues(out, row, pairs.values.data(), pairs.residuals[0],
                      pairs.residuals[0] <= out.tol * std::abs(pairs.values[0]), 0);
  }

  // Takes the point a step ahead; the run stays.
  void look_ahead(const RecordOutput& out, std::int64_t row) {
    const double* const f = run_.model_fields();
    const M& model = *mover_.model;
    const auto size = static_cast<std::size_t>(dim());
    std::vector<double> g(size), next_g(size), next(size);
    model.grad(point_, run_.w, f, g.data());
    const double loss = model.loss(point_, run_.w, f), lr = run_.fields[0];
    for (std::size_t i = 0; i < size; ++i) next[i] = fma(-lr, g[i], run_.w[i]);
    model.visit(point_, next.data(), f);
    model.grad(point_, next.data(), f, next_g.data());
    write_step_quantities(out, row, lr, loss, model.loss(point_, next.data(), f), g, next_g);
  }

  std::size_t size_of_w() const { return static_cast<std::size_t>(mover_.model->dim()) * sizeof(double); }

  Mover<M, O> mover_;
  typename M::template Point<double> point_;
  Run<M, O> run_{};
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
