// The region of a driver that callgrind counts: it collects only inside the function `measured_region`, which must
// therefore exist under that very name. What goes in and comes out passes through `opaque`, which the compiler cannot
// see through: it neither computes a result in advance nor drops one that nobody reads.
#pragma once

template <class T>
void opaque(T& value) {
  asm volatile("" : : "r"(&value) : "memory");
}

#define EOSFAST_MEASURED extern "C" __attribute__((noinline, used)) void measured_region()
