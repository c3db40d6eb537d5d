// The inner loops of the products of panels, on registers of whatever width the instruction set has.
#include "eosfast/networks/panels.hpp"

#include <array>
#include <utility>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace eosfast {
inline namespace EOSFAST_ISA {

namespace {

#if defined(__AVX512F__)
constexpr int kRegisterBytes = 64, kTileRows = 8, kDotRows = 6, kDotColumns = 4;
#elif defined(__AVX2__)
constexpr int kRegisterBytes = 32, kTileRows = 6, kDotRows = 3, kDotColumns = 2;
#else
constexpr int kRegisterBytes = 16, kTileRows = 2, kDotRows = 2, kDotColumns = 1;
#endif

template <class T>
struct Registers {
  typedef T Register __attribute__((vector_size(kRegisterBytes), aligned(sizeof(T)), may_alias));
};
template <class T>
using Register = typename Registers<T>::Register;
template <class T>
constexpr int kNumbers = kRegisterBytes / static_cast<int>(sizeof(T));
template <class T>
constexpr int kParts = kGroup<T> / kNumbers<T>;  // registers in a group

template <class T>
inline __attribute__((always_inline)) Register<T> load(const T* at) {
  return *reinterpret_cast<const Register<T>*>(at);
}
template <class T>
inline __attribute__((always_inline)) void store(T* at, Register<T> value) {
  *reinterpret_cast<Register<T>*>(at) = value;
}
template <class T>
inline __attribute__((always_inline)) Register<T> multiply_add(Register<T> a, Register<T> b, Register<T> c) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 8) {
    return (Register<T>)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
  } else {
    return (Register<T>)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
  }
#elif defined(__AVX2__) && defined(__FMA__)
  if constexpr (sizeof(T) == 8) {
    return (Register<T>)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
  } else {
    return (Register<T>)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
  }
#else
  return a * b + c;
#endif
}

// R rows times one panel of V registers: R * V chains side by side.
template <class T, int R, int V>
__attribute__((noinline)) void tile(const LeftRows<T>& left, std::ptrdiff_t first, const T* right, std::ptrdiff_t depth,
                                    T* const* out, bool accumulate) {
  const T* a[R];
  Register<T> sum[R][V];
  for (int r = 0; r < R; ++r) {
    a[r] = left.rows[first + r];
    for (int v = 0; v < V; ++v) sum[r][v] = accumulate ? load(out[first + r] + v * kNumbers<T>) : Register<T>{};
  }
  const std::ptrdiff_t step = left.step;
  for (std::ptrdiff_t k = 0; k < depth;) {
    const std::ptrdiff_t n = std::min(left.segment, depth - k);
    std::ptrdiff_t offset = 0;
    for (std::ptrdiff_t i = 0; i < n; ++i, offset += step, right += V * kNumbers<T>) {
      Register<T> b[V];
      for (int v = 0; v < V; ++v) b[v] = load(right + v * kNumbers<T>);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const Register<T> x = Register<T>{} + a[r][offset];
        for (int v = 0; v < V; ++v) sum[r][v] = multiply_add<T>(x, b[v], sum[r][v]);
      }
    }
    for (int r = 0; r < R; ++r) a[r] += left.jump;
    k += n;
  }
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) store(out[first + r] + v * kNumbers<T>, sum[r][v]);
}

template <class T, int V>
void rows_of_tiles(const LeftRows<T>& left, const T* right, std::ptrdiff_t depth, T* const* out, bool accumulate) {
  using Tile = void (*)(const LeftRows<T>&, std::ptrdiff_t, const T*, std::ptrdiff_t, T* const*, bool);
  constexpr auto tiles = []<std::size_t... R>(std::index_sequence<R...>) {
    return std::array<Tile, sizeof...(R)>{&tile<T, static_cast<int>(R) + 1, V>...};
  }(std::make_index_sequence<kTileRows>{});
  // As many rows as fit, but evenly: two tiles of five take less time than eight and two.
  const std::ptrdiff_t count = (left.count + kTileRows - 1) / kTileRows;
  for (std::ptrdiff_t t = 0; t < count; ++t) {
    const std::ptrdiff_t from = left.count * t / count, to = left.count * (t + 1) / count;
    tiles[static_cast<std::size_t>(to - from) - 1](left, from, right, depth, out, accumulate);
  }
}

// The numbers of a group in one fixed tree: ((0+4)+(2+6)) + ((1+5)+(3+7)) for eight of them.
template <class T>
T sum_of_group(const T* numbers) {
  std::array<T, kGroup<T>> x;
  std::copy_n(numbers, kGroup<T>, x.begin());
  for (std::size_t half = kGroup<T> / 2; half > 0; half /= 2)
    for (std::size_t i = 0; i < half; ++i) x[i] += x[i + half];
  return x[0];
}

