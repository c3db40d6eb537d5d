// The processor features that a compiled variant of the core may need, each with the macro by which the compiler says
// that it uses the feature and the CPUID bit by which the processor says that it has it.
//
// One list for two readers: variant_features.cpp (compiled once with the flags of every variant: "what was this variant
// compiled to?") and cpu.cpp (compiled for the baseline: "what can this processor do?"). Features that the compiler
// uses only through intrinsics we never call (AES, SHA, ...) are absent on purpose: lacking them stops nothing.
#pragma once

#include <cstddef>

#if defined(__x86_64__) || defined(__i386__)
#define EOSFAST_X86 1
#endif

// name, predefined macro, CPUID leaf, subleaf, register (index into eax, ebx, ecx, edx), bit, register state that the
// operating system must save: none, avx (ymm) or avx512 (zmm and masks). A general-purpose feature needs none.
#define EOSFAST_CPU_FEATURES(X)                                              \
  X(cx16, __GCC_HAVE_SYNC_COMPARE_AND_SWAP_16, 0x00000001, 0, 2, 13, none)   \
  X(lahf, __LAHF_SAHF__, 0x80000001, 0, 2, 0, none)                          \
  X(popcnt, __POPCNT__, 0x00000001, 0, 2, 23, none)                          \
  X(sse3, __SSE3__, 0x00000001, 0, 2, 0, none)                               \
  X(ssse3, __SSSE3__, 0x00000001, 0, 2, 9, none)                             \
  X(sse4_1, __SSE4_1__, 0x00000001, 0, 2, 19, none)                          \
  X(sse4_2, __SSE4_2__, 0x00000001, 0, 2, 20, none)                          \
  X(avx, __AVX__, 0x00000001, 0, 2, 28, avx)                                 \
  X(avx2, __AVX2__, 0x00000007, 0, 1, 5, avx)                                \
  X(fma, __FMA__, 0x00000001, 0, 2, 12, avx)                                 \
  X(f16c, __F16C__, 0x00000001, 0, 2, 29, avx)                               \
  X(bmi, __BMI__, 0x00000007, 0, 1, 3, none)                                 \
  X(bmi2, __BMI2__, 0x00000007, 0, 1, 8, none)                               \
  X(lzcnt, __LZCNT__, 0x80000001, 0, 2, 5, none)                             \
  X(movbe, __MOVBE__, 0x00000001, 0, 2, 22, none)                            \
  X(adx, __ADX__, 0x00000007, 0, 1, 19, none)                                \
  X(fma4, __FMA4__, 0x80000001, 0, 2, 16, avx)                               \
  X(xop, __XOP__, 0x80000001, 0, 2, 11, avx)                                 \
  X(tbm, __TBM__, 0x80000001, 0, 2, 21, none)                                \
  X(gfni, __GFNI__, 0x00000007, 0, 2, 8, none)                               \
  X(movdiri, __MOVDIRI__, 0x00000007, 0, 2, 27, none)                        \
  X(avxvnni, __AVXVNNI__, 0x00000007, 1, 0, 4, avx)                          \
  X(avx512f, __AVX512F__, 0x00000007, 0, 1, 16, avx512)                      \
  X(avx512dq, __AVX512DQ__, 0x00000007, 0, 1, 17, avx512)                    \
  X(avx512cd, __AVX512CD__, 0x00000007, 0, 1, 28, avx512)                    \
  X(avx512bw, __AVX512BW__, 0x00000007, 0, 1, 30, avx512)                    \
  X(avx512vl, __AVX512VL__, 0x00000007, 0, 1, 31, avx512)                    \
  X(avx512ifma, __AVX512IFMA__, 0x00000007, 0, 1, 21, avx512)                \
  X(avx512vbmi, __AVX512VBMI__, 0x00000007, 0, 2, 1, avx512)                 \
  X(avx512vbmi2, __AVX512VBMI2__, 0x00000007, 0, 2, 6, avx512)               \
  X(avx512vnni, __AVX512VNNI__, 0x00000007, 0, 2, 11, avx512)                \
  X(avx512bitalg, __AVX512BITALG__, 0x00000007, 0, 2, 12, avx512)            \
  X(avx512vpopcntdq, __AVX512VPOPCNTDQ__, 0x00000007, 0, 2, 14, avx512)      \
  X(avx512vp2intersect, __AVX512VP2INTERSECT__, 0x00000007, 0, 3, 8, avx512) \
  X(avx512bf16, __AVX512BF16__, 0x00000007, 1, 0, 5, avx512)                 \
  X(avx512fp16, __AVX512FP16__, 0x00000007, 0, 3, 23, avx512)

namespace eosfast::cpu {

#define EOSFAST_COUNT(...) +1
inline constexpr std::size_t num_features = 0 EOSFAST_CPU_FEATURES(EOSFAST_COUNT);
#undef EOSFAST_COUNT

// What a variant was compiled to: used[i] belongs to row i of the list. Data only, so the baseline module can read it
// safely.
struct FeatureSet {
  bool used[num_features];
};

}  // namespace eosfast::cpu
