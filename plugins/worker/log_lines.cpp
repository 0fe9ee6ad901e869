#include "plugins/worker/log_lines.h"

#include <algorithm>

#include "scheduler/base/text.h"

namespace pawl {

std::string format_log_time(std::int64_t wall_ns) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  std::int64_t ns = std::clamp<std::int64_t>(wall_ns, 0, INT64_MAX);
  std::string text = format_utc(WallTime{ns / kSecond * 1000});
  std::string digits = std::to_string(ns % kSecond);
  text.resize(19);  // up to the seconds
  text += '.';
  text.append(9 - digits.size(), '0');
  text += digits;
  text += 'Z';
  return text;
}

void append_log_record(std::string& out, std::string_view time, LogStream stream, bool full,
                       std::string_view text) {
  out.append(time);
  out.append(stream == LogStream::out ? " stdout " : " stderr ");
  out.append(full ? "F " : "P ");
  out.append(text);
  out.push_back('\n');
}

std::string_view LogLines::time_text(std::int64_t wall_ns) {
  if (wall_ns != time_ns_) {
    time_ns_ = wall_ns;
    time_ = format_log_time(wall_ns);
  }
  return time_;
}

void LogLines::feed(LogStream stream, std::string_view bytes, std::int64_t wall_ns,
                    std::string& out) {
  std::string_view time = time_text(wall_ns);
  std::string& open = open_line_[static_cast<std::size_t>(stream)];
  while (!bytes.empty()) {
    std::size_t end = bytes.find('\n');
    std::string_view piece = bytes.substr(0, end);
    bool is_line = end != std::string_view::npos;
    std::size_t room = kLogLineBytesMax - open.size();
    if (piece.size() > room) {
      piece = piece.substr(0, room);
      is_line = false;
    }
    bytes.remove_prefix(piece.size() + (is_line ? 1 : 0));
    if (is_line && open.empty()) {
      append_log_record(out, time, stream, true, piece);
      continue;
    }
    open.append(piece);
    if (!is_line && open.size() < kLogLineBytesMax) continue;
    append_log_record(out, time, stream, is_line, open);
    open.clear();
  }
}

void LogLines::finish(std::int64_t wall_ns, std::string& out) {
  for (LogStream stream : {LogStream::out, LogStream::err}) {
    std::string& open = open_line_[static_cast<std::size_t>(stream)];
    if (!open.empty()) append_log_record(out, time_text(wall_ns), stream, false, open);
    open.clear();
  }
}

}  // namespace pawl
