#pragma once

// Holds effects until the batch with their mutations is durable. Everything that pawl promises
// about crashes rests on this one rule.

#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "scheduler/core/effect.h"

namespace pawl {

class EffectGate {
 public:
  /// The effects of a step whose mutations are in batch `sequence`. Sequences never fall.
  void hold(std::uint64_t sequence, std::vector<Effect>&& effects) {
    if (effects.empty()) return;
    PAWL_CHECK(held_.empty() || held_.back().first <= sequence);
    if (!held_.empty() && held_.back().first == sequence) {
      auto& last = held_.back().second;
      for (Effect& e : effects) last.push_back(std::move(e));
      return;
    }
    held_.emplace_back(sequence, std::move(effects));
  }

  /// The effects of all batches up to `committed_through`, in order, each given out once.
  std::vector<Effect> release(std::uint64_t committed_through) {
    std::vector<Effect> out;
    while (!held_.empty() && held_.front().first <= committed_through) {
      for (Effect& e : held_.front().second) out.push_back(std::move(e));
      held_.pop_front();
    }
    return out;
  }

  bool empty() const { return held_.empty(); }

 private:
  std::deque<std::pair<std::uint64_t, std::vector<Effect>>> held_;
};

}  // namespace pawl
