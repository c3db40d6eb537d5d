// Lanes: eight doubles that go through the same arithmetic side by side.
//
// A small model is written once for a numeric type `Real`, which is either `double` (one run) or `Lanes` (eight runs).
// The functions below exist for both and do the same IEEE operations in the same order, so that a run has the same
// bits whatever its lane, its neighbours or the type that computed it.
//
// Lanes are always eight wide: one 512-bit register, two of 256 bits or four of 128. The width that an algorithm sees
// (the partial sums of a reduction, say) then does not depend on the machine, and neither do its results.
// GCC's and Clang's vector types supply + - * /, comparisons and integer operations on every architecture; the few
// operations that they lack are spelt out in lanes.hpp, which is the file to include.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

#if defined(__AVX__) || defined(__SSE4_1__)
#include <immintrin.h>
#endif

#include "eosfast/isa.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

#define EOSFAST_INLINE inline __attribute__((always_inline))

inline constexpr int kLanes = 8;
#if defined(__AVX512F__)
inline constexpr int kRegisterDoubles = 8;
#elif defined(__AVX2__)
inline constexpr int kRegisterDoubles = 4;
#else
inline constexpr int kRegisterDoubles = 2;
#endif
inline constexpr int kRegisters = kLanes / kRegisterDoubles;

typedef double Register __attribute__((vector_size(8 * kRegisterDoubles)));
typedef std::int64_t IntRegister __attribute__((vector_size(8 * kRegisterDoubles)));

// Fused multiply-add is a promise about bits from x86-64-v3 up (and on AArch64). x86-64-v2 has no such instruction:
// there a product is rounded before it is added, and trajectories differ in the last bits.
#if defined(__FMA__) || defined(__aarch64__)
inline constexpr bool kFused = true;
#else
inline constexpr bool kFused = false;
#endif

namespace detail {
template <class F, std::size_t... I>
EOSFAST_INLINE void each_register(F&& f, std::index_sequence<I...>) {
  (f(I), ...);
}
template <class F>
EOSFAST_INLINE void each_register(F&& f) {
  each_register(static_cast<F&&>(f), std::make_index_sequence<kRegisters>{});
}
}  // namespace detail

struct Mask {
  IntRegister r[kRegisters];  // 0 or -1
};

// Copies go one register at a time: GCC moves a struct of several registers through the stack in 16-byte pieces, and
// loading a register from two such pieces stalls, which made whole functions on two registers two to five times slower.
struct IntLanes {
  IntRegister r[kRegisters];
  IntLanes() = default;
  EOSFAST_INLINE IntLanes(const IntLanes& other) { *this = other; }
  EOSFAST_INLINE IntLanes& operator=(const IntLanes& other) {
    detail::each_register([&](std::size_t i) __attribute__((always_inline)) { r[i] = other.r[i]; });
    return *this;
  }
  EOSFAST_INLINE IntLanes(std::int64_t value) {
    detail::each_register([&](std::size_t i) __attribute__((always_inline)) { r[i] = IntRegister{} + value; });
  }
};

struct Lanes {
  Register r[kRegisters];
  Lanes() = default;
  EOSFAST_INLINE Lanes(const Lanes& other) { *this = other; }
  EOSFAST_INLINE Lanes& operator=(const Lanes& other) {
    detail::each_register([&](std::size_t i) __attribute__((always_inline)) { r[i] = other.r[i]; });
    return *this;
  }
  EOSFAST_INLINE Lanes(double value) {
    detail::each_register([&](std::size_t i) __attribute__((always_inline)) { r[i] = Register{} + value; });
  }
  // One register at a time: a copy of the whole struct goes through the stack in narrower pieces.
  EOSFAST_INLINE static Lanes load(const double* from) {
    Lanes out;
    detail::each_register([&](std::size_t i) __attribute__((always_inline)) {
      std::memcpy(&out.r[i], from + i * kRegisterDoubles, sizeof(Register));
    });
    return out;
  }
  EOSFAST_INLINE void store(double* to) const {
    detail::each_register([&](std::size_t i) __attribute__((always_inline)) {
      std::memcpy(to + i * kRegisterDoubles, &r[i], sizeof(Register));
    });
  }
  EOSFAST_INLINE double operator[](int lane) const { return r[lane / kRegisterDoubles][lane % kRegisterDoubles]; }
  EOSFAST_INLINE void set(int lane, double value) { r[lane / kRegisterDoubles][lane % kRegisterDoubles] = value; }
};

