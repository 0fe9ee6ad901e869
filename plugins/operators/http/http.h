#pragma once

// `http`: one call of an HTTP server.
//
// Which answers are good is said by `expected_status`, which bad ones may be better next time by
// `retry_status`; every other answer fails for good. A server that refuses for the moment (429,
// 503) and says for how long is asked again after that, by the same attempt and without a slot, as
// long as all such waits together stay within `max_retry_after`.

#include <string>

#include "pawl/operator.hpp"
#include "plugins/operators/http/exchanges.h"
#include "plugins/operators/http/target.h"

namespace pawl::operators {

class Http {
 public:
  static constexpr const char* kName = "http";
  static constexpr const char* kSummary = "calls an HTTP server";
  static inline const std::string kSchema = std::string(R"json({
    "type": "object",
    "required": ["url"],
    "properties": {
      "method": {"description": "of the request; without it POST when there is a `body`, else GET",
        "type": "string", "pattern": "^[A-Z]{1,32}$", "examples": ["GET"]},)json") +
                                            kTargetSchema + R"json(,
      "expected_status": {"description": "statuses of success: 204, \"2xx\", \"200-299\", or a list of these",
        "minItems": 1,)json" + kStatusesSchema +
                                            R"json(,
        "default": ["2xx"]},
      "retry_status": {"description": "other statuses after which the task's `retry` applies; what is in neither list fails for good",)json" +
                                            kStatusesSchema + R"json(,
        "default": [408, 425, 429, "5xx"]},
      "max_retry_after": {"description": "how long in all an answer 429 or 503 may ask us to wait (Retry-After) before the same attempt asks again; \"0s\": never",
        "type": "string", "x-pawl-type": "duration", "default": "5m"},
      "idempotency_header": {"description": "header that tells the server which requests are the same piece of work, sent with POST and PATCH; empty: none",
        "type": "string", "default": "Idempotency-Key", "pattern": "^[A-Za-z0-9-]{0,64}$",
        "x-pawl-error": "is no name of a header"},
      "response": {"description": "what becomes the output: the body, or status, headers and body",
        "type": "string", "enum": ["body", "full"], "default": "body"},
      "save_to": {"description": "file for the body, made or replaced when all of it is there; the output is then its path and size",
        "type": "string", "minLength": 1, "pattern": "^[^\\x00]*$", "x-pawl-error": "is no path: it has a zero byte",
        "x-pawl-writes": true},
      "max_response": {"description": "size of a body, uncompressed; at most 1MiB without `save_to`; a larger one fails. Default 1MiB where it becomes the output, else 1GiB",
        "type": "string", "x-pawl-type": "size"}
    },
    "allOf": [
      {"if": {"not": {"required": ["save_to"]}},
        "then": {"properties": {"max_response": {"x-pawl-type": "size", "x-pawl-maximum": "1MiB"}}},
        "x-pawl-error": "\"max_response\" is over 1MiB, the most that an output holds: use \"save_to\""},
      {"not": {"required": ["save_to", "response"], "properties": {"response": {"const": "full"}}},
        "x-pawl-error": "\"save_to\" and \"response\": \"full\" exclude each other: the body goes to the file, or into the output"},)json" +
                                            kTargetRulesSchema +
                                            R"json(],
    "additionalProperties": false
  })json";

  explicit Http(plugin::Host host) : exchanges_(host) {}
  void start(plugin::Attempt attempt, const plugin::Request& request);
  void cancel(plugin::Attempt attempt) { exchanges_.cancel(attempt); }

 private:
  HttpExchanges exchanges_;
};

}  // namespace pawl::operators
