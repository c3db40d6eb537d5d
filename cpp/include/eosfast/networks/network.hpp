// The contract of landscapes with many parameters: matrices instead of registers. A Network holds what does not change
// (data, shapes); a Pass is the workspace of one run, and holds what loss, gradient, Hessian-vector products and the
// network's own quantities share at one w. A step takes a fraction of a microsecond at least, so that virtual calls
// cost nothing here (2 ns), and the engine is compiled once for all networks.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string_view>
#include <type_traits>
#include <vector>

#include "eosfast/config.hpp"
#include "eosfast/lacking.hpp"
#include "eosfast/lanes.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

template <class T>
class Pass {
 public:
  virtual ~Pass() = default;
  // On to w, which must stay where it is until the next visit.
  virtual void visit(const T* w) = 0;
  virtual double loss() const = 0;
  virtual void grad(T* out) = 0;
  // Hessian times k vectors, one after the other in memory.
  virtual void hvp(const T* V, int k, T* out) = 0;
  // One of the network's own quantities; weight_norm is that of all weights, also those outside the row space.
  virtual void quantity(std::string_view name, double, double*) { lacking(name); }

  // Of a least-squares problem, where the loss is a multiple of |f - y|^2: the residual f - y (num_outputs numbers),
  // products with the Jacobian J of f and with its transpose, and with sum_a u_a Hess f_a, k vectors at once.
  virtual void residual(T*) { lacking("residual"); }
  virtual void jvp(const T*, int, T*) { lacking("Jacobian"); }
  virtual void vjp(const T*, int, T*) { lacking("Jacobian"); }
  virtual void curvature(const T*, const T*, int, T*) { lacking("curvature"); }

  // Of networks in layers, for predictions, Jacobians and tangent kernels: the outputs f, sample by sample; and of
  // layer l what goes in, and the derivative of one output with respect to what comes out, both as (samples, features).
  virtual void outputs(double*) const { lacking("outputs"); }
  virtual void layer_inputs(int, double*) const { lacking("layers"); }
  virtual void layer_slopes(int, int, double*) { lacking("layers"); }
};

// A workspace for eight runs of one very small network side by side, a run in each lane, with the bits that each of
// them has by itself. Arrays are (numbers, 8): number i of the eight runs lies at 8 i.
class Octet {
 public:
  virtual ~Octet() = default;
  // On to w (dim, 8), which must stay where it is until the next visit: the loss of each run.
  virtual Lanes visit(const double* w) = 0;
  virtual void grad(double* out) = 0;  // (dim, 8)
};

template <class T>
class Network {
 public:
  virtual ~Network() = default;
  virtual std::ptrdiff_t dim() const = 0;
  virtual std::ptrdiff_t num_outputs() const = 0;
  virtual std::unique_ptr<Pass<T>> pass(int num_threads) const = 0;
  // Null where eight runs are faster one after the other.
  virtual std::unique_ptr<Octet> octet() const { return nullptr; }
  // Steps that take about a millisecond: how long a run goes without looking for Ctrl-C.
  virtual int patience() const = 0;

  struct Layer {
    std::ptrdiff_t in, out;
    std::ptrdiff_t weight, bias;  // offsets in w; -1: fixed weights, no bias
  };
  virtual std::ptrdiff_t samples() const { lacking("layers"); }
  virtual const std::vector<Layer>& layers() const { lacking("layers"); }
  // The infimum of the loss, where every local minimum is a global one.
  virtual double least_loss() const { lacking("least loss"); }
};

// product(in, out) for a workspace of either precision, on numbers that are given and wanted in double.
template <class T, class Product>
void in_precision(const double* in, std::ptrdiff_t in_size, std::ptrdiff_t out_size, double* out, Product&& product) {
  if constexpr (std::is_same_v<T, double>) {
    product(in, out);
  } else {
    const std::vector<T> from(in, in + in_size);
    std::vector<T> to(static_cast<std::size_t>(out_size));
    product(from.data(), to.data());
    std::copy(to.begin(), to.end(), out);
  }
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
