// A small model behind function pointers. The engines are compiled once for all models behind it, at the price of calls
// in each step (about a nanosecond for eight runs): for toys, and for rules that are rarely asked for. The arithmetic
// is the model's own, so bits do not depend on the way to it.
#pragma once

#include "eosfast/concepts.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// A model at one point, whatever it is.
template <class Real>
struct Calls {
  Real (*loss)(const void* model, const Real* w, const Real* fields);
  void (*grad)(const void* model, const Real* w, const Real* fields, Real* g);
  void (*hessian)(const void* model, const Real* w, const Real* fields, Real* H);
  Real (*reach)(const void* model, const Real* w, const Real* fields);
  Real (*loss_bound)(const void* model, const Real& reach, const Real* fields);
};

template <class M, class Real>
inline constexpr Calls<Real> kCalls{
    [](const void* model, const Real* w, const Real* f) {
      const M& m = *static_cast<const M*>(model);
      auto point = m.template point<Real>();
      m.visit(point, w, f);
      return m.loss(point, w, f);
    },
    [](const void* model, const Real* w, const Real* f, Real* g) {
      const M& m = *static_cast<const M*>(model);
      auto point = m.template point<Real>();
      m.visit(point, w, f);
      m.grad(point, w, f, g);
    },
    [](const void* model, const Real* w, const Real* f, Real* H) {
      const M& m = *static_cast<const M*>(model);
      auto point = m.template point<Real>();
      m.visit(point, w, f);
      m.hessian(point, w, f, H);
    },
    [](const void* model, const Real* w, const Real* f) { return static_cast<const M*>(model)->reach(w, f); },
    [](const void* model, const Real& reach, const Real* f) {
      return static_cast<const M*>(model)->loss_bound(reach, f);
    },
};

class Indirect {
 public:
  static constexpr int kMaxDim = 8, kRawFields = 17, kFields = 17;
  static constexpr bool kSideBySide = true;
  static constexpr std::string_view kName = "a model behind calls";

  // `model` must live as long as this.
  template <class M>
  explicit Indirect(const M& model)
      : model_(&model),
        dim_(model.dim()),
        raw_fields_(num_raw_fields(model)),
        derive_(
            [](const void* of, const double* raw, double* fields) { static_cast<const M*>(of)->derive(raw, fields); }),
        own_([](const void* of, std::string_view name, const double* w, const double* f) {
          const M& m = *static_cast<const M*>(of);
          auto point = m.template point<double>();
          m.visit(point, w, f);
          return own_quantity(m, name, point, w, f);
        }),
        single_(&kCalls<M, double>),
        lanes_(&kCalls<M, Lanes>) {
    static_assert(M::kMaxDim <= kMaxDim && M::kRawFields <= kRawFields && M::kFields <= kFields && M::kSideBySide);
  }

  template <class Real>
  struct Point {};
  template <class Real>
  Point<Real> point() const {
    return {};
  }

  int dim() const { return dim_; }
  int raw_fields() const { return raw_fields_; }
  void derive(const double* raw, double* fields) const { derive_(model_, raw, fields); }

  template <class Real>
  void visit(Point<Real>&, const Real*, const Real*) const {}
  template <class Real>
  Real loss(const Point<Real>&, const Real* w, const Real* f) const {
    return calls<Real>().loss(model_, w, f);
  }
  template <class Real>
  void grad(const Point<Real>&, const Real* w, const Real* f, Real* g) const {
    calls<Real>().grad(model_, w, f, g);
  }
  template <class Real>
  void hessian(const Point<Real>&, const Real* w, const Real* f, Real* H) const {
    calls<Real>().hessian(model_, w, f, H);
  }
  template <class Real>
  Real reach(const Real* w, const Real* f) const {
    return calls<Real>().reach(model_, w, f);
  }
  template <class Real>
  Real loss_bound(const Real& reach, const Real* f) const {
    return calls<Real>().loss_bound(model_, reach, f);
  }
  double own(std::string_view name, const Point<double>&, const double* w, const double* f) const {
    return own_(model_, name, w, f);
  }

 private:
  template <class Real>
  const Calls<Real>& calls() const {
    if constexpr (std::is_same_v<Real, double>) {
      return *single_;
    } else {
      return *lanes_;
    }
  }

  const void* model_;
  int dim_, raw_fields_;
  void (*derive_)(const void* model, const double* raw, double* fields);
  double (*own_)(const void* model, std::string_view name, const double* w, const double* fields);
  const Calls<double>* single_;
  const Calls<Lanes>* lanes_;
};

// Whether a model may stand behind it.
template <class M>
inline constexpr bool fits_indirect = M::kSideBySide && M::kMaxDim <= Indirect::kMaxDim &&
                                      M::kRawFields <= Indirect::kRawFields && M::kFields <= Indirect::kFields;

}  // namespace EOSFAST_ISA
}  // namespace eosfast
