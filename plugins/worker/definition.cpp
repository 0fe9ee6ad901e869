#include "plugins/worker/definition.h"

#include <cstdint>
#include <limits>
#include <utility>

#include "plugins/worker/wire.h"

namespace pawl {
namespace {

template <typename Definition, typename Each>
void for_each_text(Definition& d, const Each& each) {
  for (auto* text : {&d.home, &d.run, &d.job, &d.task, &d.logical_time, &d.date, &d.operator_name,
                     &d.with, &d.working_dir, &d.folder, &d.context, &d.log_dir})
    each(*text);
}

void write_texts(wire::Writer& out, const std::map<std::string, std::string>& texts) {
  out.integer(static_cast<std::uint32_t>(texts.size()));
  for (const auto& [name, text] : texts) {
    out.text(name);
    out.text(text);
  }
}

std::map<std::string, std::string> read_texts(wire::Reader& in) {
  std::map<std::string, std::string> texts;
  wire::read_each(in, [&] {
    std::string name(in.text());
    texts.insert_or_assign(std::move(name), std::string(in.text()));
  });
  return texts;
}

/// A number in its range; the reader fails with any other.
std::int64_t read_within(wire::Reader& in, std::int64_t least, std::int64_t most) {
  const auto value = in.integer<std::int64_t>();
  if (value < least || value > most) in.refuse();
  return value;
}

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

Duration read_duration(wire::Reader& in) { return Duration(read_within(in, 0, kMost)); }

void write(wire::Writer& out, const Resources& resources) {
  out.integers(static_cast<std::int64_t>(resources.memory_bytes),
               static_cast<std::int64_t>(resources.cpu_time.count()),
               static_cast<std::int64_t>(resources.pids));
  out.flag(resources.nice.has_value());
  out.integer(static_cast<std::int64_t>(resources.nice.value_or(0)));
}

Resources read_resources(wire::Reader& in) {
  Resources resources;
  resources.memory_bytes = static_cast<std::uint64_t>(read_within(in, 0, kMost));
  resources.cpu_time = read_duration(in);
  resources.pids = read_within(in, 0, kMost);
  const bool has_nice = in.flag();
  const auto nice = static_cast<int>(read_within(in, -20, 19));
  if (has_nice) resources.nice = nice;
  return resources;
}

std::string file_path(std::string_view folder, ItemIndex item, std::int32_t number,
                      std::string_view suffix) {
  std::string path(folder);
  path += '/';
  if (item != kWhole) path += std::to_string(item.value) + ".";
  path += std::to_string(number);
  path += suffix;
  return path;
}

}  // namespace

std::string encode_definition(const TaskDefinition& d) {
  std::string bytes;
  wire::Writer out(bytes);
  for_each_text(d, [&](const std::string& text) { out.text(text); });
  write_texts(out, d.env);
  out.integer(static_cast<std::uint32_t>(d.pass_env.size()));
  for (const std::string& name : d.pass_env) out.text(name);
  out.integer(static_cast<std::uint32_t>(d.secrets.size()));
  for (const auto& [name, source] : d.secrets) {
    out.text(name);
    out.flag(source.from_file);
    out.text(source.name);
  }
  write_texts(out, d.secret_env);
  write_texts(out, d.scheduler_env);
  out.integers(static_cast<std::int64_t>(d.timeout.count()),
               static_cast<std::int64_t>(d.stall_timeout.count()),
               static_cast<std::int64_t>(d.kill_grace.count()));
  write(out, d.resources);
  out.integers(static_cast<std::uint8_t>(d.output), static_cast<std::int64_t>(d.log_bytes_max));
  out.flag(d.output_from_file);
  return bytes;
}

Result<TaskDefinition> decode_definition(std::string_view bytes) {
  wire::Reader in(bytes);
  TaskDefinition d;
  for_each_text(d, [&](std::string& text) { text = in.text(); });
  d.env = read_texts(in);
  wire::read_each(in, [&] { d.pass_env.emplace_back(in.text()); });
  wire::read_each(in, [&] {
    SecretSource& source = d.secrets[std::string(in.text())];
    source.from_file = in.flag();
    source.name = in.text();
  });
  d.secret_env = read_texts(in);
  d.scheduler_env = read_texts(in);
  d.timeout = read_duration(in);
  d.stall_timeout = read_duration(in);
  d.kill_grace = read_duration(in);
  d.resources = read_resources(in);
  d.output = in.word<OutputFormat>(kOutputFormatCount);
  d.log_bytes_max = static_cast<std::uint64_t>(read_within(in, 0, kMost));
  d.output_from_file = in.flag();
  if (!in.done()) return Error{ErrorKind::invalid, "definition: not the bytes of one"};
  return d;
}

std::string log_path(std::string_view log_dir, ItemIndex item, std::int32_t number) {
  return file_path(log_dir, item, number, ".log");
}

std::string output_path(std::string_view log_dir, ItemIndex item, std::int32_t number) {
  return file_path(log_dir, item, number, ".out");
}

}  // namespace pawl
