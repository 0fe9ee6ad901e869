#include "cli/error_group.h"

#include <algorithm>

#include <fmt/format.h>

#include "cli/when.h"

namespace pawl {

namespace {

constexpr std::size_t kGroupsMax = 200;
constexpr std::size_t kExamplesMax = 3;
constexpr std::size_t kIdLengthMin = 8;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool is_word(char c) { return is_letter(c) || is_digit(c); }

/// A hexadecimal word with digits in it, dashes of a UUID included.
bool is_id(std::string_view word) {
  const auto digits = std::count_if(word.begin(), word.end(), is_digit);
  return word.size() >= kIdLengthMin && digits > 0 &&
         std::all_of(word.begin(), word.end(), [](char c) { return is_hex(c) || c == '-'; });
}

}  // namespace

std::string error_pattern(std::string_view message) {
  message = message.substr(0, message.find('\n'));
  std::string pattern;
  for (std::size_t at = 0; at < message.size();) {
    if (!is_word(message[at])) {
      pattern += message[at++];
      continue;
    }
    std::size_t end = at;
    while (end < message.size() && is_word(message[end])) ++end;
    std::size_t id_end = end;
    while (id_end < message.size() && (is_hex(message[id_end]) || message[id_end] == '-')) ++id_end;
    const std::string_view word = message.substr(at, end - at);
    const std::string_view long_word = message.substr(at, id_end - at);
    const bool number = std::all_of(word.begin(), word.end(), is_digit);
    if (long_word.size() > word.size() && is_id(long_word) && long_word.size() >= 32) {
      pattern += "<id>";
      end = id_end;
    } else if (number) {
      pattern += "<n>";
    } else if (is_id(word)) {
      pattern += "<id>";
    } else {
      pattern += word;
    }
    at = end;
  }
  return pattern;
}

void ErrorGroups::add(const Failed& failed) {
  const std::string pattern = error_pattern(failed.error);
  const auto same = [&](const Open& open) {
    return open.group.task == failed.task && open.group.reason == failed.reason &&
           open.pattern == pattern;
  };
  auto found = std::find_if(open_.begin(), open_.end(), same);
  if (found == open_.end() && open_.size() >= kGroupsMax) {
    found = std::find_if(open_.begin(), open_.end(), [&](const Open& open) {
      return open.group.task == failed.task && open.pattern.empty();
    });
  }
  if (found == open_.end()) {
    Open open;
    open.group.task = failed.task;
    open.group.reason = failed.reason;
    open.group.error = open_.size() >= kGroupsMax ? "" : failed.error.substr(0, failed.error.find('\n'));
    open.group.attempts_min = failed.attempts;
    open.group.attempts_max = failed.attempts;
    open.pattern = open_.size() >= kGroupsMax ? "" : pattern;
    open_.push_back(std::move(open));
    found = open_.end() - 1;
  }
  ErrorGroup& group = found->group;
  // One error is shown as it is, as are several that are the same to the letter.
  if (++group.count > 1 && group.error != failed.error) group.error = found->pattern;
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
