// A network's own quantities at one iterate, but for those of its tangent kernel (dynamics/tangent.hpp).
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <string_view>
#include <type_traits>
#include <vector>

#include "eosfast/dynamics/flow_end.hpp"
#include "eosfast/dynamics/tangent.hpp"
#include "eosfast/networks/network.hpp"
#include "eosfast/record.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// The sharpness where the gradient flow from w ends: the loss and its derivatives elsewhere, and so no quantity of a
// Pass.
inline constexpr std::string_view kFlowSharpness = "gfs_sharpness";

// `stop` ends a search for the end of a flow.
template <class T>
void write_own_quantities(const Network<T>& network, Pass<T>& here, const std::vector<T>& w, double weight_norm,
                          const std::vector<OwnQuantity>& wanted, std::int64_t row, int num_threads,
                          const std::function<bool()>& stop) {
  for (const OwnQuantity& own : wanted) {
    double* const out = own.data + row * own.width;
    if (is_tangent_quantity(own.name)) continue;
    if (own.name != kFlowSharpness) {
      here.quantity(own.name, weight_norm, out);
    } else if constexpr (std::is_same_v<T, double>) {
      *out = std::isfinite(here.loss()) ? FlowEnd(network, w.data(), num_threads, stop).sharpness()
                                        : std::numeric_limits<double>::quiet_NaN();
    } else {
      lacking(own.name);
    }
  }
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
