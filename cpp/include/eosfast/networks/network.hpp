// The contract of landscapes with many parameters: matrices instead of registers. A Network holds what does not change
// (data, shapes); a Pass is the workspace of one run, and holds what loss, gradient, Hessian-vector products and the
// network's own quantities share at one w. A step takes a fraction of a microsecond at least, so that virtual calls
// cost nothing here (2 ns), and the engine is compiled once for all networks.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "eosfast/config.hpp"
#include "eosfast/lacking.hpp"

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

template <class T>
class Network {
 public:
  virtual ~Network() = default;
  virtual std::ptrdiff_t dim() const = 0;
  virtual std::ptrdiff_t num_outputs() const = 0;
  virtual std::unique_ptr<Pass<T>> pass(int num_threads) const = 0;
  // Steps that take about a millisecond: how long a run goes without looking for Ctrl-C.
  virtual int patience() const = 0;

  struct Layer {
    std::ptrdiff_t in, out;
    std::ptrdiff_t weight, bias;  // offsets in w; -1: fixed weights, no bias
  };
  virtual std::ptrdiff_t samples() const { lacking("layers"); }
  virtual const std::vector<Layer>& layers() const { lacking("layers"); }
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
