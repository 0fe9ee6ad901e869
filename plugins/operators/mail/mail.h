#pragma once

// `mail`: sends one message over SMTP. All recipients get it or none: when the server refuses one,
// nothing is sent. A reply 4xx may be better next time, a reply 5xx fails for good.

#include <mutex>
#include <string>
#include <unordered_map>

#include "pawl/operator.hpp"

namespace pawl::operators {

class Sending;

/// Of addresses as `parse_address` reads them.
inline constexpr const char* kAddressSchema = R"json(
        "pattern": "^[ \\t]*([!#-'*+\\--:=?-\\[\\]-~]+@[!#-'*+\\--:=?A-\\[\\]-~]+|[^\\x00-\\x08\\x0a-\\x1f\\x7f<]*<[!#-'*+\\--:=?-\\[\\]-~]+@[!#-'*+\\--:=?A-\\[\\]-~]+>)[ \\t]*$",
        "x-pawl-error": "is no address such as ops@example.org or Ops <ops@example.org>")json";

class Mail {
 public:
  static constexpr const char* kName = "mail";
  static constexpr const char* kSummary = "sends a message over SMTP";
  static inline const std::string kSchema = std::string(R"json({
    "type": "object",
    "required": ["host", "from", "subject"],
    "properties": {
      "host": {"description": "name or address of the SMTP server", "type": "string", "minLength": 1},
      "port": {"description": "of the server; default 587, 465 with `tls` \"tls\", 25 with \"none\"",
        "type": "integer", "minimum": 1, "maximum": 65535},
      "tls": {"description": "\"starttls\" asks for TLS on a plain connection and goes on only with it; \"tls\" speaks it from the start; \"none\" sends everything readable",
        "type": "string", "enum": ["starttls", "tls", "none"], "default": "starttls"},
      "verify": {"description": "false accepts any certificate", "type": "boolean", "default": true},
      "ca_file": {"description": "PEM file of the authorities that are trusted, instead of the system's",
        "type": "string", "pattern": "^[^\\x00]*$", "x-pawl-error": "is no path: it has a zero byte"},
      "user": {"description": "name to log in with; a server that offers no login gets no message",
        "type": "string", "minLength": 1, "x-pawl-secret": true},
      "password": {"description": "its password", "type": "string", "x-pawl-secret": true},
      "from": {"description": "sender: ops@example.org or Ops <ops@example.org>",
        "type": "string",)json") + kAddressSchema +
                                            R"json(},
      "to": {"description": "one address or a list; with `cc` and `bcc` at most 100",
        "type": ["string", "array"], "minLength": 1, "minItems": 1, "maxItems": 100,)json" +
                                            kAddressSchema + R"json(,
        "items": {"type": "string", "minLength": 1,)json" +
                                            kAddressSchema + R"json(}},
      "cc": {"description": "further addresses, seen by all",
        "type": ["string", "array"],)json" + kAddressSchema +
                                            R"json(,
        "items": {"type": "string",)json" + kAddressSchema +
                                            R"json(}},
      "bcc": {"description": "further addresses, seen by nobody",
        "type": ["string", "array"],)json" + kAddressSchema +
                                            R"json(,
        "items": {"type": "string",)json" + kAddressSchema +
                                            R"json(}},
      "reply_to": {"description": "where answers go",
        "type": ["string", "array"],)json" + kAddressSchema +
                                            R"json(,
        "items": {"type": "string",)json" + kAddressSchema +
                                            R"json(}},
      "subject": {"description": "one line", "type": "string", "maxLength": 500,
        "pattern": "^[^\\x00-\\x08\\x0a-\\x1f\\x7f]*$",
        "x-pawl-error": "holds a line break or another control character"},
      "text": {"description": "the message as plain text, or a list of its lines",
        "type": ["string", "array"], "items": {"type": "string"}},
      "html": {"description": "the message as HTML, or a list of its lines; beside `text` the reader's program takes the better one",
        "type": ["string", "array"], "items": {"type": "string"}},
      "attachments": {"description": "files, together at most 25 MiB", "type": "array",
        "maxItems": 50, "items": {"type": "string", "minLength": 1,
          "pattern": "^[^\\x00]*$", "x-pawl-error": "is no path: it has a zero byte"}},
      "connect_timeout": {"description": "for name and connection; the whole is bounded by the task's `timeout`",
        "type": "string", "x-pawl-type": "duration", "x-pawl-minimum": "1ms", "default": "30s"}
    },
    "additionalProperties": false,
    "anyOf": [{"required": ["to"]}, {"required": ["cc"]}, {"required": ["bcc"]}],
    "allOf": [
      {"anyOf": [{"required": ["user", "password"]},
          {"not": {"anyOf": [{"required": ["user"]}, {"required": ["password"]}]}}],
        "x-pawl-error": "\"user\" and \"password\" belong together, and one of them is missing"}]
  })json";

  Mail();
  ~Mail();
  plugin::Result run(plugin::Attempt& attempt, const plugin::Request& request);
  void cancel(plugin::Attempt& attempt);

 private:
  class CutOnCancel;

  std::mutex mutex_;  // guards `open_`
  std::unordered_map<pawl_attempt*, Sending*> open_;
};

}  // namespace pawl::operators
