#pragma once

// `wait_http`: a sensor. Looks at an address again and again until its answer is the one that is
// waited for. Between two looks the attempt is deferred: no slot, no process, no memory. What it
// must remember goes along in the deferral's state.
//
// Whatever is not the awaited answer, a server that cannot be reached included, is a reason to look
// again. Only wrong parameters, a certificate that is not trusted, and the statuses of
// `fail_status` end the waiting early.

#include <string>

#include "pawl/operator.hpp"
#include "plugins/operators/http/exchanges.h"
#include "plugins/operators/http/target.h"

namespace pawl::operators {

class WaitHttp {
 public:
  static constexpr const char* kName = "wait_http";
  static constexpr const char* kSummary = "waits until an HTTP server gives the awaited answer";
  static inline const std::string kSchema = std::string(R"json({
    "type": "object",
    "required": ["url"],
    "properties": {
      "method": {"description": "of the request", "type": "string",
        "enum": ["GET", "HEAD", "POST"], "default": "GET"},)json") +
                                            kTargetSchema + R"json(,
      "expected_status": {"description": "statuses that are waited for: 204, \"2xx\", \"200-299\", or a list of these",
        "minItems": 1,)json" + kStatusesSchema +
                                            R"json(,
        "default": ["2xx"]},
      "fail_status": {"description": "statuses that end the waiting with a failure",)json" +
                                            kStatusesSchema + R"json(,
        "default": []},
      "contains": {"description": "text that the body, of 16MiB at most, must hold", "type": "string", "minLength": 1},
      "pointer": {"description": "JSON Pointer into the body, which must be JSON: waits until something is there, or until it is what `equals` says",
        "type": "string", "pattern": "^(/([^~]|~[01])*)?$",
        "x-pawl-error": "is no JSON Pointer such as \"/rows/0\": it begins with \"/\", and in a name \"~\" is written \"~0\", \"/\" \"~1\""},
      "equals": {"description": "with `pointer`: the value that is waited for"},
      "every": {"description": "time between two looks, at least 100ms", "type": "string",
        "x-pawl-type": "duration", "x-pawl-minimum": "100ms", "default": "30s"},
      "look_timeout": {"description": "of one look", "type": "string", "x-pawl-type": "duration",
        "x-pawl-minimum": "1ms", "default": "30s"},
      "timeout": {"description": "gives up so long after the first look, with one last look then; without it never",
        "type": "string", "x-pawl-type": "duration"},
      "on_timeout": {"description": "whether the task then fails or is skipped", "type": "string",
        "enum": ["fail", "skip"], "default": "fail"}
    },
    "allOf": [
      {"anyOf": [{"not": {"required": ["equals"]}}, {"required": ["pointer"]}],
        "x-pawl-error": "\"equals\" says what is awaited at \"pointer\", which is missing"},
      {"not": {"required": ["method"], "properties": {"method": {"const": "HEAD"}},
          "anyOf": [{"required": ["contains"]}, {"required": ["pointer"]}]},
        "x-pawl-error": "the answer to HEAD has no body, so nothing for \"contains\" or \"pointer\""},)json" +
                                            kTargetRulesSchema +
                                            R"json(],
    "additionalProperties": false
  })json";

  explicit WaitHttp(plugin::Host host) : exchanges_(host) {}
  void start(plugin::Attempt attempt, const plugin::Request& request);
  void cancel(plugin::Attempt attempt) { exchanges_.cancel(attempt); }

 private:
  HttpExchanges exchanges_;
};

}  // namespace pawl::operators
