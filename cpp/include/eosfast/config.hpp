// A model's configuration as it crosses from Python: names with numbers, words or arrays. Plain values only.
#pragma once

#include <cstddef>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>

#include "eosfast/isa.hpp"

namespace eosfast {
inline namespace EOSFAST_ISA {

struct ArrayView {  // row-major, borrowed for the call
  const double* data = nullptr;
  std::ptrdiff_t rows = 0, columns = 1;
};

class Config {
 public:
  using Value = std::variant<double, std::string, ArrayView>;

  void set(std::string name, Value value) { values_.insert_or_assign(std::move(name), std::move(value)); }
  double number(std::string_view name) const { return get<double>(name); }
  const std::string& text(std::string_view name) const { return get<std::string>(name); }
  ArrayView array(std::string_view name) const { return get<ArrayView>(name); }

 private:
  template <class T>
  const T& get(std::string_view name) const {
    const auto found = values_.find(name);
    if (found == values_.end() || !std::holds_alternative<T>(found->second))
      throw std::logic_error("a model lacks \"" + std::string(name) +
                             "\" in its configuration; this is a bug in eosfast");
    return std::get<T>(found->second);
  }
  std::map<std::string, Value, std::less<>> values_;
};

}  // namespace EOSFAST_ISA
}  // namespace eosfast
