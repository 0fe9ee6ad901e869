// The dice of tests that walk at random: a seed gives the same walk on every machine.

#pragma once

#include <cstdint>
#include <iterator>
#include <string>
#include <vector>

namespace pawl::sim {

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15ULL;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  /// From 0 to `n` - 1; `n` is above 0.
  std::int64_t below(std::int64_t n) {
    return static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(n));
  }
  bool one_in(std::int64_t n) { return below(n) == 0; }
  /// One of the container's; it is not empty.
  template <typename Container>
  auto& pick(Container& c) {
    auto it = c.begin();
    std::advance(it, below(static_cast<std::int64_t>(c.size())));
    return *it;
  }
  std::string of(std::vector<std::string> words) { return pick(words); }

 private:
  std::uint64_t state_;
};

}  // namespace pawl::sim
