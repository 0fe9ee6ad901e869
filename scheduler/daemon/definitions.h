#pragma once

// How this machine reads job definitions: files that are handed in, and those that are stored.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include <cctz/time_zone.h>

#include "scheduler/base/result.h"
#include "scheduler/core/rows.h"
#include "scheduler/spec/parse.h"
#include "scheduler/spec/settings.h"
#include "storage/store.h"

namespace pawl {

/// Of a file in that folder, or a stored text that came from there: the machine's time zones are
/// known. `operators` must outlive the options. Without `settings` only pool `default` and a job's
/// own are known, and any connection passes.
ParseOptions parse_options(const std::string& folder, const OperatorCatalog* operators,
                           const Settings* settings);

/// Of a text that was accepted: what it names, and the rights it needs, may be gone since.
ParseOptions stored_options(const std::string& folder);

/// Whether programs of this process may begin with that `nice`, as the kernel judges.
bool may_have_nice(int nice);

/// The zone of that name in this machine's zone data, which is read when it is first asked for.
std::optional<cctz::time_zone> zone_named(std::string_view name);

/// The definition that a row holds. Errors: invalid, when this version of pawl cannot read what an
/// earlier one accepted.
Result<JobSpec> read_definition(const JobVersionRow& row);

/// What a definition says of its own retention.
struct OwnRetention {
  std::optional<std::int64_t> runs;
  std::optional<std::int64_t> days;

  /// With `keep` where it is silent.
  Retention over(Retention keep) const {
    return {runs.value_or(keep.runs), days.value_or(keep.days)};
  }
};

/// False of most, which need not be parsed.
bool may_say_retention(const JobVersionRow& row);

/// That of a stored one; nothing when it says nothing or cannot be read.
std::optional<OwnRetention> own_retention(const JobVersionRow& row);

std::optional<TaskIndex> task_named(const JobSpec& job, std::string_view id);
/// All tasks and hooks, for who looks for many: a definition may have 100,000. Valid as long as it.
std::unordered_map<std::string_view, TaskIndex> tasks_by_id(const JobSpec& job);

}  // namespace pawl
