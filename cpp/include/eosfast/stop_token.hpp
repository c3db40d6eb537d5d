// Cooperative interruption, without knowing who asks: the thread that made the token polls it (at most every 50 ms) and
// tells the progress; the other threads see one atomic flag.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <thread>

#include "eosfast/isa.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

class StopToken {
 public:
  // ask(done) returns true to stop. An empty function never stops.
  explicit StopToken(std::function<bool(std::int64_t)> ask) : ask_(std::move(ask)) {}

  bool requested() const { return stop_.load(std::memory_order_relaxed); }

  // Cheap enough for every slice of a few hundred steps. `done` is what progress is counted in.
  bool poll(std::int64_t done) {
    if (!requested() && ask_ && std::this_thread::get_id() == owner_) {
      now_ = std::chrono::steady_clock::now();
      if (now_ - last_ >= kPeriod) {
        last_ = now_;
        if (ask_(done)) stop_.store(true, std::memory_order_relaxed);
      }
    }
    return requested();
  }

  // When it was polled last, by the thread that made it.
  std::chrono::steady_clock::time_point time() const { return now_; }

  void request() { stop_.store(true, std::memory_order_relaxed); }

 private:
  static constexpr std::chrono::milliseconds kPeriod{50};
  std::function<bool(std::int64_t)> ask_;
  std::atomic<bool> stop_{false};
  std::thread::id owner_ = std::this_thread::get_id();
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now(), now_ = last_;
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
