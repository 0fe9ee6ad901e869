#include "plugins/worker/program_protocol.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include <nlohmann/json.hpp>

#include "scheduler/base/text.h"

namespace pawl {
namespace {

using nlohmann::json;

constexpr std::size_t kShownBytes = 120;

std::string_view format_word(OutputFormat format) {
  switch (format) {
    case OutputFormat::none: return "none";
    case OutputFormat::text: return "text";
    case OutputFormat::json: return "json";
    case OutputFormat::jsonl: return "jsonl";
  }
  return "none";
}

bool is_plain(char c) { return c >= ' ' && c < 0x7f && c != '"' && c != '\\'; }

void append_text(std::string& out, std::string_view text) {
  if (std::all_of(text.begin(), text.end(), is_plain)) {
    ((out += '"') += text) += '"';
  } else {
    out += json(text).dump(-1, ' ', false, json::error_handler_t::replace);
  }
}

/// JSON text as it is; a newline in it can only be white space.
void append_json(std::string& out, std::string_view text) {
  const std::size_t from = out.size();
  out += text;
  if (text.find_first_of("\n\r") == std::string_view::npos) return;
  std::replace_if(
      out.begin() + static_cast<std::ptrdiff_t>(from), out.end(),
      [](char c) { return c == '\n' || c == '\r'; }, ' ');
}

void append_key(std::string& out, std::string_view key) {
  if (out.back() != '{') out += ',';
  ((out += '"') += key) += "\":";
}

void append_member(std::string& out, std::string_view key, std::string_view text) {
  append_key(out, key);
  append_text(out, text);
}

void append_member(std::string& out, std::string_view key, std::int64_t number) {
  append_key(out, key);
  out += std::to_string(number);
}

void append_optional(std::string& out, std::string_view key, std::string_view text) {
  if (!text.empty()) append_member(out, key, text);
}

void append_env(std::string& out, const std::vector<std::string>& environment) {
  append_key(out, "env");
  out += '{';
  for (std::string_view entry : environment) {
    const std::size_t equals = entry.find('=');
    if (equals == std::string_view::npos) continue;
    if (out.back() != '{') out += ',';
    append_text(out, entry.substr(0, equals));
    out += ':';
    append_text(out, entry.substr(equals + 1));
  }
  out += '}';
}

/// Goes through valid JSON text, value by value, without looking into them.
class JsonCursor {
 public:
  explicit JsonCursor(std::string_view text) : at_(text) { skip_space(); }

  /// What stands here, after white space; NUL at the end.
  char peek() const { return at_.empty() ? '\0' : at_[0]; }

  /// The character that stands here: a bracket, a comma or a colon.
  void skip_mark() {
    at_.remove_prefix(1);
    skip_space();
  }

  /// The value that stands here, as its text.
  std::string_view take_value() {
    std::size_t size = 0;
    if (at_[0] == '"') {
      size = string_size(at_);
    } else if (at_[0] != '{' && at_[0] != '[') {
      size = std::min(at_.find_first_of(",}] \t\r\n"), at_.size());
    } else {
      int depth = 0;
      do {
        const char c = at_[size];
        if (c == '{' || c == '[') ++depth;
        if (c == '}' || c == ']') --depth;
        size += c == '"' ? string_size(at_.substr(size)) : 1;
      } while (depth > 0);
    }
    const std::string_view value = at_.substr(0, size);
    at_.remove_prefix(size);
    skip_space();
    return value;
  }

 private:
  void skip_space() {
    const std::size_t first = at_.find_first_not_of(" \t\r\n");
    at_.remove_prefix(first == std::string_view::npos ? at_.size() : first);
  }

  static std::size_t string_size(std::string_view text) {
    std::size_t i = 1;
    while (text[i] != '"') i += text[i] == '\\' ? 2 : 1;
    return i + 1;
  }

  std::string_view at_;
};

/// The members of an object as slices of its text, which must be valid JSON.
class Members {
 public:
  /// False when the text is not an object.
  bool read(std::string_view text) {
    JsonCursor cursor(text);
    if (cursor.peek() != '{') return false;
    cursor.skip_mark();
    while (cursor.peek() != '}') {
      const std::string_view key = cursor.take_value();
      cursor.skip_mark();
      members_.push_back({key.substr(1, key.size() - 2), cursor.take_value()});
      if (cursor.peek() == ',') cursor.skip_mark();
    }
    return true;
  }

  /// The JSON of a member; empty when there is none. Keys of this protocol have no escapes.
  std::string_view find(std::string_view key) const {
    for (const auto& [name, value] : members_) {
      if (name == key) return value;
    }
    return {};
  }

 private:
  std::vector<std::pair<std::string_view, std::string_view>> members_;
};

/// Reads members of one message; remembers the first thing that is wrong.
class MessageReader {
 public:
  explicit MessageReader(const Members& members) : members_(members) {}

  std::string text(std::string_view key) {
    const std::string_view raw = members_.find(key);
    if (raw.empty() || raw == "null") return {};
    if (raw[0] != '"') {
      wrong(key, "a text");
      return {};
    }
    if (raw.find('\\') == std::string_view::npos) {
      return std::string(raw.substr(1, raw.size() - 2));
    }
    return json::parse(raw).get<std::string>();
  }

