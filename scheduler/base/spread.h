#pragma once

// Chance without randomness: numbers that look random and are the same at every call.

#include <cstdint>

namespace pawl {

/// splitmix64 of a number: neighbours give numbers that have nothing in common.
constexpr std::uint64_t mixed(std::uint64_t number) {
  std::uint64_t z = number + 0x9E3779B97F4A7C15ULL;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

/// `random`, uniform over 64 bits, brought to [0, below): the high half of the product, uniform but
/// for a share of below / 2^64. `below` is not 0.
constexpr std::uint64_t scaled_below(std::uint64_t random, std::uint64_t below) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>((static_cast<Wide>(random) * below) >> 64);
}

}  // namespace pawl
