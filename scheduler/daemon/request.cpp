#include "scheduler/daemon/request.h"

#include "scheduler/base/words.h"
#include "scheduler/daemon/control.h"

namespace pawl {

using nlohmann::json;

void refuse(const ControlAnswer& answer, const Error& error) {
  answer(http_status(error.kind), error_body(error));
}

std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string text_of(const json& body, const char* key) {
  auto it = body.find(key);
  return it != body.end() && it->is_string() ? it->get<std::string>() : std::string();
}

bool flag_of(const json& body, const char* key) {
  auto it = body.find(key);
  return it != body.end() && it->is_boolean() && it->get<bool>();
}

std::int64_t number_of(const std::map<std::string, std::string>& query, const std::string& key,
                       std::int64_t otherwise) {
  auto it = query.find(key);
  return it == query.end() ? otherwise : whole_number<std::int64_t>(it->second).value_or(otherwise);
}

}  // namespace pawl
