#pragma once

// How the server of a message is reached: a handle of libcurl with everything set, and what the
// server replied.

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "pawl/operator.hpp"
#include "plugins/operators/curl/handles.h"
#include "plugins/operators/mail/message.h"
#include "scheduler/base/result.h"

namespace pawl::operators {

class MailSession {
 public:
  MailSession();
  MailSession(const MailSession&) = delete;
  MailSession& operator=(const MailSession&) = delete;

  /// Errors: invalid (parameters).
  Result<void> prepare(const nlohmann::json& with, const plugin::Request& request,
                       const MailMessage& message);

  CURL* handle() const { return handle_.get(); }
  const std::string& address() const { return address_; }  ///< for people
  /// The end of the session as the end of an attempt, when it failed.
  plugin::Result failure(CURLcode code) const;

 private:
  static std::size_t on_reply(char* data, std::size_t size, std::size_t count, void* self);
  static int on_ready(void* self, char*, char*, int, int);
  Result<void> set_address(const nlohmann::json& with, const std::string& tls);
  Result<void> set_message(const MailMessage& message);
  void add_text(curl_mime* mime, const std::string& text, const char* type);
  Result<void> add_attachment(curl_mime* mime, const MailAttachment& attachment);

  std::string address_;
  std::string refusal_;   ///< the last line of the server that was one
  bool logs_in_ = false;  ///< the message goes out only then
  bool is_logged_in_ = false;
  TextList recipients_;
  TextList headers_;
  std::string error_;
  EasyHandle handle_;
  MimeHandle mime_;  // goes before the handle that it belongs to
};

}  // namespace pawl::operators
