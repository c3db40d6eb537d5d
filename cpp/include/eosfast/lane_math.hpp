// The lane functions over arrays, by name: how tests (and the curious) reach them.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "eosfast/isa.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

std::vector<std::string> math_names();

// out = f(x), element by element: eight at a time on lanes, or one by one as doubles. Both give the same bits.
void lane_math(const std::string& name, std::span<const double> x, std::span<double> out, bool lanes);

}  // namespace EOSFAST_ISA
}  // namespace eosfast
