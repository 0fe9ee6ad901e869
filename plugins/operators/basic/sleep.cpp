#include "plugins/operators/basic/sleep.h"

#include <algorithm>
#include <string>

#include <nlohmann/json.hpp>

#include "scheduler/base/text.h"

namespace pawl::operators {

using nlohmann::json;
using plugin::Result;

namespace {

WallTime wall_now() {
  return {std::chrono::duration_cast<Duration>(std::chrono::system_clock::now().time_since_epoch())
              .count()};
}

/// What is left of a span is carried by its deferrals, so that no step of the calendar's clock
/// makes it longer or shorter; a time is looked up on that clock each time.
pawl::Result<Duration> time_left(const json& with, std::string_view state) {
  if (const auto until = with.find("until"); until != with.end()) {
    const auto time = parse_utc(until->get_ref<const std::string&>());
    if (!time) {
      return Error{ErrorKind::invalid, "until: '" + until->get<std::string>() +
                                           "' is no time like 2026-11-20T22:00:00Z"};
    }
    return std::max(Duration(0), *time - wall_now());
  }
  if (!state.empty()) return Duration(std::stoll(std::string(state)));
  auto span = parse_duration(with.at("for").get_ref<const std::string&>());
  if (!span) return Error{ErrorKind::invalid, "for: " + span.error().message};
  return span;
}

}  // namespace

void Sleep::start(plugin::Attempt attempt, const plugin::Request& request) {
  const json with = json::parse(request.parameters());
  const auto left = time_left(with, request.state());
  if (!left) return attempt.finish(Result::permanent(left.error().message, "InvalidParameter"));
  if (*left <= Duration(0)) return attempt.finish(Result::success());
  if (*left < kTooShortToDefer) return wait_here(attempt, *left);
  const Duration span = std::min(*left, plugin::kWaitMax);  // longer sleeps are several
  attempt.finish(Result::deferred(span, std::to_string((*left - span).count())));
}

void Sleep::wait_here(plugin::Attempt attempt, Duration span) {
  short_ones_[attempt.get()] =
      std::make_unique<plugin::TimeWatch>(host_, span, [this, attempt]() mutable {
        short_ones_.erase(attempt.get());
        attempt.finish(Result::success());
      });
}

void Sleep::cancel(plugin::Attempt attempt) {
  short_ones_.erase(attempt.get());
  attempt.finish(Result::failure("cancelled", "Cancelled"));
}

}  // namespace pawl::operators
