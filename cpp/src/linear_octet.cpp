// Loss and gradient of eight very small linear networks, a network in each lane.
#include "eosfast/networks/linear_octet.hpp"

#include <algorithm>

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

using View = LinearOctet::View;

#if defined(__AVX512F__)
constexpr int kColumns = 4;  // of a block of two rows: as many sums as registers hold
#else
constexpr int kColumns = 2;
#endif

EOSFAST_INLINE Lanes at(const View& m, std::ptrdiff_t i, std::ptrdiff_t k) {
  return Lanes::load(m.data + (i * m.row + k * m.column) * kLanes);
}
EOSFAST_INLINE void put(const View& m, std::ptrdiff_t i, std::ptrdiff_t k, const Lanes& x) {
  x.store(m.data + (i * m.row + k * m.column) * kLanes);
}

// `kDepth` columns on the left where that is not 0, else `depth`.
template <int kDepth, int R, int C>
EOSFAST_INLINE void block(const View& left, const View& right, std::ptrdiff_t depth, std::ptrdiff_t i, std::ptrdiff_t j,
                          const View& out) {
  if (kDepth > 0) depth = kDepth;
  Lanes sum[R][C];
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) sum[r][c] = Lanes(0.0);
  for (std::ptrdiff_t k = 0; k < depth; ++k) {
    Lanes b[C];
    for (int c = 0; c < C; ++c) b[c] = at(right, k, j + c);
    for (int r = 0; r < R; ++r) {
      const Lanes a = at(left, i + r, k);
      for (int c = 0; c < C; ++c) sum[r][c] = fma(a, b[c], sum[r][c]);
    }
  }
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) put(out, i + r, j + c, sum[r][c]);
}

template <int kDepth, int R>
EOSFAST_INLINE void rows_of_blocks(const View& left, const View& right, std::ptrdiff_t depth, std::ptrdiff_t columns,
                                   std::ptrdiff_t i, const View& out) {
  std::ptrdiff_t j = 0;
  for (; j + kColumns <= columns; j += kColumns) block<kDepth, R, kColumns>(left, right, depth, i, j, out);
  for (; j + 2 <= columns; j += 2) block<kDepth, R, 2>(left, right, depth, i, j, out);
  if (j < columns) block<kDepth, R, 1>(left, right, depth, i, j, out);
}

template <int kDepth>
void multiply_by(const View& left, const View& right, std::ptrdiff_t depth, std::ptrdiff_t rows, std::ptrdiff_t columns,
                 const View& out) {
  std::ptrdiff_t i = 0;
  for (; i + 2 <= rows; i += 2) rows_of_blocks<kDepth, 2>(left, right, depth, columns, i, out);
  if (i < rows) rows_of_blocks<kDepth, 1>(left, right, depth, columns, i, out);
}

// out (rows x columns) = left right.
void multiply(const View& left, const View& right, std::ptrdiff_t depth, std::ptrdiff_t rows, std::ptrdiff_t columns,
              const View& out) {
  switch (depth) {
    case 1:
      return multiply_by<1>(left, right, depth, rows, columns, out);
    case 2:
      return multiply_by<2>(left, right, depth, rows, columns, out);
    case 3:
      return multiply_by<3>(left, right, depth, rows, columns, out);
    case 4:
      return multiply_by<4>(left, right, depth, rows, columns, out);
    default:
      return multiply_by<0>(left, right, depth, rows, columns, out);
  }
}

void scaled(const Lanes& factor, const View& from, std::ptrdiff_t rows, std::ptrdiff_t columns, const View& out) {
  for (std::ptrdiff_t i = 0; i < rows; ++i)
    for (std::ptrdiff_t j = 0; j < columns; ++j) put(out, i, j, factor * at(from, i, j));
}

View transposed(const View& m) { return {m.data, m.column, m.row}; }

std::vector<double> eightfold(const Rows& matrix) {
  std::vector<double> out;
  for (std::ptrdiff_t i = 0; i < matrix.count(); ++i)
    for (std::ptrdiff_t j = 0; j < matrix.columns(); ++j) out.insert(out.end(), kLanes, matrix.row(i)[j]);
  return out;
}

std::vector<double> matrices(std::ptrdiff_t count) {
  return std::vector<double>(static_cast<std::size_t>(count * kLanes));
}

}  // namespace

