// Eigenvalues of the small symmetric Hessians: in closed form for two parameters, by Jacobi rotations otherwise.
// Written for any numeric type, so that eight matrices are solved side by side, each with the bits it has alone.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "eosfast/norm.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// The larger eigenvalue of [[a, b], [b, c]]: ((a + c) + sqrt((a - c)^2 + 4 b^2)) / 2.
template <class Real>
EOSFAST_INLINE Real largest_of_two(const Real& a, const Real& b, const Real& c) {
  return fma(Real(0.5), hypotenuse(a - c, b + b), fma(Real(0.5), a, Real(0.5) * c));
}

// Cyclic Jacobi: A (dim x dim, row-major, symmetric) becomes diagonal, V (if given) the eigenvectors in its columns.
// A rotation is skipped where the element is negligible, |A_ij| <= 2^-53 min(|A_ii|, |A_jj|) or zero; each lane decides
// for itself, and the sweeps end when no lane has rotated.
template <class Real>
void jacobi(int dim, Real* A, Real* V) {
  constexpr int kMaxSweeps = 30;  // six to eight suffice; NaN never settles
  constexpr double kNegligible = 0x1p-53;
  if (V)
    for (int i = 0; i < dim * dim; ++i) V[i] = Real(i % (dim + 1) == 0 ? 1.0 : 0.0);
  for (int sweep = 0; sweep < kMaxSweeps; ++sweep) {
    bool rotated = false;
    for (int i = 0; i < dim; ++i) {
      for (int j = i + 1; j < dim; ++j) {
        const Real a = A[i * dim + i], b = A[i * dim + j], c = A[j * dim + j];
        const auto live = abs(b) > Real(kNegligible) * min(abs(a), abs(c));
        if (!any(live)) continue;
        rotated = true;
        // tan of the angle: t = sign(theta) / (|theta| + sqrt(theta^2 + 1)), theta = (c - a) / (2 b)
        const Real theta = (c - a) / (b + b);
        const Real t =
            select(live, copysign(Real(1.0), theta) / (abs(theta) + hypotenuse(theta, Real(1.0))), Real(0.0));
        const Real cosine = Real(1.0) / sqrt(fma(t, t, Real(1.0))), sine = t * cosine;
        const auto rotate = [&](Real& p, Real& q) {
          const Real old = p;
          p = fma(cosine, old, -(sine * q));
          q = fma(sine, old, cosine * q);
        };
        for (int k = 0; k < dim; ++k) {
          if (k == i || k == j) continue;
          rotate(A[k * dim + i], A[k * dim + j]);
          A[i * dim + k] = A[k * dim + i];
          A[j * dim + k] = A[k * dim + j];
        }
        A[i * dim + i] = select(live, fma(-t, b, a), a);
        A[j * dim + j] = select(live, fma(t, b, c), c);
        A[i * dim + j] = A[j * dim + i] = select(live, Real(0.0), b);
        if (V)
          for (int k = 0; k < dim; ++k) rotate(V[k * dim + i], V[k * dim + j]);
      }
    }
    if (!rotated) return;
  }
}

// The largest eigenvalue of H (dim x dim); H is used up.
template <class Real>
inline Real largest_eigenvalue(int dim, Real* H) {
  if (dim == 1) return H[0];
  if (dim == 2) return largest_of_two(H[0], H[1], H[3]);
  jacobi(dim, H, static_cast<Real*>(nullptr));
  Real largest = H[0];
  for (int i = 1; i < dim; ++i) {
    const Real value = H[i * (dim + 1)];
    largest = select((value > largest) | (value != value), value, largest);
  }
  return largest;
}

// The k largest eigenpairs of H (dim x dim), with the certificate ||H v - value v||.
struct Eigenpairs {
  std::vector<double> values, vectors, residuals;  // (k) descending, (dim, k) row-major, (k)
};

inline Eigenpairs eigenpairs(int dim, const std::vector<double>& H, int k) {
  const auto size = static_cast<std::size_t>(dim), count = static_cast<std::size_t>(k);
  std::vector<double> A = H, V(size * size), largest = H;
  jacobi(dim, A.data(), V.data());
  std::vector<std::size_t> order(size);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t i, std::size_t j) { return A[i * (size + 1)] > A[j * (size + 1)]; });
  Eigenpairs out;
  for (std::size_t c = 0; c < count; ++c) out.values.push_back(A[order[c] * (size + 1)]);
  out.values[0] = largest_eigenvalue(dim, largest.data());  // the same bits as in a sweep
  out.vectors.resize(size * count);
  for (std::size_t c = 0; c < count; ++c) {
    double residual = 0.0;
    for (std::size_t i = 0; i < size; ++i) {
      double r = -out.values[c] * V[i * size + order[c]];
      for (std::size_t j = 0; j < size; ++j) r = fma(H[i * size + j], V[j * size + order[c]], r);
      residual = hypotenuse(residual, r);
      out.vectors[i * count + c] = V[i * size + order[c]];
    }
    out.residuals.push_back(residual);
  }
  return out;
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
