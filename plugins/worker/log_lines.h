#pragma once

// Lines of programs as records of container runtimes:
//
//   2026-11-20T22:58:01.123456789Z stdout F text
//
// `F` ends a line, `P` is a part of one that goes on in the next record of that stream. Pure.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace pawl {

enum class LogStream : std::uint8_t { out, err };

/// A longer line is written in parts.
inline constexpr std::size_t kLogLineBytesMax = 16u << 10;

/// `2026-11-20T22:58:01.123456789Z` of nanoseconds since 1970; the years 1970 to 9999.
std::string format_log_time(std::int64_t wall_ns);

/// One whole record with its newline; `text` has none.
void append_log_record(std::string& out, std::string_view time, LogStream stream, bool full,
                       std::string_view text);

/// Cuts the two streams of a program into records.
class LogLines {
 public:
  /// Appends the records that `bytes` completes to `out`; the rest waits for its newline.
  void feed(LogStream stream, std::string_view bytes, std::int64_t wall_ns, std::string& out);
  /// The program has ended: lines without an end become parts.
  void finish(std::int64_t wall_ns, std::string& out);

 private:
  std::string_view time_text(std::int64_t wall_ns);

  std::array<std::string, 2> open_line_;  ///< by stream
  std::int64_t time_ns_ = -1;
  std::string time_;
};

}  // namespace pawl
