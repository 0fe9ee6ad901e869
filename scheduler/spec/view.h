#pragma once

// A value of a job file as it counts after merging: what the task says over what the defaults say.
// Nothing is copied: a View is two places of one document.

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <unordered_map>

#include "scheduler/base/time.h"
#include "scheduler/spec/document.h"

namespace pawl {

/// Objects merge key by key, everything else replaces, null removes. Absent when neither side has
/// it. Reading a value of a wrong kind gives the fallback: the structural check has reported it.
class View {
 public:
  View() = default;
  View(const Document& document, NodeId own, NodeId base = kNoNode)
      : document_(&document), own_(own), base_(base) {}

  bool present() const { return own_ != kNoNode; }
  NodeId node() const { return own_; }
  /// True when something of it may come from the defaults.
  bool merged() const { return base_ != kNoNode; }
  NodeId base() const { return base_; }
  bool is(NodeKind kind) const { return present() && document_->kind(own_) == kind; }
  const Document& document() const { return *document_; }

  View member(std::string_view key) const;
  /// The member of the task itself, defaults left aside; null counts as absent.
  View own_member(std::string_view key) const;

  bool boolean(bool fallback) const;
  std::int64_t integer(std::int64_t fallback) const;
  double number(double fallback) const;
  std::string_view string() const;
  /// A string, or the lines of a list joined by line breaks.
  std::string text() const;
  Duration duration(Duration fallback) const;
  std::uint64_t size(std::uint64_t fallback) const;

  /// The enumerator whose word it is, of `count` from 0.
  template <typename Enum>
  Enum word(Enum fallback, std::size_t count) const {
    if (!is(NodeKind::string)) return fallback;
    for (std::size_t i = 0; i < count; ++i) {
      if (to_string(static_cast<Enum>(i)) == string()) return static_cast<Enum>(i);
    }
    return fallback;
  }

  /// Calls `f(key, View)` for each member that counts, own ones first.
  template <typename F>
  void for_each_member(F f) const {
    if (!is(NodeKind::object)) return;
    // Found by their keys once: maps may have very many members.
    std::unordered_map<std::string_view, NodeId> under = members_of_base();
    for (NodeId m = document_->first_child(own_); m != kNoNode; m = document_->next(m)) {
      const auto below = under.extract(document_->key(m));
      const View value = merged_member(m, below.empty() ? kNoNode : below.mapped());
      if (value.present()) f(document_->key(m), value);
    }
    if (under.empty()) return;
    for (NodeId m = document_->first_child(base_); m != kNoNode; m = document_->next(m)) {
      if (!under.contains(document_->key(m))) continue;
      if (document_->kind(m) != NodeKind::null) f(document_->key(m), View(*document_, m));
    }
  }
  /// Calls `f(View)` for each element of a list.
  template <typename F>
  void for_each_element(F f) const {
    if (!is(NodeKind::array)) return;
    for (NodeId c = document_->first_child(own_); c != kNoNode; c = document_->next(c)) {
      f(View(*document_, c));
    }
  }

 private:
  /// A member of the task over that of the defaults.
  View merged_member(NodeId own, NodeId base) const;
  std::unordered_map<std::string_view, NodeId> members_of_base() const;

  const Document* document_ = nullptr;
  NodeId own_ = kNoNode;
  NodeId base_ = kNoNode;
};

}  // namespace pawl
