// A grid of runs as it crosses from Python: nothing is expanded, every run finds its numbers and its places by strides.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
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
  GridArray status, num_steps_done, loss, sharpness, grad_norm, weights, period, lyapunov;
  std::ptrdiff_t weight_stride = 0;
  std::vector<std::pair<std::string, GridArray>> own;  // the model's own quantities
  std::vector<GridArray> reducers;
};

struct SweepGrid {
  std::vector<std::ptrdiff_t> shape;
  std::vector<GridArray> columns;  // optimizer fields, raw model fields, w; of networks only the first
  GridArray start, null_norm;      // of networks: w0, with an axis behind the grid's, and what TrainCall says
  std::ptrdiff_t start_stride = 0;
  GridArray model_index;  // int64; absent: every run uses the first model
  std::int64_t num_runs = 0;

  // Where a run's element of an array is: its index along each axis comes from its number.
  char* place(const GridArray& array, std::int64_t number) const {
    char* at = array.data;
    for (std::size_t k = shape.size(); k-- > 0;) {
      at += array.strides[k] * (number % shape[k]);
      number /= shape[k];
    }
    return at;
  }
  template <class T>
  T get(const GridArray& array, std::int64_t number) const {
    T value;
    std::memcpy(&value, place(array, number), sizeof value);
    return value;
  }
  // The optimizer's numbers of a run, in the first `count` columns, as a rule wants them (concepts.hpp): `size`
  // numbers, 0 where the optimizer has fewer.
  void optimizer_fields(std::int64_t number, std::size_t count, double* to, std::size_t size) const {
    for (std::size_t k = 0; k < size; ++k) to[k] = k < count ? get<double>(columns[k], number) : 0.0;
  }
  // Whether a column is 0 for all runs.
  bool is_zero(const GridArray& column) const {
    const auto& strides = column.strides;
    return std::all_of(strides.begin(), strides.end(), [](std::ptrdiff_t stride) { return stride == 0; }) &&
           get<double>(column, 0) == 0.0;
  }
  template <class T>
  void put(const GridArray& array, std::int64_t number, T value) const {
    if (array) std::memcpy(place(array, number), &value, sizeof value);
  }
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
