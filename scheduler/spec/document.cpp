#include "scheduler/spec/document.h"

#include <algorithm>
#include <array>
#include <unordered_set>

#include "scheduler/base/check.h"
#include "scheduler/base/limits.h"
#include "scheduler/base/text.h"
#include "scheduler/spec/syntax_explainer.h"

namespace pawl {
/// Takes nlohmann's events and finds the place of each token by scanning on from the last one.
/// Tokens were checked by the parser before their event arrives, so scanning cannot go astray.
class DocumentBuilder {
 public:
  DocumentBuilder(Document& document, std::string_view text)
      : doc_(document), text_(text), explain_(text) {
    cursor_ = text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
  }

  bool null() { return leaf(NodeKind::null, 4); }
  bool boolean(bool value) {
    leaf(NodeKind::boolean, value ? 4 : 5);
    doc_.nodes_.back().value.integer = value ? 1 : 0;
    return true;
  }
  bool number_integer(std::int64_t value) {
    number(NodeKind::integer);
    doc_.nodes_.back().value.integer = value;
    return true;
  }
  bool number_unsigned(std::uint64_t value) {
    number(NodeKind::integer);
    doc_.nodes_.back().value.integer = static_cast<std::int64_t>(value);
    doc_.nodes_.back().beyond_signed = value > std::uint64_t{INT64_MAX};
    return true;
  }
  bool number_float(double value, const std::string& raw) {
    const std::size_t begin = token_start();
    number(NodeKind::real);
    doc_.nodes_.back().value.real = value;
    const bool has_lost_digits = raw.find_first_of(".eE") == std::string::npos;
    if (has_lost_digits && doc_.errors_.size() <= limits::kErrorsPerFileMax) {
      doc_.errors_.push_back(
          {begin,
           "the integer " + shorten(raw) +
               " needs more than 64 bits and would lose digits: write it as a text",
           static_cast<NodeId>(doc_.nodes_.size() - 1)});
    }
    return true;
  }
  bool string(const std::string& value) {
    const std::size_t begin = token_start();
    add(NodeKind::string, begin);
    doc_.nodes_.back().value.slice = take_string(begin, value);
    return true;
  }
  bool binary(const std::vector<std::uint8_t>& /*value*/) { return false; }  // not in JSON text

  bool start_object(std::size_t /*size*/) { return open(NodeKind::object); }
  bool start_array(std::size_t /*size*/) { return open(NodeKind::array); }
  bool key(const std::string& value) {
    const std::size_t begin = token_start();
    doc_.keys_.push_back({take_string(begin, value), static_cast<std::uint32_t>(begin)});
    pending_key_ = static_cast<std::uint32_t>(doc_.keys_.size() - 1);
    return true;
  }
  bool end_object() {
    find_duplicates(stack_.back().node);
    return close();
  }
  bool end_array() { return close(); }

  template <typename Exception>
  bool parse_error(std::size_t /*position*/, const std::string& /*token*/, const Exception& /*e*/) {
    if (!failed_) {
      const SyntaxError error = explain();
      fail(error.offset, error.message);
    }
    return false;
  }

  bool fail(std::size_t offset, std::string message) {
    failed_ = true;
    doc_.errors_ = {{offset, std::move(message), kNoNode}};
    return false;
  }

 private:
  struct Frame {
    NodeId node;
    NodeId last_child;
  };

  std::size_t token_start() const {
    std::size_t at = cursor_;
    while (is_json_space(text_[at]) || text_[at] == ',' || text_[at] == ':') ++at;
    return at;
  }

  NodeId add(NodeKind kind, std::size_t begin) {
    const NodeId id = static_cast<NodeId>(doc_.nodes_.size());
    Document::Node node;
    node.kind = kind;
    node.offset = static_cast<std::uint32_t>(begin);
    node.key = pending_key_;
    pending_key_ = kNoNode;
    if (!stack_.empty()) {
      Frame& frame = stack_.back();
      node.parent = frame.node;
      ++doc_.nodes_[frame.node].child_count;
      (frame.last_child == kNoNode ? doc_.nodes_[frame.node].first_child
                                   : doc_.nodes_[frame.last_child].next) = id;
      frame.last_child = id;
    }
    doc_.nodes_.push_back(node);
    return id;
  }

  bool leaf(NodeKind kind, std::size_t length) {
    const std::size_t begin = token_start();
    add(kind, begin);
    cursor_ = begin + length;
    return true;
  }

