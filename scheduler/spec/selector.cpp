#include "scheduler/spec/selector.h"

#include <algorithm>

#include "scheduler/base/limits.h"
#include "scheduler/base/text.h"
#include "scheduler/base/words.h"

namespace pawl {
namespace {

constexpr std::string_view kHook = "hook:";
constexpr std::string_view kKey = "key=";

Error bad_name(std::string_view text, std::string_view why) {
  return {ErrorKind::invalid, "name '" + escape_for_terminal(text) + "': " + std::string(why) +
                                  ". Names are RUN, RUN/TASK, RUN/TASK:17, RUN/TASK:key=NAME, and "
                                  "with #2 behind a task or item one attempt"};
}

/// A whole number without sign that `Number` holds.
template <typename Number>
std::optional<Number> number_of(std::string_view text) {
  return text.starts_with('-') ? std::nullopt : whole_number<Number>(text);
}

bool is_digits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// Where the task's id ends and `:ITEM` begins. The colons of a hook belong to its id.
std::size_t end_of_task(std::string_view text) {
  if (!text.starts_with(kHook)) return text.find(':');
  const std::size_t kind_end = text.find(':', kHook.size());
  return kind_end == std::string_view::npos ? kind_end : text.find(':', kind_end + 1);
}

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> words;
  while (true) {
    const std::size_t comma = text.find(',');
    words.push_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return words;
    text.remove_prefix(comma + 1);
  }
}

Error bad_word(std::string_view what, std::string_view word,
               const std::vector<std::string_view>& allowed) {
  std::string message = std::string(what) + " '" + escape_for_terminal(word) + "' is unknown";
  const std::string_view near = nearest_word(word, allowed);
  if (!near.empty())
    return {ErrorKind::invalid, message + ": did you mean '" + std::string(near) + "'"};
  message += ". There are";
  for (std::size_t i = 0; i < allowed.size(); ++i) {
    message += (i == 0 ? " " : ", ") + std::string(allowed[i]);
  }
  return {ErrorKind::invalid, std::move(message)};
}

}  // namespace

Result<ObjectName> parse_object_name(std::string_view text) {
  ObjectName name;
  const std::size_t slash = text.find('/');
  name.run = text.substr(0, slash);
  if (name.run.empty()) return bad_name(text, "it begins with no run");
  if (slash == std::string_view::npos) {
    if (name.run.find_first_of("#:") != std::string::npos)
      return bad_name(text, "no task is named");
    return name;
  }
  std::string_view rest = text.substr(slash + 1);
  const std::size_t hash = rest.rfind('#');
  if (hash != std::string_view::npos && is_digits(rest.substr(hash + 1))) {
    name.attempt = number_of<std::int32_t>(rest.substr(hash + 1));
    if (!name.attempt || *name.attempt < 1) return bad_name(text, "attempts count from 1");
    rest = rest.substr(0, hash);
  }
  const std::size_t colon = end_of_task(rest);
  name.task = rest.substr(0, colon);
  if (name.task.empty()) return bad_name(text, "no task stands behind the slash");
  if (name.task.size() > limits::kNameBytesMax + kHook.size())
    return bad_name(text, "it is too long");
  if (colon == std::string_view::npos) {
    if (name.task.find('#') != std::string::npos)
      return bad_name(text, "no number stands behind #");
    return name;
  }
  const std::string_view item = rest.substr(colon + 1);
  if (item.starts_with(kKey)) {
    name.key = item.substr(kKey.size());
    if (name.key->empty()) return bad_name(text, "the key is empty");
    return name;
  }
  name.item = number_of<std::int64_t>(item);
  if (!name.item || !is_digits(item))
    return bad_name(text, "an item is a number from 0, or key=NAME");
  return name;
}

std::string to_text(const ObjectName& name) {
  std::string text = name.run;
  if (!name.task.empty()) text += "/" + name.task;
  if (name.item) text += ":" + std::to_string(*name.item);
  if (name.key) text += ":" + std::string(kKey) + *name.key;
  if (name.attempt) text += "#" + std::to_string(*name.attempt);
  return text;
}

Result<std::vector<std::string>> parse_states(std::string_view text,
                                              const std::vector<std::string_view>& allowed) {
  std::vector<std::string> states;
  for (std::string_view word : split(text)) {
    if (std::find(allowed.begin(), allowed.end(), word) == allowed.end()) {
      return bad_word("state", word, allowed);
    }
    states.emplace_back(word);
  }
  return states;
}

Result<std::vector<Reason>> parse_reasons(std::string_view text) {
  std::vector<std::string_view> allowed;
  for (std::size_t i = 1; i < kReasonCount; ++i)
    allowed.push_back(to_string(static_cast<Reason>(i)));
  std::vector<Reason> reasons;
  for (std::string_view word : split(text)) {
    auto reason = reason_from(word);
    if (!reason || *reason == Reason::none) return bad_word("reason", word, allowed);
    reasons.push_back(*reason);
  }
  return reasons;
}

Result<std::pair<std::string, std::string>> parse_label(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return Error{ErrorKind::invalid,
                 "label '" + escape_for_terminal(text) + "': it has the form name=value"};
  }
  return std::pair<std::string, std::string>(text.substr(0, equals), text.substr(equals + 1));
}

}  // namespace pawl