std::unique_ptr<Octet> LinearNetwork::octet() const {
  return LinearOctet::suits(*this) ? std::make_unique<LinearOctet>(*this) : nullptr;
}

LinearOctet::LinearOctet(const LinearNetwork& network)
    : network_(network),
      columns_(network.T().columns()),
      error_(matrices(network.T().count() * columns_)),
      T_(eightfold(network.T())) {
  std::ptrdiff_t offset = 0;
  for (std::size_t l = 1; l < network.widths().size(); ++l) {
    offsets_.push_back(offset);
    offset += network.widths()[l] * network.widths()[l - 1];
  }
  for (std::ptrdiff_t i = 0; i <= layers(); ++i) {
    near_.push_back(matrices(i > 0 ? width(i) * columns_ : 0));
    far_.push_back(matrices(i > 0 ? width(i) * columns_ : 0));
  }
  if (!network.has_data()) return;
  if (network.from_input()) {
    near_[0] = eightfold(network.L());
  } else {
    L_ = eightfold(network.L());
    L_transposed_ = eightfold(network.L_transposed());
  }
}

View LinearOctet::block(double* numbers, std::ptrdiff_t i, bool transposed) const {
  const std::size_t l = layer(i);
  const std::ptrdiff_t columns = network_.widths()[l - 1];
  double* const data = numbers + offsets_[l - 1] * kLanes;
  return network_.from_input() != transposed ? View{data, columns, 1} : View{data, 1, columns};
}

Lanes LinearOctet::visit(const double* w) {
  w_ = const_cast<double*>(w);  // views of it are only read
  for (std::ptrdiff_t i = begins_with_identity() ? 2 : 1; i <= layers(); ++i)
    multiply(block(w_, i, false), near(i - 1), width(i - 1), width(i), columns_, near(i));
  const std::ptrdiff_t rows = network_.T().count();
  const View error{error_.data(), columns_, 1};
  View reached = near(layers());
  if (!L_.empty()) {
    const std::ptrdiff_t inputs = network_.widths().front();
    multiply({L_transposed_.data(), inputs, 1}, reached, inputs, rows, columns_, error);
    reached = error;
  }
  Lanes chain[kLanes];  // of residue classes of columns, then the tree of sum() (lanes.hpp)
  for (Lanes& one : chain) one = Lanes(0.0);
  for (std::ptrdiff_t i = 0; i < rows; ++i)
    for (std::ptrdiff_t j = 0; j < columns_; ++j) {
      const Lanes e = at(reached, i, j) - Lanes::load(T_.data() + (i * columns_ + j) * kLanes);
      put(error, i, j, e);
      chain[j % kLanes] = fma(e, e, chain[j % kLanes]);
    }
  const Lanes total = ((chain[0] + chain[4]) + (chain[2] + chain[6])) + ((chain[1] + chain[5]) + (chain[3] + chain[7]));
  return Lanes(0.5 * network_.scale()) * (total + Lanes(network_.rest()));
}

void LinearOctet::grad(double* out) {
  const std::ptrdiff_t rows = network_.T().count(), inputs = network_.widths().front();
  // far_1 is the gradient with respect to M_1 where near_0 is the identity.
  const auto far = [&](std::ptrdiff_t i) {
    return i == 1 && begins_with_identity() ? block(out, 1, false)
                                            : View{far_[static_cast<std::size_t>(i)].data(), columns_, 1};
  };
  const View error{error_.data(), columns_, 1}, end = far(layers());
  const Lanes scale(network_.scale());
  if (L_.empty()) {
    scaled(scale, error, rows, columns_, end);
  } else {
    multiply({L_.data(), rows, 1}, error, rows, inputs, columns_, end);
    if (network_.scale() != 1.0) scaled(scale, end, inputs, columns_, end);
  }
  for (std::ptrdiff_t i = layers(); i > 1; --i)
    multiply(block(w_, i, true), far(i), width(i), width(i - 1), columns_, far(i - 1));
  for (std::ptrdiff_t i = begins_with_identity() ? 2 : 1; i <= layers(); ++i)
    multiply(far(i), transposed(near(i - 1)), columns_, width(i), width(i - 1), block(out, i, false));
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
