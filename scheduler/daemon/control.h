#pragma once

// What the two ends of the control socket agree on about errors: one word and one status per kind.

#include <string>
#include <string_view>

#include "scheduler/base/result.h"

namespace pawl {

/// The word of an error's kind in answers: `not_found`, `refused` …
std::string_view to_string(ErrorKind kind);

/// The status of ErrorKind::no_scheduler: the scheduler went while it was asked.
inline constexpr int kStatusNoScheduler = 502;
/// Also of ErrorKind::no_scheduler: the scheduler ends, and nothing was done. What was asked, of
/// whatever kind, may be asked the next one.
inline constexpr int kStatusNotTaken = 421;

/// The HTTP status of an answer that is this kind of error.
int http_status(ErrorKind kind);

/// What is told when a scheduler goes with a request in its hands.
Error lost_answer();

/// `{"error":{"kind":"not_found","message":"…"}}`. Bytes that are no UTF-8 are replaced.
std::string error_body(const Error& error);

/// The error that an answer of this status and body tells; for a status under 400 that is an
/// internal mistake of the caller. A body that is not ours gives an error by the status alone.
Error error_from(int status, std::string_view body);

}  // namespace pawl
