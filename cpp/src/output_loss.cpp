// The losses of network outputs, eight samples at a time.
#include "eosfast/networks/output_loss.hpp"

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "eosfast/math_activation.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

// Eight consecutive numbers as doubles, and back.
inline Lanes take(const double* at) { return Lanes::load(at); }
inline Lanes take(const float* at) {
  double wide[kLanes];
  std::copy_n(at, kLanes, wide);
  return Lanes::load(wide);
}
inline void put(double* at, const Lanes& x) { x.store(at); }
inline void put(float* at, const Lanes& x) {
  double wide[kLanes];
  x.store(wide);
  for (int i = 0; i < kLanes; ++i) at[i] = static_cast<float>(wide[i]);
}

// Losses of one output f at label y, and weight * their derivative.
struct Part {
  Lanes loss, slope;
};
EOSFAST_INLINE Part logistic(const Lanes& y, const Lanes& f, const Lanes& weight) {
  const Jet<Lanes> jet = softplus_jet(-(y * f));
  return {jet.value, -y * jet.first * weight};
}
EOSFAST_INLINE Part squared(const Lanes& y, const Lanes& f, const Lanes& weight, const Lanes& loss) {
  const Lanes error = f - y;
  return {fma(Lanes(0.5) * error, error, loss), error * weight};
}

// The largest of the outputs, its exponential excepted from `others` = sum of exp(f_j - largest) over all other j.
struct SoftMax {
  Lanes largest{0.0}, others{0.0}, total{1.0};
  std::ptrdiff_t outputs;

  template <class Output>
  SoftMax(std::ptrdiff_t count, Output&& f) : outputs(count) {
    largest = f(0);
    for (std::ptrdiff_t j = 1; j < count; ++j) largest = select(f(j) > largest, f(j), largest);
    Lanes seen(0.0);
    for (std::ptrdiff_t j = 0; j < count; ++j) {
      const auto first = (f(j) == largest) & (seen == Lanes(0.0));
      seen = select(first, Lanes(1.0), seen);
      others = others + select(first, Lanes(0.0), exp(f(j) - largest));
    }
    total = others + Lanes(1.0);
  }
};

}  // namespace

OutputLossKind output_loss_named(std::string_view name) {
  if (name == "logistic") return OutputLossKind::logistic;
  if (name == "mse") return OutputLossKind::mse;
  if (name == "cross_entropy") return OutputLossKind::cross_entropy;
  throw std::logic_error("no loss \"" + std::string(name) + "\" of outputs; this is a bug in eosfast");
}

template <class T>
OutputLoss<T>::OutputLoss(OutputLossKind kind, ArrayView y, int panel_width)
    : kind_(kind),
      samples_(y.rows),
      outputs_(y.columns),
      padded_((y.rows + panel_width - 1) / panel_width * panel_width),
      y_(static_cast<std::size_t>(outputs_ * padded_), 0.0),
      weight_(static_cast<std::size_t>(padded_), 0.0) {
  for (std::ptrdiff_t s = 0; s < samples_; ++s) {
    weight_[static_cast<std::size_t>(s)] = 1.0 / static_cast<double>(samples_);
    for (std::ptrdiff_t j = 0; j < outputs_; ++j)
      y_[static_cast<std::size_t>(j * padded_ + s)] = y.data[s * outputs_ + j];
  }
}

template <class T>
void OutputLoss<T>::first(const Panels<T>& F, std::ptrdiff_t panel, double* losses, double slope,
                          Panels<T>& out) const {
  for (int at = 0; at < F.width(); at += kLanes) {
    const std::ptrdiff_t s = panel * F.width() + at;
    const Lanes weight = take(weight_.data() + s) * Lanes(slope);
    const auto f = [&](std::ptrdiff_t j) { return take(F.row(panel, j) + at); };
    Lanes loss(0.0);
    if (kind_ == OutputLossKind::logistic) {
      const Part part = logistic(take(y_of(0, s)), f(0), weight);
      loss = part.loss;
      put(out.row(panel, 0) + at, part.slope);
    } else if (kind_ == OutputLossKind::mse) {
      for (std::ptrdiff_t j = 0; j < outputs_; ++j) {
        const Part part = squared(take(y_of(j, s)), f(j), weight, loss);
        loss = part.loss;
        put(out.row(panel, j) + at, part.slope);
      }
    } else {
      const SoftMax softmax(outputs_, f);
      const Lanes log_total = log1p(softmax.others);
      Lanes seen(0.0);
      for (std::ptrdiff_t j = 0; j < outputs_; ++j) {
        const Lanes below = softmax.largest - f(j), label = take(y_of(j, s));
        loss = fma(label, below + log_total, loss);
        // p_j - y_j; at the largest p_j = 1 - others/total, and 1 - y_j is exact where it matters
        const auto first = (below == Lanes(0.0)) & (seen == Lanes(0.0));
        seen = select(first, Lanes(1.0), seen);
        const Lanes error =
            select(first, (Lanes(1.0) - label) - softmax.others / softmax.total, exp(-below) / softmax.total - label);
        put(out.row(panel, j) + at, error * weight);
      }
    }
    loss.store(losses + s);
  }
}

