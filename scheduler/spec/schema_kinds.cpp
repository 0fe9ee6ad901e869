#include "scheduler/spec/schema_kinds.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <system_error>

#include "scheduler/base/text.h"
#include "scheduler/spec/civil.h"

namespace pawl {
namespace {

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

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

std::string expected(const std::string& what, const std::string& shown) {
  return "expected " + what + (shown.empty() ? "" : ", found " + shown);
}

std::string subject(const std::string& shown) { return shown.empty() ? "this value" : shown; }

std::optional<std::string> duration_violation(const Json& schema, const std::string& text,
                                              const std::string& shown) {
  const auto duration = parse_duration(text);
  if (!duration) return expected(R"(a duration such as "30s" or "1h30m")", shown);
  const auto least = parse_duration(schema.value("x-pawl-minimum", "0s"));
  if (!least || *duration >= *least) return std::nullopt;
  return subject(shown) + " is too short: at least " + format_duration(*least) + " is allowed";
}

std::optional<std::string> size_violation(const Json& schema, const std::string& text,
                                          const std::string& shown) {
  const auto size = parse_size(text);
  if (!size) return expected(R"(a size such as "512KiB" or "1GiB")", shown);
  const std::string most = schema.value("x-pawl-maximum", "");
  const auto bytes_max = parse_size(most);
  if (!bytes_max || *size <= *bytes_max) return std::nullopt;
  return subject(shown) + " is too large: at most " + most + " is allowed";
}

}  // namespace

std::optional<std::string> kind_violation(const Json& schema, const std::string& text,
                                          const std::string& shown) {
  if (const auto kind = schema.find("x-pawl-type"); kind != schema.end()) {
    if (*kind == "duration") return duration_violation(schema, text, shown);
    if (*kind == "size") return size_violation(schema, text, shown);
    if (*kind == "url") return address_violation(text);
  }
  const auto format = schema.find("format");
  if (format == schema.end()) return std::nullopt;
  if (*format == "date" && !parse_date(text))
    return subject(shown) + R"( is not a date such as "2026-11-20")";
  if (*format == "date-time" && !parse_utc(text))
    return subject(shown) + R"( is not a time such as "2026-11-20T22:58:00Z")";
  return std::nullopt;
}

}  // namespace pawl
