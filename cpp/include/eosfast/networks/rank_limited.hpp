// Least squares over matrices of limited rank (Eckart, Young 1936).
#pragma once

#include "eosfast/networks/rows.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// The least |W L - T|^2 over all W of at most the given rank, L (d, r) and T' (r, outputs). An empty L is the identity.
// Its error is some 1e-15 |T|^2.
double least_square_of_rank(const Rows& L, const Rows& T_transposed, std::ptrdiff_t rank);

}  // namespace EOSFAST_ISA
}  // namespace eosfast
