#pragma once

// How runs, tasks, items and attempts are named on the command line and in requests, and how many
// of them are chosen at once. Pure: whether something of that name exists, the store knows.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "scheduler/base/result.h"
#include "scheduler/base/time.h"
#include "scheduler/spec/reason.h"

namespace pawl {

/// `RUN`, `RUN/TASK`, `RUN/TASK:17`, `RUN/TASK:key=orders-eu`, `RUN/hook:on_failure:0`; behind a
/// task or an item, `#2` names an attempt. RUN is a run's name, a part of it, `@latest` or
/// `JOB@latest`.
struct ObjectName {
  std::string run;
  std::string task;  ///< empty: the run itself
  std::optional<std::int64_t> item;
  std::optional<std::string> key;  ///< of an item; then `item` is empty
  std::optional<std::int32_t> attempt;

  friend bool operator==(const ObjectName&, const ObjectName&) = default;
};

/// Reads a name. A key takes the rest of the text, but for `#` and a number at its end: where a key
/// ends so itself, the store knows it. Errors: invalid, saying what a name looks like.
Result<ObjectName> parse_object_name(std::string_view text);

/// The text that `parse_object_name` reads back.
std::string to_text(const ObjectName& name);

/// What a verb is about: all that one of `names` names (everything, when there are none) and that
/// passes every filter. Globs are those of base/text.h and match the whole name.
struct Selector {
  std::vector<ObjectName> names;
  std::string job;                                          ///< glob; empty: any
  std::string task;                                         ///< glob
  std::string key;                                          ///< glob; only items with a key
  std::vector<std::string> states;                          ///< words; empty: any
  std::vector<Reason> reasons;                              ///< empty: any
  std::optional<WallTime> since;                            ///< inclusive
  std::optional<WallTime> until;                            ///< exclusive
  std::vector<std::pair<std::string, std::string>> labels;  ///< all of them, exactly

  /// Nothing was said: it would choose everything there is.
  bool is_empty() const {
    return names.empty() && job.empty() && task.empty() && key.empty() && states.empty() &&
           reasons.empty() && !since && !until && labels.empty();
  }
};

/// Reads `failed,held` into words of `allowed`. Errors: invalid, with the nearest word.
Result<std::vector<std::string>> parse_states(std::string_view text,
                                              const std::vector<std::string_view>& allowed);

/// Reads `exit,timeout` into reasons. Errors: invalid, with the nearest word.
Result<std::vector<Reason>> parse_reasons(std::string_view text);

/// Reads `team=data`. Errors: invalid.
Result<std::pair<std::string, std::string>> parse_label(std::string_view text);

}  // namespace pawl
