#pragma once

// The operators that this program knows: one table for every verb that shows them.

#include <string>
#include <string_view>
#include <vector>

namespace pawl {

struct KnownOperator {
  std::string name;
  std::string summary;
  std::string from;    ///< `pawl`, or the file that it was loaded from
  std::string schema;  ///< JSON Schema of its parameters
};

/// By name.
std::vector<KnownOperator> known_operators();

}  // namespace pawl
