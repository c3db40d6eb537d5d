// What a model says that is asked for something it does not have: the bindings ask only for what it has.
#pragma once

#include <stdexcept>
#include <string>

#include "eosfast/isa.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

[[noreturn]] inline void lacking(std::string_view what) {
  throw std::logic_error("this model has no " + std::string(what) + "; this is a bug in eosfast");
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
