// The features that one variant of the core is compiled to, as data. CMake compiles this file once for every variant,
// with that variant's flags (-march=...), and links the results into the baseline module `_cpu`: what a module needs is
// thus known before it is loaded, which matters for `native`, whose needs no name tells. It must hold constants only,
// for it may be compiled for instructions that this processor lacks.
#include "cpu_features.hpp"

// A predefined macro expands to 1; one that is not defined expands to its own name.
#define EOSFAST_TEXT(x)                #x
#define EOSFAST_IS_DEFINED(macro)      (EOSFAST_TEXT(macro)[0] == '1')
#define EOSFAST_USED(name, macro, ...) EOSFAST_IS_DEFINED(macro),

namespace eosfast::cpu {

extern const FeatureSet EOSFAST_VARIANT;
#ifdef EOSFAST_X86
constinit const FeatureSet EOSFAST_VARIANT = {{EOSFAST_CPU_FEATURES(EOSFAST_USED)}};
#else  // other architectures define some of the macros (compare-and-swap of 16 bytes) in a meaning of their own
constinit const FeatureSet EOSFAST_VARIANT = {};
#endif

}  // namespace eosfast::cpu
