#pragma once

// What can be wrong with a home and the machine around it, each with a remedy. Checks look and
// change nothing.

#include <string>
#include <string_view>
#include <vector>

namespace pawl {

struct Finding {
  enum class Level { good, warning, problem };
  std::string check;  ///< `home`, `unit file` …
  Level level = Level::good;
  std::string text;    ///< what was found
  std::string remedy;  ///< what to do; empty when all is good
};
std::string_view to_string(Finding::Level level);

/// The folder itself: there, ours, closed to others; then its file system: local, with room.
std::vector<Finding> check_home_folder(const std::string& home);

/// The clock is set, and kept by somebody; the zones of the calendar are installed.
std::vector<Finding> check_clock();

/// Descriptors and processes that this user may have.
std::vector<Finding> check_limits();

/// How the limits of tasks are kept, with that setting of `control_groups`.
Finding check_limits_of_tasks(const std::string& control_groups);

/// The settings of an installed unit that the promises stand on. `text` is the unit's, drop-ins
/// behind it.
std::vector<Finding> judge_unit(const std::string& file, std::string_view text);

/// Looks for installed units called pawl.service, of the system and of the user.
std::vector<Finding> check_unit_files();

/// Worker folders of the home: of workers that are alive, or have ended; a warning when nobody can
/// tell.
Finding check_workers(const std::string& workers_folder);

}  // namespace pawl