  void number(NodeKind kind) {
    const std::size_t begin = token_start();
    add(kind, begin);
    cursor_ = begin;
    while (cursor_ < text_.size() && is_json_number(text_[cursor_])) ++cursor_;
  }

  Document::Slice take_string(std::size_t begin, const std::string& value) {
    std::size_t end = begin + 1;
    bool escaped = false;
    while (text_[end] != '"') {
      escaped = escaped || text_[end] == '\\';
      end += text_[end] == '\\' ? 2 : 1;
    }
    cursor_ = end + 1;
    const auto size = static_cast<std::uint32_t>(value.size());
    if (!escaped) return {static_cast<std::uint32_t>(begin + 1), size};
    const auto place = static_cast<std::uint32_t>(text_.size() + doc_.decoded_.size());
    doc_.decoded_ += value;
    return {place, size};
  }

  bool open(NodeKind kind) {
    const std::size_t begin = token_start();
    if (stack_.size() >= static_cast<std::size_t>(limits::kJobNestingMax)) {
      return fail(begin,
                  "nested deeper than " + std::to_string(limits::kJobNestingMax) + " levels");
    }
    const NodeId id = add(kind, begin);
    stack_.push_back({id, kNoNode});
    cursor_ = begin + 1;
    return true;
  }

  bool close() {
    cursor_ = token_start() + 1;
    stack_.pop_back();
    return true;
  }

  void report_duplicate(NodeId later, NodeId first) {
    if (doc_.errors_.size() > limits::kErrorsPerFileMax) return;
    const std::size_t line =
        1 + static_cast<std::size_t>(std::count(
                text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(doc_.key_offset(first)),
                '\n'));
    doc_.errors_.push_back({doc_.key_offset(later),
                            "duplicate key \"" + shorten(doc_.key(later)) +
                                "\": it already stands in line " + std::to_string(line),
                            later});
  }

  void find_duplicates(NodeId object) {
    constexpr std::uint32_t kFewMembers = 16;
    if (doc_.child_count(object) <= kFewMembers) {
      std::array<NodeId, kFewMembers> seen{};
      std::size_t count = 0;
      for (NodeId m = doc_.first_child(object); m != kNoNode; m = doc_.next(m)) {
        const NodeId* end = seen.data() + count;
        const NodeId* first = std::find_if(std::as_const(seen).data(), end, [&](NodeId other) {
          return doc_.key(other) == doc_.key(m);
        });
        if (first != end) {
          report_duplicate(m, *first);
        } else {
          seen[count++] = m;
        }
      }
      return;
    }
    std::unordered_set<std::string_view> seen;
    seen.reserve(doc_.child_count(object));
    for (NodeId m = doc_.first_child(object); m != kNoNode; m = doc_.next(m)) {
      if (seen.insert(doc_.key(m)).second) continue;
      if (doc_.errors_.size() > limits::kErrorsPerFileMax) return;
      report_duplicate(m, doc_.member(object, doc_.key(m)));
    }
  }

  SyntaxError explain() const {
    std::size_t at = explain_.skip_space(cursor_);
    const bool at_end = at >= text_.size();
    if (doc_.nodes_.empty()) {
      if (at_end) return {at, "the file is empty; a JSON object should stand in it"};
      return explain_.value(at);
    }
    if (ends_in_no_number()) return explain_.value(doc_.nodes_.back().offset);
    if (pending_key_ != kNoNode) {
      if (at_end) return ends_inside(at);
      if (text_[at] != ':') return {at, "a colon is missing after the key"};
      at = explain_.skip_space(at + 1);
      return at >= text_.size() ? ends_inside(at) : explain_.value(at);
    }
    if (stack_.empty()) {
      return {at, "the JSON value has ended before: " + explain_.found_at(at) + " is too much"};
    }
    if (at_end) return ends_inside(at);
    const bool in_object = doc_.kind(stack_.back().node) == NodeKind::object;
    const char closing = in_object ? '}' : ']';
    if (text_[at] == (in_object ? ']' : '}')) {
      return {at, std::string("`") + text_[at] + "` cannot close the " +
                      (in_object ? "object" : "list") + " of line " + open_line() + ": `" +
                      closing + "` is missing"};
    }
    if (stack_.back().last_child == kNoNode) {
      return in_object ? explain_.key(at) : explain_.value(at);
    }
    if (text_[at] != ',') return explain_.between(at);
    const std::size_t after = explain_.skip_space(at + 1);
    if (after >= text_.size()) return ends_inside(after);
    if (text_[after] == closing) {
      return {at, std::string("a comma stands before `") + closing + "`: remove it"};
    }
    return in_object ? explain_.key(after) : explain_.value(after);
  }

