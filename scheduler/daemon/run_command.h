#pragma once

// One command of a client on runs. Private to run_commands*.cpp.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/daemon/run_commands.h"

namespace pawl {

struct RunCommands::Command {
  struct Named {
    std::string run;
    std::string task;
    std::optional<std::int64_t> index;
    bool itself = false;
  };
  std::string verb;
  std::vector<Named> targets;
  Json options;
  std::string actor;
  std::string request_id;
  bool dry_run = false;
  ControlAnswer answer;

  /// What must be known of runs that may have left memory.
  bool needs_snapshot() const { return verb == "resume" || verb == "mark" || verb == "dismiss"; }
  bool repeats_success() const {
    return flag_of(options, "from") || flag_of(options, "only") || flag_of(options, "downstream") ||
           verb == "mark";
  }
  bool names_items() const {
    return std::any_of(targets.begin(), targets.end(),
                       [](const Named& target) { return target.index.has_value(); });
  }
  bool redefines() const { return verb == "resume" && options.contains("definition"); }

  std::vector<std::string> runs() const {
    std::vector<std::string> names;
    for (const Named& target : targets) names.push_back(target.run);
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
  }
};

}  // namespace pawl
