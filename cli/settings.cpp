#include "cli/settings.h"

#include <sys/stat.h>

#include <array>
#include <fstream>
#include <sstream>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "scheduler/base/text.h"

namespace pawl {

namespace {

using nlohmann::json;

constexpr std::int64_t kSlotsMax = 1'000'000;
constexpr std::int64_t kWorkersMax = 1'024;
constexpr std::array<std::string_view, 2> kKeys = {"pools", "workers"};

Error invalid(const std::string& path, std::string_view why) {
  return {ErrorKind::invalid, fmt::format("{}: {}", escape_for_terminal(path), why)};
}

/// Ignored everywhere, as in job files.
bool is_remark(const std::string& key) {
  return key == "$schema" || key == "comment" || key.starts_with("x-");
}

Result<std::int64_t> whole_number(const std::string& path, std::string_view name, const json& value,
                                  std::int64_t max) {
  const bool fits = value.is_number_integer() && value.get<double>() >= 1 &&
                    value.get<double>() <= static_cast<double>(max);
  if (fits) return value.get<std::int64_t>();
  return invalid(path, fmt::format("\"{}\" must be a whole number from 1 to {}", name, max));
}

Result<void> read_pools(const std::string& path, const json& pools, Settings& settings) {
  if (!pools.is_object()) return invalid(path, "\"pools\" must be an object of pools and slots");
  for (const auto& [name, value] : pools.items()) {
    if (is_remark(name)) continue;
    if (name != "default") {
      return invalid(path,
                     fmt::format("pool \"{}\": only pool \"default\" is there in this version",
                                 escape_for_terminal(name)));
    }
    const Result<std::int64_t> slots = whole_number(path, "pools.default", value, kSlotsMax);
    if (!slots) return slots.error();
    settings.default_slots = *slots;
  }
  return {};
}

}  // namespace

Result<Settings> read_settings(const std::string& path, bool must_exist) {
  struct stat facts {};
  if (stat(path.c_str(), &facts) != 0) {
    if (!must_exist) return Settings{};
    return Error{ErrorKind::not_found,
                 fmt::format("{}: there is no such file", escape_for_terminal(path))};
  }
  if (!S_ISREG(facts.st_mode)) return invalid(path, "not a regular file");
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) return invalid(path, "cannot be read");
  const json object = json::parse(text.str(), nullptr, false);
  if (!object.is_object()) return invalid(path, "settings are one JSON object");
  Settings settings;
  for (const auto& [key, value] : object.items()) {
    if (is_remark(key)) continue;
    if (key == "pools") {
      if (const Result<void> read = read_pools(path, value, settings); !read) return read.error();
    } else if (key == "workers") {
      const Result<std::int64_t> count = whole_number(path, key, value, kWorkersMax);
      if (!count) return count.error();
      settings.workers = static_cast<std::size_t>(*count);
    } else {
      const std::string_view near = nearest_word(key, kKeys);
      return invalid(path, fmt::format("there is no setting \"{}\"{}", escape_for_terminal(key),
                                       near.empty() ? "; there are: pools, workers"
                                                    : fmt::format(". Did you mean \"{}\"?", near)));
    }
  }
  return settings;
}

std::string settings_schema() {
  const json whole = {{"type", "integer"}, {"minimum", 1}};
  json slots = whole;
  slots["maximum"] = kSlotsMax;
  slots["description"] = "slots of pool default; twice the cores, at least 4, when it is not set";
  json workers = whole;
  workers["maximum"] = kWorkersMax;
  workers["description"] = "processes that start programs; one per core when it is not set";
  const json schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                       {"title", "pawl settings"},
                       {"type", "object"},
                       {"properties",
                        {{"$schema", {{"type", "string"}}},
                         {"comment", json::object()},
                         {"pools",
                          {{"type", "object"},
                           {"properties", {{"default", slots}}},
                           {"patternProperties", {{"^x-", json::object()}}},
                           {"additionalProperties", false}}},
                         {"workers", workers}}},
                       {"patternProperties", {{"^x-", json::object()}}},
                       {"additionalProperties", false}};
  return schema.dump(2);
}

}  // namespace pawl
