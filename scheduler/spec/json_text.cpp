#include "scheduler/spec/json_text.h"

#include <nlohmann/json.hpp>

#include "scheduler/base/limits.h"
#include "scheduler/base/text.h"

namespace pawl {
namespace {

using nlohmann::json;

/// Accepts any JSON that is not too deep and keeps its digits when it is read; nothing is built.
class ReadableCheck final : public nlohmann::json_sax<json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t& digits) override {
    if (digits.find_first_of(".eE") != string_t::npos) return true;
    error_ = "the integer " + shown(digits) +
             " needs more than 64 bits and would lose digits: write it as a text";
    return false;
  }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return enter(); }
  bool key(string_t&) override { return true; }
  bool end_object() override { return leave(); }
  bool start_array(std::size_t) override { return enter(); }
  bool end_array() override { return leave(); }
  bool parse_error(std::size_t position, const std::string& token,
                   const json::exception& error) override {
    constexpr int kNumberOverflow = 406;
    error_ = error.id == kNumberOverflow
                 ? "the number " + shown(token) + " is larger than a double can be"
                 : "it is not JSON at byte " + std::to_string(position);
    return false;
  }
  const std::string& error() const { return error_; }

 private:
  static std::string shown(const std::string& digits) {
    constexpr std::size_t kDigitsShown = 40;
    return digits.substr(0, kDigitsShown) + (digits.size() > kDigitsShown ? "…" : "");
  }
  bool enter() {
    if (++depth_ <= limits::kJobNestingMax) return true;
    error_ = "it is nested deeper than " + std::to_string(limits::kJobNestingMax);
    return false;
  }
  bool leave() {
    --depth_;
    return true;
  }

  int depth_ = 0;
  std::string error_;
};

}  // namespace

std::optional<std::string> json_error(std::string_view text) {
  if (!is_utf8(text)) return "it is not UTF-8";
  if (holds_nul(text)) return "it holds a NUL byte";
  ReadableCheck check;
  if (json::sax_parse(text, &check)) return std::nullopt;
  return check.error().empty() ? "it is not JSON" : check.error();
}

}  // namespace pawl
