// The version, and the flags this variant was compiled with.
#pragma once

#include "eosfast/isa.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

extern const char* const kVersion;
extern const char* const kFlags;

}  // namespace EOSFAST_ISA
}  // namespace eosfast