  /// The parser takes `01` and `2026-11-20` for a number and something after it; `cursor_` is
  /// behind all of it.
  bool ends_in_no_number() const {
    const Document::Node& last = doc_.nodes_.back();
    if (last.kind != NodeKind::integer && last.kind != NodeKind::real) return false;
    const std::string_view token = text_.substr(last.offset, cursor_ - last.offset);
    return std::all_of(token.begin(), token.end(), is_json_number) && !is_number(token);
  }

  static bool is_number(std::string_view token) {
    const auto take = [&token](std::string_view some) {
      const bool has = !token.empty() && some.find(token.front()) != std::string_view::npos;
      if (has) token.remove_prefix(1);
      return has;
    };
    const auto take_digits = [&take] {
      if (!take("0123456789")) return false;
      while (take("0123456789")) {
      }
      return true;
    };
    take("-");
    if (!take("0") && !take_digits()) return false;
    if (take(".") && !take_digits()) return false;
    if (!take("eE")) return token.empty();
    take("+-");
    return take_digits() && token.empty();
  }

  SyntaxError ends_inside(std::size_t at) const {
    const bool in_object = doc_.kind(stack_.back().node) == NodeKind::object;
    return {at, std::string("the file ends inside the ") + (in_object ? "object" : "list") +
                    " of line " + open_line()};
  }

  std::string open_line() const {
    const auto begin = static_cast<std::ptrdiff_t>(doc_.offset(stack_.back().node));
    return std::to_string(1 + std::count(text_.begin(), text_.begin() + begin, '\n'));
  }

  Document& doc_;
  std::string_view text_;
  SyntaxExplainer explain_;
  std::size_t cursor_ = 0;  ///< after the last token
  std::vector<Frame> stack_;
  std::uint32_t pending_key_ = kNoNode;
  bool failed_ = false;
};

bool Document::parse(std::string_view text, std::size_t bytes_max) {
  *this = Document();
  text_ = text;
  if (text.size() > bytes_max) {
    text_ = text.substr(0, 0);
    errors_ = {{0,
                "the file has " + std::to_string(text.size()) + " bytes; at most " +
                    std::to_string(bytes_max) + " are allowed",
                kNoNode}};
    return false;
  }
  line_starts_.push_back(0);
  std::size_t values = 1;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') line_starts_.push_back(static_cast<std::uint32_t>(i + 1));
    if (c == ',' || c == '[' || c == '{') ++values;
  }
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    errors_ = {{nul, "a NUL byte: the text ends before it, or it is none", kNoNode}};
    return false;
  }
  nodes_.reserve(std::min(values, text.size() / 2 + 1));
  DocumentBuilder builder(*this, text);
  return Json::sax_parse(text.begin(), text.end(), &builder);
}

std::string_view Document::view(Slice slice) const {
  if (slice.begin < text_.size()) return text_.substr(slice.begin, slice.size);
  return std::string_view(decoded_).substr(slice.begin - text_.size(), slice.size);
}

std::string_view Document::key(NodeId member) const {
  PAWL_CHECK(nodes_[member].key != kNoNode);
  return view(keys_[nodes_[member].key].slice);
}

NodeId Document::member(NodeId object, std::string_view key_text) const {
  for (NodeId m = first_child(object); m != kNoNode; m = next(m)) {
    if (key(m) == key_text) return m;
  }
  return kNoNode;
}

namespace {

std::string unescape_pointer(std::string_view step) {
  std::string key;
  for (std::size_t i = 0; i < step.size(); ++i) {
    const bool is_escape = step[i] == '~' && i + 1 < step.size();
    key += is_escape ? (step[++i] == '1' ? '/' : '~') : step[i];
  }
  return key;
}

}  // namespace

NodeId Document::deepest(NodeId node, std::string_view pointer) const {
  while (!pointer.empty()) {
    pointer.remove_prefix(1);
    const std::string_view step = pointer.substr(0, pointer.find('/'));
    pointer.remove_prefix(step.size());
    NodeId below = kNoNode;
    if (is(node, NodeKind::object)) {
      below = member(node, unescape_pointer(step));
    } else if (is(node, NodeKind::array)) {
      below = first_child(node);
      for (int left = std::atoi(std::string(step).c_str()); left > 0 && below != kNoNode; --left)
        below = next(below);
    }
    if (below == kNoNode) return node;
    node = below;
  }
  return node;
}

