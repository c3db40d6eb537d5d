// The tangent kernel K = J J' of a network's outputs f along a run, and what Agarwala, Pedregosa, Pennington (2022)
// read off from it:
//
//   residual                  f - y
//   ntk_sharpness, ntk_eigs   the largest eigenvalues of K, unscaled: compare with 2/lr times n, if the loss is a mean
//   z1 = v1 . (f - y)         v1 the top eigenvector of K, its sign continued from solve to solve; z1 >= 0 at first
//   q1_max, q1_min            the extreme eigenvalues of sum_a v1_a Hess f_a
//
// At one iterate everything is computed once, and only what is asked for; eigenpairs of K are tracked along the run.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "eosfast/networks/network.hpp"
#include "eosfast/record.hpp"
#include "eosfast/spectrum/tracker.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

bool is_tangent_quantity(std::string_view name);

template <class T>
class Tangent {
 public:
  // Of `own` those that are such quantities. unseen: zeros that the curvature has besides, outside the row space.
  // vector_tol: instead of `tol` where v1 itself is needed; the error of a value is the square of its vector's.
  Tangent(const Network<T>& network, std::ptrdiff_t unseen, const std::vector<OwnQuantity>& own, double tol,
          double vector_tol, std::uint64_t seed);

  // The quantities where `pass` is into a row; eigenvalues are NaN unless `solves`, where a solve has not converged,
  // and where `stop`, which is asked before each product, ends it.
  void write(Pass<T>& pass, std::int64_t row, bool solves, const std::function<bool()>& stop);

  // All that later rows depend on.
  void save(StateWriter& out) const;
  void load(StateReader& in);

 private:
  std::ptrdiff_t num_pairs() const;
  Tracker& kernel();
  bool wants(std::string_view name) const;
  bool wants_top_mode() const { return wants("z1") || wants("q1_max") || wants("q1_min"); }
  void put(std::string_view name, std::int64_t row, const std::vector<double>& values) const;
  void solve(Pass<T>& pass, std::int64_t row, const std::vector<double>& residual, const std::function<bool()>& stop);
  void orient(std::vector<double>& v1, const std::vector<double>& residual);
  double extreme(Pass<T>& pass, double sign, const std::function<bool()>& stop) const;

  const Network<T>& network_;
  const std::ptrdiff_t unseen_;
  std::vector<OwnQuantity> wanted_;
  const double tol_, kernel_tol_;
  const std::uint64_t seed_;
  std::vector<double> v1_;         // of the last solve
  std::optional<Tracker> kernel_;  // made when it is needed
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
