#pragma once

// What an expression computes with: 16-byte values that are copied freely and own nothing. What
// they point to (text, elements, entries) lives in the context, in the compiled program or in the
// arena of the evaluation, so nothing is released one by one and no drop can recurse.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace pawl::cel {

using Json = nlohmann::json;

enum class Kind : std::uint8_t {
  error,  ///< no value; what is wrong stands in the evaluator
  null,
  boolean,
  int64,
  uint64,
  float64,
  string,
  bytes,
  list,
  map,
  timestamp,
  duration,
  type,
};

struct Map;

struct Value {
  Kind kind = Kind::null;
  bool is_json = false;    ///< list and map: `json` is the array or object
  std::uint32_t size = 0;  ///< string, bytes: bytes; own list: elements; timestamp: nanoseconds
  union {
    bool boolean;
    std::int64_t int64 = 0;  ///< also: seconds of a timestamp, nanoseconds of a duration
    std::uint64_t uint64;
    double float64;
    const char* text;
    const Value* items;
    const Map* entries;
    const Json* json;
    Kind type;  ///< the kind that a type value names; `Kind::type` is the type of types
  };

  static Value error();
  static Value null() { return {}; }
  static Value of(bool v);
  static Value of(std::int64_t v);
  static Value of(std::uint64_t v);
  static Value of(double v);
  static Value string(std::string_view v);
  static Value bytes(std::string_view v);
  static Value list(const Value* items, std::size_t count);
  static Value map(const Map* entries);
  static Value timestamp(std::int64_t seconds, std::uint32_t nanoseconds);
  static Value duration(std::int64_t nanoseconds);
  static Value type_of(Kind kind);
  /// The value of a JSON node, which must outlive it. Integers are int, above INT64_MAX uint.
  static Value of(const Json* node);

  bool is_error() const { return kind == Kind::error; }
  bool is(Kind k) const { return kind == k; }
  bool is_number() const {
    return kind == Kind::int64 || kind == Kind::uint64 || kind == Kind::float64;
  }
  std::string_view view() const { return {text, size}; }  ///< of a string or bytes
};
static_assert(sizeof(Value) == 16);

struct Entry {
  Value key;  ///< bool, int, uint or string
  Value value;
};

/// Entries in the order written; `index` is an open-addressing table of places in `entries` plus
/// one, at most half full.
struct Map {
  const Entry* entries = nullptr;
  const std::uint32_t* index = nullptr;
  std::uint32_t size = 0;
  std::uint32_t index_mask = 0;
};

/// The word of a kind in messages and of a type in text: `int`, `list`, `google.protobuf.Duration`.
std::string_view type_name(Kind kind);
/// The word of a kind in messages: as `type_name`, but `timestamp`, `duration`, `null`.
std::string_view kind_word(Kind kind);

/// Numbers as CEL compares them: on one line, doubles decide as doubles. -1, 0, 1; 2 when one is
/// not a number.
int compare_numbers(const Value& a, const Value& b);

/// The key as maps hold it: 1, 1u and 1.0 are one key. False when it can be no key.
bool normalize_key(const Value& key, Value* normal);
bool same_key(const Value& normal_a, const Value& normal_b);
std::uint64_t hash_key(const Value& normal);

/// Elements of a list, entries of a map.
std::size_t element_count(const Value& list_or_map);
Value element_at(const Value& list, std::size_t place);

/// What one evaluation, or all that belong together, may still use.
struct Budget {
  std::int64_t steps = 0;
  std::size_t bytes = 0;
};

/// Memory of one evaluation, counted against a budget and released in one piece.
class Arena {
 public:
  explicit Arena(Budget* budget) : budget_(budget) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// Memory aligned for any Value, or null when the budget is spent.
  void* allocate(std::size_t bytes);
  /// Makes the block that ends at `end` longer in place; false when something follows it or the
  /// budget is spent. The new bytes start at `end`.
  bool extend(const void* end, std::size_t bytes);

 private:
  static constexpr std::size_t kInlineBytes = 1024;
  static constexpr std::size_t kChunkBytesMin = 8u << 10;
  static constexpr std::size_t kChunkBytesMax = 1u << 20;

  bool charge(std::size_t bytes);

  Budget* budget_;
  char* cursor_ = inline_.data();
  char* limit_ = inline_.data() + kInlineBytes;
  std::size_t next_chunk_bytes_ = kChunkBytesMin;
  std::vector<std::unique_ptr<char[]>> chunks_;
  alignas(Value) std::array<char, kInlineBytes> inline_;  // left uninitialized on purpose
};

/// Walks the elements of a list (place, element) or the entries of a map (key, value).
class Cursor {
 public:
  explicit Cursor(const Value& list_or_map);
  bool next(Value* key, Value* value);
  bool walks_map() const { return source_.is(Kind::map); }

 private:
  Value source_;
  std::size_t place_ = 0;
  std::size_t count_;
  Json::const_iterator member_;
};

inline Value Value::error() {
  Value v;
  v.kind = Kind::error;
  return v;
}
inline Value Value::of(bool b) {
  Value v;
  v.kind = Kind::boolean;
  v.boolean = b;
  return v;
}
inline Value Value::of(std::int64_t i) {
  Value v;
  v.kind = Kind::int64;
  v.int64 = i;
  return v;
}
inline Value Value::of(std::uint64_t u) {
  Value v;
  v.kind = Kind::uint64;
  v.uint64 = u;
  return v;
}
inline Value Value::of(double d) {
  Value v;
  v.kind = Kind::float64;
  v.float64 = d;
  return v;
}

}  // namespace pawl::cel
