#include "scheduler/spec/offset_span.h"

#include <chrono>

#include <cctz/civil_time.h>

namespace pawl {
namespace {

using Instant = cctz::time_point<cctz::seconds>;

std::int64_t local_seconds(const cctz::civil_second& civil) { return civil - cctz::civil_second(); }

}  // namespace

OffsetSpan span_at(const cctz::time_zone& zone, std::int64_t second) {
  const Instant at{cctz::seconds(second)};
  const std::int64_t offset = zone.lookup(at).offset;
  OffsetSpan span{kBeforeAllTime, kBehindAllTime, offset, offset};
  cctz::time_zone::civil_transition change;
  if (zone.next_transition(at, &change)) span.end = local_seconds(change.from) - offset;
  if (zone.prev_transition(at + cctz::seconds(1), &change)) {
    span.begin = local_seconds(change.to) - offset;
    span.offset_before = offset - (change.to - change.from);
  }
  return span;
}

}  // namespace pawl
