#pragma once

// Slots of a pool, or of a task's `max_concurrent`: how many are taken, and which numbers.

#include <bit>
#include <cstdint>
#include <vector>

namespace pawl {

/// Gives out the smallest free number, from 0.
class SlotNumbers {
 public:
  std::int32_t take() {
    while (first_ < words_.size() && words_[first_] == ~std::uint64_t{0}) ++first_;
    if (first_ == words_.size()) words_.push_back(0);
    const int bit = std::countr_one(words_[first_]);
    words_[first_] |= std::uint64_t{1} << bit;
    return static_cast<std::int32_t>(first_ * 64) + bit;
  }
  /// Takes this very number (recovery).
  void take(std::int32_t number) {
    const auto word = static_cast<std::size_t>(number) / 64;
    if (word >= words_.size()) words_.resize(word + 1, 0);
    words_[word] |= std::uint64_t{1} << (number % 64);
  }
  void give_back(std::int32_t number) {
    const auto word = static_cast<std::size_t>(number) / 64;
    if (word >= words_.size()) return;
    words_[word] &= ~(std::uint64_t{1} << (number % 64));
    if (word < first_) first_ = word;
  }

 private:
  std::vector<std::uint64_t> words_;  ///< a set bit: taken
  std::size_t first_ = 0;             ///< no free number in a word before this
};

/// A pool's slots. More may be taken than there are, after the limit was lowered or at recovery.
struct Slots {
  std::int64_t limit = 0;
  std::int64_t taken = 0;
  SlotNumbers numbers;

  bool has_room(std::int64_t wanted = 1) const { return taken + wanted <= limit; }
};

}  // namespace pawl