#define EOSFAST_LANEWISE(type, op)                                                                             \
  EOSFAST_INLINE type operator op(const type& a, const type& b) {                                              \
    type out;                                                                                                  \
    detail::each_register([&](std::size_t i) __attribute__((always_inline)) { out.r[i] = a.r[i] op b.r[i]; }); \
    return out;                                                                                                \
  }
EOSFAST_LANEWISE(Lanes, +)
EOSFAST_LANEWISE(Lanes, -)
EOSFAST_LANEWISE(Lanes, *)
EOSFAST_LANEWISE(Lanes, /)
EOSFAST_LANEWISE(IntLanes, +)
EOSFAST_LANEWISE(IntLanes, -)
EOSFAST_LANEWISE(IntLanes, &)
EOSFAST_LANEWISE(IntLanes, |)
EOSFAST_LANEWISE(IntLanes, ^)
EOSFAST_LANEWISE(Mask, &)
EOSFAST_LANEWISE(Mask, |)
#undef EOSFAST_LANEWISE

#define EOSFAST_COMPARISON(op)                                                                                 \
  EOSFAST_INLINE Mask operator op(const Lanes& a, const Lanes& b) {                                            \
    Mask out;                                                                                                  \
    detail::each_register([&](std::size_t i)                                                                   \
                              __attribute__((always_inline)) { out.r[i] = (IntRegister)(a.r[i] op b.r[i]); }); \
    return out;                                                                                                \
  }
EOSFAST_COMPARISON(<)
EOSFAST_COMPARISON(<=)
EOSFAST_COMPARISON(>)
EOSFAST_COMPARISON(>=)
EOSFAST_COMPARISON(==)
EOSFAST_COMPARISON(!=)
#undef EOSFAST_COMPARISON

EOSFAST_INLINE Lanes operator-(const Lanes& a) {
  Lanes out;
  detail::each_register([&](std::size_t i) __attribute__((always_inline)) { out.r[i] = -a.r[i]; });
  return out;
}
EOSFAST_INLINE Mask operator!(const Mask& a) {
  Mask out;
  detail::each_register([&](std::size_t i) __attribute__((always_inline)) { out.r[i] = ~a.r[i]; });
  return out;
}
EOSFAST_INLINE IntLanes operator<<(const IntLanes& a, int n) {
  IntLanes out;
  detail::each_register([&](std::size_t i) __attribute__((always_inline)) { out.r[i] = a.r[i] << n; });
  return out;
}

// The bit pattern of a number and back.
template <class Real>
struct IntegerOf;
template <>
struct IntegerOf<double> {
  using type = std::int64_t;
};
template <>
struct IntegerOf<Lanes> {
  using type = IntLanes;
};
template <class Real>
using Integer = typename IntegerOf<Real>::type;

EOSFAST_INLINE std::int64_t bits(double a) {
  std::int64_t out;
  std::memcpy(&out, &a, sizeof out);
  return out;
}
EOSFAST_INLINE double from_bits(std::int64_t a) {
  double out;
  std::memcpy(&out, &a, sizeof out);
  return out;
}
EOSFAST_INLINE IntLanes bits(const Lanes& a) {
  IntLanes out;
  detail::each_register([&](std::size_t i) __attribute__((always_inline)) { out.r[i] = (IntRegister)a.r[i]; });
  return out;
}
EOSFAST_INLINE Lanes from_bits(const IntLanes& a) {
  Lanes out;
  detail::each_register([&](std::size_t i) __attribute__((always_inline)) { out.r[i] = (Register)a.r[i]; });
  return out;
}
// Logical (zero-filling) shift to the right.
EOSFAST_INLINE std::int64_t shift_right(std::int64_t a, int n) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) >> n);
}
EOSFAST_INLINE IntLanes shift_right(const IntLanes& a, int n) {
  typedef std::uint64_t Unsigned __attribute__((vector_size(8 * kRegisterDoubles)));
  IntLanes out;
  detail::each_register([&](std::size_t i)
                            __attribute__((always_inline)) { out.r[i] = (IntRegister)((Unsigned)a.r[i] >> n); });
  return out;
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
