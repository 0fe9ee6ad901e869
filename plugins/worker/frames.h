#pragma once

// The words between the scheduler and a worker.
//
//   body = type:u8 fields     integers little endian, text as length:u32 bytes
//
// A body travels as one message of a Channel (scheduler/loop/channel.h), which puts its length in
// front; it has at most kFrameBytesMax bytes. What one turn of a loop produces goes out in one
// write. Decoding is total: any bytes give a frame or an error, nothing is read past the end,
// nothing is allocated that the bytes present do not justify.
//
// The way of a connection. The scheduler sends HELLO. The worker first executes all that an
// earlier connection had delivered, then answers WELCOME; when it accepted, STATUS with every
// attempt it knows follows, then ENDED for each that has ended, then news. An attempt assigned to
// it that STATUS does not name never started. The scheduler answers ENDED with FORGET once the
// outcome is durable; until then the worker says it again on every new connection.
//
// Versions. HELLO and WELCOME may grow at their end, and a decoder skips what it does not know of
// them. An end, in its frame and in the journal, may lack what was added at its end. Every other
// frame is exact for `kProtocolVersion`. A scheduler speaks the older of the two
// versions to a worker, and gives a worker of another version nothing new.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "plugins/worker/attempt_end.h"
#include "scheduler/base/ids.h"
#include "scheduler/base/limits.h"
#include "scheduler/base/result.h"
#include "scheduler/base/time.h"
#include "scheduler/spec/reason.h"

