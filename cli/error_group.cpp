#include "cli/error_group.h"

#include <algorithm>

#include <fmt/format.h>

#include "cli/when.h"
#include "scheduler/core/error_group.h"

namespace pawl {

namespace {

constexpr std::size_t kGroupsMax = 200;
constexpr std::size_t kExamplesMax = 3;

}  // namespace

void ErrorGroups::add(const Failed& failed) {
  const std::string pattern = normalize_error(failed.error);
  auto found = std::find_if(open_.begin(), open_.end(), [&](const Open& open) {
    return !open.is_rest && open.group.task == failed.task && open.group.reason == failed.reason &&
           open.pattern == pattern;
  });
  const bool is_rest = found == open_.end() && open_.size() >= kGroupsMax;
  if (is_rest) {
    found = std::find_if(open_.begin(), open_.end(), [&](const Open& open) {
      return open.is_rest && open.group.task == failed.task;
    });
  }
  const std::string line = failed.error.substr(0, failed.error.find('\n'));
  if (found == open_.end()) {
    Open open;
    open.is_rest = is_rest;
    open.group.task = failed.task;
    open.group.attempts_min = failed.attempts;
    open.group.attempts_max = failed.attempts;
    if (!is_rest) {
      open.group.reason = failed.reason;
      open.group.error = line;
      open.pattern = pattern;
    }
    found = open_.insert(open_.end(), std::move(open));
  }
  ErrorGroup& group = found->group;
  // One error is shown as it is, as are several that are the same to the letter.
  if (++group.count > 1 && !found->is_rest && group.error != line) group.error = found->pattern;
  if (group.examples.size() < kExamplesMax) group.examples.push_back(failed);
  group.attempts_min = std::min(group.attempts_min, failed.attempts);
  group.attempts_max = std::max(group.attempts_max, failed.attempts);
}

std::vector<ErrorGroup> ErrorGroups::take() {
  std::vector<ErrorGroup> groups;
  for (Open& open : open_) groups.push_back(std::move(open.group));
  open_.clear();
  std::stable_sort(groups.begin(), groups.end(),
                   [](const ErrorGroup& a, const ErrorGroup& b) { return a.count > b.count; });
  return groups;
}

std::string indexes_text(const ErrorGroup& group) {
  std::string text;
  for (const Failed& example : group.examples) {
    if (example.index < 0) return {};
    text += fmt::format("{}:{}", text.empty() ? "" : " ", example.index);
  }
  if (group.count > static_cast<std::int64_t>(group.examples.size())) text += " …";
  return text;
}

std::string tries_text(const ErrorGroup& group) {
  if (group.attempts_min != group.attempts_max) {
    return fmt::format("{} to {} tries", group.attempts_min, group.attempts_max);
  }
  return counted(group.attempts_max, "try", "tries") + (group.count > 1 ? " each" : "");
}

}  // namespace pawl
