// The module `_cpu`: what this processor can do and what every built variant of the core needs, so that the dispatcher
// can choose a variant, or refuse one, before any of its code runs.
//
// It is compiled for the baseline of the architecture and written against the C interface of Python alone, because it
// is the one module that must load everywhere. CPUID is read directly: __builtin_cpu_supports knows the names of the
// levels v2, v3, v4 only from GCC 12 and Clang 18 on, and older compilers build the core well.
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <array>
#include <cstdint>

#include "cpu_features.hpp"

#ifdef EOSFAST_X86
#include <cpuid.h>
#endif

namespace eosfast::cpu {

// EOSFAST_VARIANTS is defined by CMake: EOSFAST_VARIANT(<variant>) for each variant that is built, one after the other.
#define EOSFAST_VARIANT(variant) extern const FeatureSet variant;
EOSFAST_VARIANTS
#undef EOSFAST_VARIANT

namespace {

enum class State { none, avx, avx512 };

#define EOSFAST_NAME(name, ...) #name,
constexpr const char* names[num_features] = {EOSFAST_CPU_FEATURES(EOSFAST_NAME)};
#undef EOSFAST_NAME

#ifdef EOSFAST_X86

// Which vector registers the operating system saves: XCR0 bits 1 and 2 are xmm and ymm, 5 to 7 the masks and the two
// parts of zmm.
bool saves(State state) {
  if (state == State::none) return true;
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  constexpr unsigned osxsave = 1U << 27;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || (ecx & osxsave) == 0) return false;
  std::uint32_t low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  const std::uint32_t wanted = state == State::avx ? 0x06U : 0xE6U;
  return (low & wanted) == wanted;
}

bool supports(unsigned leaf, unsigned subleaf, unsigned reg, unsigned bit, State state) {
  std::array<unsigned, 4> registers{};
  if (__get_cpuid_count(leaf, subleaf, &registers[0], &registers[1], &registers[2], &registers[3]) == 0) return false;
  return ((registers[reg] >> bit) & 1U) != 0 && saves(state);
}

FeatureSet processor() {
#define EOSFAST_SUPPORTS(name, macro, leaf, subleaf, reg, bit, state) supports(leaf, subleaf, reg, bit, State::state),
  return {{EOSFAST_CPU_FEATURES(EOSFAST_SUPPORTS)}};
#undef EOSFAST_SUPPORTS
}

#else

// Elsewhere only `generic` is built, which needs none of the features listed.
FeatureSet processor() { return {}; }

#endif

PyObject* to_frozenset(const FeatureSet& set) {
  PyObject* result = PyFrozenSet_New(nullptr);
  for (std::size_t i = 0; result != nullptr && i < num_features; ++i) {
    if (!set.used[i]) continue;
    PyObject* name = PyUnicode_FromString(names[i]);
    // The C interface allows filling a frozenset that nobody else has seen yet.
    if (name == nullptr || PySet_Add(result, name) != 0) Py_CLEAR(result);
    Py_XDECREF(name);
  }
  return result;
}

PyObject* features(PyObject* /*module*/, PyObject* /*none*/) { return to_frozenset(processor()); }

bool add_variant(PyObject* dict, const char* variant, const FeatureSet& needs) {
  PyObject* set = to_frozenset(needs);
  const bool added = set != nullptr && PyDict_SetItemString(dict, variant, set) == 0;
  Py_XDECREF(set);
  return added;
}

PyObject* variants(PyObject* /*module*/, PyObject* /*none*/) {
  PyObject* result = PyDict_New();
  if (result == nullptr) return nullptr;
  bool complete = true;
#define EOSFAST_VARIANT(variant) complete = complete && add_variant(result, #variant, cpu::variant);
  EOSFAST_VARIANTS
#undef EOSFAST_VARIANT
  if (!complete) Py_CLEAR(result);
  return result;
}

PyMethodDef methods[] = {
    {"features", features, METH_NOARGS,
     "features() -> frozenset[str]\n\nFeatures that this processor has and the operating system lets programs use."},
    {"variants", variants, METH_NOARGS,
     "variants() -> dict[str, frozenset[str]]\n\nThe variants of the core that were built, and the features each one "
     "needs."},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef_Slot slots[] = {
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030D0000
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, nullptr},
};

PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "_cpu",
    .m_doc = "What this processor can do, and what every built variant of the core needs.",
    .m_size = 0,
    .m_methods = methods,
    .m_slots = slots,
    .m_traverse = nullptr,
    .m_clear = nullptr,
    .m_free = nullptr,
};

}  // namespace
}  // namespace eosfast::cpu

PyMODINIT_FUNC PyInit__cpu() { return PyModuleDef_Init(&eosfast::cpu::definition); }
