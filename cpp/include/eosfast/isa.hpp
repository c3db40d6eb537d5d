// The name of the instruction-set variant that this translation unit is built for, set by CMakeLists.txt.
// Everything lives in an inline namespace of that name, so that two variants loaded into one process share no symbol.
#pragma once

#ifndef EOSFAST_ISA
#define EOSFAST_ISA generic
#endif

#define EOSFAST_TEXT_OF_(name) #name
#define EOSFAST_TEXT_OF(name)  EOSFAST_TEXT_OF_(name)
#define EOSFAST_ISA_TEXT       EOSFAST_TEXT_OF(EOSFAST_ISA)