  std::string needed_text(std::string_view key) {
    if (members_.find(key).empty()) wrong(key, "a text");
    return text(key);
  }

  std::int64_t whole(std::string_view key, std::int64_t least, std::int64_t most) {
    const std::string_view raw = members_.find(key);
    const json value = raw.empty() ? json() : json::parse(raw);
    const bool fits = value.is_number_integer() && !is_beyond(value) &&
                      value.get<std::int64_t>() >= least && value.get<std::int64_t>() <= most;
    if (fits) return value.get<std::int64_t>();
    wrong(key, "a whole number from " + std::to_string(least) +
                   (most == INT64_MAX ? "" : " to " + std::to_string(most)));
    return least;
  }

  /// Milliseconds, of those beyond 64 bits the nearest.
  std::int64_t span(std::string_view key) {
    const std::string_view raw = members_.find(key);
    const json value = raw.empty() ? json() : json::parse(raw);
    if (is_beyond(value)) return INT64_MAX;
    // A number of so many digits is read as one with a fraction.
    constexpr double kBeyond = 9.3e18;
    if (value.is_number_float() && value.get<double>() > kBeyond) return INT64_MAX;
    if (value.is_number_float() && value.get<double>() < -kBeyond) return INT64_MIN;
    if (value.is_number_integer()) return value.get<std::int64_t>();
    wrong(key, "a whole number of milliseconds");
    return 0;
  }

  double fraction(std::string_view key) {
    const std::string_view raw = members_.find(key);
    const json value = raw.empty() ? json() : json::parse(raw);
    if (value.is_number()) return std::clamp(value.get<double>(), 0.0, 1.0);
    wrong(key, "a number from 0 to 1");
    return 0;
  }

  AttemptId attempt() { return AttemptId(whole("attempt", 0, INT64_MAX)); }

  void wrong(std::string_view key, const std::string& expected) {
    if (error.empty()) error = "\"" + std::string(key) + "\" expects " + expected;
  }

  const Members& members() const { return members_; }

  std::string error;

 private:
  static bool is_beyond(const json& value) {
    return value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX;
  }