namespace pawl {

inline constexpr std::uint32_t kProtocolVersion = 3;
/// From this version on a worker answers PING.
inline constexpr std::uint32_t kProtocolWithPing = 2;

/// A task's definition as a worker knows it; chosen by the scheduler, unique within an epoch's life
/// of a worker. A DEFINE with a known id replaces it for attempts that start later.
using DefinitionId = Id<struct DefinitionTag, std::uint64_t>;

namespace frame {

// Scheduler to worker ----------------------------------------------------------------------------

/// First frame of a connection.
struct Hello {
  std::uint32_t protocol = kProtocolVersion;
  Epoch epoch;
  std::string version;  ///< of pawl, for people
  friend bool operator==(const Hello&, const Hello&) = default;
};

/// What the attempts of a task have in common (definition.h), once per worker.
struct Define {
  DefinitionId definition;
  std::string bytes;
  friend bool operator==(const Define&, const Define&) = default;
};

/// One attempt to start.
struct AttemptStart {
  AttemptId attempt;
  DefinitionId definition;
  std::int32_t number = 1;                ///< PAWL_ATTEMPT
  std::int32_t stay = 0;                  ///< how often the attempt has deferred itself before
  ItemIndex item = kWhole;                ///< kWhole: not an item
  std::string key;                        ///< PAWL_MAP_KEY; empty: none
  std::string payload;                    ///< the item as JSON text; empty when not an item
  std::int32_t slot = 0;                  ///< PAWL_SLOT
  Duration total_remaining{};             ///< until `total_timeout`; 0: none
  Duration run_remaining{};               ///< until the run's `timeout`; 0: none
  Reason previous_reason = Reason::none;  ///< PAWL_PREVIOUS_REASON
  std::int32_t losses = 0;                ///< attempts in a row before this one that were `lost`
  std::string idempotency_key;
  /// JSON object of what `tasks` names beside the definition's: the items that this one is paired
  /// with. Empty: none.
  std::string tasks;
  std::string handle;  ///< that an earlier attempt of this work set and left; empty: none
  std::string state;   ///< of the deferral that ends with this start; empty: none
  friend bool operator==(const AttemptStart&, const AttemptStart&) = default;
};

/// Attempts to start, in this order.
struct Start {
  std::vector<AttemptStart> attempts;
  friend bool operator==(const Start&, const Start&) = default;
};

/// Ends an attempt: SIGTERM, the grace, SIGKILL; with `force` SIGKILL at once. Of an attempt that
/// is being stopped, the first reason stays and `force` still hastens it. An attempt that has
/// ended or is not known is left alone.
struct Stop {
  AttemptId attempt;
  Reason reason = Reason::cancelled;
  bool force = false;
  friend bool operator==(const Stop&, const Stop&) = default;
};

/// An end that is durable: of which stay, because an attempt that deferred itself may be back.
struct DurableEnd {
  AttemptId attempt;
  std::int32_t stay = 0;
  friend bool operator==(const DurableEnd&, const DurableEnd&) = default;
};

/// The worker may forget them. Of an attempt that has not ended it is an error of the scheduler and
/// ignored.
struct Forget {
  std::vector<DurableEnd> ends;
  friend bool operator==(const Forget&, const Forget&) = default;
};

/// No attempt of this definition will be started any more.
struct Undefine {
  DefinitionId definition;
  friend bool operator==(const Undefine&, const Undefine&) = default;
};

/// Nothing new will come: the worker exits when its last attempt is forgotten, or has ended when
/// no scheduler is connected.
struct Shutdown {
  friend bool operator==(const Shutdown&, const Shutdown&) = default;
};

/// Answered with PONG as soon as it is read, whatever else waits to be said: the worker's loop
/// turns.
struct Ping {
  friend bool operator==(const Ping&, const Ping&) = default;
};

// Worker to scheduler ----------------------------------------------------------------------------

/// Answers HELLO. When `accepted` is false (a lower epoch than one it has seen) the worker closes.
struct Welcome {
  std::uint32_t protocol = kProtocolVersion;
  bool accepted = false;
  Epoch epoch;  ///< the highest it has seen
  WorkerId worker;
  std::int32_t pid = 0;
  std::string boot_id;
  std::string version;                               ///< of pawl, for people
  std::vector<std::string> operators = {"process"};  ///< that it takes
  friend bool operator==(const Welcome&, const Welcome&) = default;
};

struct KnownAttempt {
  AttemptId attempt;
  bool ended = false;  ///< its ENDED follows
  std::int32_t stay = 0;
  std::int32_t pid = 0;  ///< 0 when it has ended
  WallTime started_at;
  friend bool operator==(const KnownAttempt&, const KnownAttempt&) = default;
};

/// Every attempt the worker knows. A long list comes in several frames, the last is `complete`.
struct Status {
  std::vector<KnownAttempt> attempts;
  bool complete = true;
  friend bool operator==(const Status&, const Status&) = default;
};

/// An attempt is still alive a tenth of a second after its start; shorter ones say ENDED only.
struct Began {
  AttemptId attempt;
  std::int32_t pid = 0;
  WallTime started_at;
  friend bool operator==(const Began&, const Began&) = default;
};

/// An attempt has named something that lives outside (empty: takes the name back); the worker's
/// journal has it.
struct Handle {
  AttemptId attempt;
  std::int64_t serial = 0;  ///< of the worker's
  std::string handle;
  friend bool operator==(const Handle&, const Handle&) = default;
};

inline constexpr std::size_t kProgressTextBytesMax = 1u << 10;

/// How far an attempt says it is: the latest of it, once a second at most. Only for people; lost
/// with the connection.
struct Progress {
  AttemptId attempt;
  double fraction = 0;  ///< 0 to 1
  std::string text;     ///< at most kProgressTextBytesMax
  friend bool operator==(const Progress&, const Progress&) = default;
};

/// The worker takes no more attempts: it ends when those it has are forgotten.
struct Drains {
  friend bool operator==(const Drains&, const Drains&) = default;
};

/// Answers PING.
struct Pong {
  friend bool operator==(const Pong&, const Pong&) = default;
};

/// An attempt has ended, its processes are gone (unless the reason is `unkillable`), and the
/// worker's journal has it.
struct Ended {
  AttemptEnd end;
  friend bool operator==(const Ended&, const Ended&) = default;
};

}  // namespace frame

using Frame = std::variant<frame::Hello, frame::Define, frame::Start, frame::Stop, frame::Forget,
                           frame::Undefine, frame::Shutdown, frame::Ping, frame::Welcome,
                           frame::Status, frame::Began, frame::Handle, frame::Progress,
                           frame::Drains, frame::Pong, frame::Ended>;

/// The frame as bodies, to be sent in this order: one, or for START, FORGET and STATUS as many as
/// their size asks for. None when one value alone (a definition, an attempt with its item, an end
/// with its output) is over the limit.
[[nodiscard]] std::vector<std::string> encode_frame(const Frame& frame);

/// The body of an ENDED frame into `body`, without a copy of the end on the way. False when it is
/// over the limit.
[[nodiscard]] bool encode_ended(const AttemptEnd& end, std::string& body);

/// Reads one body. Errors are `invalid` and say which frame and what is wrong.
Result<Frame> decode_frame(std::string_view body);

/// The fields of an end, as in an ENDED frame and in the journal.
void append_attempt_end(std::string& out, const AttemptEnd& end);
/// The reverse; nothing when the bytes are not exactly one end.
std::optional<AttemptEnd> decode_attempt_end(std::string_view bytes);

}  // namespace pawl
