// The gradient flow of small models: threads take starts from a common queue, eight at a time where the model allows.
#include <atomic>
#include <functional>

#include "eosfast/dynamics/rosenbrock.hpp"
#include "eosfast/families.hpp"
#include "eosfast/parallel.hpp"
#include "eosfast/small.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

// Also a single start goes in lanes, so that it has the bits that it has among others.
template <class M>
using RealOf = std::conditional_t<M::kSideBySide, Lanes, double>;

template <class M, class Real>
class FieldOf final : public Field<Real> {
 public:
  FieldOf(const M& model, const double* raw_fields) : model_(model), point_(model.template point<Real>()) {
    double fields[M::kFields + 1] = {};
    model.derive(raw_fields, fields);
    std::copy_n(fields, M::kFields, fields_);
  }
  int dim() const override { return model_.dim(); }
  void slope(const Real* w, Real* f) override {
    model_.visit(point_, w, fields_);
    downhill(w, f);
  }
  void slope_and_hessian(const Real* w, Real* f, Real* H) override {
    model_.visit(point_, w, fields_);
    downhill(w, f);
    model_.hessian(point_, w, fields_, H);
  }

 private:
  void downhill(const Real* w, Real* f) {
    model_.grad(point_, w, fields_, f);
    for (int i = 0; i < model_.dim(); ++i) f[i] = -f[i];
  }

  const M& model_;
  typename M::template Point<Real> point_;
  Real fields_[M::kFields + 1];
};

// Many trajectories.
template <class Real>
class FlowEnsemble {
 public:
  using MakeField = std::function<std::unique_ptr<Field<Real>>()>;
  using MakeRunner = std::function<std::shared_ptr<Runner>()>;

  FlowEnsemble(const FlowCall& call, MakeField make_field, MakeRunner make_runner)
      : call_(call), make_field_(std::move(make_field)), make_runner_(std::move(make_runner)) {}

  void run() {
    parallel_listening(call_.num_threads, [&](int) { Worker(*this).work(); }, [&] { poll(); });
  }

 private:
  bool poll() { return call_.token.poll(rows_done_.load(std::memory_order_relaxed)); }

  class Worker {
   public:
    explicit Worker(FlowEnsemble& all)
        : all_(all),
          call_(all.call_),
          stepper_(all.make_field_(), call_.options),
          runner_(all.make_runner_()),
          w_(static_cast<std::size_t>(stepper_.dim())) {}

    void work() {
      for (int i = 0; i < kWidth<Real>; ++i) refill(i);
      while (active_ > 0 && !all_.poll()) {
        stepper_.step();
        for (int i = 0; i < kWidth<Real>; ++i)
          if (run_[i] >= 0 && (stepper_.arrived(i) || stepper_.verdict(i) != FlowStatus::pending)) go_on(i);
      }
      for (int i = 0; i < kWidth<Real>; ++i)
        if (run_[i] >= 0) retire(i, FlowStatus::interrupted);
    }

   private:
    // The next start into a free lane.
    void refill(int i) {
      run_[i] = -1;
      while (run_[i] < 0) {
        const std::int64_t number = all_.next_.fetch_add(1, std::memory_order_relaxed);
        if (number >= call_.num_runs) return;
        run_[i] = number;
        row_[i] = 0;
        ++active_;
        stepper_.start(i, call_.starts + number * stepper_.dim());
        stepper_.aim(i, call_.times.front());
        if (stepper_.arrived(i)) write_rows(i);
      }
    }

    void go_on(int i) {
      if (stepper_.verdict(i) != FlowStatus::pending) {
        retire(i, stepper_.verdict(i));
      } else {
        write_rows(i);
      }
      if (run_[i] < 0) refill(i);
    }

    // The lane is where a row is to be written.
    void write_rows(int i) {
      stepper_.copy_w(i, w_.data());
      runner_->stand_at(w_.data());
      runner_->write(call_.out, run_[i] * static_cast<std::int64_t>(call_.times.size()) + row_[i], true);
      all_.rows_done_.fetch_add(1, std::memory_order_relaxed);
      if (++row_[i] == static_cast<std::int64_t>(call_.times.size())) return retire(i, FlowStatus::completed);
      stepper_.aim(i, call_.times[static_cast<std::size_t>(row_[i])]);
    }

    void retire(int i, FlowStatus status) {
      call_.status[run_[i]] = status;
      call_.rows[run_[i]] = row_[i];
      call_.num_steps[run_[i]] = stepper_.num_steps(i);
      stepper_.stop(i);
      run_[i] = -1;
      --active_;
    }

    FlowEnsemble& all_;
    const FlowCall& call_;
    Rosenbrock<Real> stepper_;
    const std::shared_ptr<Runner> runner_;
    std::vector<double> w_;
    std::int64_t run_[kWidth<Real>], row_[kWidth<Real>];
    int active_ = 0;
  };

  const FlowCall& call_;
  const MakeField make_field_;
  const MakeRunner make_runner_;
  std::atomic<std::int64_t> next_{0}, rows_done_{0};
};

// One trajectory, in the first lane.
template <class Real>
class SmallFlow final : public Flow {
 public:
  SmallFlow(std::unique_ptr<Field<Real>> field, const double* w0)
      : stepper_(std::move(field), {}), w_(w0, w0 + stepper_.dim()) {
    stepper_.start(0, w0);
  }
  FlowStatus advance(double time, StopToken& token) override {
    stepper_.aim(0, time);
    while (!stepper_.arrived(0) && stepper_.verdict(0) == FlowStatus::pending) {
      if (token.poll(0)) return FlowStatus::interrupted;
      stepper_.step();
    }
    stepper_.copy_w(0, w_.data());
    return stepper_.verdict(0);
  }
  const double* w() const override { return w_.data(); }
  std::int64_t num_steps() const override { return stepper_.num_steps(0); }
  void save(StateWriter& out) const override { stepper_.save(0, out); }
  void load(StateReader& in) override {
    stepper_.load(0, in);
    stepper_.copy_w(0, w_.data());
  }

 private:
  Rosenbrock<Real> stepper_;
  std::vector<double> w_;
};

}  // namespace

void SmallModelDoor::flow(const FlowCall& call) const {
  const double* const raw = prepared_.raw_fields.data();
  const double no_fields[2] = {};
  const Plan plan;
  const Schedule schedule;
  const TrainCall writing{"GD", no_fields, call.starts, 0.0, 1, plan, schedule, call.out, call.token, 0.0};
  visit_model(prepared_.model, [&]<class M>(const M& model) {
    using Real = RealOf<M>;
    FlowEnsemble<Real>(
        call, [&] { return std::make_unique<FieldOf<M, Real>>(model, raw); },
        [&] {
          return std::visit([&](const auto& family) { return runner_family(family, raw, writing); }, prepared_.model);
        })
        .run();
  });
}

std::unique_ptr<Flow> SmallModelDoor::flow_from(const double* w0) const {
  return visit_model(prepared_.model, [&]<class M>(const M& model) -> std::unique_ptr<Flow> {
    using Real = RealOf<M>;
    return std::make_unique<SmallFlow<Real>>(std::make_unique<FieldOf<M, Real>>(model, prepared_.raw_fields.data()),
                                             w0);
  });
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
