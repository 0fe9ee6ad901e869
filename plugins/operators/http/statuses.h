#pragma once

// Sets of HTTP statuses as users write them: `[200, "3xx", "500-503"]`, or one of these alone.
// A range is named by its two ends, in any order.

#include <bitset>
#include <string_view>

#include <nlohmann/json.hpp>

#include "scheduler/base/result.h"

namespace pawl::operators {

class Statuses {
 public:
  /// From JSON text that is known to be good; for defaults.
  static Statuses of(std::string_view text);
  /// Errors: invalid, with what a status looks like.
  static Result<Statuses> read(const nlohmann::json& value);

  bool contains(long status) const;

 private:
  Result<void> add(const nlohmann::json& entry);
  Result<void> add_text(std::string_view text);
  void add_range(long from, long to);

  std::bitset<600> bits_;
};

/// Reads the property of that name into `out`, which stays when there is none. Errors: invalid.
Result<void> read_statuses(const nlohmann::json& parameters, const char* name, Statuses& out);

}  // namespace pawl::operators
