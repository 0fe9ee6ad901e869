#include "plugins/operators/mail/session.h"

#include <array>
#include <chrono>
#include <new>
#include <stdexcept>
#include <utility>

#include "plugins/operators/curl/errors.h"
#include "scheduler/base/text.h"

namespace pawl::operators {

using nlohmann::json;

namespace {

constexpr std::string_view kLoggedIn = "235";  ///< the reply to a login that is right

Error invalid(std::string message) { return {ErrorKind::invalid, std::move(message)}; }

/// libcurl's list of types is short.
const char* type_of(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, const char*>, 8> kTypes = {
      {{".csv", "text/csv; charset=utf-8"},
       {".txt", "text/plain; charset=utf-8"},
       {".log", "text/plain; charset=utf-8"},
       {".json", "application/json"},
       {".html", "text/html; charset=utf-8"},
       {".pdf", "application/pdf"},
       {".png", "image/png"},
       {".zip", "application/zip"}}};
  for (const auto& [ending, type] : kTypes) {
    if (name.ends_with(ending)) return type;
  }
  return "application/octet-stream";
}

/// RFC 2231: a name of any characters in a header of ASCII.
std::string disposition(std::string_view name) {
  std::string out = "Content-Disposition: attachment; filename*=UTF-8''";
  for (const char c : name) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '.' || c == '-' || c == '_';
    static constexpr std::string_view kHex = "0123456789ABCDEF";
    const auto byte = static_cast<unsigned char>(c);
    if (plain) {
      out += c;
    } else {
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

/// Whatever cannot be set matters: what goes out then is not what was asked for.
void check(CURLcode code) {
  if (code == CURLE_OUT_OF_MEMORY) throw std::bad_alloc();
  if (code != CURLE_OK) throw std::runtime_error(curl_easy_strerror(code));
}

template <class Value>
void set(CURL* handle, CURLoption option, Value value) {
  check(curl_easy_setopt(handle, option, value));
}

curl_mimepart* add_part(curl_mime* mime) {
  curl_mimepart* part = curl_mime_addpart(mime);
  if (part == nullptr) throw std::bad_alloc();
  return part;
}

}  // namespace

MailSession::MailSession()
    : error_(CURL_ERROR_SIZE, '\0'), handle_(own<EasyHandle>(curl_easy_init())) {}

Result<void> MailSession::prepare(const json& with, const plugin::Request& request,
                                  const MailMessage& message) {
  CURL* handle = handle_.get();
  const std::string tls = with.value("tls", "starttls");
  if (auto set = set_address(with, tls); !set) return set;
  auto timeout = parse_duration(with.value("connect_timeout", "30s"));
  if (!timeout) return invalid("`connect_timeout`: " + timeout.error().message);
  if (timeout->count() <= 0) return invalid("`connect_timeout` is 0: nothing connects in no time");
  set(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(timeout->count()));

  const std::string user = with.value("user", "");
  const std::string password = with.value("password", "");
  if (breaks_line(user) || breaks_line(password)) {
    return invalid("`user` or `password` holds a line break or a NUL");
  }
  if (!user.empty()) {
    set(handle, CURLOPT_USERNAME, user.c_str());
    set(handle, CURLOPT_PASSWORD, password.c_str());
    logs_in_ = true;
  }
  set(handle, CURLOPT_PREREQFUNCTION, &MailSession::on_ready);
  set(handle, CURLOPT_PREREQDATA, this);
  const bool verifies = with.value("verify", true);
  set(handle, CURLOPT_SSL_VERIFYPEER, verifies ? 1L : 0L);
  set(handle, CURLOPT_SSL_VERIFYHOST, verifies ? 2L : 0L);
  set(handle, CURLOPT_USE_SSL, static_cast<long>(tls == "none" ? CURLUSESSL_NONE : CURLUSESSL_ALL));
  std::string ca_file = with.value("ca_file", "");
  if (!ca_file.empty()) {
    if (!ca_file.starts_with('/')) ca_file = std::string(request.working_dir()) + '/' + ca_file;
    set(handle, CURLOPT_CAINFO, ca_file.c_str());
  }
  return set_message(message);
}

Result<void> MailSession::set_address(const json& with, const std::string& tls) {
  const int usual = tls == "tls" ? 465 : tls == "none" ? 25 : 587;
  const std::string port = std::to_string(with.value("port", usual));
  const std::string host = with.at("host").get<std::string>();
  const auto url = own<UrlHandle>(curl_url());
  const bool fits =
      !breaks_line(host) &&
      curl_url_set(url.get(), CURLUPART_SCHEME, tls == "tls" ? "smtps" : "smtp", 0) == CURLUE_OK &&
      curl_url_set(url.get(), CURLUPART_HOST, host.c_str(), 0) == CURLUE_OK &&
      curl_url_set(url.get(), CURLUPART_PORT, port.c_str(), 0) == CURLUE_OK;
  char* text = nullptr;
  if (!fits || curl_url_get(url.get(), CURLUPART_URL, &text, 0) != CURLUE_OK) {
    return invalid("`host` is not the name or address of a machine");
  }
  address_ = CurlText(text).get();
  while (address_.ends_with('/')) address_.pop_back();
  CURL* handle = handle_.get();
  set(handle, CURLOPT_URL, address_.c_str());
  set(handle, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
  set(handle, CURLOPT_PROXY, "");  // else libcurl asks the variables of this process
  set(handle, CURLOPT_NOSIGNAL, 1L);
  set(handle, CURLOPT_QUICK_EXIT, 1L);  // else who is cancelled waits for the look-up of a name
  set(handle, CURLOPT_ERRORBUFFER, error_.data());
  set(handle, CURLOPT_HEADERFUNCTION, &MailSession::on_reply);
  set(handle, CURLOPT_HEADERDATA, this);
  return {};
}

Result<void> MailSession::set_message(const MailMessage& message) {
  CURL* handle = handle_.get();
  set(handle, CURLOPT_MAIL_FROM, ('<' + message.from.address + '>').c_str());
  for (const std::string& recipient : message.recipients()) {
    recipients_.add('<' + recipient + '>');
  }
  set(handle, CURLOPT_MAIL_RCPT, recipients_.get());
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now).count();
  for (const std::string& line : header_lines(message, seconds)) headers_.add(line);
  set(handle, CURLOPT_HTTPHEADER, headers_.get());

  mime_ = own<MimeHandle>(curl_mime_init(handle));
  if (!message.text.empty() && !message.html.empty()) {
    auto both = own<MimeHandle>(curl_mime_init(handle));
    add_text(both.get(), message.text, "text/plain; charset=utf-8");
    add_text(both.get(), message.html, "text/html; charset=utf-8");
    curl_mimepart* part = add_part(mime_.get());
    check(curl_mime_type(part, "multipart/alternative"));
    check(curl_mime_subparts(part, both.get()));
    static_cast<void>(both.release());
  } else if (!message.html.empty()) {
    add_text(mime_.get(), message.html, "text/html; charset=utf-8");
  } else {
    add_text(mime_.get(), message.text, "text/plain; charset=utf-8");
  }
  for (const MailAttachment& one : message.attachments) {
    if (auto added = add_attachment(mime_.get(), one); !added) return added;
  }
  set(handle, CURLOPT_MIMEPOST, mime_.get());
  return {};
}

void MailSession::add_text(curl_mime* mime, const std::string& text, const char* type) {
  curl_mimepart* part = add_part(mime);
  const std::string lines = with_crlf(text);
  check(curl_mime_data(part, lines.data(), lines.size()));
  check(curl_mime_type(part, type));
  check(curl_mime_encoder(part, "quoted-printable"));
}

Result<void> MailSession::add_attachment(curl_mime* mime, const MailAttachment& attachment) {
  curl_mimepart* part = add_part(mime);
  const CURLcode code = curl_mime_filedata(part, attachment.path.c_str());
  if (code == CURLE_READ_ERROR) {
    return invalid("`attachments`: " + attachment.path + " is not a file that can be read");
  }
  check(code);
  check(curl_mime_type(part, type_of(attachment.name)));
  check(curl_mime_encoder(part, "base64"));
  TextList headers;
  headers.add(disposition(attachment.name));
  check(curl_mime_headers(part, headers.get(), 1));
  static_cast<void>(headers.release());
  return {};
}

std::size_t MailSession::on_reply(char* data, std::size_t size, std::size_t count, void* self) {
  std::string_view line(data, size * count);
  while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
  // What follows a refusal is the answer to our good-bye.
  if (line.starts_with('4') || line.starts_with('5')) {
    static_cast<MailSession*>(self)->refusal_ = line;
  }
  if (line.starts_with(kLoggedIn)) static_cast<MailSession*>(self)->is_logged_in_ = true;
  return size * count;
}

/// The session stands and the message is next. libcurl goes on without a login where the server
/// offers none.
int MailSession::on_ready(void* self, char*, char*, int, int) {
  const auto& us = *static_cast<MailSession*>(self);
  return us.logs_in_ && !us.is_logged_in_ ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

plugin::Result MailSession::failure(CURLcode code) const {
  if (code == CURLE_ABORTED_BY_CALLBACK) {
    return plugin::Result::permanent(
        address_ +
            " offers no login (AUTH) to this connection, and `user` asks for one: nothing was "
            "sent. Many servers offer it only over TLS (`tls`); for one that needs no login leave "
            "out `user` and `password`",
        "LoginNotOffered");
  }
  long reply = 0;
  curl_easy_getinfo(handle_.get(), CURLINFO_RESPONSE_CODE, &reply);
  // A refusal of the login is one whatever its number is: some servers say 4xx for good.
  if (reply < 400 || reply > 599 || code == CURLE_PEER_FAILED_VERIFICATION) {
    return transfer_failure(code, address_, error_.c_str());
  }
  const std::string message = address_ + " replied: " + escape_for_terminal(refusal_);
  const std::string name =
      code == CURLE_LOGIN_DENIED ? "LoginDenied" : "Reply" + std::to_string(reply);
  return reply >= 500 ? plugin::Result::permanent(message, name)
                      : plugin::Result::failure(message, name);
}

}  // namespace pawl::operators
