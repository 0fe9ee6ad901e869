#pragma once

// Division that rounds the same way on both sides of zero.

#include <cstdint>

namespace pawl {

/// a / b rounded down, and up; b is positive.
constexpr std::int64_t floor_div(std::int64_t a, std::int64_t b) {
  return a / b - (a % b < 0 ? 1 : 0);
}
constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return -floor_div(-a, b); }

}  // namespace pawl
