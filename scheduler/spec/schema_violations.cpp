#include "scheduler/spec/schema_violations.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <set>
#include <string_view>
#include <system_error>
#include <vector>

#include "scheduler/base/cut.h"
#include "scheduler/base/text.h"
#include "scheduler/spec/civil.h"
#include "scheduler/spec/diagnostics.h"

namespace pawl {
namespace {

void collect_patterns(const Json& schema, Patterns& patterns) {
  if (schema.is_object()) {
    if (const auto pattern = schema.find("pattern");
        pattern != schema.end() && pattern->is_string()) {
      const auto& text = pattern->get_ref<const std::string&>();
      patterns.try_emplace(text, text, RE2::Quiet);
    }
  }
  // Too many do no harm: a property may be called "pattern".
  if (schema.is_structured()) {
    for (const Json& part : schema) collect_patterns(part, patterns);
  }
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

/// Where a part stands in the value that is checked. Written out only for who has to say something.
struct Place {
  const Place* whole = nullptr;       ///< null: it is the value itself
  const std::string* name = nullptr;  ///< of a member
  std::size_t index = 0;              ///< of an element
};

std::string pointer_to(const Place& at) {
  if (at.whole == nullptr) return {};
  return pointer_to(*at.whole) + "/" +
         (at.name != nullptr ? escape_pointer(*at.name) : std::to_string(at.index));
}

/// A sentence about the part at that place.
std::string said(const std::string& sentence, const Place& at) {
  return at.whole == nullptr ? sentence : sentence + " (at " + pointer_to(at) + ")";
}

/// What `check` finds first in the parts of the value, each with its schema.
template <class Check>
std::optional<std::string> first_in_parts(const Json& schema, const Json& value, const Place& at,
                                          Check check) {
  if (const auto items = schema.find("items"); value.is_array() && items != schema.end()) {
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (items->is_array() && i >= items->size()) break;
      const Json& item = items->is_array() ? (*items)[i] : *items;
      if (auto found = check(item, value[i], Place{&at, nullptr, i})) return found;
    }
  }
  if (!value.is_object()) return std::nullopt;
  const auto properties = schema.find("properties");
  const auto others = schema.find("additionalProperties");
  for (const auto& [key, member] : value.items()) {
    const bool has_named = properties != schema.end();
    const auto named = has_named ? properties->find(key) : schema.end();
    const bool is_named = has_named && named != properties->end();
    if (!is_named && others == schema.end()) continue;
    if (auto found = check(is_named ? *named : *others, member, Place{&at, &key})) return found;
  }
  return std::nullopt;
}

/// A schema's own example for people, if it has one.
std::string example_of(const Json& schema) {
  const auto examples = schema.find("examples");
  if (examples == schema.end() || examples->empty()) return {};
  return ", as " + examples->front().dump() + " does";
}

bool is_port(std::string_view text) {
  unsigned number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number >= 1 && number <= 65535;
}

/// Why it is no address: what no server can be reached by. The rest is for whoever calls it to
/// judge.
std::optional<std::string> address_violation(std::string_view text) {
  const std::size_t scheme_end = text.find("://");
  const std::string scheme = ascii_lower(text.substr(0, scheme_end));
  std::string_view authority;
  if (scheme_end != text.npos && (scheme == "http" || scheme == "https")) {
    authority = text.substr(scheme_end + 3);
    authority = authority.substr(0, authority.find_first_of("/?#"));
  }
  if (authority.empty())
    return "expected an address such as \"https://example.org/path\", with http or https";
  if (std::any_of(text.begin(), text.end(), is_control))
    return "an address holds no line break and no other control character";
  authority.remove_prefix(authority.rfind('@') + 1);  // 0: there is no user
  const std::size_t host = authority.starts_with('[') ? authority.find(']') : 0;
  const std::size_t colon = authority.find(':', host);
  if (colon == authority.npos || colon + 1 == authority.size()) return std::nullopt;
  if (is_port(authority.substr(colon + 1))) return std::nullopt;
  return "a port is a number from 1 to 65535";
}

/// What a message tells of a text: not one that may be a secret.
std::string shown_text(const Json& schema, const Json& value) {
  const auto secret = schema.find("x-pawl-secret");
  return secret != schema.end() && *secret == true ? "this value" : shown_value(value);
}

/// Why a text is none of pawl's own kinds: `x-pawl-type`.
std::optional<std::string> kind_violation(const Json& schema, const std::string& text) {
  const auto kind = schema.find("x-pawl-type");
  if (kind == schema.end()) return std::nullopt;
  if (*kind == "duration") {
    const auto duration = parse_duration(text);
    if (!duration) {
      return "expected a duration such as \"30s\" or \"1h30m\", found " + shown_value(text);
    }
    const auto least = parse_duration(schema.value("x-pawl-minimum", "0s"));
    if (least && *duration < *least) {
      return shown_value(text) + " is too short: at least " + format_duration(*least) +
             " is allowed";
    }
  }
  if (*kind == "size") {
    const auto size = parse_size(text);
    if (!size) return "expected a size such as \"512KiB\" or \"1GiB\", found " + shown_value(text);
    const auto most = schema.find("x-pawl-maximum");
    const auto bytes_max = most == schema.end() ? size : parse_size(most->get<std::string>());
    if (bytes_max && *size > *bytes_max) {
      return shown_value(text) + " is too large: at most " + most->get<std::string>() +
             " is allowed";
    }
  }
  if (*kind == "url") return address_violation(text);
  return std::nullopt;
}

bool is_of_type(const Json& value, std::string_view word) {
  return (word == "string" && value.is_string()) ||
         (word == "integer" && value.is_number_integer()) ||
         (word == "number" && value.is_number()) || (word == "boolean" && value.is_boolean()) ||
         (word == "array" && value.is_array()) || (word == "object" && value.is_object()) ||
         (word == "null" && value.is_null());
}

std::optional<std::string> type_violation(const Json& schema, const Json& value) {
  const auto type = schema.find("type");
  if (type == schema.end()) return std::nullopt;
  std::vector<std::string_view> words;
  const auto fits = [&](const Json& word) {
    words.emplace_back(word.get_ref<const std::string&>());
    return is_of_type(value, words.back());
  };
  const bool is_one =
      type->is_array() ? std::any_of(type->begin(), type->end(), fits) : fits(*type);
  if (is_one) return std::nullopt;
  return "expected the type " + list_words(words) + ", found " + shown_value(value);
}

/// How large a number is, how long a text, how many elements a list has.
std::optional<std::string> bounds_violation(const Json& schema, const Json& value) {
  const auto bound = [&schema](const char* key) {
    const auto found = schema.find(key);
    return found == schema.end() ? nullptr : &*found;
  };
  if (value.is_number()) {
    if (const auto least = bound("minimum"); least && value < *least) {
      return shown_value(value) + " is too small: at least " + least->dump() + " is allowed";
    }
    if (const auto most = bound("maximum"); most && value > *most) {
      return shown_value(value) + " is too large: at most " + most->dump() + " is allowed";
    }
  }
  if (value.is_string() && value.get_ref<const std::string&>().empty() &&
      schema.value("minLength", 0) > 0) {
    return "an empty text is not allowed";
  }
  if (value.is_array()) {
    if (const auto least = bound("minItems"); least && value.size() < *least) {
      return "a list of at least " + least->dump() + " is expected, found " + shown_value(value);
    }
    if (const auto most = bound("maxItems"); most && value.size() > *most) {
      return "a list of at most " + most->dump() + " is expected, this one has " +
             std::to_string(value.size());
    }
    if (schema.value("uniqueItems", false)) {
      std::set<std::reference_wrapper<const Json>, std::less<Json>> seen;
      for (const Json& element : value) {
        if (!seen.insert(element).second)
          return "the elements of this list must differ, " + shown_value(element) +
                 " is there twice";
      }
    }
  }
  return std::nullopt;
}

std::optional<std::string> plain_violation_at(const Json& schema, const Json& value,
                                              const Place& at) {
  if (!schema.is_object()) return std::nullopt;
  if (const auto words = schema.find("enum"); words != schema.end()) {
    if (std::find(words->begin(), words->end(), value) == words->end()) {
      return said(shown_value(value) + " is not allowed; allowed are " + shown_value(*words), at);
    }
  }
  for (const auto& check : {type_violation, bounds_violation, choice_violation}) {
    if (auto found = check(schema, value)) return said(*found, at);
  }
  return first_in_parts(schema, value, at, plain_violation_at);
}

/// Of a text itself, not of its parts.
std::optional<std::string> own_text_violation(const Json& schema, const Patterns& patterns,
                                              const Json& value) {
  const auto& text = value.get_ref<const std::string&>();
  if (auto found = kind_violation(schema, text)) return found;
  if (const auto pattern = schema.find("pattern"); pattern != schema.end()) {
    const auto expression = patterns.find(pattern->get_ref<const std::string&>());
    if (!RE2::PartialMatch(text, expression->second)) {
      const auto own = schema.find("x-pawl-error");
      const std::string why =
          own != schema.end() && own->is_string() ? own->get<std::string>() : "";
      return shown_text(schema, value) +
             (why.empty() ? " does not match the pattern " + pattern->dump() + example_of(schema)
                          : ' ' + why);
    }
  }
  const auto format = schema.find("format");
  if (format == schema.end()) return std::nullopt;
  const bool is_date = *format == "date";
  if (is_date ? parse_date(text).has_value() : parse_utc(text).has_value()) return std::nullopt;
  return shown_value(value) + (is_date ? " is not a date such as \"2026-11-20\""
                                       : " is not a time such as \"2026-11-20T22:58:00Z\"");
}

std::optional<std::string> text_violation_at(const Json& schema, const Patterns& patterns,
                                             const Json& value, const Place& at) {
  if (!schema.is_object()) return std::nullopt;
  if (value.is_string()) {
    if (auto found = own_text_violation(schema, patterns, value)) return said(*found, at);
  }
  if (const auto names = schema.find("propertyNames"); value.is_object() && names != schema.end()) {
    for (const auto& [name, member] : value.items()) {
      if (auto found = text_violation_at(*names, patterns, name, at)) return found;
    }
  }
  if (const auto all = schema.find("allOf"); all != schema.end()) {
    for (const Json& part : *all) {
      if (auto found = text_violation_at(part, patterns, value, at)) return found;
    }
  }
  return first_in_parts(schema, value, at,
                        [&](const Json& part, const Json& inner, const Place& place) {
                          return text_violation_at(part, patterns, inner, place);
                        });
}

}  // namespace

std::optional<std::string> choice_violation(const Json& schema, const Json& value) {
  const bool is_exclusive = schema.contains("oneOf");
  const auto choices = schema.find(is_exclusive ? "oneOf" : "anyOf");
  if (choices == schema.end() || !value.is_object()) return std::nullopt;
  std::vector<std::string> given;
  std::vector<std::string> all;
  for (const Json& choice : *choices) {
    if (choice.size() != 1 || !choice.contains("required") || choice["required"].size() != 1) {
      return std::nullopt;
    }
    all.push_back(choice["required"][0].get<std::string>());
    if (value.contains(all.back())) given.push_back(all.back());
  }
  if (given.size() == 1 || (!is_exclusive && !given.empty())) return std::nullopt;
  const std::vector<std::string>& meant = given.empty() ? all : given;
  const std::vector<std::string_view> words(meant.begin(), meant.end());
  return given.empty() ? list_words(words) + " is missing"
                       : list_words(words, "and") + " exclude each other";
}

Patterns patterns_of(const Json& schema) {
  Patterns patterns;
  collect_patterns(schema, patterns);
  return patterns;
}

std::optional<std::string> plain_violation(const Json& schema, const Json& value) {
  return plain_violation_at(schema, value, {});
}

std::optional<std::string> text_violation(const Json& schema, const Patterns& patterns,
                                          const Json& value) {
  return text_violation_at(schema, patterns, value, {});
}

std::string shown_value(const Json& value) {
  constexpr std::size_t kShown = 80;
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() <= kShown) return text;
  return std::string(cut_utf8(text, kShown)) + "…";
}

}  // namespace pawl
