#pragma once

// Collects what is wrong with one document, each with its place, bounded.

#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "scheduler/spec/document.h"
#include "scheduler/spec/parse.h"

namespace pawl {

class Diagnostics {
 public:
  explicit Diagnostics(const Document& document) : document_(document) {}

  /// At a value, at the key of a member, or at byte `index` of a decoded string. The same message
  /// at the same place counts once.
  void error(NodeId node, std::string message);
  void error_at_key(NodeId member, std::string message);
  void error_in_string(NodeId node, std::size_t index, std::string message);
  void error_at(std::size_t offset, NodeId node, std::string message);
  void warn(NodeId node, std::string message);

  bool has_errors() const { return error_count_ > 0; }
  bool has_error_at(NodeId node) const;
  /// True when nobody reads further errors; checks may then stop early.
  bool full() const;

  /// All of them: errors by place, then warnings by place. Says when some were left out.
  std::vector<Diagnostic> take();

 private:
  struct Found {
    Diagnostic::Severity severity;
    std::size_t offset;
    NodeId node;
    std::string message;
  };
  void add(Diagnostic::Severity severity, std::size_t offset, NodeId node, std::string message);

  const Document& document_;
  std::vector<Found> found_;
  std::set<std::pair<std::size_t, std::string>> seen_;
  std::size_t error_count_ = 0;
  std::size_t warning_count_ = 0;
};

/// `"a", "b" or "c"`, at most a dozen words.
std::string list_words(std::span<const std::string_view> words, std::string_view last = "or");

/// `; did you mean "x"?`, or empty when no word is near.
std::string did_you_mean(std::string_view word, std::span<const std::string_view> known);

/// `text` in quotes, shortened, safe to print.
std::string quote(std::string_view text);

}  // namespace pawl
