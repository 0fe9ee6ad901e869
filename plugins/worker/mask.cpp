#include "plugins/worker/mask.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include <nlohmann/json.hpp>

#include "scheduler/base/text.h"
#include "scheduler/spec/cel_text.h"

namespace pawl {
namespace {

struct Match {
  std::size_t at = std::string_view::npos;
  std::size_t size = 0;
};

/// The first place at or after `from` where a value stands; the longest one there.
Match first_match(const std::vector<std::string>& values, std::string_view text, std::size_t from) {
  Match best;
  for (const std::string& value : values) {
    std::size_t at = text.find(value, from);
    if (at < best.at) best = {at, value.size()};
  }
  return best;
}

/// Appends `text` to `out` with every value hidden; returns where the last one ended.
std::size_t hide_into(const std::vector<std::string>& values, std::string_view text,
                      std::string& out) {
  std::size_t done = 0;
  for (Match m = first_match(values, text, 0); m.size > 0; m = first_match(values, text, done)) {
    out.append(text.substr(done, m.at - done));
    out.append(kMaskText);
    done = m.at + m.size;
  }
  return done;
}

/// As it stands between the quotes of a JSON string, with characters beyond ASCII as they are or
/// escaped.
std::string in_json(const std::string& value, bool only_ascii) {
  const std::string quoted =
      nlohmann::json(value).dump(-1, ' ', only_ascii, nlohmann::json::error_handler_t::replace);
  return quoted.substr(1, quoted.size() - 2);
}

/// `\x0a`, `\u20ac`, `\U0001f600`: the number in as many hexadecimal digits as its size asks for.
void append_python_escape(std::string& out, std::uint32_t number) {
  const int digits = number > 0xFFFF ? 8 : number > 0xFF ? 4 : 2;
  out += digits == 8 ? "\\U" : digits == 4 ? "\\u" : "\\x";
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
    out += "0123456789abcdef"[number >> shift & 0xF];
}

/// What Python shows of a value between its quotes: `repr` of the text, `ascii` of it, `repr` of
/// its bytes.
enum class PythonForm { text, ascii, bytes };

/// Beyond ASCII Python escapes what does not print; of that only what is common is known here.
bool is_escaped(std::uint32_t number, PythonForm form) {
  if (number < 0x20 || number == 0x7F) return true;
  return number > 0x7F && (form != PythonForm::text || number <= 0xA0 || number == 0xAD);
}

/// `value` is UTF-8, or the form is `bytes`. `escapes_quote`: Python escapes `'` where it has to
/// stand between such, which other text around the value decides.
std::string in_python(std::string_view value, PythonForm form, bool escapes_quote) {
  std::string out;
  for (std::size_t at = 0; at < value.size();) {
    cel::CodePoint one{static_cast<unsigned char>(value[at])};
    if (form != PythonForm::bytes) one = cel::decode_utf8(value, at);
    const char c = value[at];
    if (c == '\\' || (c == '\'' && escapes_quote)) {
      out += {'\\', c};
    } else if (c == '\n' || c == '\r' || c == '\t') {
      out += {'\\', c == '\n' ? 'n' : c == '\r' ? 'r' : 't'};
    } else if (is_escaped(one.value, form)) {
      append_python_escape(out, one.value);
    } else {
      out += value.substr(at, one.length);
    }
    at += one.length;
  }
  return out;
}

}  // namespace

Mask::Mask(std::vector<std::string> values) : values_(std::move(values)) {
  std::erase_if(values_, [](const std::string& v) { return v.size() < kMaskBytesMin; });
  for (std::size_t i = 0, count = values_.size(); i < count; ++i) {
    for (const bool only_ascii : {false, true}) values_.push_back(in_json(values_[i], only_ascii));
    for (const PythonForm form : {PythonForm::text, PythonForm::ascii, PythonForm::bytes}) {
      if (form != PythonForm::bytes && !is_utf8(values_[i])) continue;
      for (const bool escapes_quote : {false, true})
        values_.push_back(in_python(values_[i], form, escapes_quote));
    }
  }
  std::sort(values_.begin(), values_.end(), [](const std::string& a, const std::string& b) {
    return a.size() != b.size() ? a.size() > b.size() : a < b;
  });
  values_.erase(std::unique(values_.begin(), values_.end()), values_.end());
}

std::string Mask::hide(std::string_view text) const {
  std::string out;
  std::size_t done = hide_into(values_, text, out);
  out.append(text.substr(done));
  return out;
}

std::size_t MaskStream::held_bytes() const {
  std::size_t longest = 0;
  for (const std::string& value : mask_->values()) {
    std::size_t size = std::min(value.size() - 1, held_.size());
    for (; size > longest; --size) {
      if (held_.compare(held_.size() - size, size, value, 0, size) == 0) longest = size;
    }
  }
  return longest;
}

std::string_view MaskStream::feed(std::string_view chunk) {
  if (mask_->empty()) return chunk;
  held_.append(chunk);
  shown_.clear();
  held_.erase(0, hide_into(mask_->values(), held_, shown_));
  std::size_t keep = held_bytes();
  shown_.append(held_, 0, held_.size() - keep);
  held_.erase(0, held_.size() - keep);
  return shown_;
}

std::string_view MaskStream::finish() {
  shown_ = std::exchange(held_, {});
  return shown_;
}

}  // namespace pawl
