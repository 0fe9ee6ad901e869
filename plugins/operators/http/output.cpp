#include "plugins/operators/http/output.h"

#include "scheduler/base/text.h"

namespace pawl::operators {

using nlohmann::json;

namespace {

plugin::Result not_json(const HttpExchange& exchange, const std::string& body) {
  return plugin::Result::failure("the response is not JSON, which the task's `output` asks for",
                                 "InvalidJson", exchange.shown_beginning(body));
}

plugin::Result not_text() {
  return plugin::Result::failure(
      "the response is not UTF-8 text; `save_to` writes any bytes to a file", "InvalidText");
}

/// By RFC 8259, which knows no byte order mark, and no NUL after the value.
bool is_json(const std::string& body) {
  return !body.starts_with("\xEF\xBB\xBF") && !holds_nul(body) && json::accept(body);
}

bool says_json(std::string_view content_type) {
  const std::string_view kind = content_type.substr(0, content_type.find(';'));
  return kind.find("/json") != std::string_view::npos ||
         kind.find("+json") != std::string_view::npos;
}

}  // namespace

plugin::Result body_output(const HttpExchange& exchange, std::string_view format,
                           const std::string& body) {
  if (format == "none") return plugin::Result::success();
  if (!is_utf8(body)) return not_text();
  if (format != "json") return plugin::Result::success(body);
  if (body.empty()) return plugin::Result::success("null");
  if (!is_json(body)) return not_json(exchange, body);
  return plugin::Result::success(body);
}

plugin::Result full_output(HttpExchange& exchange, const HttpAnswer& answer,
                           const std::string& body) {
  if (!is_utf8(body)) return not_text();
  const bool as_json = says_json(answer.content_type) && is_json(body);
  // The body is spliced in as it came: parsing and printing it again could change its numbers.
  return plugin::Result::success("{\"status\":" + std::to_string(answer.status) +
                                 ",\"headers\":" + exchange.headers().dump() +
                                 ",\"body\":" + (as_json ? body : json(body).dump()) + '}');
}

}  // namespace pawl::operators
