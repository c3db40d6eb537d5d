// The mathematics of small models on lanes: one include for all of it.
#pragma once

#include "eosfast/math_exp.hpp"
#include "eosfast/math_log.hpp"
#include "eosfast/math_normal.hpp"
#include "eosfast/math_root.hpp"
