#pragma once

// The way of a command to a scheduler: over the home's socket, or, with none up, to the scheduler
// that this very process becomes for as long as the verb needs. Verbs do not see which.

#include <memory>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "cli/client.h"
#include "cli/session.h"
#include "scheduler/base/result.h"
#include "scheduler/base/time.h"

namespace pawl {

class Port {
 public:
  virtual ~Port() = default;

  /// One request and its answer, of any status. Errors: no_scheduler when the scheduler went away
  /// before it answered; locked, home_unusable, storage as they come.
  virtual Result<Reply> call(std::string_view method, std::string_view path,
                             const std::string& json_body, Duration timeout) = 0;

  /// Whether the last call, where it failed with no_scheduler, may have been carried out all the
  /// same.
  virtual bool was_taken() const = 0;

  /// True when this process is the scheduler: what it started it must see through.
  virtual bool is_scheduler() const = 0;

  /// Where this process is the scheduler, is it for a moment; else returns at once.
  virtual Result<void> turn_for(Duration moment) = 0;

  /// Stays for the runs that others handed over meanwhile; at once when somebody else is the
  /// scheduler.
  virtual Result<void> see_others_through() = 0;
};

/// What the notice of a run ends with: that this process is the scheduler, and stays for the run;
/// empty when another one is.
const char* staying_note(const Port& port);

/// How a verb wants to reach a scheduler.
enum class Reach {
  any,     ///< over the socket, or be the scheduler meanwhile
  socket,  ///< over the socket, else refused with no_scheduler: `pawl serve` would help
};

/// Opens the way. A scheduler that starts is waited for up to a minute, one that listens and does
/// not answer 10 s. With `any`, a home that does not exist is made, and named on standard error.
/// Errors: no_scheduler, locked, home_unusable, storage, version.
Result<std::unique_ptr<Port>> open_port(const Session& session, Reach reach);

/// For verbs that need what has run before: a home that is not there is not made for them. Errors:
/// not_found, home_unusable.
Result<void> require_home(const Session& session);

/// The second kind of way (embedded.cpp): this process takes the home's lock, recovers, and is the
/// scheduler. Errors: locked, home_unusable, storage, version.
Result<std::unique_ptr<Port>> become_scheduler(const Session& session, const std::string& home);

/// `Port::call`, with the errors of the answer (`{"error": {"kind", "message"}}`) as errors of ours
/// and the rest as JSON; `body` null sends none. When the scheduler went away, what it did not
/// take, and what may be done twice (it reads, carries a `request_id`, or says how something shall
/// be), is asked again over another way: `port` is replaced.
Result<nlohmann::json> ask(const Session& session, std::unique_ptr<Port>& port, Reach reach,
                           std::string_view method, std::string_view path,
                           const nlohmann::json& body, Duration timeout);

/// How long a command may take before its answer counts as lost.
inline constexpr Duration kAnswerTimeout = std::chrono::seconds(60);

/// A request id that nobody else has.
std::string new_request_id();

}  // namespace pawl
