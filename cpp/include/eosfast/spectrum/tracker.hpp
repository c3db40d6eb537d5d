// The largest eigenvalues along a trajectory: one matrix after another, each near the last.
//
// A warm start from the old eigenvectors alone follows them wherever they go, past the moment when another eigenvalue
// overtakes. So the tracker also keeps an explorer, an approximation of the next eigenvector with a little noise in it.
// It is multiplied whenever the gap could have closed since it was last seen, at the speed at which values move; every
// now and then a Krylov space of a fresh random direction looks deeper.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "eosfast/dynamics/saved_state.hpp"
#include "eosfast/random.hpp"
#include "eosfast/spectrum/ritz.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// A prediction of the next vector of a sequence: coefficients of the vectors `lags` solves back, lags increasing.
struct TrackerRule {
  int terms;
  int lags[3];
  double coefficients[3];
};

class Tracker {
 public:
  // `tol` as in LanczosOptions, `k` from 1 to dim. One solve takes at most usual_max_matvecs products.
  Tracker(std::ptrdiff_t dim, int k, double tol, std::uint64_t seed);

  // The k largest eigenvalues of the next matrix of the trajectory.
  SpectrumResult solve(const SymmetricProducts& products);

  // All that later solves depend on, between two of them.
  void save(StateWriter& out) const;
  void load(StateReader& in);

 private:
  SpectrumResult cold(const SymmetricProducts& products);
  SpectrumResult warm(const SymmetricProducts& products);
  int start_block(bool explore);
  bool take(int count, const SymmetricProducts& products);
  bool refine(const SymmetricProducts& products);
  bool look_deeper(const SymmetricProducts& products);
  bool explorer_due() const;
  bool prediction_failed();
  void make_room(int count);
  void residual_to_correction(int i, double* r) const;
  std::vector<double> corrected(const std::vector<double>& vectors);
  void remember_top(const std::vector<double>& vectors);
  void apply_rule(const TrackerRule& rule, std::size_t j, double* out) const;
  std::vector<double> errors_of_rules(const std::vector<double>& now) const;
  void remember_explorer();
  SpectrumResult result(bool converged);

  std::ptrdiff_t dim_;
  int k_;
  double tol_;
  std::uint64_t seed_;
  std::int64_t max_matvecs_;
  SplitMix64 random_;
  RitzBasis basis_;
  bool warm_ = false;         // whether the last solve left something to start from
  std::int64_t matvecs_ = 0;  // of the solve under way

  std::vector<double> top_;                            // k vectors: where the next solve starts
  std::deque<std::vector<double>> past_;               // the eigenvectors of the last solves, the latest first
  std::vector<double> errors_;                         // of each rule for each vector in the last solve, squared
  std::vector<double> explorer_, scout_;               // one vector each
  std::vector<double> companions_, companion_values_;  // the next eigenpairs, as the last deep look saw them

  int since_seen_ = 0;                // solves since the explorer was multiplied
  int since_deep_ = 0, deep_in_ = 0;  // solves since the last deep look, and between two of them
  double lowest_ = 0.0;               // k-th value of the last solve
  double ceiling_ = 0.0;              // value of the explorer when it was last seen, plus its residual
  double seen_value_ = 0.0;           // that value
  double drift_ = 0.0;                // how fast values have moved of late, per solve
  double smallest_ = 0.0;             // smallest Ritz value seen, or 0
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
