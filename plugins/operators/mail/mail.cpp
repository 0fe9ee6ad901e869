#include "plugins/operators/mail/mail.h"

#include <stdexcept>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "plugins/operators/curl/errors.h"
#include "plugins/operators/mail/message.h"
#include "plugins/operators/mail/session.h"

namespace pawl::operators {

using nlohmann::json;

namespace {

constexpr int kLookAroundMs = 1'000;  ///< a cancellation wakes the thread at once

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : ", ") + word;
  return out;
}

plugin::Result sent(const MailMessage& message, std::string_view format) {
  if (format == "none") return plugin::Result::success();
  if (format == "text") return plugin::Result::success(message.id);
  const json output = {{"message_id", message.id}, {"recipients", message.recipients().size()}};
  return plugin::Result::success(output.dump());
}

/// A transfer in a multi handle of its own, which another thread can wake.
class Sending {
 public:
  Sending(CURLM* multi, CURL* handle) : multi_(multi), handle_(handle) {
    check(curl_multi_add_handle(multi, handle));
  }
  ~Sending() { curl_multi_remove_handle(multi_, handle_); }
  Sending(const Sending&) = delete;
  Sending& operator=(const Sending&) = delete;

  /// True when it is over; `code` then says how.
  bool step(CURLcode& code) {
    int running = 0;
    check(curl_multi_perform(multi_, &running));
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      code = message->data.result;
      return true;
    }
    check(curl_multi_poll(multi_, nullptr, 0, kLookAroundMs, nullptr));
    return false;
  }

 private:
  static void check(CURLMcode code) {
    if (code != CURLM_OK) throw std::runtime_error(curl_multi_strerror(code));
  }

  CURLM* multi_;
  CURL* handle_;
};

}  // namespace

/// Known to `cancel` as long as it lives.
class Mail::Waker {
 public:
  Waker(Mail& mail, pawl_attempt* attempt, CURLM* multi) : mail_(mail), attempt_(attempt) {
    const std::scoped_lock lock(mail_.mutex_);
    mail_.open_.emplace(attempt, multi);
  }
  ~Waker() {
    const std::scoped_lock lock(mail_.mutex_);
    mail_.open_.erase(attempt_);
  }
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;

 private:
  Mail& mail_;
  pawl_attempt* attempt_;
};

Mail::Mail() {
  const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (code != CURLE_OK) throw std::runtime_error(curl_easy_strerror(code));
}

Mail::~Mail() { curl_global_cleanup(); }

plugin::Result Mail::run(plugin::Attempt& attempt, const plugin::Request& request) {
  const json with = json::parse(request.parameters());
  auto message = read_message(with, request);
  if (!message) return parameter_failure(message.error().message);
  MailSession session;
  if (auto prepared = session.prepare(with, request, *message); !prepared) {
    return parameter_failure(prepared.error().message);
  }
  attempt.log("> " + session.address() + ": to " + joined(message->recipients()) + '\n');
  const auto multi = own<MultiHandle>(curl_multi_init());
  const Waker waker(*this, attempt.get(), multi.get());
  Sending sending(multi.get(), session.handle());
  CURLcode code = CURLE_OK;
  while (!sending.step(code)) {
    if (attempt.is_cancelled()) return plugin::Result::failure("cancelled", "Cancelled");
  }
  if (code != CURLE_OK) return session.failure(code);
  attempt.log("< taken, " + message->id + '\n');
  return sent(*message, request.output_format());
}

void Mail::cancel(plugin::Attempt& attempt) {
  const std::scoped_lock lock(mutex_);
  const auto found = open_.find(attempt.get());
  if (found != open_.end()) curl_multi_wakeup(found->second);
}

}  // namespace pawl::operators
