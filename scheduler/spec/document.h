#pragma once

// A JSON text as a tree that remembers where everything stood, so that every error can say its
// line, column and JSON pointer. The grammar is nlohmann's; this adds places, duplicate keys,
// limits, and sentences a person can act on.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace pawl {

using Json = nlohmann::json;

/// A value of a Document: its place in the order of the text, the root is 0.
using NodeId = std::uint32_t;
inline constexpr NodeId kNoNode = 0xFFFFFFFF;

enum class NodeKind : std::uint8_t { null, boolean, integer, real, string, array, object };

/// A key as one step of a JSON pointer (RFC 6901): `~` and `/` escaped.
std::string escape_pointer(std::string_view key);

/// `null`, `true`, `the number 5`, `the text "abc"`, `a list`, `an object`: for messages.
std::string describe(const class Document& document, NodeId node);

/// Line and column, from 1; the column counts bytes.
struct Place {
  int line = 1;
  int column = 1;
};

/// Something wrong with the text itself.
struct SyntaxError {
  std::size_t offset = 0;
  std::string message;
  NodeId node = kNoNode;  ///< of a duplicate key: the later member; of a number: it
};

class Document {
 public:
  /// Reads `text`, which must outlive the document. False when it is not JSON (one error); true
  /// when it is, perhaps with errors for duplicate keys (the first one of each stays) and for
  /// integers of more than 64 bits. Total: any bytes, at most `bytes_max` of them, nested at most
  /// `limits::kJobNestingMax`.
  bool parse(std::string_view text, std::size_t bytes_max);
  const std::vector<SyntaxError>& errors() const { return errors_; }

  NodeId root() const { return 0; }
  NodeKind kind(NodeId node) const { return nodes_[node].kind; }
  bool is(NodeId node, NodeKind kind) const { return node != kNoNode && nodes_[node].kind == kind; }

  /// Children in the order of the text, as a chain: `first_child`, then `next` until kNoNode.
  NodeId first_child(NodeId node) const { return nodes_[node].first_child; }
  NodeId next(NodeId node) const { return nodes_[node].next; }
  std::uint32_t child_count(NodeId node) const { return nodes_[node].child_count; }
  /// The key of a member of an object, decoded.
  std::string_view key(NodeId member) const;
  /// The member of an object with that key, or kNoNode. Linear in the number of members.
  NodeId member(NodeId object, std::string_view key) const;

  /// The value that a JSON pointer leads to from `node`, or the last one on the way that is there.
  NodeId deepest(NodeId node, std::string_view pointer) const;

  /// True when `node` is `ancestor` or within it.
  bool contains(NodeId ancestor, NodeId node) const;

  bool boolean(NodeId node) const { return nodes_[node].value.integer != 0; }
  /// A string, decoded.
  std::string_view string(NodeId node) const;
  /// An integer that fits 64 signed bits; nothing for one beyond.
  std::optional<std::int64_t> integer(NodeId node) const;
  /// Any number, rounded.
  double number(NodeId node) const;
  /// The value with everything in it.
  Json to_json(NodeId node) const;

  std::size_t offset(NodeId node) const { return nodes_[node].offset; }
  /// Where the key of a member begins; of anything else, the value.
  std::size_t key_offset(NodeId node) const;
  /// Byte of the text where byte `index` of a decoded string stands.
  std::size_t offset_in_string(NodeId node, std::size_t index) const;
  Place place(std::size_t offset) const;
  /// JSON pointer of a value, `` for the root.
  std::string pointer(NodeId node) const;
  std::string_view text() const { return text_; }

 private:
  friend class DocumentBuilder;

  /// A decoded string: in the text when it had no escapes, else in `decoded_`.
  struct Slice {
    std::uint32_t begin = 0;
    std::uint32_t size = 0;
  };
  union Value {
    std::int64_t integer;
    double real;
    Slice slice;
  };
  struct Node {
    Value value{};
    std::uint32_t offset = 0;
    NodeId parent = kNoNode;
    NodeId next = kNoNode;
    NodeId first_child = kNoNode;
    std::uint32_t child_count = 0;
    std::uint32_t key = kNoNode;  ///< place in `keys_`
    NodeKind kind = NodeKind::null;
    bool beyond_signed = false;  ///< an integer that needs 64 unsigned bits
  };
  struct Key {
    Slice slice;
    std::uint32_t offset = 0;
  };

  std::string_view view(Slice slice) const;

  std::string_view text_;
  std::vector<Node> nodes_;
  std::vector<Key> keys_;
  std::string decoded_;
  std::vector<std::uint32_t> line_starts_;
  std::vector<SyntaxError> errors_;
};

}  // namespace pawl
