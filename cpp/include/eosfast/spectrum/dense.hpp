// Operators so small that the whole matrix is formed, by as many products as it has columns, and solved.
#pragma once

#include "eosfast/spectrum/lanczos.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// All NaN, nothing converged: what is said of an operator before anything is known, or whose products are not finite.
SpectrumResult unknown_spectrum(std::ptrdiff_t dim, int k, std::int64_t matvecs);

// The k largest eigenvalues, by `dim` products.
SpectrumResult dense_spectrum(std::ptrdiff_t dim, const SymmetricProducts& products, int k, double tol);

}  // namespace EOSFAST_ISA
}  // namespace eosfast
