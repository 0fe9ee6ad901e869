#pragma once

// Whom to ask, and how: the parameters that every operator over HTTP has. `kTargetSchema` is their
// part of the schema.

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "pawl/operator.hpp"
#include "scheduler/base/result.h"
#include "scheduler/base/time.h"

namespace pawl::operators {

struct HttpAuth {
  std::string user;  ///< with `password`: basic
  std::string password;
  std::string token;  ///< bearer
};

struct HttpTls {
  bool verify = true;
  std::string ca_file;  ///< absolute; empty: the system's
  std::string certificate_file;
  std::string key_file;
  std::string key_password;
};

struct HttpProxy {
  std::string url;      ///< empty: none
  std::string exclude;  ///< hosts that are asked directly, as in `no_proxy`
};

using HttpHeader = std::pair<std::string, std::string>;

struct HttpTarget {
  std::string method;
  std::string url;                ///< with the query, encoded
  std::string written;            ///< as the user or the other side wrote it; empty: as `url`
  bool is_led_by_secret = false;  ///< what led there held a secret of the task
  std::string name;  ///< of the host, when it must be looked up; empty: an address of numbers
  std::vector<HttpHeader> headers;
  bool has_body = false;
  std::string body;
  std::unique_ptr<HttpAuth> auth;  ///< null: nobody signs in
  std::unique_ptr<HttpTls> tls;    ///< null: as `HttpTls` begins
  HttpProxy proxy;                 ///< for the scheme of `url`
  bool names_proxy = false;        ///< the parameters do, for both schemes
  Duration connect_timeout = std::chrono::seconds(30);
  int max_redirects = 10;
  Duration timeout{};  ///< of each request; 0: none

