// The walks along a chain of matrices.
#include "eosfast/networks/matrix_chain.hpp"

#include <algorithm>

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

std::size_t at(std::ptrdiff_t i) { return static_cast<std::size_t>(i); }

void copy(const Left& from, Rows& out) {
  for (std::ptrdiff_t i = 0; i < out.count(); ++i)
    for (std::ptrdiff_t j = 0; j < out.columns(); ++j) out.row(i)[j] = from.data[i * from.row + j * from.column];
}

void copy_dense(const Rows& from, double* out, bool accumulate) {
  for (std::ptrdiff_t i = 0; i < from.count(); ++i, out += from.columns())
    for (std::ptrdiff_t j = 0; j < from.columns(); ++j) out[j] = accumulate ? out[j] + from.row(i)[j] : from.row(i)[j];
}

void transpose_rows(const Rows& from, Rows& out) { transpose(as_left(from), out); }

}  // namespace

MatrixChain::MatrixChain(const std::vector<std::ptrdiff_t>& widths, bool from_input, const Rows* start, int num_threads)
    : widths_(widths),
      from_input_(from_input),
      start_(start),
      num_threads_(num_threads),
      columns_(start ? start->columns() : width(0)) {
  for (std::size_t l = 1; l < widths_.size(); ++l) {
    offsets_.push_back(dim_);
    dim_ += widths_[l] * widths_[l - 1];
  }
  near_ = walk(start ? 0 : 1);
  if (start) std::copy_n(start->row(0), start->size(), near_[0].row(0));
  near_transposed_ = from_input_ ? transposes(near_) : Walk(near_.size());
  if (from_input_ && start) transpose_rows(near_[0], near_transposed_[0]);
}

// Matrices `from` ... N of a walk; the others stay empty.
MatrixChain::Walk MatrixChain::walk(std::ptrdiff_t from) const {
  Walk out(widths_.size());
  for (std::ptrdiff_t i = from; i <= layers(); ++i) out[at(i)] = Rows(width(i), columns_);
  return out;
}

MatrixChain::Walk MatrixChain::transposes(const Walk& walk) {
  Walk out(walk.size());
  for (std::size_t i = 0; i < walk.size(); ++i)
    if (!walk[i].empty()) out[i] = Rows(walk[i].columns(), walk[i].count());
  return out;
}

MatrixChain::Far MatrixChain::far() const {
  Far out{walk(1), Walk(widths_.size())};
  if (!from_input_) out.transposed = transposes(out.at);
  return out;
}

Left MatrixChain::matrix(const double* w, std::ptrdiff_t i, bool transposed) const {
  const std::ptrdiff_t l = layer(i), columns = widths_[at(l - 1)];
  const double* const data = w + offsets_[at(l - 1)];
  return from_input_ != transposed ? Left{data, columns, 1} : Left{data, 1, columns};
}

void MatrixChain::visit(const double* w) {
  w_ = w;
  has_near_transposed_ = false;
  for (std::ptrdiff_t i = 1; i <= layers(); ++i) {
    if (i == 1 && !start_) {
      copy(matrix(w, 1, false), near_[1]);
    } else {
      product(matrix(w, i, false), near_[at(i - 1)], near_[at(i)], false);
    }
  }
}

void MatrixChain::ensure_near_transposed() {
  if (has_near_transposed_ || !from_input_) return;
  has_near_transposed_ = true;
  for (std::ptrdiff_t i = 1; i < layers(); ++i) transpose_rows(near_[at(i)], near_transposed_[at(i)]);
}

void MatrixChain::walk_back(Far& far) {
  for (std::ptrdiff_t i = layers(); i > 1; --i) product(matrix(w_, i, true), far.at[at(i)], far.at[at(i - 1)], false);
  if (!from_input_)
    for (std::ptrdiff_t i = 1; i <= layers(); ++i) transpose_rows(far.at[at(i)], far.transposed[at(i)]);
}

// d/dW of M_i: far near' in its own order, near far' where M_i is the transpose of W.
void MatrixChain::grad_of(std::ptrdiff_t i, const Rows& far, const Rows& far_transposed, const Rows& near,
                          const Rows& near_transposed, double* out, bool accumulate) const {
  out += offsets_[at(layer(i) - 1)];
  if (i == 1 && !start_) {  // near is the identity
    copy_dense(from_input_ ? far : far_transposed, out, accumulate);
  } else if (from_input_) {
    multiply(as_left(far), near_transposed, width(i), out, accumulate, num_threads_);
  } else {
    multiply(as_left(near), far_transposed, width(i - 1), out, accumulate, num_threads_);
  }
}

void MatrixChain::grad(const Far& far, double* out) {
  ensure_near_transposed();
  for (std::ptrdiff_t i = 1; i <= layers(); ++i)
    grad_of(i, far.at[at(i)], far.transposed[at(i)], near_[at(i - 1)], near_transposed_[at(i - 1)], out, false);
}

void MatrixChain::visit_along(const double* V) {
  if (near_along_.empty()) {
    near_along_ = walk(1);
    near_along_transposed_ = from_input_ ? transposes(near_along_) : Walk(near_.size());
  }
  for (std::ptrdiff_t i = 1; i <= layers(); ++i) {
    if (i == 1 && !start_) {
      copy(matrix(V, 1, false), near_along_[1]);
    } else {
      product(matrix(V, i, false), near_[at(i - 1)], near_along_[at(i)], false);
    }
    if (i > 1) product(matrix(w_, i, false), near_along_[at(i - 1)], near_along_[at(i)], true);
  }
}

void MatrixChain::grad_along(const Far& far, const double* V, Far& along, double* out) {
  ensure_near_transposed();
  for (std::ptrdiff_t i = layers(); i > 1; --i) {
    product(matrix(V, i, true), far.at[at(i)], along.at[at(i - 1)], false);
    product(matrix(w_, i, true), along.at[at(i)], along.at[at(i - 1)], true);
  }
  for (std::ptrdiff_t i = 1; i <= layers(); ++i) {
    if (!from_input_) transpose_rows(along.at[at(i)], along.transposed[at(i)]);
    if (from_input_ && i < layers()) transpose_rows(near_along_[at(i)], near_along_transposed_[at(i)]);
  }
  for (std::ptrdiff_t i = 1; i <= layers(); ++i) {
    grad_of(i, along.at[at(i)], along.transposed[at(i)], near_[at(i - 1)], near_transposed_[at(i - 1)], out, false);
    if (i > 1)
      grad_of(i, far.at[at(i)], far.transposed[at(i)], near_along_[at(i - 1)], near_along_transposed_[at(i - 1)], out,
              true);
  }
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
