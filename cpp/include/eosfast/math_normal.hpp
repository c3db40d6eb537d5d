// The Gaussian integrals on lanes: erf, erfc, the normal density and distribution, and E relu(z + t).
#pragma once

#include "eosfast/math_log.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {
namespace detail {

// e^(-x^2/scale) for scale = 1 or 2: x^2 is split, x = h + l with h^2 exact, so that the tails keep their accuracy.
template <class Real>
EOSFAST_INLINE Real exp_minus_square(const Real& x, double factor) {
  const Real a = min(Real(60.0), abs(x));
  const Real h = from_bits(bits(a) & Integer<Real>(-(std::int64_t{1} << 32)));
  return exp_sum(Real(-factor) * (h * h), Real(-factor) * ((a - h) * (a + h)));
}

// (x + b) e^(x^2/2) integral_x^inf e^(-t^2/2) dt for x >= 0, b = 5, a polynomial in y = (x - b)/(x + b).
inline constexpr double kMills[] = {
    0x1.ed96b8318f6c5p+0,   -0x1.aaf94e206d6dap+0,  0x1.3dd60739e7976p+0,   -0x1.9262efbe12c2dp-1,  0x1.a7927af8f0cb8p-2,
    -0x1.62d360c63da66p-3,  0x1.ab031a04b5d1bp-5,   -0x1.ebbc3258d3439p-8,  -0x1.0623968795861p-9,  0x1.660d42535eeecp-10,
    -0x1.382024ff5d48fp-13, -0x1.05970a734d421p-13, 0x1.5ec441bd7ef88p-15,  0x1.4eb78775c3779p-17,  -0x1.d215074cddf1fp-18,
    -0x1.c1821900b9d8fp-21, 0x1.25a28ea34b232p-20,  0x1.a6cecfba9951ep-24,  -0x1.7b53729b3f3a1p-23, -0x1.4852ed00be8acp-26,
    0x1.e69664ad0e267p-26,  0x1.24668f5a33b90p-28,  -0x1.0c2be9af97bc8p-28, -0x1.8b64e42562bb2p-31, 0x1.627223a504fb5p-32,
    0x1.0d699495a1e96p-34};
// (x + b)^2 (1 - x Mills(x))
inline constexpr double kReluMills[] = {
    0x1.cc480328fe6cfp+1,   -0x1.7467aaad2a828p+2,  0x1.85459f52b4bb2p+2,   -0x1.3316169d4592fp+2,  0x1.779d9b1989873p+1,
    -0x1.5a2f1d7590c0ep+0,  0x1.ab6b4c46001d9p-2,   -0x1.68aa6714c97a2p-5,  -0x1.f04f7ec5173fcp-6,  0x1.f05598bb18773p-7,
    -0x1.15f1e142b64f1p-12, -0x1.05f616a477882p-9,  0x1.b2039361f7756p-12,  0x1.f0caa625f69a3p-13,  -0x1.803e17378d916p-14,
    -0x1.033ca95174e32p-15, 0x1.1badc3aca4605p-16,  0x1.4cf33ed009d26p-18,  -0x1.8f9282358e168p-19, -0x1.01f5828e0c369p-20,
    0x1.091c34623d3b2p-21,  0x1.959b754b04f58p-23,  -0x1.25b0c7971e184p-24, -0x1.f33fc1f7ad08bp-26, 0x1.84829ba2b8a94p-28,
    0x1.42cb6577f8e3bp-29};
inline constexpr double kInverseSqrt2Pi = 0.39894228040143267794;
inline constexpr double kSqrt2 = 1.41421356237309504880;
inline constexpr double kSqrt2OverPi = 0.79788456080286535588;

}  // namespace detail

// e^(-t^2/2)/sqrt(2 pi).
template <class Real>
EOSFAST_INLINE Real normal_pdf(const Real& t) {
  return detail::exp_minus_square(t, 0.5) * Real(detail::kInverseSqrt2Pi);
}

// P(z <= t) for a standard normal z, relatively accurate in the left tail.
template <class Real>
EOSFAST_INLINE Real normal_cdf(const Real& t) {
  const Real a = min(Real(60.0), abs(t));
  const Real w = Real(1.0) / (a + Real(5.0));
  const Real mills = detail::polynomial((a - Real(5.0)) * w, detail::kMills) * (w * Real(detail::kInverseSqrt2Pi));
  const Real tail = detail::exp_minus_square(t, 0.5) * mills;
  return select(t > Real(0.0), Real(1.0) - tail, tail);
}

// erfc x = 1 - erf x, relatively accurate for x -> inf.
template <class Real>
EOSFAST_INLINE Real erfc(const Real& x) {
  const Real a = min(Real(60.0), abs(x)) * Real(detail::kSqrt2);
  const Real w = Real(1.0) / (a + Real(5.0));
  const Real mills = detail::polynomial((a - Real(5.0)) * w, detail::kMills) * (w * Real(detail::kSqrt2OverPi));
  const Real tail = detail::exp_minus_square(x, 1.0) * mills;
  return select(x < Real(0.0), Real(2.0) - tail, tail);
}

// erf x = 2/sqrt(pi) integral_0^x e^(-t^2) dt: x P(x^2) up to |x| = 1/2, 1 - erfc above.
template <class Real>
EOSFAST_INLINE Real erf(const Real& x) {
  constexpr double kP[] = {0x1.20dd750429b6dp+0,   -0x1.812746b0379e6p-2, 0x1.ce2f21a042b25p-4,   -0x1.b82ce3127f4dbp-6,
                           0x1.565bcd0a9a169p-8,   -0x1.c02db238e57fdp-11, 0x1.f9a2a5777f4f0p-14, -0x1.f4bb825d640a5p-17,
                           0x1.b77454e3874b1p-20,  -0x1.39ed96c9f8ef1p-23};
  const Real z = min(Real(0.25), x * x);
  const Real large = copysign(Real(1.0) - erfc(abs(x)), x);
  return select(abs(x) < Real(0.5), x * detail::polynomial(z, kP), large);
}

// G(t) = E relu(z + t) = pdf(t) + t cdf(t), relatively accurate for t -> -inf; G' = normal_cdf.
template <class Real>
EOSFAST_INLINE Real normal_relu(const Real& t) {
  const Real a = min(Real(60.0), abs(t));
  const Real w = Real(1.0) / (a + Real(5.0));
  const Real mills = detail::polynomial((a - Real(5.0)) * w, detail::kReluMills) * (w * w * Real(detail::kInverseSqrt2Pi));
  return max(Real(0.0), t) + detail::exp_minus_square(t, 0.5) * mills;
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
