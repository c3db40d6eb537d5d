// The state of a run as bytes, for checkpoints: numbers and vectors of numbers one after the other, each vector with
// its length. What is read must have been written by the same build in the same order; a length that does not fit is an
// error, never a read past the end.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include "eosfast/isa.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

using Bytes = std::span<const std::byte>;

class StateWriter {
 public:
  template <class T>
  void number(T value) {
    static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T>);
    append(&value, sizeof value);
  }
  template <class T>
  void vector(const std::vector<T>& values) {
    number<std::uint64_t>(values.size());
    append(values.data(), values.size() * sizeof(T));
  }
  // Something that saves itself, or nothing.
  template <class T>
  void optional(const std::optional<T>& part) {
    number(part.has_value());
    if (part) part->save(*this);
  }
  void append(const StateWriter& other) { append(other.room_.data(), other.size_); }
  void clear() { size_ = 0; }
  Bytes bytes() const { return {room_.data(), size_}; }

 private:
  void append(const void* data, std::size_t size) {
    if (room_.size() < size_ + size) room_.resize(std::max(size_ + size, 2 * room_.size()));
    if (size > 0) std::memcpy(room_.data() + size_, data, size);
    size_ += size;
  }
  std::vector<std::byte> room_;  // kept when cleared: a state is written again and again
  std::size_t size_ = 0;
};

class StateReader {
 public:
  explicit StateReader(Bytes bytes) : left_(bytes) {}

  template <class T>
  T number() {
    T value;
    take(&value, sizeof value);
    return value;
  }
  // A vector of `size` elements.
  template <class T>
  void vector(std::vector<T>& values, std::size_t size) {
    demand(number<std::uint64_t>() == size && size <= left_.size() / sizeof(T));
    values.resize(size);
    take(values.data(), size * sizeof(T));
  }
  // A vector of `size` elements, or an empty one.
  template <class T>
  void vector_or_none(std::vector<T>& values, std::size_t size) {
    vector(values, next_length() == 0 ? 0 : size);
  }
  template <class T>
  void vector_up_to(std::vector<T>& values, std::size_t most) {
    const std::uint64_t size = next_length();
    demand(size <= most);
    vector(values, size);
  }
  bool flag() { return number<std::uint8_t>() != 0; }
  // So many that a few more are not too many for the type.
  std::int64_t count() {
    const auto value = number<std::int64_t>();
    demand(0 <= value && value <= std::int64_t{1} << 53);
    return value;
  }
  void finish() const { demand(left_.empty()); }
  // What must hold of a state that fits.
  static void demand(bool holds) {
    if (!holds) throw std::invalid_argument("the saved state does not fit");
  }

 private:
  std::uint64_t next_length() const { return StateReader(*this).number<std::uint64_t>(); }
  void take(void* out, std::size_t size) {
    demand(size <= left_.size());
    if (size > 0) std::memcpy(out, left_.data(), size);
    left_ = left_.subspan(size);
  }
  Bytes left_;
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