bool Document::contains(NodeId ancestor, NodeId node) const {
  while (node != kNoNode && node != ancestor) node = nodes_[node].parent;
  return node == ancestor;
}

std::string_view Document::string(NodeId node) const {
  PAWL_CHECK(kind(node) == NodeKind::string);
  return view(nodes_[node].value.slice);
}

std::optional<std::int64_t> Document::integer(NodeId node) const {
  if (kind(node) != NodeKind::integer || nodes_[node].beyond_signed) return std::nullopt;
  return nodes_[node].value.integer;
}

double Document::number(NodeId node) const {
  const Node& n = nodes_[node];
  if (n.kind == NodeKind::real) return n.value.real;
  return n.beyond_signed ? static_cast<double>(static_cast<std::uint64_t>(n.value.integer))
                         : static_cast<double>(n.value.integer);
}

Json Document::to_json(NodeId node) const {
  const Node& n = nodes_[node];
  switch (n.kind) {
    case NodeKind::null: return nullptr;
    case NodeKind::boolean: return n.value.integer != 0;
    case NodeKind::integer:
      return n.beyond_signed ? Json(static_cast<std::uint64_t>(n.value.integer))
                             : Json(n.value.integer);
    case NodeKind::real: return n.value.real;
    case NodeKind::string: return std::string(view(n.value.slice));
    case NodeKind::array: {
      Json::array_t list;
      list.reserve(n.child_count);
      for (NodeId c = n.first_child; c != kNoNode; c = next(c)) list.push_back(to_json(c));
      return list;
    }
    case NodeKind::object: {
      Json::object_t object;
      for (NodeId c = n.first_child; c != kNoNode; c = next(c)) {
        object.emplace(std::string(key(c)), to_json(c));
      }
      return object;
    }
  }
  return nullptr;
}

std::size_t Document::key_offset(NodeId node) const {
  const Node& n = nodes_[node];
  return n.key == kNoNode ? n.offset : keys_[n.key].offset;
}

std::size_t Document::offset_in_string(NodeId node, std::size_t index) const {
  std::size_t at = nodes_[node].offset + 1;
  std::size_t decoded = 0;
  while (decoded < index && at < text_.size() && text_[at] != '"') {
    if (text_[at] != '\\') {
      ++at, ++decoded;
    } else if (text_[at + 1] != 'u') {
      at += 2, ++decoded;
    } else {
      const unsigned code = static_cast<unsigned>(
          std::strtoul(std::string(text_.substr(at + 2, 4)).c_str(), nullptr, 16));
      // A surrogate pair is twelve bytes of text and four decoded: two for each half.
      decoded += code < 0x80 ? 1 : code < 0x800 || (code >= 0xD800 && code <= 0xDFFF) ? 2 : 3;
      at += 6;
    }
  }
  return at;
}

Place Document::place(std::size_t offset) const {
  if (line_starts_.empty()) return {};
  const auto after = std::upper_bound(line_starts_.begin(), line_starts_.end(), offset);
  const auto line = after - line_starts_.begin();
  return {static_cast<int>(line),
          static_cast<int>(offset - line_starts_[static_cast<std::size_t>(line - 1)] + 1)};
}

std::string escape_pointer(std::string_view key) {
  std::string out;
  for (const char c : key) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

std::string Document::pointer(NodeId node) const {
  if (node == kNoNode || nodes_[node].parent == kNoNode) return "";
  const Node& n = nodes_[node];
  std::string step;
  if (n.key != kNoNode) {
    step = escape_pointer(key(node));
  } else {
    std::size_t index = 0;
    for (NodeId c = first_child(n.parent); c != node; c = next(c)) ++index;
    step = std::to_string(index);
  }
  return pointer(n.parent) + "/" + step;
}

std::string describe(const Document& document, NodeId node) {
  switch (document.kind(node)) {
    case NodeKind::null: return "null";
    case NodeKind::boolean: return document.boolean(node) ? "true" : "false";
    case NodeKind::integer:
    case NodeKind::real: return "the number " + document.to_json(node).dump();
    case NodeKind::string: return "the text \"" + shorten(document.string(node)) + "\"";
    case NodeKind::array: return document.child_count(node) == 0 ? "an empty list" : "a list";
    case NodeKind::object: return "an object";
  }
  return "";
}

}  // namespace pawl
