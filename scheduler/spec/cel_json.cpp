// From the values of an expression to JSON and to text.

#include <array>
#include <charconv>
#include <cmath>
#include <string>
#include <utility>

#include "scheduler/base/limits.h"
#include "scheduler/spec/cel_evaluator.h"
#include "scheduler/spec/cel_text.h"
#include "scheduler/spec/cel_time.h"

namespace pawl::cel {

std::string plain_text(const Value& value) {
  switch (value.kind) {
    case Kind::error:
    case Kind::list:
    case Kind::map: return {};
    case Kind::null: return "null";
    case Kind::boolean: return value.boolean ? "true" : "false";
    case Kind::int64: return std::to_string(value.int64);
    case Kind::uint64: return std::to_string(value.uint64);
    case Kind::float64:
      // The text of JSON, where a double keeps its point: 1.0.
      return std::isfinite(value.float64) ? Json(value.float64).dump()
                                          : format_double(value.float64);
    case Kind::string: return std::string(value.view());
    case Kind::bytes: return base64_encode(value.view());
    case Kind::timestamp: return format_timestamp(value);
    case Kind::duration: return format_duration_text(value.int64);
    case Kind::type: return std::string(type_name(value.type));
  }
  return {};
}

/// Pays for a copy of a JSON node and checks its depth, so that copying and printing it may
/// recurse.
bool Evaluator::measure(const Json& json, const Node& node, int depth) {
  if (depth > limits::kExpressionDepthMax) {
    fail(Fault::depth, node);
    return false;
  }
  std::size_t bytes = sizeof(Value);
  if (const auto* text = json.get_ptr<const Json::string_t*>()) bytes += text->size();
  if (!spend_bytes(bytes)) return false;
  if (const auto* object = json.get_ptr<const Json::object_t*>()) {
    for (const auto& [key, value] : *object) {
      if (!spend_bytes(key.size()) || !measure(value, node, depth + 1)) return false;
    }
  } else if (const auto* array = json.get_ptr<const Json::array_t*>()) {
    for (const Json& value : *array) {
      if (!measure(value, node, depth + 1)) return false;
    }
  }
  return true;
}

namespace {

/// How a key of a map reads as a key of a JSON object.
std::string key_text(const Value& key) {
  if (key.is(Kind::string)) return std::string(key.view());
  if (key.is(Kind::boolean)) return key.boolean ? "true" : "false";
  return key.is(Kind::int64) ? std::to_string(key.int64) : std::to_string(key.uint64);
}

}  // namespace

bool Evaluator::to_json(const Value& value, const Node& node, Json* out, int depth) {
  if (depth > limits::kExpressionDepthMax) {
    fail(Fault::depth, node);
    return false;
  }
  if (value.is_json) {
    if (!measure(*value.json, node, depth)) return false;
    *out = *value.json;
    return true;
  }
  if (!spend_bytes(sizeof(Value))) return false;
  switch (value.kind) {
    case Kind::error: return false;
    case Kind::null: *out = nullptr; return true;
    case Kind::boolean: *out = value.boolean; return true;
    case Kind::int64: *out = value.int64; return true;
    case Kind::uint64: *out = value.uint64; return true;
    case Kind::float64:
      if (std::isfinite(value.float64)) {
        *out = value.float64;
      } else {
        *out = format_double(value.float64);
      }
      return true;
    case Kind::string:
    case Kind::bytes:
    case Kind::timestamp:
    case Kind::duration:
    case Kind::type: {
      std::string text = plain_text(value);
      if (!spend_bytes(text.size())) return false;
      *out = std::move(text);
      return true;
    }
    case Kind::list: {
      Json::array_t items;
      items.reserve(value.size);
      for (std::size_t i = 0; i < value.size; ++i) {
        if (!to_json(value.items[i], node, &items.emplace_back(), depth + 1)) return false;
      }
      *out = std::move(items);
      return true;
    }
    case Kind::map: {
      Json::object_t object;
      for (std::size_t i = 0; i < value.entries->size; ++i) {
        const Entry& entry = value.entries->entries[i];
        std::string key = key_text(entry.key);
        if (!spend_bytes(key.size())) return false;
        const auto [place, fresh] = object.try_emplace(std::move(key));
        if (!fresh) {
          fail(Fault::json_key, node, entry.key);
          return false;
        }
        if (!to_json(entry.value, node, &place->second, depth + 1)) return false;
      }
      *out = std::move(object);
      return true;
    }
  }
  return false;
}

bool Evaluator::to_json_text(const Value& value, const Node& node, std::string* out) {
  Json copy;
  const Json* json = &copy;
  if (value.is_json) {
    if (!measure(*value.json, node, 0)) return false;
    json = value.json;
  } else if (!to_json(value, node, &copy)) {
    return false;
  }
  // Replaces what is not UTF-8, which only a secret can hold, instead of throwing.
  *out = json->dump(-1, ' ', false, Json::error_handler_t::replace);
  return true;
}

}  // namespace pawl::cel
