// The only file that sees the version and the flags, so that a new version compiles nothing else.
#include "eosfast/build_info.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

const char* const kVersion = EOSFAST_VERSION;
const char* const kFlags = EOSFAST_FLAGS;

}  // namespace EOSFAST_ISA
}  // namespace eosfast
