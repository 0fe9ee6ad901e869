#include "plugins/worker/frames.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "plugins/worker/wire.h"

namespace pawl {
namespace {

using wire::Reader;
using wire::Writer;

/// The first byte of a body: never renumbered.
enum class Type : std::uint8_t {
  hello = 1,
  define = 2,
  start = 3,
  stop = 4,
  forget = 5,
  undefine = 6,
  shutdown = 7,
  ping = 8,
  welcome = 32,
  status = 33,
  began = 34,
  ended = 35,
  handle = 36,
  drains = 37,
  progress = 38,
  pong = 39,
};

void write_optional(Writer& out, const std::optional<int>& value) {
  out.flag(value.has_value());
  out.integer(static_cast<std::int32_t>(value.value_or(0)));
}

std::optional<int> read_optional(Reader& in) {
  bool has_value = in.flag();
  auto value = in.integer<std::int32_t>();
  if (!has_value) return std::nullopt;
  return value;
}

// Fields -----------------------------------------------------------------------------------------

void write(Writer& out, const frame::Hello& f) {
  out.integer(f.protocol);
  out.integer(f.epoch.value);
  out.text(f.version);
}

void write(Writer& out, const frame::Define& f) {
  out.integer(f.definition.value);
  out.text(f.bytes);
}

void write(Writer& out, const frame::AttemptStart& a) {
  out.integers(a.attempt.value, a.definition.value, a.number, a.stay, a.item.value);
  out.text(a.key);
  out.text(a.payload);
  out.integers(a.slot, static_cast<std::int64_t>(a.total_remaining.count()),
               static_cast<std::int64_t>(a.run_remaining.count()),
               static_cast<std::uint8_t>(a.previous_reason), a.losses);
  out.text(a.idempotency_key);
  out.text(a.tasks);
  out.text(a.handle);
  out.text(a.state);
}

void write(Writer& out, const frame::Stop& f) {
  out.integer(f.attempt.value);
  out.integer(static_cast<std::uint8_t>(f.reason));
  out.flag(f.force);
}

void write(Writer& out, const frame::Undefine& f) { out.integer(f.definition.value); }

void write(Writer&, const frame::Shutdown&) {}

void write(Writer&, const frame::Ping&) {}

void write(Writer& out, const frame::Welcome& f) {
  out.integer(f.protocol);
  out.flag(f.accepted);
  out.integer(f.epoch.value);
  out.integer(f.worker.value);
  out.integer(f.pid);
  out.text(f.boot_id);
  out.text(f.version);
  out.integer(static_cast<std::uint32_t>(f.operators.size()));
  for (const std::string& name : f.operators) out.text(name);
}

void write(Writer& out, const frame::KnownAttempt& a) {
  out.integer(a.attempt.value);
  out.flag(a.ended);
  out.integer(a.stay);
  out.integer(a.pid);
  out.integer(a.started_at.ms);
}

void write(Writer& out, const frame::Began& f) {
  out.integer(f.attempt.value);
  out.integer(f.pid);
  out.integer(f.started_at.ms);
}

void write(Writer& out, const frame::Handle& f) {
  out.integer(f.attempt.value);
  out.integer(f.serial);
  out.text(f.handle);
}

/// A fraction travels in millionths.
constexpr double kProgressUnits = 1'000'000;

void write(Writer& out, const frame::Progress& f) {
  out.integer(f.attempt.value);
  out.integer(static_cast<std::int32_t>(f.fraction * kProgressUnits));
  out.text(f.text);
}

void write(Writer&, const frame::Drains&) {}

void write(Writer&, const frame::Pong&) {}

void write(Writer& out, const AttemptEnd& e) {
  out.integers(e.attempt.value, e.stay, static_cast<std::uint8_t>(e.outcome),
               static_cast<std::uint8_t>(e.reason));
  write_optional(out, e.exit_code);
  write_optional(out, e.signal);
  out.integers(static_cast<std::uint8_t>(e.stop_seen ? 1 : 0),
               static_cast<std::uint8_t>(e.may_be_cause ? 1 : 0), e.started_at.ms, e.ended_at.ms,
               e.use.cpu_us, e.use.peak_memory_bytes, e.log_bytes);
  out.text(e.error_class);
  out.text(e.message);
  out.text(e.trace);
  out.integer(static_cast<std::uint8_t>(e.output.format));
  out.text(e.output.value);
  out.text(e.output.file);
  out.integers(e.output.bytes, e.output.checksum, static_cast<std::int64_t>(e.defer_for.count()));
  out.text(e.state);
  out.integer(e.use.memory_bound_bytes);
}

void write(Writer& out, const frame::DurableEnd& e) {
  out.integer(e.attempt.value);
  out.integer(e.stay);
}

// Reading ----------------------------------------------------------------------------------------

template <typename Read>
auto read_list(Reader& in, Read read) {
  std::vector<decltype(read(in))> list;
  wire::read_each(in, [&] { list.push_back(read(in)); });
  return list;
}

frame::Hello read_hello(Reader& in) {
  frame::Hello f;
  f.protocol = in.integer<std::uint32_t>();
  f.epoch = Epoch(in.integer<std::int64_t>());
  f.version = in.text();
  return f;
}

frame::Define read_define(Reader& in) {
  frame::Define f;
  f.definition = DefinitionId(in.integer<std::uint64_t>());
  f.bytes = in.text();
  return f;
}

frame::AttemptStart read_attempt_start(Reader& in) {
  frame::AttemptStart a;
  a.attempt = AttemptId(in.integer<std::int64_t>());
  a.definition = DefinitionId(in.integer<std::uint64_t>());
  a.number = in.integer<std::int32_t>();
  a.stay = in.integer<std::int32_t>();
  a.item = ItemIndex(in.integer<std::int64_t>());
  a.key = in.text();
  a.payload = in.text();
  a.slot = in.integer<std::int32_t>();
  a.total_remaining = Duration(in.integer<std::int64_t>());
  a.run_remaining = Duration(in.integer<std::int64_t>());
  a.previous_reason = in.word<Reason>(kReasonCount);
  a.losses = in.integer<std::int32_t>();
  a.idempotency_key = in.text();
  a.tasks = in.text();
  a.handle = in.text();
  a.state = in.text();
  return a;
}

frame::Stop read_stop(Reader& in) {
  frame::Stop f;
  f.attempt = AttemptId(in.integer<std::int64_t>());
  f.reason = in.word<Reason>(kReasonCount);
  f.force = in.flag();
  return f;
}

frame::Welcome read_welcome(Reader& in) {
  frame::Welcome f;
  f.protocol = in.integer<std::uint32_t>();
  f.accepted = in.flag();
  f.epoch = Epoch(in.integer<std::int64_t>());
  f.worker = WorkerId(in.integer<std::int64_t>());
  f.pid = in.integer<std::int32_t>();
  f.boot_id = in.text();
  f.version = in.text();
  f.operators = read_list(in, [](Reader& r) { return std::string(r.text()); });
  return f;
}

frame::KnownAttempt read_known_attempt(Reader& in) {
  frame::KnownAttempt a;
  a.attempt = AttemptId(in.integer<std::int64_t>());
  a.ended = in.flag();
  a.stay = in.integer<std::int32_t>();
  a.pid = in.integer<std::int32_t>();
  a.started_at.ms = in.integer<std::int64_t>();
  return a;
}

frame::Began read_began(Reader& in) {
  frame::Began f;
  f.attempt = AttemptId(in.integer<std::int64_t>());
  f.pid = in.integer<std::int32_t>();
  f.started_at.ms = in.integer<std::int64_t>();
  return f;
}

frame::Handle read_handle(Reader& in) {
  frame::Handle f;
  f.attempt = AttemptId(in.integer<std::int64_t>());
  f.serial = in.integer<std::int64_t>();
  f.handle = in.text();
  return f;
}

frame::Progress read_progress(Reader& in) {
  frame::Progress f;
  f.attempt = AttemptId(in.integer<std::int64_t>());
  f.fraction = std::clamp(in.integer<std::int32_t>() / kProgressUnits, 0.0, 1.0);
  f.text = in.text();
  return f;
}

AttemptEnd read_attempt_end(Reader& in) {
  AttemptEnd e;
  e.attempt = AttemptId(in.integer<std::int64_t>());
  e.stay = in.integer<std::int32_t>();
  e.outcome = in.word<Outcome>(kOutcomeCount);
  e.reason = in.word<Reason>(kReasonCount);
  e.exit_code = read_optional(in);
  e.signal = read_optional(in);
  e.stop_seen = in.flag();
  e.may_be_cause = in.flag();
  e.started_at.ms = in.integer<std::int64_t>();
  e.ended_at.ms = in.integer<std::int64_t>();
  e.use.cpu_us = in.integer<std::int64_t>();
  e.use.peak_memory_bytes = in.integer<std::int64_t>();
  e.log_bytes = in.integer<std::int64_t>();
  e.error_class = in.text();
  e.message = in.text();
  e.trace = in.text();
  e.output.format = in.word<OutputFormat>(kOutputFormatCount);
  e.output.value = in.text();
  e.output.file = in.text();
  e.output.bytes = in.integer<std::uint64_t>();
  e.output.checksum = in.integer<std::uint64_t>();
  e.defer_for = Duration(in.integer<std::int64_t>());
  e.state = in.text();
  if (!in.done()) e.use.memory_bound_bytes = in.integer<std::int64_t>();
  return e;
}

// Lists, split over bodies -----------------------------------------------------------------------

/// Writes `list` as bodies of `type`, each a tail flag (when `with_tail`), a count and the values.
template <typename Value>
std::vector<std::string> encode_list(Type type, const std::vector<Value>& list,
                                     std::optional<bool> last_flag) {
  std::vector<std::string> bodies;
  std::string values;
  std::uint32_t count = 0;
  const std::size_t head_bytes = 1 + (last_flag ? 1 : 0) + sizeof(count);
  auto close = [&](bool last) {
    std::string body;
    body.reserve(head_bytes + values.size());
    Writer out(body);
    out.integer(static_cast<std::uint8_t>(type));
    if (last_flag) out.flag(last && *last_flag);
    out.integer(count);
    body += values;
    bodies.push_back(std::move(body));
    values.clear();
    count = 0;
  };
  for (const Value& value : list) {
    std::size_t before = values.size();
    Writer out(values);
    write(out, value);
    if (head_bytes + values.size() > limits::kFrameBytesMax) {
      std::string over = values.substr(before);
      if (head_bytes + over.size() > limits::kFrameBytesMax) return {};
      values.resize(before);
      close(false);
      values = std::move(over);
    }
    ++count;
  }
  close(true);
  return bodies;
}

template <typename F>
std::vector<std::string> encode_one(Type type, const F& fields) {
  std::string body;
  Writer out(body);
  out.integer(static_cast<std::uint8_t>(type));
  write(out, fields);
  if (body.size() > limits::kFrameBytesMax) return {};
  std::vector<std::string> bodies;
  bodies.push_back(std::move(body));
  return bodies;
}

struct Encode {
  using Bodies = std::vector<std::string>;
  Bodies operator()(const frame::Hello& f) const { return encode_one(Type::hello, f); }
  Bodies operator()(const frame::Define& f) const { return encode_one(Type::define, f); }
  Bodies operator()(const frame::Start& f) const {
    return encode_list(Type::start, f.attempts, std::nullopt);
  }
  Bodies operator()(const frame::Stop& f) const { return encode_one(Type::stop, f); }
  Bodies operator()(const frame::Forget& f) const {
    return encode_list(Type::forget, f.ends, std::nullopt);
  }
  Bodies operator()(const frame::Undefine& f) const { return encode_one(Type::undefine, f); }
  Bodies operator()(const frame::Shutdown& f) const { return encode_one(Type::shutdown, f); }
  Bodies operator()(const frame::Ping& f) const { return encode_one(Type::ping, f); }
  Bodies operator()(const frame::Welcome& f) const { return encode_one(Type::welcome, f); }
  Bodies operator()(const frame::Status& f) const {
    return encode_list(Type::status, f.attempts, f.complete);
  }
  Bodies operator()(const frame::Began& f) const { return encode_one(Type::began, f); }
  Bodies operator()(const frame::Handle& f) const { return encode_one(Type::handle, f); }
  Bodies operator()(const frame::Progress& f) const { return encode_one(Type::progress, f); }
  Bodies operator()(const frame::Drains& f) const { return encode_one(Type::drains, f); }
  Bodies operator()(const frame::Pong& f) const { return encode_one(Type::pong, f); }
  Bodies operator()(const frame::Ended& f) const {
    std::string body;
    if (!encode_ended(f.end, body)) return {};
    return {std::move(body)};
  }
};

Error malformed(std::string_view what) {
  return {ErrorKind::invalid, "malformed frame: " + std::string(what)};
}

/// The frame when its body was exactly that long (`may_grow`: at least that long).
template <typename F>
Result<Frame> finish(std::string_view name, const Reader& in, F&& fields, bool may_grow = false) {
  if (!in.ok()) return malformed(std::string(name) + " ends early or holds an impossible value");
  if (!may_grow && !in.done()) return malformed(std::string(name) + " has bytes after its end");
  return Frame(std::forward<F>(fields));
}

}  // namespace

std::vector<std::string> encode_frame(const Frame& frame) { return std::visit(Encode{}, frame); }

Result<Frame> decode_frame(std::string_view body) {
  if (body.empty()) return malformed("empty");
  if (body.size() > limits::kFrameBytesMax) return malformed("too long");
  Reader in(body);
  auto type = in.integer<std::uint8_t>();
  switch (static_cast<Type>(type)) {
    case Type::hello: return finish("HELLO", in, read_hello(in), true);
    case Type::define: return finish("DEFINE", in, read_define(in));
    case Type::start: return finish("START", in, frame::Start{read_list(in, read_attempt_start)});
    case Type::stop: return finish("STOP", in, read_stop(in));
    case Type::forget: {
      auto read_end = [](Reader& r) {
        const AttemptId attempt(r.integer<std::int64_t>());
        return frame::DurableEnd{attempt, r.integer<std::int32_t>()};
      };
      return finish("FORGET", in, frame::Forget{read_list(in, read_end)});
    }
    case Type::undefine:
      return finish("UNDEFINE", in, frame::Undefine{DefinitionId(in.integer<std::uint64_t>())});
    case Type::shutdown: return finish("SHUTDOWN", in, frame::Shutdown{});
    case Type::ping: return finish("PING", in, frame::Ping{});
    case Type::welcome: return finish("WELCOME", in, read_welcome(in), true);
    case Type::status: {
      frame::Status f;
      f.complete = in.flag();
      f.attempts = read_list(in, read_known_attempt);
      return finish("STATUS", in, std::move(f));
    }
    case Type::began: return finish("BEGAN", in, read_began(in));
    case Type::handle: return finish("HANDLE", in, read_handle(in));
    case Type::progress: return finish("PROGRESS", in, read_progress(in));
    case Type::drains: return finish("DRAINS", in, frame::Drains{});
    case Type::pong: return finish("PONG", in, frame::Pong{});
    case Type::ended: return finish("ENDED", in, frame::Ended{read_attempt_end(in)});
  }
  return malformed("unknown type " + std::to_string(type));
}

bool encode_ended(const AttemptEnd& end, std::string& body) {
  body.clear();
  Writer out(body);
  out.integer(static_cast<std::uint8_t>(Type::ended));
  write(out, end);
  return body.size() <= limits::kFrameBytesMax;
}

void append_attempt_end(std::string& out, const AttemptEnd& end) {
  Writer writer(out);
  write(writer, end);
}

std::optional<AttemptEnd> decode_attempt_end(std::string_view bytes) {
  Reader in(bytes);
  AttemptEnd end = read_attempt_end(in);
  if (!in.done()) return std::nullopt;
  return end;
}

}  // namespace pawl
