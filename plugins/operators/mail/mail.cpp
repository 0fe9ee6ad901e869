#include "plugins/operators/mail/mail.h"

#include <stdexcept>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "plugins/operators/curl/errors.h"
#include "plugins/operators/mail/message.h"
#include "plugins/operators/mail/sending.h"
#include "plugins/operators/mail/session.h"

namespace pawl::operators {

using nlohmann::json;

namespace {

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

plugin::Result cancelled() { return plugin::Result::failure("cancelled", "Cancelled"); }

}  // namespace

/// As long as it lives, `cancel` reaches the sending.
class Mail::CutOnCancel {
 public:
  CutOnCancel(Mail& mail, pawl_attempt* attempt, Sending& sending)
      : mail_(mail), attempt_(attempt) {
    const std::scoped_lock lock(mail_.mutex_);
    mail_.open_.emplace(attempt, &sending);
  }
  ~CutOnCancel() {
    const std::scoped_lock lock(mail_.mutex_);
    mail_.open_.erase(attempt_);
  }
  CutOnCancel(const CutOnCancel&) = delete;
  CutOnCancel& operator=(const CutOnCancel&) = delete;

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
  Sending sending(session.handle());
  const CutOnCancel cut_on_cancel(*this, attempt.get(), sending);
  CURLcode code = CURLE_OK;
  bool is_over = false;
  while (!is_over && !attempt.is_cancelled()) is_over = sending.step(code);
  const bool is_taken = is_over && code == CURLE_OK;
  const plugin::Result result = is_taken                 ? sent(*message, request.output_format())
                                : attempt.is_cancelled() ? cancelled()
                                                         : session.failure(code);
  if (is_taken) attempt.log("< taken, " + message->id + '\n');
  // One that came before `cut_on_cancel` found nothing to cut.
  if (attempt.is_cancelled()) sending.cut();
  sending.close();
  return result;
}

void Mail::cancel(plugin::Attempt& attempt) {
  const std::scoped_lock lock(mutex_);
  const auto found = open_.find(attempt.get());
  if (found != open_.end()) found->second->cut();
}

}  // namespace pawl::operators
