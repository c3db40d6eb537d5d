// Who keeps the checkpoint of a run: told its state now and then, whoever stores it. What the future of the run depends
// on is in the state; the rows that it has written so far are where they were written.
#pragma once

#include <chrono>
#include <functional>

#include "eosfast/dynamics/saved_state.hpp"
#include "eosfast/record.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

class Keeper {
 public:
  using Clock = std::chrono::steady_clock;
  // Stores the state of a run that has come so far (empty at the end of a run), and returns how many seconds to wait
  // before the next time; negative: it could not, the run is to stop.
  using Store = std::function<double(Bytes state, const SingleOutcome& so_far)>;

  // earlier: the state to go on from, empty at the start of a run; rows: so many have been written by then.
  Keeper(Store store, double seconds, Bytes earlier, std::int64_t rows)
      : store_(std::move(store)), earlier_(earlier), rows_(rows), next_(after(seconds)) {}

  Bytes earlier() const { return earlier_; }
  std::int64_t earlier_rows() const { return rows_; }
  bool is_due(Clock::time_point now) const { return now >= next_; }
  // False: the run is to stop.
  bool keep(Bytes state, const SingleOutcome& so_far) {
    const double seconds = store_(state, so_far);
    next_ = after(seconds);
    return seconds >= 0.0;
  }

 private:
  static Clock::time_point after(double seconds) {
    return Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  }

  Store store_;
  Bytes earlier_;
  std::int64_t rows_;
  Clock::time_point next_;
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
