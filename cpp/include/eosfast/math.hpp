// The mathematics of small models: one include for all of it.
//
// Every function is a template over Real = double or Lanes and gives the same bits for both, in every lane, whatever is
// in the others, and on every processor that fuses multiply and add (x86-64-v3 and up, AArch64). NaN in gives NaN out,
// results that are too large are infinite, results that are too small are rounded to subnormal numbers or zero.
//
// Largest errors found in units of the last place of the exact value (of 2^-1074 below the normal numbers), against
// 64-bit significands and mpmath on millions of arguments; in brackets without a fused multiply-add (x86-64-v2), where
// it differs. tests/test_math.py holds every function to its entry rounded up.
//
//   exp    0.87         sigmoid        1.61 (1.75)    erf          0.96 (1.06)    root_slope   1.98
//   expm1  1.23         sigmoid_slope  1.48 (1.56)    erfc         1.49 (1.63)    pow_abs      0.83 (0.84)
//   log    1.15         tanh           1.73 (1.78)    normal_pdf   1.02 (1.09)
//   log1p  1.14         sech2          1.48 (1.54)    normal_cdf   1.59 (1.87)
//                       softplus       1.63 (1.67)    normal_relu  1.67
//                       logcosh        1.22 (1.59)
#pragma once

#include "eosfast/math_exp.hpp"
#include "eosfast/math_log.hpp"
#include "eosfast/math_normal.hpp"
#include "eosfast/math_root.hpp"
