#pragma once

// Reading the logs of attempts: one file each, lines `TIME STREAM F|P TEXT` (`P`: the line goes on
// in the next record of its stream, or the program left it without an end).

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "scheduler/base/result.h"

namespace pawl {

struct LogRecord {
  std::string_view time;    ///< as written, ISO in UTC: sorts as text
  std::string_view stream;  ///< `stdout`, `stderr`, `pawl`
  bool partial = false;
  std::string_view text;
};

/// Reads one line, without its end. Nothing when it is not a record (then it is shown as it is).
std::optional<LogRecord> parse_log_record(std::string_view line);

/// A whole line of a program: its records joined.
struct LogLine {
  std::string time;  ///< of its first record
  std::string stream;
  std::string text;
  bool ended = true;  ///< false: it has no end of line, or goes on in the next one
};

/// Reads a log from its beginning, line by line, as the file grows. Holds no descriptor between two
/// calls. Bounded memory: a line longer than a mebibyte is handed out in pieces.
class LogReader {
 public:
  explicit LogReader(std::string path);
  ~LogReader();
  LogReader(LogReader&&) noexcept;
  LogReader& operator=(LogReader&&) noexcept;

  /// The next whole line. Nothing when there is none yet. A missing file is a silent attempt.
  Result<std::optional<LogLine>> next();

  /// What is left when no more will come: a line without its end.
  Result<std::optional<LogLine>> rest();

  /// Skips to the place in the file from which about `lines` lines follow. Before the first `next`.
  Result<void> seek_tail(std::int64_t lines);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// `text` for a terminal: colours and tabs stay, everything else that acts on it is escaped.
std::string log_text_for_terminal(std::string_view text);

}  // namespace pawl