  const Members& members_;
};

program_message::Ready read_ready(MessageReader& reader) {
  program_message::Ready ready;
  if (reader.members().find("protocol") != std::to_string(kProgramProtocolVersion)) {
    reader.wrong("protocol", std::to_string(kProgramProtocolVersion) +
                                 ", the only version of it that this pawl speaks");
  }
  const std::string_view raw = reader.members().find("capabilities");
  const json list = raw.empty() ? json::array() : json::parse(raw);
  if (!list.is_array()) reader.wrong("capabilities", "a list of words");
  ready.can_cancel = list.is_array() && std::find(list.begin(), list.end(), "cancel") != list.end();
  return ready;
}

program_message::Log read_log(MessageReader& reader) {
  program_message::Log log{reader.attempt(), LogStream::out, reader.needed_text("text")};
  const std::string stream = reader.text("stream");
  if (stream == "err") {
    log.stream = LogStream::err;
  } else if (!stream.empty() && stream != "out") {
    reader.wrong("stream", "\"out\" or \"err\"");
  }
  return log;
}

void read_failure(MessageReader& reader, OperatorResult& result) {
  result.outcome = Outcome::failed;
  result.error_class = reader.text("class");
  result.message = reader.text("message");
  result.trace = reader.text("trace");
  const std::string reason = reader.text("reason");
  const auto known = {std::pair("", Reason::error), std::pair("error", Reason::error),
                      std::pair("permanent", Reason::permanent),
                      std::pair("output", Reason::output)};
  for (const auto& [word, meaning] : known) {
    if (reason == word) {
      result.reason = meaning;
      return;
    }
  }
  reader.wrong("reason", "\"error\", \"permanent\" or \"output\"");
}

program_message::Finish read_finish(MessageReader& reader) {
  program_message::Finish finish;
  finish.attempt = reader.attempt();
  const std::string outcome = reader.needed_text("outcome");
  if (outcome == "succeeded") {
    finish.result.outcome = Outcome::succeeded;
    finish.result.output = reader.members().find("output");
  } else if (outcome == "failed") {
    read_failure(reader, finish.result);
  } else if (outcome == "skipped") {
    finish.result.outcome = Outcome::skipped;
    finish.result.message = reader.text("message");
  } else if (outcome == "deferred") {
    finish.result = deferred_result(reader.span("after_ms"), reader.text("state"));
  } else {
    reader.wrong("outcome", "\"succeeded\", \"failed\", \"skipped\" or \"deferred\"");
  }
  if (!reader.members().find("cpu_us").empty()) {
    finish.result.use.cpu_us = reader.whole("cpu_us", 0, INT64_MAX);
  }
  if (!reader.members().find("memory_bound_bytes").empty()) {
    finish.result.use.memory_bound_bytes = reader.whole("memory_bound_bytes", 0, INT64_MAX);
  }
  return finish;
}

ProgramMessage read_message(const std::string& type, MessageReader& reader) {
  if (type == "finish") return read_finish(reader);
  if (type == "log") return read_log(reader);
  if (type == "heartbeat") return program_message::Heartbeat{reader.attempt()};
  if (type == "progress") {
    return program_message::Progress{reader.attempt(), reader.fraction("fraction"),
                                     reader.text("text")};
  }
  if (type == "handle") {
    return program_message::Handle{reader.attempt(), reader.needed_text("handle")};
  }
  if (type == "return") return program_message::Return{reader.attempt()};
  if (type != "ready") {
    reader.wrong("type",
                 R"("ready", "finish", "log", "heartbeat", "progress", "handle" or "return")");
  }
  return read_ready(reader);
}

/// For people, up to the end of a word: no mask would know a half of one that is a secret.
std::string shown_beginning(std::string_view text) {
  if (text.size() <= kShownBytes) return escape_for_terminal(text);
  const std::size_t end = text.find_last_of(" \t\"'=:,;", kShownBytes - 1) + 1;
  return escape_for_terminal(text.substr(0, end)) + "…";
}

Error refuse(const std::string& why, std::string_view line) {
  return Error{ErrorKind::invalid, why + "; the line begins with: " + shown_beginning(line)};
}

}  // namespace

void append_hello(std::string& out, std::string_view operator_name, int concurrency) {
  out += R"({"type":"hello")";
  append_member(out, "protocol", std::int64_t{kProgramProtocolVersion});
  append_member(out, "operator", operator_name);
  append_member(out, "concurrency", std::int64_t{concurrency});
  out += "}\n";
}

void append_start(std::string& out, const OperatorRequest& request,
                  const std::vector<std::string>& environment) {
  out += R"({"type":"start")";
  append_member(out, "attempt", request.attempt.value);
  append_member(out, "number", std::int64_t{request.number});
  append_key(out, "parameters");
  append_json(out, request.parameters);
  append_member(out, "job", request.job);
  append_member(out, "run", request.run);
  append_member(out, "task", request.task);
  if (!request.item.empty()) {
    append_key(out, "item");
    append_json(out, request.item);
  }
  append_optional(out, "key", request.key);
  if (request.index != kWhole) append_member(out, "index", request.index.value);
  append_member(out, "idempotency_key", request.idempotency_key);
  if (request.deadline) append_member(out, "deadline_ms", request.deadline->ms);
  append_env(out, environment);
  append_member(out, "working_dir", request.working_dir);
  append_member(out, "output_format", format_word(request.output));
  append_optional(out, "scratch", request.scratch);
  append_optional(out, "handle", request.handle);
  append_optional(out, "state", request.state);
  if (!request.secrets.empty()) {
    append_key(out, "secrets");
    out += '{';
    for (const auto& [name, value] : request.secrets) append_member(out, name, value);
    out += '}';
  }
  out += "}\n";
}

void append_cancel(std::string& out, AttemptId attempt) {
  out += R"({"type":"cancel","attempt":)" + std::to_string(attempt.value) + "}\n";
}

void append_kept(std::string& out, AttemptId attempt, bool is_kept) {
  out += R"({"type":"kept","attempt":)" + std::to_string(attempt.value) +
         (is_kept ? ",\"kept\":true}\n" : ",\"kept\":false}\n");
}

void append_shutdown(std::string& out) { out += "{\"type\":\"shutdown\"}\n"; }

Result<ProgramMessage> decode_program_message(std::string_view line) {
  if (line.size() > kProgramLineBytesMax) return refuse("a line of over 8 MiB", line);
  if (holds_nul(line) || !json::accept(line)) return refuse("not JSON", line);
  Members members;
  if (!members.read(line)) return refuse("not a JSON object", line);
  MessageReader reader(members);
  ProgramMessage message = read_message(reader.needed_text("type"), reader);
  if (!reader.error.empty()) return refuse(reader.error, line);
  return message;
}

Result<std::string> output_text(std::string&& value, OutputFormat format) {
  if (value.empty() || value == "null") value.clear();
  switch (format) {
    case OutputFormat::none: return std::string();
    case OutputFormat::json: return value.empty() ? std::string("null") : std::move(value);
    case OutputFormat::text:
      if (value.empty() || value[0] != '"') return std::move(value);
      return json::parse(value).get<std::string>();
    case OutputFormat::jsonl: break;
  }
  if (value.empty()) return std::string();
  if (value[0] == '"') return json::parse(value).get<std::string>();
  if (value[0] != '[') {
    return Error{ErrorKind::invalid,
                 "\"output\": \"jsonl\" expects a list, one line per element; this is " +
                     shown_beginning(value)};
  }
  std::string lines;
  JsonCursor cursor(value);
  for (cursor.skip_mark(); cursor.peek() != ']';) {
    append_json(lines, cursor.take_value());
    lines += '\n';
    if (cursor.peek() == ',') cursor.skip_mark();
  }
  return lines;
}

}  // namespace pawl
