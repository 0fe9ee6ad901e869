// Rules of names, once as code and once as patterns for the schema.

#include <algorithm>
#include <string>

#include "scheduler/base/limits.h"
#include "scheduler/spec/fields.h"

namespace pawl {
namespace {

constexpr std::size_t kVariableBytesMax = 255;

struct NameRule {
  Check check;
  bool digit_first;
  std::string_view more;  ///< allowed besides letters, digits and `_`, after the first
  std::size_t bytes_max;
  std::string_view sentence;
  std::string_view pattern;
};

constexpr NameRule kNameRules[] = {
    {Check::job_name, true, ".-", limits::kNameBytesMax,
     "a job name is 1 to 128 letters, digits, `_`, `.` and `-`, and begins with a letter, a digit "
     "or `_`",
     "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$"},
    {Check::task_id, false, "-", limits::kNameBytesMax,
     "a task id is 1 to 128 letters, digits, `_` and `-`, and begins with a letter or `_`",
     "^[A-Za-z_][A-Za-z0-9_-]{0,127}$"},
    {Check::name, false, ".-", limits::kNameBytesMax,
     "such a name is 1 to 128 letters, digits, `_`, `.` and `-`, and begins with a letter or `_`",
     "^[A-Za-z_][A-Za-z0-9_.-]{0,127}$"},
    {Check::identifier, false, "-", limits::kNameBytesMax,
     "such a name is 1 to 128 letters, digits, `_` and `-`, and begins with a letter or `_`",
     "^[A-Za-z_][A-Za-z0-9_-]{0,127}$"},
    {Check::variable, false, "", kVariableBytesMax,
     "a variable's name is 1 to 255 letters, digits and `_`, and begins with a letter or `_`",
     "^[A-Za-z_][A-Za-z0-9_]{0,254}$"},
    {Check::label, true, "./-", limits::kNameBytesMax,
     "a label's name is 1 to 128 letters, digits, `_`, `.`, `/` and `-`, and begins with a "
     "letter, a digit or `_`",
     "^[A-Za-z0-9_][A-Za-z0-9_./-]{0,127}$"},
};

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool obeys(const NameRule& rule, std::string_view text) {
  if (text.empty() || text.size() > rule.bytes_max) return false;
  if (!is_letter(text[0]) && !(rule.digit_first && is_digit(text[0]))) return false;
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return is_letter(c) || is_digit(c) || rule.more.find(c) != std::string_view::npos;
  });
}

}  // namespace

std::string_view name_rule(Check check, std::string_view text) {
  for (const NameRule& rule : kNameRules) {
    if (rule.check == check) return obeys(rule, text) ? std::string_view() : rule.sentence;
  }
  return {};
}

bool sounds_secret(std::string_view name) {
  std::string upper(name);
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return upper.find("TOKEN") != std::string::npos || upper.find("PASSWORD") != std::string::npos ||
         upper.find("SECRET") != std::string::npos;
}

std::string_view name_pattern(Check check) {
  for (const NameRule& rule : kNameRules) {
    if (rule.check == check) return rule.pattern;
  }
  return {};
}

}  // namespace pawl
