// Matrices of a network over its samples, and the two products they need.
//
// A matrix (features x samples) is cut into panels of a few samples; a panel holds its rows one after the other. So a
// panel passes through all layers of a network while it is in the cache, and it is the right operand of a product as it
// lies: nothing is copied or packed on the way, and the data are laid out once for all steps.
//
// Every element of multiply() is one chain of fused multiply-adds in the order of k; every element of
// multiply_transposed() sums each residue class of samples modulo kGroup in order, then the classes in a fixed tree.
// Bits therefore depend neither on threads nor on panels nor, from x86-64-v3 up, on the instruction set. A general
// matrix product (Eigen's) promises none of this, and was slower: it packs both operands at every call.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>
#include <vector>

#include "eosfast/isa.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

template <class T>
inline constexpr int kGroup = 64 / static_cast<int>(sizeof(T));  // 8 doubles, 16 floats

// Samples in a panel: as many as the accumulators of one product hold, fewer where there are no more.
template <class T>
int panel_width(std::ptrdiff_t columns) {
#if defined(__AVX512F__)
  constexpr std::ptrdiff_t kMost = 3;
#else
  constexpr std::ptrdiff_t kMost = 1;
#endif
  const std::ptrdiff_t groups = (columns + kGroup<T> - 1) / kGroup<T>;
  return static_cast<int>(std::clamp<std::ptrdiff_t>(groups, 1, kMost)) * kGroup<T>;
}

// rows x columns, the last panel filled up with zeros.
template <class T>
class Panels {
 public:
  Panels() = default;
  Panels(std::ptrdiff_t rows, std::ptrdiff_t columns) : Panels(rows, columns, panel_width<T>(columns)) {}
  Panels(std::ptrdiff_t rows, std::ptrdiff_t columns, int width)
      : rows_(rows),
        columns_(columns),
        width_(width),
        count_((columns + width_ - 1) / width_),
        data_(new (std::align_val_t{64}) T[static_cast<std::size_t>(rows * count_ * width_)]()) {}

  std::ptrdiff_t rows() const { return rows_; }
  std::ptrdiff_t columns() const { return columns_; }
  int width() const { return width_; }
  std::ptrdiff_t count() const { return count_; }           // panels
  std::ptrdiff_t stride() const { return rows_ * width_; }  // from panel to panel
  std::ptrdiff_t size() const { return stride() * count_; }
  T* row(std::ptrdiff_t panel, std::ptrdiff_t i) { return data_.get() + (panel * rows_ + i) * width_; }
  const T* row(std::ptrdiff_t panel, std::ptrdiff_t i) const { return data_.get() + (panel * rows_ + i) * width_; }
  T& at(std::ptrdiff_t i, std::ptrdiff_t column) { return row(column / width_, i)[column % width_]; }
  const T& at(std::ptrdiff_t i, std::ptrdiff_t column) const { return row(column / width_, i)[column % width_]; }

 private:
  struct Free {
    void operator()(T* data) const { ::operator delete[](data, std::align_val_t{64}); }
  };
  std::ptrdiff_t rows_ = 0, columns_ = 0;
  int width_ = kGroup<T>;
  std::ptrdiff_t count_ = 0;
  std::unique_ptr<T[], Free> data_;
};

// The left operand of multiply(): element (i, k) is rows[i][(k % segment) * step + (k / segment) * jump]. A matrix in
// memory has one segment; a row of Panels continues in the next panel.
template <class T>
struct LeftRows {
  const T* const* rows;
  std::ptrdiff_t count, step, segment, jump;
};

// out[i][c] = (accumulate ? out[i][c] : 0) + sum_k left(i, k) right[k * width + c],  0 <= c < width: one panel.
template <class T>
void multiply(const LeftRows<T>& left, const T* right, std::ptrdiff_t depth, int width, T* const* out, bool accumulate);

// out[i][j] = (accumulate ? out[i][j] : 0) + sum over the samples of left(i, .) right(j, .), for the rows
// left_from <= i < left_to, and 0 <= j < columns, the rows right_from + j of `right`.
template <class T>
void multiply_transposed(const Panels<T>& left, std::ptrdiff_t left_from, std::ptrdiff_t left_to,
                         const Panels<T>& right, std::ptrdiff_t right_from, std::ptrdiff_t columns, T* out,
                         std::ptrdiff_t out_stride, bool accumulate);

// Rows of some panels that follow each other: number c of row i in panel p is at[p * stride + i * width + c].
template <class T>
struct PanelRows {
  const T* at;
  std::ptrdiff_t stride;
};

// The same sums over the samples of `panels` panels alone, for `rows` rows and `columns` rows.
template <class T>
void multiply_transposed(PanelRows<T> left, std::ptrdiff_t rows, PanelRows<T> right, std::ptrdiff_t columns,
                         std::ptrdiff_t panels, int width, T* out, std::ptrdiff_t out_stride, bool accumulate);

// Pointers to `count` rows, `stride` apart.
template <class T>
std::vector<T*> row_pointers(T* first, std::ptrdiff_t count, std::ptrdiff_t stride) {
  std::vector<T*> rows(static_cast<std::size_t>(count));
  for (T*& row : rows) {
    row = first;
    first += stride;
  }
  return rows;
}

// out (rows from `to`) (+)= W in, one panel; W (count x ...) row-major, its columns `depth` of rows `stride` apart.
template <class T>
void multiply_panel(const T* W, std::ptrdiff_t count, std::ptrdiff_t stride, std::ptrdiff_t depth, const T* in,
                    Panels<T>& out, std::ptrdiff_t to, std::ptrdiff_t panel, bool accumulate) {
  const auto rows = row_pointers<const T>(W, count, stride);
  const auto targets = row_pointers(out.row(panel, to), count, out.width());
  multiply<T>({rows.data(), count, 1, depth, 0}, in, depth, out.width(), targets.data(), accumulate);
}

// Rows from `to` = one number each.
template <class T>
void fill_rows(Panels<T>& out, std::ptrdiff_t to, std::ptrdiff_t panel, const T* values, std::ptrdiff_t count) {
  for (std::ptrdiff_t i = 0; i < count; ++i) std::fill_n(out.row(panel, to + i), out.width(), values[i]);
}

// out[i - from] = (accumulate ? out[i - from] : 0) + the sum of row i over the samples.
template <class T>
void sum_rows(const Panels<T>& matrix, std::ptrdiff_t from, std::ptrdiff_t to, T* out, bool accumulate);

}  // namespace EOSFAST_ISA
}  // namespace eosfast
