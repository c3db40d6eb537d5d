// Losses of the outputs F (c x n) of a network, as means over the samples, with their first and second derivatives.
// Everything is computed in double, sample by sample, and relatively accurate in both tails.
//
//   logistic        log(1 + exp(-y f)),  y = +-1, c = 1
//   mse             |f - y|^2 / 2
//   cross_entropy   sum_j y_j (logsumexp(f) - f_j),  sum_j y_j = 1
#pragma once

#include <string_view>
#include <vector>

#include "eosfast/config.hpp"
#include "eosfast/lanes.hpp"
#include "eosfast/networks/panels.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

enum class OutputLossKind { logistic, mse, cross_entropy };
OutputLossKind output_loss_named(std::string_view name);

template <class T>
class OutputLoss {
 public:
  OutputLoss(OutputLossKind kind, ArrayView y, int panel_width);  // y (n, c)

  std::ptrdiff_t outputs() const { return outputs_; }
  // Loss of each sample of a panel of F, and slope * d loss/d F of the mean over samples.
  void first(const Panels<T>& F, std::ptrdiff_t panel, double* losses, double slope, Panels<T>& out) const;
  // The same of one sample with one output, in each lane another f.
  struct OfSample {
    Lanes loss, slope;
  };
  OfSample of_sample(std::ptrdiff_t sample, const Lanes& f, double slope) const;
  // slope * Hessian of the mean loss times dF, for rows first_row .. first_row + c of dF and out.
  void second(const Panels<T>& F, std::ptrdiff_t panel, const Panels<T>& dF, std::ptrdiff_t first_row, double slope,
              Panels<T>& out) const;
  // F - y, sample by sample.
  void residual(const Panels<T>& F, T* out) const;
  // Share of samples whose sign (one output) or largest output agrees with y; min_i y_i f_i.
  double accuracy(const Panels<T>& F) const;
  double least_margin(const Panels<T>& F) const;

 private:
  double y(std::ptrdiff_t output, std::ptrdiff_t sample) const {
    return y_[static_cast<std::size_t>(output * padded_ + sample)];
  }
  const double* y_of(std::ptrdiff_t output, std::ptrdiff_t sample) const {
    return y_.data() + output * padded_ + sample;
  }

  OutputLossKind kind_;
  std::ptrdiff_t samples_, outputs_, padded_;
  std::vector<double> y_;       // (c, padded)
  std::vector<double> weight_;  // 1/n, or 0 where a panel is filled up
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
