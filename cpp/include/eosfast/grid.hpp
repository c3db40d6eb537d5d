// A grid of runs as it crosses from Python: nothing is expanded, every run finds its numbers and its places by strides.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "eosfast/isa.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// A strided array over the grid, read or written one run at a time. Strides are in bytes; 0 repeats an axis.
struct GridArray {
  char* data = nullptr;
  std::vector<std::ptrdiff_t> strides;

  explicit operator bool() const { return data != nullptr; }
};

// Where the results of a sweep go. Absent ones are not computed.
struct SweepOutput {
  GridArray status, num_steps_done, loss, sharpness, grad_norm, weights, accuracy, period, lyapunov;
  std::ptrdiff_t weight_stride = 0;
  std::vector<GridArray> reducers;
};

struct SweepGrid {
  std::vector<std::ptrdiff_t> shape;
  std::vector<GridArray> columns;  // optimizer fields, raw model fields, w
  GridArray model_index;           // int64; absent: every run uses the first model
  std::int64_t num_runs = 0;
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
