#include "plugins/worker/definition.h"

#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "scheduler/base/check.h"

namespace pawl {
namespace {

using nlohmann::json;

constexpr OutputFormat kOutputFormats[] = {OutputFormat::none, OutputFormat::text,
                                           OutputFormat::json, OutputFormat::jsonl};

/// Reads members of an object; remembers the first that is not what it should be.
class Members {
 public:
  explicit Members(const json& object) : object_(object) {}

  void text(const char* key, std::string& out) {
    if (const json* v = find(key, &json::is_string)) out = v->get_ref<const std::string&>();
  }
  void flag(const char* key, bool& out) {
    if (const json* v = find(key, &json::is_boolean)) out = v->get<bool>();
  }
  void duration(const char* key, Duration& out) {
    if (const json* v = find(key, &json::is_number_integer)) {
      out = Duration(v->get<std::int64_t>());
      if (out.count() < 0) bad(key);
    }
  }
  void any_json(const char* key, std::string& out) {
    auto at = object_.find(key);
    if (at != object_.end()) out = at->dump(-1, ' ', false, json::error_handler_t::replace);
  }
  void text_list(const char* key, std::vector<std::string>& out) {
    const json* list = find(key, &json::is_array);
    if (list == nullptr) return;
    for (const json& v : *list) {
      if (!v.is_string()) return bad(key);
      out.push_back(v.get<std::string>());
    }
  }
  void text_map(const char* key, std::map<std::string, std::string>& out) {
    const json* map = find(key, &json::is_object);
    if (map == nullptr) return;
    for (const auto& [name, v] : map->items()) {
      if (!v.is_string()) return bad(key);
      out[name] = v.get<std::string>();
    }
  }
  const json* object(const char* key) { return find(key, &json::is_object); }
  void bad(const char* key) {
    if (error_.empty()) error_ = key;
  }
  const std::string& error() const { return error_; }

 private:
  const json* find(const char* key, bool (json::*is_right)() const noexcept) {
    auto at = object_.find(key);
    if (at == object_.end()) return nullptr;
    if (((*at).*is_right)()) return &*at;
    bad(key);
    return nullptr;
  }

  const json& object_;
  std::string error_;
};

void read_secrets(Members& members, std::map<std::string, SecretSource>& secrets) {
  const json* map = members.object("secrets");
  if (map == nullptr) return;
  for (const auto& [name, v] : map->items()) {
    if (!v.is_object() || v.size() != 1 || !v.begin()->is_string()) return members.bad("secrets");
    SecretSource source;
    source.from_file = v.begin().key() == "file";
    if (!source.from_file && v.begin().key() != "env") return members.bad("secrets");
    source.name = v.begin()->get<std::string>();
    secrets[name] = std::move(source);
  }
}

void read_output(Members& members, OutputFormat& format) {
  std::string word(to_string(format));
  members.text("output", word);
  for (OutputFormat candidate : kOutputFormats) {
    if (to_string(candidate) == word) {
      format = candidate;
      return;
    }
  }
  members.bad("output");
}

std::optional<std::int64_t> read_number(Members& members, const json& object, const char* key,
                                        std::int64_t least, std::int64_t most) {
  auto at = object.find(key);
  if (at == object.end()) return std::nullopt;
  const bool fits = at->is_number_integer() && at->get<std::int64_t>() >= least &&
                    at->get<std::int64_t>() <= most;
  if (fits) return at->get<std::int64_t>();
  members.bad(key);
  return std::nullopt;
}

void read_resources(Members& members, const json& object, Resources& resources) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  resources.memory_bytes = static_cast<std::uint64_t>(
      read_number(members, object, "memory_bytes", 0, kMost).value_or(0));
  members.duration("cpu_time_ms", resources.cpu_time);
  resources.pids = read_number(members, object, "pids", 0, kMost).value_or(0);
  if (auto nice = read_number(members, object, "nice", -20, 19)) {
    resources.nice = static_cast<int>(*nice);
  }
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
  json secrets = json::object();
  for (const auto& [name, source] : d.secrets) {
    secrets[name] = json{{source.from_file ? "file" : "env", source.name}};
  }
  json with = json::parse(d.with, nullptr, false);
  json context = json::parse(d.context, nullptr, false);
  PAWL_CHECK(!with.is_discarded() && !context.is_discarded());
  json object = {{"home", d.home},
                 {"run", d.run},
                 {"job", d.job},
                 {"task", d.task},
                 {"operator", d.operator_name},
                 {"with", std::move(with)},
                 {"env", d.env},
                 {"pass_env", d.pass_env},
                 {"working_dir", d.working_dir},
                 {"folder", d.folder},
                 {"secrets", std::move(secrets)},
                 {"secret_env", d.secret_env},
                 {"timeout_ms", d.timeout.count()},
                 {"stall_timeout_ms", d.stall_timeout.count()},
                 {"kill_grace_ms", d.kill_grace.count()},
                 {"output", to_string(d.output)},
                 {"output_from_file", d.output_from_file},
                 {"context", std::move(context)},
                 {"scheduler_env", d.scheduler_env},
                 {"log_dir", d.log_dir}};
  if (d.log_bytes_max > 0) object["log_bytes_max"] = d.log_bytes_max;
  const Resources& resources = d.resources;
  if (resources.memory_bytes > 0) object["memory_bytes"] = resources.memory_bytes;
  if (resources.cpu_time > Duration(0)) object["cpu_time_ms"] = resources.cpu_time.count();
  if (resources.pids > 0) object["pids"] = resources.pids;
  if (resources.nice) object["nice"] = *resources.nice;
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<TaskDefinition> decode_definition(std::string_view text) {
  json object = json::parse(text, nullptr, false);
  if (!object.is_object()) return Error{ErrorKind::invalid, "definition: not a JSON object"};
  TaskDefinition d;
  Members members(object);
  members.text("home", d.home);
  members.text("run", d.run);
  members.text("job", d.job);
  members.text("task", d.task);
  members.text("operator", d.operator_name);
  members.any_json("with", d.with);
  members.text_map("env", d.env);
  members.text_list("pass_env", d.pass_env);
  members.text("working_dir", d.working_dir);
  members.text("folder", d.folder);
  read_secrets(members, d.secrets);
  members.text_map("secret_env", d.secret_env);
  members.duration("timeout_ms", d.timeout);
  members.duration("stall_timeout_ms", d.stall_timeout);
  members.duration("kill_grace_ms", d.kill_grace);
  read_resources(members, object, d.resources);
  d.log_bytes_max = static_cast<std::uint64_t>(
      read_number(members, object, "log_bytes_max", 0, std::numeric_limits<std::int64_t>::max())
          .value_or(0));
  read_output(members, d.output);
  members.flag("output_from_file", d.output_from_file);
  if (members.object("context") != nullptr) members.any_json("context", d.context);
  members.text_map("scheduler_env", d.scheduler_env);
  members.text("log_dir", d.log_dir);
  if (!members.error().empty()) {
    return Error{ErrorKind::invalid,
                 "definition: '" + members.error() + "' is not what it must be"};
  }
  return d;
}

std::string log_path(std::string_view log_dir, ItemIndex item, std::int32_t number) {
  return file_path(log_dir, item, number, ".log");
}

std::string output_path(std::string_view log_dir, ItemIndex item, std::int32_t number) {
  return file_path(log_dir, item, number, ".out");
}

}  // namespace pawl
