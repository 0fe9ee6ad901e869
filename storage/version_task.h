#pragma once

// What listings need to know of a definition's tasks without parsing it again and again: taken from
// its text once, when the version is stored.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/base/ids.h"

namespace pawl {

struct VersionTask {
  std::string id;  ///< of a hook: `hook:on_failure:0`
  std::int32_t max_attempts = 1;
  bool mapped = false;
  bool allow_failure = false;
  std::optional<TaskIndex> source_task;  ///< whose items these are, through an `each`
};

struct VersionSummary {
  std::string labels = "{}";       ///< JSON object
  std::vector<VersionTask> tasks;  ///< by TaskIndex: tasks in the file's order, then the hooks
};

/// Reads a job file's text that passed the parser. Whatever it does not find in another text, it
/// leaves out: listings then show numbers instead of names.
VersionSummary summarize_version(std::string_view body);

}  // namespace pawl