// R x C inner products over all samples.
template <class T, int R, int C>
__attribute__((noinline)) void inner_products(const T* left, std::ptrdiff_t left_stride, const T* right,
                                              std::ptrdiff_t right_stride, std::ptrdiff_t panels, int width, T* out,
                                              std::ptrdiff_t out_stride, bool accumulate) {
  Register<T> sum[R][C][kParts<T>] = {};
  for (std::ptrdiff_t p = 0; p < panels; ++p, left += left_stride, right += right_stride)
    for (int at = 0; at < width; at += kGroup<T>)
      for (int part = 0; part < kParts<T>; ++part) {
        const int i = at + part * kNumbers<T>;
        Register<T> a[R], b[C];
        for (int r = 0; r < R; ++r) a[r] = load(left + r * width + i);
        for (int c = 0; c < C; ++c) b[c] = load(right + c * width + i);
        for (int r = 0; r < R; ++r)
          for (int c = 0; c < C; ++c) sum[r][c][part] = multiply_add<T>(a[r], b[c], sum[r][c][part]);
      }
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) {
      T group[kGroup<T>];
      for (int part = 0; part < kParts<T>; ++part) store(group + part * kNumbers<T>, sum[r][c][part]);
      T& to = out[r * out_stride + c];
      to = (accumulate ? to : T(0)) + sum_of_group(group);
    }
}

}  // namespace

template <class T>
void multiply(const LeftRows<T>& left, const T* right, std::ptrdiff_t depth, int width, T* const* out,
              bool accumulate) {
  if (width == kGroup<T>) return rows_of_tiles<T, kParts<T>>(left, right, depth, out, accumulate);
#if defined(__AVX512F__)
  if (width == 2 * kGroup<T>) return rows_of_tiles<T, 2>(left, right, depth, out, accumulate);
  rows_of_tiles<T, 3>(left, right, depth, out, accumulate);
#endif
}

template <class T>
void multiply_transposed(PanelRows<T> left, std::ptrdiff_t rows, PanelRows<T> right, std::ptrdiff_t columns,
                         std::ptrdiff_t panels, int width, T* out, std::ptrdiff_t out_stride, bool accumulate) {
  using Tile =
      void (*)(const T*, std::ptrdiff_t, const T*, std::ptrdiff_t, std::ptrdiff_t, int, T*, std::ptrdiff_t, bool);
  constexpr auto tiles = []<std::size_t... I>(std::index_sequence<I...>) {
    return std::array<Tile, sizeof...(I)>{
        &inner_products<T, static_cast<int>(I) / kDotColumns + 1, static_cast<int>(I) % kDotColumns + 1>...};
  }(std::make_index_sequence<kDotRows * kDotColumns>{});
  for (std::ptrdiff_t i = 0; i < rows; i += kDotRows) {
    const std::ptrdiff_t high = std::min<std::ptrdiff_t>(kDotRows, rows - i);
    for (std::ptrdiff_t j = 0; j < columns; j += kDotColumns) {
      const std::ptrdiff_t wide = std::min<std::ptrdiff_t>(kDotColumns, columns - j);
      tiles[static_cast<std::size_t>((high - 1) * kDotColumns + wide - 1)](
          left.at + i * width, left.stride, right.at + j * width, right.stride, panels, width, out + i * out_stride + j,
          out_stride, accumulate);
    }
  }
}

template <class T>
void multiply_transposed(const Panels<T>& left, std::ptrdiff_t left_from, std::ptrdiff_t left_to,
                         const Panels<T>& right, std::ptrdiff_t right_from, std::ptrdiff_t columns, T* out,
                         std::ptrdiff_t out_stride, bool accumulate) {
  multiply_transposed<T>({left.row(0, left_from), left.stride()}, left_to - left_from,
                         {right.row(0, right_from), right.stride()}, columns, left.count(), left.width(), out,
                         out_stride, accumulate);
}

template <class T>
void sum_rows(const Panels<T>& matrix, std::ptrdiff_t from, std::ptrdiff_t to, T* out, bool accumulate) {
  for (std::ptrdiff_t i = from; i < to; ++i) {
    T group[kGroup<T>] = {};
    for (std::ptrdiff_t p = 0; p < matrix.count(); ++p)
      for (int at = 0; at < matrix.width(); at += kGroup<T>)
        for (int c = 0; c < kGroup<T>; ++c) group[c] += matrix.row(p, i)[at + c];
    out[i - from] = (accumulate ? out[i - from] : T(0)) + sum_of_group(group);
  }
}

#define EOSFAST_PRODUCTS(T)                                                                                          \
  template void multiply(const LeftRows<T>&, const T*, std::ptrdiff_t, int, T* const*, bool);                        \
  template void multiply_transposed(const Panels<T>&, std::ptrdiff_t, std::ptrdiff_t, const Panels<T>&,              \
                                    std::ptrdiff_t, std::ptrdiff_t, T*, std::ptrdiff_t, bool);                       \
  template void multiply_transposed(PanelRows<T>, std::ptrdiff_t, PanelRows<T>, std::ptrdiff_t, std::ptrdiff_t, int, \
                                    T*, std::ptrdiff_t, bool);                                                       \
  template void sum_rows(const Panels<T>&, std::ptrdiff_t, std::ptrdiff_t, T*, bool);
EOSFAST_PRODUCTS(double)
EOSFAST_PRODUCTS(float)
#undef EOSFAST_PRODUCTS

}  // namespace EOSFAST_ISA
}  // namespace eosfast