  bool has_header(std::string_view wanted) const;
};

/// Reads what `kTargetSchema` describes and the variables of proxies. Errors: invalid, as a
/// sentence that names the property. No message holds a value that may be a secret.
Result<HttpTarget> read_target(const nlohmann::json& parameters, const plugin::Request& request);

/// What people are shown of the address: as it is written, without user, password, query, fragment
/// and the task's secrets; of one to which a secret has led only where it is, as the other side may
/// have written the secret in any form.
std::string shown(const HttpTarget& target, const plugin::Attempt& attempt);

/// The duration that a property holds, or `otherwise` when it is not there.
Result<Duration> read_duration(const nlohmann::json& parameters, const char* name,
                               Duration otherwise);

/// The path that a property holds, in the working folder of the attempt unless it is absolute;
/// empty when it is not there.
Result<std::string> read_path(const nlohmann::json& parameters, const char* name,
                              const plugin::Request& request);

/// Makes `url`, to which an answer has led, the address of the target, with the proxy of its
/// scheme. False when it cannot be one, or when there is no such proxy.
bool set_url(HttpTarget& target, const std::string& url, const plugin::Attempt& attempt,
             const plugin::Request& request);

/// The address that `reference` means in an answer of `base`, of whatever scheme; empty when it is
/// none.
std::string resolve_url(const std::string& base, const std::string& reference);

/// Scheme, host and port of an address, as it names them.
std::string origin_of(const std::string& url);

/// True when both lead to the same scheme, host and port.
bool same_origin(const std::string& one, const std::string& other);

inline constexpr const char* kTargetSchema = R"json(
      "url": {"description": "address, http or https", "type": "string", "minLength": 1,
        "x-pawl-type": "url", "x-pawl-secret": true},
      "query": {"description": "parameters of the query, encoded and added to the address; a list repeats its name",
        "type": "object", "x-pawl-secret": true,
        "additionalProperties": {"type": ["string", "number", "boolean", "array"],
          "items": {"type": ["string", "number", "boolean"]}}},
      "headers": {"description": "header lines; they are not sent to another origin on a redirect",
        "type": "object", "x-pawl-secret": true,
        "propertyNames": {"pattern": "^[-!#$%&'*+.^_`|~0-9A-Za-z]+$", "examples": ["X-Request-Id"]},
        "additionalProperties": {"type": ["string", "number", "boolean"], "x-pawl-secret": true,
          "pattern": "^[^\\r\\n\\x00]*$", "x-pawl-error": "holds a line break or a zero byte, which no header does"}},
      "body": {"description": "text is sent as it is, any other value as JSON",
        "x-pawl-secret": true},
      "auth": {"description": "`user` and `password`, which may be empty (basic), or `token` alone (bearer)", "type": "object",
        "x-pawl-secret": true,
        "properties": {
          "user": {"description": "name, for basic", "type": "string", "x-pawl-secret": true,
            "pattern": "^[^:]*$", "x-pawl-error": "has a colon, which ends a name in basic auth",
            "x-pawl-replaces": ["token"]},
          "password": {"description": "for basic", "type": "string", "x-pawl-secret": true,
            "x-pawl-replaces": ["token"]},
          "token": {"description": "for bearer", "type": "string", "x-pawl-secret": true,
            "x-pawl-replaces": ["user", "password"]}},
        "oneOf": [{"required": ["user"]}, {"required": ["token"]}],
        "additionalProperties": false},
      "max_redirects": {"description": "redirects that are followed; 0: a redirect is the answer",
        "type": "integer", "minimum": 0, "maximum": 50, "default": 10},
      "connect_timeout": {"description": "for name, connection and TLS together; the whole call is bounded by the task's `timeout`",
        "type": "string", "x-pawl-type": "duration", "x-pawl-minimum": "1ms", "default": "30s"},
      "proxy": {"description": "address of a proxy (http, https, socks5, socks5h); without it what the task's variables http_proxy, https_proxy, all_proxy and no_proxy say",
        "type": "string", "x-pawl-secret": true,
        "pattern": "(?i)^((https?|socks[45]|socks5h|socks4a)://.+|([^:]|:[^/]|:/[^/])*:?/?)$",
        "x-pawl-error": "is no address of a proxy such as http://proxy.example.org:3128, with http, https, socks5 or socks5h"},
      "tls": {"description": "how the other side is trusted, and what is shown to it", "type": "object",
        "properties": {
          "verify": {"description": "false accepts any certificate", "type": "boolean",
            "default": true},
          "ca_file": {"description": "PEM file of the authorities that are trusted, instead of the system's",
            "type": "string",
            "pattern": "^[^\\x00]*$", "x-pawl-error": "is no path: it has a zero byte"},
          "certificate_file": {"description": "PEM file of our certificate", "type": "string",
            "pattern": "^[^\\x00]*$", "x-pawl-error": "is no path: it has a zero byte"},
          "key_file": {"description": "PEM file of its key", "type": "string",
            "pattern": "^[^\\x00]*$", "x-pawl-error": "is no path: it has a zero byte"},
          "key_password": {"description": "of the key file", "type": "string",
            "x-pawl-secret": true}},
        "additionalProperties": false})json";

/// Of statuses as `Statuses` reads them.
inline constexpr const char* kStatusesSchema = R"json(
        "type": ["array", "string", "integer"], "minimum": 100, "maximum": 599,
        "pattern": "^[1-5](xx|[0-9]{2}(-[1-5][0-9]{2})?)$",
        "x-pawl-error": "is no status such as \"2xx\" or \"200-299\", from 100 to 599",
        "items": {"type": ["string", "integer"], "minimum": 100, "maximum": 599,
          "pattern": "^[1-5](xx|[0-9]{2}(-[1-5][0-9]{2})?)$",
          "x-pawl-error": "is no status such as \"2xx\" or \"200-299\", from 100 to 599"})json";

/// Rules of an `allOf`.
inline constexpr const char* kTargetRulesSchema = R"json(
      {"properties": {"auth": {"anyOf": [{"required": ["user", "password"]},
          {"required": ["token"], "not": {"required": ["password"]}}]}},
        "x-pawl-error": "\"auth\" takes \"user\" and \"password\", which may be empty, or \"token\" alone"},
      {"not": {"required": ["method", "body"], "properties": {"method": {"const": "HEAD"}}},
        "x-pawl-error": "HEAD takes no \"body\""})json";

}  // namespace pawl::operators
