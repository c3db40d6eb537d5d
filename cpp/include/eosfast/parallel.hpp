// Threads: OpenMP where it is compiled in, plain loops elsewhere. An exception in a thread is kept and thrown again by
// the caller: it must not leave an OpenMP region.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>

#if defined(_OPENMP)
#include <omp.h>
#endif

#include "eosfast/isa.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

// work(thread) once in each of num_threads threads; thread 0 is the caller.
template <class Work>
void parallel(int num_threads, Work&& work) {
#if defined(_OPENMP)
  if (num_threads > 1) {
    std::exception_ptr error;
    std::mutex mutex;
#pragma omp parallel num_threads(num_threads)
    {
      try {
        work(omp_get_thread_num());
      } catch (...) {
        const std::lock_guard<std::mutex> lock(mutex);
        if (!error) error = std::current_exception();
      }
    }
    if (error) std::rethrow_exception(error);
    return;
  }
#else
  (void)num_threads;
#endif
  work(0);
}

// work(thread) once in each of num_threads threads; the caller, which alone hears Ctrl-C, then calls listen() until the
// last of the others is done.
template <class Work, class Listen>
void parallel_listening(int num_threads, Work&& work, Listen&& listen) {
  std::atomic<int> working{0};
  parallel(num_threads, [&](int thread) {
    working.fetch_add(1);
    struct Leaving {
      std::atomic<int>& working;
      ~Leaving() { working.fetch_sub(1); }
    } leaving{working};
    work(thread);
    while (thread == 0 && working.load() > 1) {
      listen();
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
  });
}

// work(i) for 0 <= i < count, in contiguous parts.
template <class Work>
void parallel_for(std::ptrdiff_t count, int num_threads, Work&& work) {
  const int threads = static_cast<int>(std::clamp<std::ptrdiff_t>(count, 1, std::max(num_threads, 1)));
  parallel(threads, [&](int thread) {
#if defined(_OPENMP)
    const std::ptrdiff_t parts = threads > 1 ? omp_get_num_threads() : 1;
#else
    const std::ptrdiff_t parts = 1;
#endif
    for (std::ptrdiff_t i = count * thread / parts; i < count * (thread + 1) / parts; ++i) work(i);
  });
}

}  // namespace EOSFAST_ISA
}  // namespace eosfast