template <class T>
typename OutputLoss<T>::OfSample OutputLoss<T>::of_sample(std::ptrdiff_t sample, const Lanes& f, double slope) const {
  const Lanes weight = Lanes(weight_[static_cast<std::size_t>(sample)]) * Lanes(slope), label(y(0, sample));
  const Part part =
      kind_ == OutputLossKind::logistic ? logistic(label, f, weight) : squared(label, f, weight, Lanes(0.0));
  return {part.loss, part.slope};
}

template <class T>
void OutputLoss<T>::second(const Panels<T>& F, std::ptrdiff_t panel, const Panels<T>& dF, std::ptrdiff_t first_row,
                           double slope, Panels<T>& out) const {
  for (int at = 0; at < F.width(); at += kLanes) {
    const std::ptrdiff_t s = panel * F.width() + at;
    const Lanes weight = take(weight_.data() + s) * Lanes(slope);
    const auto f = [&](std::ptrdiff_t j) { return take(F.row(panel, j) + at); };
    const auto df = [&](std::ptrdiff_t j) { return take(dF.row(panel, first_row + j) + at); };
    if (kind_ == OutputLossKind::logistic) {
      put(out.row(panel, first_row) + at, sigmoid_slope(f(0)) * weight * df(0));
    } else if (kind_ == OutputLossKind::mse) {
      for (std::ptrdiff_t j = 0; j < outputs_; ++j) put(out.row(panel, first_row + j) + at, weight * df(j));
    } else {  // (p - p p') dF
      const SoftMax softmax(outputs_, f);
      const auto p = [&](std::ptrdiff_t j) { return exp(f(j) - softmax.largest) / softmax.total; };
      Lanes mean(0.0);
      for (std::ptrdiff_t j = 0; j < outputs_; ++j) mean = fma(p(j), df(j), mean);
      for (std::ptrdiff_t j = 0; j < outputs_; ++j)
        put(out.row(panel, first_row + j) + at, p(j) * (df(j) - mean) * weight);
    }
  }
}

template <class T>
void OutputLoss<T>::residual(const Panels<T>& F, T* out) const {
  for (std::ptrdiff_t s = 0; s < samples_; ++s)
    for (std::ptrdiff_t j = 0; j < outputs_; ++j) *out++ = static_cast<T>(static_cast<double>(F.at(j, s)) - y(j, s));
}

template <class T>
double OutputLoss<T>::accuracy(const Panels<T>& F) const {
  std::ptrdiff_t right = 0;
  for (std::ptrdiff_t s = 0; s < samples_; ++s) {
    if (outputs_ == 1) {
      right += static_cast<double>(F.at(0, s)) * y(0, s) > 0.0;
      continue;
    }
    std::ptrdiff_t predicted = 0, labelled = 0;
    bool number = true;
    for (std::ptrdiff_t j = 0; j < outputs_; ++j) {
      if (F.at(j, s) > F.at(predicted, s)) predicted = j;
      if (y(j, s) > y(labelled, s)) labelled = j;
      number = number && F.at(j, s) == F.at(j, s);
    }
    right += number && predicted == labelled;
  }
  return static_cast<double>(right) / static_cast<double>(samples_);
}

template <class T>
double OutputLoss<T>::least_margin(const Panels<T>& F) const {
  double least = std::numeric_limits<double>::infinity();
  for (std::ptrdiff_t s = 0; s < samples_; ++s) {
    const double q = y(0, s) * static_cast<double>(F.at(0, s));
    if (!(q >= least)) least = q;  // a NaN stays
    if (std::isnan(least)) break;
  }
  return least;
}

template class OutputLoss<double>;
template class OutputLoss<float>;

}  // namespace EOSFAST_ISA
}  // namespace eosfast
