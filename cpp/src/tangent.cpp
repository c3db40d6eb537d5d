// Tangent kernels along a run; see dynamics/tangent.hpp.
#include "eosfast/dynamics/tangent.hpp"

#include <algorithm>
#include <iterator>
#include <limits>
#include <numeric>

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

// Thrown out of a product when the run is to stop.
struct Stopped {};

// Of an eigenvalue that has not converged nothing is said: these quantities carry no residual beside them.
double proven(const SpectrumResult& found, std::size_t i) {
  return found.converged[i] ? found.values[i] : std::numeric_limits<double>::quiet_NaN();
}

std::vector<OwnQuantity> tangent_quantities(const std::vector<OwnQuantity>& own) {
  std::vector<OwnQuantity> out;
  std::copy_if(own.begin(), own.end(), std::back_inserter(out),
               [](const OwnQuantity& one) { return is_tangent_quantity(one.name); });
  return out;
}

}  // namespace

bool is_tangent_quantity(std::string_view name) {
  constexpr std::string_view kNames[] = {"residual", "ntk_sharpness", "ntk_eigs", "z1", "q1_max", "q1_min"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

template <class T>
Tangent<T>::Tangent(const Network<T>& network, std::ptrdiff_t unseen, const std::vector<OwnQuantity>& own, double tol,
                    double vector_tol, std::uint64_t seed)
    : network_(network),
      unseen_(unseen),
      wanted_(tangent_quantities(own)),
      tol_(tol),
      kernel_tol_(wants_top_mode() ? vector_tol : tol),
      seed_(seed) {}

template <class T>
bool Tangent<T>::wants(std::string_view name) const {
  return std::any_of(wanted_.begin(), wanted_.end(), [&](const OwnQuantity& own) { return own.name == name; });
}

template <class T>
void Tangent<T>::put(std::string_view name, std::int64_t row, const std::vector<double>& values) const {
  for (const OwnQuantity& own : wanted_)
    if (own.name == name) std::copy_n(values.begin(), own.width, own.data + row * own.width);
}

template <class T>
void Tangent<T>::write(Pass<T>& pass, std::int64_t row, bool solves, const std::function<bool()>& stop) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  for (const OwnQuantity& own : wanted_) std::fill_n(own.data + row * own.width, own.width, nan);
  std::vector<double> residual;
  if (wants("residual") || wants_top_mode()) {
    residual.resize(static_cast<std::size_t>(network_.num_outputs()));
    in_precision<T>(nullptr, 0, network_.num_outputs(), residual.data(), [&](const T*, T* to) { pass.residual(to); });
    put("residual", row, residual);
  }
  const bool only_residual = wanted_.size() == (wants("residual") ? 1 : 0);
  if (only_residual || !solves) return;
  try {
    solve(pass, row, residual, stop);
  } catch (const Stopped&) {  // what is missing stays NaN
  }
}

template <class T>
std::ptrdiff_t Tangent<T>::num_pairs() const {
  for (const OwnQuantity& own : wanted_)
    if (own.name == "ntk_eigs") return own.width;
  return 1;
}

template <class T>
Tracker& Tangent<T>::kernel() {
  if (!kernel_) kernel_.emplace(network_.num_outputs(), static_cast<int>(num_pairs()), kernel_tol_, seed_);
  return *kernel_;
}

template <class T>
void Tangent<T>::save(StateWriter& out) const {
  out.vector(v1_);
  out.number(kernel_.has_value());
  if (kernel_) kernel_->save(out);
}

template <class T>
void Tangent<T>::load(StateReader& in) {
  in.vector_or_none(v1_, static_cast<std::size_t>(network_.num_outputs()));
  if (in.number<std::uint8_t>() != 0) kernel().load(in);
}

template <class T>
void Tangent<T>::solve(Pass<T>& pass, std::int64_t row, const std::vector<double>& residual,
                       const std::function<bool()>& stop) {
  const std::ptrdiff_t outputs = network_.num_outputs(), dim = network_.dim(), k = num_pairs();
  std::vector<T> pulled;
  const SpectrumResult found = kernel().solve([&](const double* U, int count, double* out) {
    if (stop()) throw Stopped{};
    pulled.resize(static_cast<std::size_t>(count * dim));
    in_precision<T>(U, count * outputs, count * outputs, out, [&](const T* from, T* to) {
      pass.vjp(from, count, pulled.data());
      pass.jvp(pulled.data(), count, to);
    });
  });
  std::vector<double> values;
  for (std::size_t i = 0; i < static_cast<std::size_t>(k); ++i) values.push_back(proven(found, i));
  put("ntk_eigs", row, values);
  put("ntk_sharpness", row, values);
  if (!found.converged[0] || residual.empty()) return;
  std::vector<double> v1(found.vectors.begin(), found.vectors.begin() + outputs);
  orient(v1, residual);
  v1_ = std::move(v1);
  put("z1", row, {std::inner_product(v1_.begin(), v1_.end(), residual.begin(), 0.0)});
  if (wants("q1_max")) put("q1_max", row, {extreme(pass, 1.0, stop)});
  if (wants("q1_min")) put("q1_min", row, {extreme(pass, -1.0, stop)});
}

// An eigenvector has no sign of its own: it gets that of the last one, and the first one that of the residual.
template <class T>
void Tangent<T>::orient(std::vector<double>& v1, const std::vector<double>& residual) {
  const std::vector<double>& guide = v1_.empty() ? residual : v1_;
  if (std::inner_product(v1.begin(), v1.end(), guide.begin(), 0.0) >= 0.0) return;
  for (double& x : v1) x = -x;
}

// The largest (sign 1) or smallest (sign -1) eigenvalue of the curvature of the outputs along v1, found afresh: the
// ends of its spectrum are crowded and cross at every other step, and a tracker would follow the wrong eigenvector too
// often.
template <class T>
double Tangent<T>::extreme(Pass<T>& pass, double sign, const std::function<bool()>& stop) const {
  const std::ptrdiff_t dim = network_.dim();
  const std::vector<T> along(v1_.begin(), v1_.end());
  LanczosOptions options;
  options.tol = tol_;
  options.seed = seed_;
  const SymmetricProducts products = [&](const double* V, int count, double* out) {
    in_precision<T>(V, count * dim, count * dim, out,
                    [&](const T* from, T* to) { pass.curvature(along.data(), from, count, to); });
    for (std::ptrdiff_t i = 0; i < count * dim; ++i) out[i] *= sign;
  };
  const double value = proven(lanczos(dim, products, options, nullptr, stop), 0);
  return sign * (unseen_ > 0 && value < 0.0 ? 0.0 : value);
}

template class Tangent<double>;
template class Tangent<float>;

}  // namespace EOSFAST_ISA
}  // namespace eosfast
