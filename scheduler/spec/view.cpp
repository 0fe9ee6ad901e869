#include "scheduler/spec/view.h"

#include "scheduler/base/text.h"

namespace pawl {

View View::member(std::string_view key) const {
  if (!is(NodeKind::object)) return {};
  const NodeId own = document_->member(own_, key);
  const NodeId base =
      document_->is(base_, NodeKind::object) ? document_->member(base_, key) : kNoNode;
  if (own == kNoNode) {
    return base == kNoNode || document_->kind(base) == NodeKind::null ? View()
                                                                      : View(*document_, base);
  }
  return merged_member(own, base);
}

View View::merged_member(NodeId own, NodeId base) const {
  if (document_->kind(own) == NodeKind::null) return {};
  const bool both_objects =
      document_->kind(own) == NodeKind::object && document_->is(base, NodeKind::object);
  return View(*document_, own, both_objects ? base : kNoNode);
}

std::unordered_map<std::string_view, NodeId> View::members_of_base() const {
  std::unordered_map<std::string_view, NodeId> members;
  if (!document_->is(base_, NodeKind::object)) return members;
  for (NodeId m = document_->first_child(base_); m != kNoNode; m = document_->next(m))
    members.emplace(document_->key(m), m);
  return members;
}

View View::own_member(std::string_view key) const {
  return is(NodeKind::object) ? View(*document_, own_).member(key) : View();
}

bool View::boolean(bool fallback) const {
  return is(NodeKind::boolean) ? document_->boolean(own_) : fallback;
}

std::int64_t View::integer(std::int64_t fallback) const {
  return present() ? document_->integer(own_).value_or(fallback) : fallback;
}

double View::number(double fallback) const {
  return is(NodeKind::integer) || is(NodeKind::real) ? document_->number(own_) : fallback;
}

std::string_view View::string() const {
  return is(NodeKind::string) ? document_->string(own_) : std::string_view();
}

std::string View::text() const {
  if (!is(NodeKind::array)) return std::string(string());
  std::string out;
  bool first = true;
  for_each_element([&](View line) {
    if (!first) out += '\n';
    first = false;
    out += line.string();
  });
  return out;
}

Duration View::duration(Duration fallback) const {
  if (!is(NodeKind::string)) return fallback;
  const auto parsed = parse_duration(string());
  return parsed ? *parsed : fallback;
}

std::uint64_t View::size(std::uint64_t fallback) const {
  if (!is(NodeKind::string)) return fallback;
  const auto parsed = parse_size(string());
  return parsed ? *parsed : fallback;
}

}  // namespace pawl
