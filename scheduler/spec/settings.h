#pragma once

// The settings of a home: one JSON object, read by the same machinery as a job file, so that
// parser, errors, `pawl schema settings` and what `pawl doctor` shows cannot disagree.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/base/limits.h"
#include "scheduler/base/time.h"
#include "scheduler/spec/connections.h"
#include "scheduler/spec/job.h"
#include "scheduler/spec/parse.h"

namespace pawl {

struct Settings {
  std::size_t workers = 0;  ///< processes that start programs; 0: one per core
  Duration worker_idle = std::chrono::minutes(1);  ///< a worker without scheduler and work ends
  std::string control_groups = "auto";  ///< for attempts with limits: a folder, `auto`, `none`
  /// Pools of every job; without `default` it has twice the cores, at least 4.
  std::map<std::string, PoolSpec> pools;
  struct Hosts {
    Duration idle = std::chrono::minutes(5);  ///< without an attempt a host ends
    std::uint64_t recycle_after = 0;          ///< attempts until a fresh one follows; 0: never
    std::uint64_t memory_bytes = 0;           ///< resident, until a fresh one follows; 0: never
    std::size_t per_library = 0;  ///< at most, while one is not enough; 0: one per core but one

    friend bool operator==(const Hosts&, const Hosts&) = default;
  } hosts;
  std::uint64_t log_bytes_max = limits::kLogBytesMax;  ///< of one attempt: head and tail are kept
  std::int64_t wal_bytes_max = limits::kWalBytesMax;   ///< above it nothing new starts
  std::int64_t retention_runs = 1'000;
  std::int64_t retention_days = 30;
  std::string job_defaults;  ///< see ParseOptions
  Connections connections;

  std::optional<std::int64_t> default_slots() const;
  friend bool operator==(const Settings&, const Settings&) = default;
};

/// One value as `pawl doctor` shows it.
struct SettingValue {
  std::string name;   ///< `hosts.idle`, `pools.warehouse`
  std::string value;  ///< as JSON, secrets hidden; of a default that is none, in words
  int line = 0;       ///< of the file; 0: the default
};

struct ParsedSettings {
  Settings settings;                    ///< meaningful when `ok`
  std::vector<SettingValue> values;     ///< all there are, also those that are not set
  std::vector<Diagnostic> diagnostics;  ///< errors first by place, then warnings by place
  bool ok = false;                      ///< no error
};

/// Reads the file's text. Of `options` the time zones and operators count. Total, pure.
ParsedSettings parse_settings(std::string_view text, const ParseOptions& options);

/// How jobs are read under these settings.
void apply(const Settings& settings, ParseOptions& options);

/// JSON Schema (2020-12) of the settings file.
std::string settings_schema();

}  // namespace pawl
