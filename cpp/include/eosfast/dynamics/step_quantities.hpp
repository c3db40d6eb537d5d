// What one plain gradient step from an iterate would do, w+ = w - lr g (Ahn, Zhang and Sra 2022):
//   relative progress       (f(w+) - f(w)) / (lr |g|^2)           about -1 for small steps, 0 at the edge of stability
//   directional smoothness  <g, g - g(w+)> / (lr |g|^2)           g'Hg/|g|^2 for small steps, 2/lr at the edge
#pragma once

#include <cstdint>
#include <vector>

#include "eosfast/norm.hpp"
#include "eosfast/record.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// Loss and gradient at w and at w+; NaN where the gradient vanishes.
template <class T>
void write_step_quantities(const RecordOutput& out, std::int64_t row, double lr, double loss, double next_loss,
                           const std::vector<T>& grad, const std::vector<T>& next_grad) {
  const double size = norm_of(grad);
  double turned = 0.0;  // <g/|g|, (g - g+)/|g|>
  for (std::size_t i = 0; i < grad.size(); ++i) {
    const auto g = static_cast<double>(grad[i]), next = static_cast<double>(next_grad[i]);
    turned += (g / size) * ((g - next) / size);
  }
  if (out.relative_progress) out.relative_progress[row] = ((next_loss - loss) / size) / (lr * size);
  if (out.directional_smoothness) out.directional_smoothness[row] = turned / lr;
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
