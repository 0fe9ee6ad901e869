#pragma once

// What a host and a warm program say to each other: JSON objects, one a line, described for the
// authors of programs in docs/plugins.md. Pure. What nobody here looks into (parameters, items,
// outputs) is passed on as the bytes it came in.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "plugins/worker/log_lines.h"
#include "plugins/worker/operator_backend.h"
#include "scheduler/base/ids.h"
#include "scheduler/base/result.h"
#include "scheduler/base/time.h"

namespace pawl {

inline constexpr int kProgramProtocolVersion = 1;
/// A longer line ends the process that writes it, and is never sent.
inline constexpr std::size_t kProgramLineBytesMax = 8u << 20;

// To the program. Each appends one line.

void append_hello(std::string& out, std::string_view operator_name, int concurrency);
/// JSON of the request must be valid, as a host's is; bytes that are not UTF-8 become U+FFFD.
/// `environment`: `NAME=value`.
void append_start(std::string& out, const OperatorRequest& request,
                  const std::vector<std::string>& environment);
void append_cancel(std::string& out, AttemptId attempt);
void append_kept(std::string& out, AttemptId attempt, bool is_kept);
void append_shutdown(std::string& out);

// From the program.

namespace program_message {

/// It takes attempts from now on.
struct Ready {
  bool can_cancel = false;  ///< it listens to `cancel`
};
struct Log {
  AttemptId attempt;
  LogStream stream = LogStream::out;
  std::string text;
};
struct Heartbeat {
  AttemptId attempt;
};
struct Progress {
  AttemptId attempt;
  double fraction = 0;
  std::string text;
};
struct Handle {
  AttemptId attempt;
  std::string handle;
};
/// It has not begun this attempt and wants to end: another process takes it.
struct Return {
  AttemptId attempt;
};
struct Finish {
  AttemptId attempt;
  OperatorResult result;  ///< `output` is still JSON, see `output_text`
};

}  // namespace program_message

using ProgramMessage =
    std::variant<program_message::Ready, program_message::Log, program_message::Heartbeat,
                 program_message::Progress, program_message::Handle, program_message::Return,
                 program_message::Finish>;

/// Reads one line without its newline. Total. Errors: invalid, with what is wrong; the message ends
/// with the beginning of the line.
Result<ProgramMessage> decode_program_message(std::string_view line);

/// The value that a program gave as its output (JSON text), as the task declares its output: for
/// `text` a string is its text, for `jsonl` a list is a line per element. Errors: invalid, for the
/// user (reason `output`).
Result<std::string> output_text(std::string&& json, OutputFormat format);

}  // namespace pawl
