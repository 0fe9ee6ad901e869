#pragma once

// `sleep`: waits for a span or until a time. It defers itself, so a sleeper holds no slot, no
// thread and no memory of its host; only what is too short for that waits on the loop.

#include <chrono>
#include <memory>
#include <unordered_map>

#include "pawl/operator.hpp"
#include "scheduler/base/time.h"

namespace pawl::operators {

class Sleep {
 public:
  static constexpr const char* kName = "sleep";
  static constexpr const char* kSummary = "waits for a span or until a time, without a slot";
  static constexpr const char* kSchema = R"({
    "type": "object",
    "properties": {
      "for": {
        "type": "string",
        "minLength": 1,
        "maxLength": 64,
        "x-pawl-type": "duration",
        "description": "how long, as a duration: \"30s\", \"1h30m\""
      },
      "until": {
        "type": "string",
        "maxLength": 64,
        "format": "date-time",
        "description": "until when, with its offset: \"2026-11-20T22:00:00Z\"; past: not at all"
      }
    },
    "additionalProperties": false,
    "x-pawl-output": false,
    "oneOf": [{"required": ["for"]}, {"required": ["until"]}]
  })";

  explicit Sleep(plugin::Host host) : host_(host) {}
  void start(plugin::Attempt attempt, const plugin::Request& request);
  void cancel(plugin::Attempt attempt);

 private:
  /// A deferral costs a commit, a timer next to nothing.
  static constexpr Duration kTooShortToDefer = std::chrono::milliseconds(50);

  void wait_here(plugin::Attempt attempt, Duration span);

  plugin::Host host_;
  std::unordered_map<pawl_attempt*, std::unique_ptr<plugin::TimeWatch>> short_ones_;
};

}  // namespace pawl::operators
