#include "plugins/worker/mask.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

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

}  // namespace

Mask::Mask(std::vector<std::string> values) : values_(std::move(values)) {
  std::erase_if(values_, [](const std::string& v) { return v.size() < kMaskBytesMin; });
  for (std::size_t i = 0, count = values_.size(); i < count; ++i) {
    for (const bool only_ascii : {false, true}) values_.push_back(in_json(values_[i], only_ascii));
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
