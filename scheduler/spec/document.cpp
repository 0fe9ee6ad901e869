#include "scheduler/spec/document.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <unordered_set>

#include "scheduler/base/check.h"
#include "scheduler/base/limits.h"
#include "scheduler/base/text.h"

namespace pawl {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_number_char(char c) {
  return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

std::string shorten(std::string_view text) {
  constexpr std::size_t kShown = 40;
  std::string out = escape_for_terminal(text.substr(0, kShown));
  return text.size() > kShown ? out + "…" : out;
}

/// What a JSON text says at a place where it stops being JSON.
class SyntaxExplainer {
 public:
  explicit SyntaxExplainer(std::string_view text) : text_(text) {}

  std::size_t skip_space(std::size_t at) const {
    while (at < text_.size() && is_space(text_[at])) ++at;
    return at;
  }

  SyntaxError value(std::size_t at) const {
    if (at >= text_.size()) return {at, "the file ends where a value should stand"};
    const char c = text_[at];
    if (c == '"') return string(at);
    if (const auto comment = comment_at(at)) return *comment;
    if (c == '\'') return {at, "texts stand in double quotes, not single ones"};
    if (c == ',' || c == '}' || c == ']') {
      return {at, std::string("a value is missing before ") + tick(c)};
    }
    if (c == ':') return {at, "a colon stands after a key of an object only"};
    if ((c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.') return number(at);
    if (is_letter(c)) return word(at);
    return unexpected(at);
  }

  SyntaxError key(std::size_t at) const {
    if (at >= text_.size()) return {at, "the file ends where a key should stand"};
    const char c = text_[at];
    if (c == '"') return string(at);
    if (const auto comment = comment_at(at)) return *comment;
    if (c == '\'') return {at, "keys stand in double quotes, not single ones"};
    if (c == ',') return {at, "a key is missing before this comma"};
    if (is_letter(c)) {
      const std::string_view found = word_at(at);
      return {at, "keys stand in double quotes: write \"" + shorten(found) + "\""};
    }
    if (c == ':') return {at, "a key is missing before this colon"};
    return {at, "a key in double quotes should stand here, not " + found_at(at)};
  }

  SyntaxError between(std::size_t at) const {
    if (const auto comment = comment_at(at)) return *comment;
    const char c = text_[at];
    if (c == '"' || c == '{' || c == '[' || is_number_char(c) || is_letter(c)) {
      return {at, "a comma is missing before " + found_at(at)};
    }
    return {at, "a comma or the end should stand here, not " + found_at(at)};
  }

  std::string found_at(std::size_t at) const {
    const char c = text_[at];
    if (is_letter(c)) return "\"" + shorten(word_at(at)) + "\"";
    if (c == '"') return "a text";
    std::size_t length = 1;
    while (length < 4 && at + length < text_.size() && !is_utf8(text_.substr(at, length))) ++length;
    if (!is_utf8(text_.substr(at, length))) length = 1;
    return "`" + escape_for_terminal(text_.substr(at, length)) + "`";
  }

 private:
  static std::string tick(char c) { return std::string("`") + c + "`"; }

  std::string_view word_at(std::size_t at) const {
    std::size_t end = at;
    while (end < text_.size() && (is_letter(text_[end]) || is_number_char(text_[end]))) ++end;
    return text_.substr(at, end - at);
  }

  std::optional<SyntaxError> comment_at(std::size_t at) const {
    const std::string_view rest = text_.substr(at);
    if (rest.starts_with("//") || rest.starts_with("/*") || rest.starts_with("#")) {
      return SyntaxError{at,
                         "JSON has no comments: use a key \"comment\", or keys that begin "
                         "with \"x-\", which are ignored everywhere"};
    }
    return std::nullopt;
  }

  SyntaxError unexpected(std::size_t at) const {
    return {at, "a value should stand here, not " + found_at(at)};
  }

  SyntaxError number(std::size_t at) const {
    std::size_t end = at;
    while (end < text_.size() && (is_number_char(text_[end]) || is_letter(text_[end]))) ++end;
    const std::string_view found = text_.substr(at, end - at);
    const std::string head = "`" + shorten(found) + "` is not a JSON number";
    const std::string_view digits = found[0] == '-' ? found.substr(1) : found;
    if (digits.size() > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9') {
      return {at, head + ": it has a leading zero"};
    }
    if (found[0] == '+') return {at, head + ": it has a leading plus"};
    if (!digits.empty() && digits[0] == '.')
      return {at, head + ": a digit stands before the point"};
    if (std::any_of(found.begin(), found.end(),
                    [](char c) { return is_letter(c) && c != 'e' && c != 'E'; })) {
      return {at, head + ": durations and sizes are texts, such as \"90s\" or \"512MiB\""};
    }
    const bool complete = !digits.empty() && digits.back() >= '0' && digits.back() <= '9';
    return {at, head + (complete ? ": it is out of range" : "")};
  }

  SyntaxError word(std::size_t at) const {
    struct Known {
      std::string_view found, better;
    };
    constexpr std::array<Known, 12> kKnown = {{{"True", "true"},
                                               {"TRUE", "true"},
                                               {"yes", "true"},
                                               {"on", "true"},
                                               {"False", "false"},
                                               {"FALSE", "false"},
                                               {"no", "false"},
                                               {"off", "false"},
                                               {"None", "null"},
                                               {"nil", "null"},
                                               {"NULL", "null"},
                                               {"undefined", "null"}}};
    const std::string_view found = word_at(at);
    for (const Known& known : kKnown) {
      if (known.found == found) {
        return {at, "`" + std::string(found) + "` is not JSON: write `" +
                        std::string(known.better) + "`"};
      }
    }
    return {at, "`" + shorten(found) +
                    "` is not JSON: the bare words are true, false and null, "
                    "texts stand in double quotes"};
  }

  SyntaxError string(std::size_t begin) const {
    for (std::size_t i = begin + 1; i < text_.size(); ++i) {
      const auto c = static_cast<unsigned char>(text_[i]);
      if (c == '"') return {i, "this text is not valid"};
      if (c == '\n') {
        return {begin,
                "this text is not closed before the end of its line: write a line break as "
                "\\n, or longer text as a list of lines"};
      }
      if (c < 0x20) {
        return {i, "the control character " + escape_for_terminal(text_.substr(i, 1)) +
                       " must be written as an escape, such as \\t or \\u0001"};
      }
      if (c == '\\') {
        if (const auto error = escape(i)) return *error;
        i += text_[i + 1] == 'u' ? 5 : 1;
      } else if (c >= 0x80) {
        const std::size_t length = utf8_length(i);
        if (length == 0) return {i, "this byte is not valid UTF-8; a job file is UTF-8 text"};
        i += length - 1;
      }
    }
    return {begin, "the file ends inside the text that begins here"};
  }

  std::size_t utf8_length(std::size_t at) const {
    for (std::size_t length = 2; length <= 4 && at + length <= text_.size(); ++length) {
      if (is_utf8(text_.substr(at, length))) return length;
    }
    return 0;
  }

  int hex4(std::size_t at) const {
    if (at + 4 > text_.size()) return -1;
    int value = 0;
    for (std::size_t i = at; i < at + 4; ++i) {
      const char c = text_[i];
      const char low = static_cast<char>(c | 0x20);
      if (c >= '0' && c <= '9') {
        value = value * 16 + (c - '0');
      } else if (low >= 'a' && low <= 'f') {
        value = value * 16 + (low - 'a' + 10);
      } else {
        return -1;
      }
    }
    return value;
  }

  std::optional<SyntaxError> escape(std::size_t at) const {
    if (at + 1 >= text_.size()) return SyntaxError{at, "the file ends inside an escape"};
    const char c = text_[at + 1];
    if (c == 'u') {
      const int code = hex4(at + 2);
      if (code < 0) return SyntaxError{at, "\\u takes four hexadecimal digits"};
      const bool high = code >= 0xD800 && code <= 0xDBFF;
      const bool low = code >= 0xDC00 && code <= 0xDFFF;
      const bool after_high = at >= 6 && text_[at - 6] == '\\' && text_[at - 5] == 'u' &&
                              hex4(at - 4) >= 0xD800 && hex4(at - 4) <= 0xDBFF;
      const int next = at + 7 < text_.size() && text_[at + 6] == '\\' && text_[at + 7] == 'u'
                           ? hex4(at + 8)
                           : -1;
      if ((high && (next < 0xDC00 || next > 0xDFFF)) || (low && !after_high)) {
        return SyntaxError{at, "half of a surrogate pair is not a character"};
      }
      return std::nullopt;
    }
    if (std::strchr("\"\\/bfnrt", c) != nullptr && c != '\0') return std::nullopt;
    return SyntaxError{at, "`\\" + escape_for_terminal(text_.substr(at + 1, 1)) +
                               "` is not an escape: there are \\\" \\\\ \\/ \\b \\f \\n \\r \\t "
                               "\\uXXXX; a backslash itself is \\\\"};
  }

  std::string_view text_;
};

}  // namespace

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
    if (raw.find_first_of(".eE") == std::string::npos) {
      return fail(begin, "the integer " + shorten(raw) +
                             " needs more than 64 bits and would lose digits: write it as a text");
    }
    number(NodeKind::real);
    doc_.nodes_.back().value.real = value;
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
    while (is_space(text_[at]) || text_[at] == ',' || text_[at] == ':') ++at;
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
    while (cursor_ < text_.size() && is_number_char(text_[cursor_])) ++cursor_;
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
    if (doc_.errors_.size() >= limits::kErrorsPerFileMax) return;
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
      if (doc_.errors_.size() >= limits::kErrorsPerFileMax) return;
      report_duplicate(m, doc_.member(object, doc_.key(m)));
    }
  }

  SyntaxError explain() const {
    std::size_t at = explain_.skip_space(cursor_);
    const bool at_end = at >= text_.size();
    if (doc_.nodes_.empty()) {
      if (at_end) return {at, "the file is empty; a job file is a JSON object"};
      return explain_.value(at);
    }
    if (ends_in_leading_zero()) return explain_.value(doc_.nodes_.back().offset);
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

  /// The parser takes `01` for a zero and something after it; `cursor_` is behind both.
  bool ends_in_leading_zero() const {
    const Document::Node& last = doc_.nodes_.back();
    if (last.kind != NodeKind::integer) return false;
    const std::size_t digits = last.offset + (text_[last.offset] == '-' ? 1 : 0);
    return text_[digits] == '0' && cursor_ > digits + 1;
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
