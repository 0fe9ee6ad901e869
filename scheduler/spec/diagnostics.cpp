#include "scheduler/spec/diagnostics.h"

#include <algorithm>

#include "scheduler/base/cut.h"
#include "scheduler/base/limits.h"
#include "scheduler/base/text.h"

namespace pawl {

void Diagnostics::error(NodeId node, std::string message) {
  add(Diagnostic::Severity::error, document_.offset(node), node, std::move(message));
}

void Diagnostics::error_at_key(NodeId member, std::string message) {
  add(Diagnostic::Severity::error, document_.key_offset(member), member, std::move(message));
}

void Diagnostics::error_in_string(NodeId node, std::size_t index, std::string message) {
  add(Diagnostic::Severity::error, document_.offset_in_string(node, index), node,
      std::move(message));
}

void Diagnostics::error_at(std::size_t offset, NodeId node, std::string message) {
  add(Diagnostic::Severity::error, offset, node, std::move(message));
}

void Diagnostics::warn(NodeId node, std::string message) {
  add(Diagnostic::Severity::warning, document_.offset(node), node, std::move(message));
}

bool Diagnostics::has_error_at(NodeId node) const {
  return std::any_of(found_.begin(), found_.end(), [&](const Found& found) {
    return found.node == node && found.severity == Diagnostic::Severity::error;
  });
}

bool Diagnostics::full() const { return error_count_ > limits::kErrorsPerFileMax; }

void Diagnostics::add(Diagnostic::Severity severity, std::size_t offset, NodeId node,
                      std::string message) {
  std::size_t& count = severity == Diagnostic::Severity::error ? error_count_ : warning_count_;
  if (count > limits::kErrorsPerFileMax) return;
  if (!seen_.emplace(offset, message).second) return;
  ++count;
  if (count > limits::kErrorsPerFileMax) return;
  found_.push_back({severity, offset, node, std::move(message)});
}

std::vector<Diagnostic> Diagnostics::take() {
  std::stable_sort(found_.begin(), found_.end(), [](const Found& a, const Found& b) {
    return std::pair(a.severity, a.offset) < std::pair(b.severity, b.offset);
  });
  std::vector<Diagnostic> out;
  out.reserve(found_.size() + 1);
  for (Found& found : found_) {
    const Place place = document_.place(found.offset);
    out.push_back({found.severity, place.line, place.column, document_.pointer(found.node),
                   std::move(found.message)});
  }
  if (full()) {
    const auto first_warning = std::find_if(out.begin(), out.end(), [](const Diagnostic& d) {
      return d.severity == Diagnostic::Severity::warning;
    });
    Diagnostic more = *(first_warning - 1);
    more.message = "further errors are not shown";
    out.insert(first_warning, std::move(more));
  }
  found_.clear();
  return out;
}

std::string list_words(std::span<const std::string_view> words, std::string_view last) {
  constexpr std::size_t kShown = 12;
  std::string out;
  const std::size_t count = std::min(words.size(), kShown);
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) out += i + 1 == words.size() ? " " + std::string(last) + " " : ", ";
    out += quote(words[i]);
  }
  if (words.size() > kShown) out += " … (" + std::to_string(words.size()) + " in all)";
  return out;
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> known) {
  const std::string_view near = nearest_word(word, known);
  return near.empty() ? "" : "; did you mean " + quote(near) + "?";
}

std::string quote(std::string_view text) {
  constexpr std::size_t kShown = 60;
  const std::string_view shown = cut_utf8(text, kShown);
  return "\"" + escape_for_terminal(shown) + (shown.size() < text.size() ? "…\"" : "\"");
}

}  // namespace pawl
