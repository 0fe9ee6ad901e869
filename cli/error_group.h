#pragma once

// Failures that look alike, put together: the same task, the same reason, and an error that
// is the same but for its numbers and names (scheduler/core/error_group.h).

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pawl {

struct Failed {
  std::string task;
  std::int64_t index = -1;  ///< -1: not an item
  std::string reason;       ///< `exit:5`
  std::string error;
  std::int32_t attempts = 0;
};

struct ErrorGroup {
  std::string task;
  std::string reason;  ///< empty: of several, the rest of a task
  std::string error;   ///< its first line: of one as it is, of several their pattern
  std::int64_t count = 0;
  std::vector<Failed> examples;  ///< the first few
  std::int32_t attempts_min = 0;
  std::int32_t attempts_max = 0;
};

/// Collects failures one by one, in memory bounded by the number of different groups; beyond
/// kGroupsMax the rest of a task goes into a group without a reason and an error.
class ErrorGroups {
 public:
  void add(const Failed& failed);
  /// Largest first, then in order of appearance.
  std::vector<ErrorGroup> take();

 private:
  struct Open {
    ErrorGroup group;
    std::string pattern;
    bool is_rest = false;
  };
  std::vector<Open> open_;
};

/// `:3 :7 :11 …` of a group's examples; empty when it is no item.
std::string indexes_text(const ErrorGroup& group);
/// `4 tries each`, `4 tries`, `1 to 4 tries`.
std::string tries_text(const ErrorGroup& group);

}  // namespace pawl
