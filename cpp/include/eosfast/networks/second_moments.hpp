// What a squared loss of linear functions of X (d, n) needs to know of the data, whatever n is.
#pragma once

#include "eosfast/config.hpp"
#include "eosfast/networks/rows.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// With X' = Q R, the columns of Q (n, r) orthonormal, r = min(n, d): L = R', T = Y Q, and
//
//   |W X - Y|^2 = |W L - T|^2 + rest,   rest = |Y - Y Q Q'|^2,
//
// for every W. L L' = X X' and T L' = Y X' are the second moments; their square roots, and not they, are kept, because
// tr(W X X' W') - 2 tr(W X Y') + |Y|^2 is a difference of large numbers where the loss is small, and may be negative.
// There is no rank to decide: an X of less than full rank only makes L singular.
struct SecondMoments {
  Rows L, T;  // (d, r), (outputs, r)
  double rest = 0.0;
};

// X (n, d) and Y (n, outputs), samples in rows. Householder's reflections on one block of samples after the other, in a
// fixed order: 2 n d (d + 2 outputs) operations.
SecondMoments second_moments(ArrayView X, ArrayView Y);

}  // namespace EOSFAST_ISA
}  // namespace eosfast
