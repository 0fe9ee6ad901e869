#include "scheduler/spec/cel_value.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "scheduler/base/check.h"

namespace pawl::cel {
namespace {

constexpr double kTwoTo63 = 9223372036854775808.0;
constexpr double kTwoTo64 = 18446744073709551616.0;

/// Texts are addressed with 32 bits; nothing that reaches an expression is near 4 GiB.
std::uint32_t text_size(std::size_t size) {
  return static_cast<std::uint32_t>(
      std::min<std::size_t>(size, std::numeric_limits<std::uint32_t>::max()));
}

int order(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return 2;
  return a < b ? -1 : a > b ? 1 : 0;
}

template <typename T>
int order(T a, T b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

int order_int_uint(std::int64_t a, std::uint64_t b) {
  return a < 0 ? -1 : order(static_cast<std::uint64_t>(a), b);
}

double as_double(const Value& v) {
  if (v.is(Kind::int64)) return static_cast<double>(v.int64);
  if (v.is(Kind::uint64)) return static_cast<double>(v.uint64);
  return v.float64;
}

}  // namespace

Value Value::string(std::string_view v) {
  Value out;
  out.kind = Kind::string;
  out.size = text_size(v.size());
  out.text = v.data();
  return out;
}

Value Value::bytes(std::string_view v) {
  Value out = string(v);
  out.kind = Kind::bytes;
  return out;
}

Value Value::list(const Value* items, std::size_t count) {
  Value out;
  out.kind = Kind::list;
  out.size = static_cast<std::uint32_t>(count);
  out.items = items;
  return out;
}

Value Value::map(const Map* entries) {
  Value out;
  out.kind = Kind::map;
  out.entries = entries;
  return out;
}

Value Value::timestamp(std::int64_t seconds, std::uint32_t nanoseconds) {
  Value out = of(seconds);
  out.kind = Kind::timestamp;
  out.size = nanoseconds;
  return out;
}

Value Value::duration(std::int64_t nanoseconds) {
  Value out = of(nanoseconds);
  out.kind = Kind::duration;
  return out;
}

Value Value::type_of(Kind kind) {
  Value out;
  out.kind = Kind::type;
  out.type = kind;
  return out;
}

Value Value::of(const Json* node) {
  switch (node->type()) {
    case Json::value_t::null: return null();
    case Json::value_t::boolean: return of(*node->get_ptr<const Json::boolean_t*>());
    case Json::value_t::number_integer:
      return of(std::int64_t{*node->get_ptr<const Json::number_integer_t*>()});
    case Json::value_t::number_unsigned: {
      const std::uint64_t u = *node->get_ptr<const Json::number_unsigned_t*>();
      if (u > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return of(u);
      return of(static_cast<std::int64_t>(u));
    }
    case Json::value_t::number_float: return of(*node->get_ptr<const Json::number_float_t*>());
    case Json::value_t::string: return string(*node->get_ptr<const Json::string_t*>());
    case Json::value_t::array:
    case Json::value_t::object: {
      Value out;
      out.kind = node->is_array() ? Kind::list : Kind::map;
      out.is_json = true;
      out.json = node;
      return out;
    }
    case Json::value_t::binary: {
      const auto& bytes_of = *node->get_ptr<const Json::binary_t*>();
      return bytes({reinterpret_cast<const char*>(bytes_of.data()), bytes_of.size()});
    }
    case Json::value_t::discarded: return null();
  }
  return null();
}

std::string_view type_name(Kind kind) {
  switch (kind) {
    case Kind::error: return "error";
    case Kind::null: return "null_type";
    case Kind::boolean: return "bool";
    case Kind::int64: return "int";
    case Kind::uint64: return "uint";
    case Kind::float64: return "double";
    case Kind::string: return "string";
    case Kind::bytes: return "bytes";
    case Kind::list: return "list";
    case Kind::map: return "map";
    case Kind::timestamp: return "google.protobuf.Timestamp";
    case Kind::duration: return "google.protobuf.Duration";
    case Kind::type: return "type";
  }
  return "error";
}

std::string_view kind_word(Kind kind) {
  if (kind == Kind::timestamp) return "timestamp";
  if (kind == Kind::duration) return "duration";
  if (kind == Kind::null) return "null";
  return type_name(kind);
}

int compare_numbers(const Value& a, const Value& b) {
  if (a.is(Kind::float64) || b.is(Kind::float64)) return order(as_double(a), as_double(b));
  if (a.is(Kind::int64)) {
    return b.is(Kind::int64) ? order(a.int64, b.int64) : order_int_uint(a.int64, b.uint64);
  }
  return b.is(Kind::uint64) ? order(a.uint64, b.uint64) : -order_int_uint(b.int64, a.uint64);
}

bool normalize_key(const Value& key, Value* normal) {
  *normal = key;
  if (key.is(Kind::string) || key.is(Kind::boolean) || key.is(Kind::int64)) return true;
  if (key.is(Kind::uint64)) {
    if (key.uint64 < std::uint64_t{1} << 63) {
      *normal = Value::of(static_cast<std::int64_t>(key.uint64));
    }
    return true;
  }
  if (!key.is(Kind::float64) || std::trunc(key.float64) != key.float64) return false;
  if (key.float64 >= -kTwoTo63 && key.float64 < kTwoTo63) {
    *normal = Value::of(static_cast<std::int64_t>(key.float64));
    return true;
  }
  if (key.float64 < 0 || key.float64 >= kTwoTo64) return false;
  *normal = Value::of(static_cast<std::uint64_t>(key.float64));
  return true;
}

bool same_key(const Value& normal_a, const Value& normal_b) {
  if (normal_a.kind != normal_b.kind) return false;
  if (normal_a.is(Kind::string)) return normal_a.view() == normal_b.view();
  if (normal_a.is(Kind::boolean)) return normal_a.boolean == normal_b.boolean;
  return normal_a.uint64 == normal_b.uint64;
}

std::uint64_t hash_key(const Value& normal) {
  if (normal.is(Kind::string)) return std::hash<std::string_view>{}(normal.view());
  const std::uint64_t bits = normal.is(Kind::boolean) ? (normal.boolean ? 1 : 0) : normal.uint64;
  return (bits * 0x9E3779B97F4A7C15ULL) >> 17;
}

std::size_t element_count(const Value& list_or_map) {
  if (list_or_map.is_json) return list_or_map.json->size();
  return list_or_map.is(Kind::list) ? list_or_map.size : list_or_map.entries->size;
}

Value element_at(const Value& list, std::size_t place) {
  if (!list.is_json) return list.items[place];
  return Value::of(&(*list.json)[place]);
}

bool Arena::charge(std::size_t bytes) {
  if (bytes > budget_->bytes) return false;
  budget_->bytes -= bytes;
  return true;
}

void* Arena::allocate(std::size_t bytes) {
  if (!charge(bytes)) return nullptr;
  // Aligned at the start of a block, not at its end: `extend` needs the end as it is.
  const auto misaligned = reinterpret_cast<std::uintptr_t>(cursor_) % alignof(Value);
  const std::size_t padding = misaligned == 0 ? 0 : alignof(Value) - misaligned;
  if (static_cast<std::size_t>(limit_ - cursor_) < padding + bytes) {
    // Twice the need, so that what is grown by `extend` is copied a logarithmic number of times.
    const std::size_t size = std::max(2 * bytes, next_chunk_bytes_);
    chunks_.emplace_back(new char[size]);
    cursor_ = chunks_.back().get();
    limit_ = cursor_ + size;
    next_chunk_bytes_ = std::min(2 * next_chunk_bytes_, kChunkBytesMax);
  } else {
    cursor_ += padding;
  }
  void* block = cursor_;
  cursor_ += bytes;
  return block;
}

bool Arena::extend(const void* end, std::size_t bytes) {
  if (end != cursor_ || static_cast<std::size_t>(limit_ - cursor_) < bytes) return false;
  if (!charge(bytes)) return false;
  cursor_ += bytes;
  return true;
}

Cursor::Cursor(const Value& list_or_map)
    : source_(list_or_map), count_(element_count(list_or_map)) {
  if (source_.is_json && source_.is(Kind::map)) member_ = source_.json->cbegin();
}

bool Cursor::next(Value* key, Value* value) {
  if (place_ == count_) return false;
  if (source_.is(Kind::list)) {
    *key = Value::of(static_cast<std::int64_t>(place_));
    *value = element_at(source_, place_);
  } else if (source_.is_json) {
    *key = Value::string(member_.key());
    *value = Value::of(&*member_);
    ++member_;
  } else {
    *key = source_.entries->entries[place_].key;
    *value = source_.entries->entries[place_].value;
  }
  ++place_;
  return true;
}

}  // namespace pawl::cel
