#pragma once

// Who waits for which answer of the engine.

#include <cstdint>
#include <functional>
#include <unordered_map>

#include "scheduler/core/effect.h"

namespace pawl {

class Replies {
 public:
  using Take = std::function<void(effect::Reply&&)>;

  /// A token to hand to the engine; `take` is called with its answer, once that is durable.
  ReplyToken expect(Take take) {
    const std::uint64_t token = next_++;
    waiting_.emplace(token, std::move(take));
    return ReplyToken{token};
  }

  void on(effect::Reply&& reply) {
    auto it = waiting_.find(reply.token.value);
    if (it == waiting_.end()) return;
    const Take take = std::move(it->second);
    waiting_.erase(it);
    take(std::move(reply));
  }

 private:
  std::uint64_t next_ = 1;
  std::unordered_map<std::uint64_t, Take> waiting_;
};

}  // namespace pawl
