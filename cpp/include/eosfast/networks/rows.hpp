// Small and middling matrices whose rows are filled up to whole lanes, and their product. A product costs little more
// than its arithmetic from 2 x 2 on: nothing is packed, allocated or dispatched on the way.
//
// Every element of a product is one chain of fused multiply-adds in the order of k, so that bits depend neither on
// threads nor, from x86-64-v3 up, on the instruction set.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>

#include "eosfast/lanes.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// count x columns; what fills the rows up is zero, and no product reads it as a number of the matrix.
class Rows {
 public:
  Rows() = default;
  Rows(std::ptrdiff_t count, std::ptrdiff_t columns)
      : count_(count),
        columns_(columns),
        stride_(stride_of(columns)),
        data_(new (std::align_val_t{64}) double[static_cast<std::size_t>(count * stride_)]()) {}

  std::ptrdiff_t count() const { return count_; }
  std::ptrdiff_t columns() const { return columns_; }
  std::ptrdiff_t stride() const { return stride_; }  // from row to row
  std::ptrdiff_t size() const { return count_ * stride_; }
  bool empty() const { return count_ == 0; }
  double* row(std::ptrdiff_t i) { return data_.get() + i * stride_; }
  const double* row(std::ptrdiff_t i) const { return data_.get() + i * stride_; }

 private:
  // An odd number of lanes between long rows: powers of two would all fall into the same few sets of the cache.
  static std::ptrdiff_t stride_of(std::ptrdiff_t columns) {
    const std::ptrdiff_t groups = (columns + kLanes - 1) / kLanes;
    return kLanes * (groups > 8 ? groups | 1 : groups);
  }
  struct Free {
    void operator()(double* data) const { ::operator delete[](data, std::align_val_t{64}); }
  };
  std::ptrdiff_t count_ = 0, columns_ = 0, stride_ = 0;
  std::unique_ptr<double[], Free> data_;
};

// A matrix as the left operand, as it lies or transposed: element (i, k) is data[i * row + k * column].
struct Left {
  const double* data;
  std::ptrdiff_t row, column;
};
inline Left as_left(const Rows& matrix) { return {matrix.row(0), matrix.stride(), 1}; }

// out = (accumulate ? out : 0) + left right.
void multiply(const Left& left, const Rows& right, Rows& out, bool accumulate, int num_threads = 1);
// The same into `rows` rows that follow each other without gaps.
void multiply(const Left& left, const Rows& right, std::ptrdiff_t rows, double* out, bool accumulate,
              int num_threads = 1);

// out = from', from (rows x columns) with the given distances.
inline void transpose(const Left& from, Rows& out) {
  for (std::ptrdiff_t j = 0; j < out.count(); ++j) {
    double* const to = out.row(j);
    for (std::ptrdiff_t i = 0; i < out.columns(); ++i) to[i] = from.data[i * from.row + j * from.column];
  }
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
