#include "plugins/operators/http/exchange.h"

#include <algorithm>
#include <utility>

#include "plugins/operators/curl/errors.h"
#include "scheduler/base/bytes.h"
#include "scheduler/base/text.h"

namespace pawl::operators {

namespace {

constexpr std::size_t kSampleBytesMax = 4u << 10;
// Reading to the end keeps the connection; beyond this a new one is cheaper.
constexpr std::size_t kDroppedBytesMax = 256u << 10;
// One per call under way: the default of 16 KiB is what memory is spent on. Of a body of 400 MiB
// fewer and larger ones are not seen to be faster.
constexpr long kReceiveBytes = 4L << 10;
constexpr long kSendBytes = 16L << 10;  // of a body that does not go out with its header
// Longer than anybody waits: a larger number may be any.
constexpr auto kRetryAfterMax = std::chrono::floor<std::chrono::seconds>(plugin::kWaitMax);
// Well below any `stall_timeout` that makes sense for an answer over a network.
constexpr auto kHeartbeatEvery = std::chrono::milliseconds(250);

/// What another origin may see.
bool is_harmless(const std::string& name) {
  const std::string known = ascii_lower(name);
  return known == "accept" || known == "accept-language" || known == "content-type" ||
         known == "user-agent";
}

/// The proxy looks up the name of the host, and we that of the proxy.
const std::string& name_to_look_up(const HttpTarget& target) {
  return target.proxy.url.empty() ? target.name : target.proxy.url;
}

/// Of a name or a value. Blanks around it are no part of it. Bytes that are no UTF-8 are Latin-1,
/// as values of headers once were (RFC 9110, 5.5): so none is lost.
std::string header_text(std::string_view value) {
  static constexpr std::string_view kBlanks = " \t\r\n";
  value.remove_prefix(std::min(value.find_first_not_of(kBlanks), value.size()));
  value = value.substr(0, value.find_last_not_of(kBlanks) + 1);
  if (is_utf8(value)) return std::string(value);
  std::string out;
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      out += c;
    } else {
      out += static_cast<char>(0xc0 | (byte >> 6));
      out += static_cast<char>(0x80 | (byte & 0x3f));
    }
  }
  return out;
}

/// Of a `Retry-After`: a number of seconds, or a date, which may be past. What is neither counts as
/// if it was not there.
std::optional<std::chrono::seconds> retry_after(CURL* handle) {
  curl_header* header = nullptr;
  if (curl_easy_header(handle, "Retry-After", 0, CURLH_HEADER, -1, &header) != CURLHE_OK) {
    return std::nullopt;
  }
  const std::string text = header_text(header->value);
  const bool is_number = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
  if (!is_number && curl_getdate(text.c_str(), nullptr) < 0) return std::nullopt;
  if (is_number && text.size() > 9) return kRetryAfterMax;  // libcurl says 0 of what is too large
  curl_off_t seconds = 0;
  curl_easy_getinfo(handle, CURLINFO_RETRY_AFTER, &seconds);
  return std::clamp(std::chrono::seconds(seconds), std::chrono::seconds(0), kRetryAfterMax);
}

/// Other requests become a GET without a body.
bool keeps_method(long status, const std::string& method) {
  if (status == 307 || status == 308) return true;
  return status == 303 ? method == "HEAD" : method != "POST";
}

bool is_success(long status) { return status >= 200 && status < 300; }

bool is_redirect(long status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

}  // namespace

HttpExchange::HttpExchange(Shared& shared, plugin::Attempt attempt, const plugin::Request& request,
                           HttpTarget&& target, BodyFile file, std::unique_ptr<HttpJudge> judge,
                           Owner& owner)
    : shared_(shared),
      attempt_(attempt),
      request_(request),
      target_(std::move(target)),
      body_(shared.memory, request_.scratch(), std::move(file)),
      judge_(std::move(judge)),
      owner_(owner) {}

HttpExchange::~HttpExchange() {
  shared_.transfers.end(*this);
  if (handle_ != nullptr) release_handle();
}

void HttpExchange::send() {
  is_sent_ = true;
  if (tells_) tell_request();
  handle_ = shared_.transfers.take_handle();
  configure();
  shared_.transfers.begin(*this, handle_.get(), name_to_look_up(target_));
}

void HttpExchange::tell() {
  if (std::exchange(tells_, true)) return;
  if (is_sent_) tell_request();
  if (untold_) tell_answer(*untold_);
}

void HttpExchange::tell_request() {
  std::string line = "> " + target_.method + ' ' + shown();
  if (target_.has_body) line += " (" + std::to_string(target_.body.size()) + " bytes)";
  attempt_.log(line + '\n');
}

void HttpExchange::tell_answer(const HttpAnswer& answer) {
  std::string line =
      "< " + std::to_string(answer.status) + ", " + std::to_string(answer.bytes) + " bytes";
  if (!answer.content_type.empty()) line += " of " + escape_for_terminal(answer.content_type);
  attempt_.log(line + ", " + std::to_string(answer.took.count()) + " ms\n");
}

bool HttpExchange::is_older_than(std::chrono::steady_clock::duration age) const {
  return std::chrono::steady_clock::now() - begun_ > age;
}

void HttpExchange::log(const std::string& line) {
  tell();
  attempt_.log(line);
}

void HttpExchange::set_up(CURL* handle) {
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &HttpExchange::on_data);
  curl_easy_setopt(handle, CURLOPT_BUFFERSIZE, kReceiveBytes);
  curl_easy_setopt(handle, CURLOPT_UPLOAD_BUFFERSIZE, kSendBytes);
  curl_easy_setopt(handle, CURLOPT_ACCEPT_ENCODING, "");
  curl_easy_setopt(handle, CURLOPT_USERAGENT, "pawl");
  curl_easy_setopt(handle, CURLOPT_TCP_KEEPALIVE, 1L);
  // Always set: else libcurl asks the variables of this process.
  curl_easy_setopt(handle, CURLOPT_PROXY, "");
  curl_easy_setopt(handle, CURLOPT_NOPROXY, "");
}

/// `handle_` is as `set_up` leaves it.
void HttpExchange::configure() {
  CURL* handle = handle_.get();
  is_handle_plain_ = true;
  curl_easy_setopt(handle, CURLOPT_URL, target_.url.c_str());
  error_.front() = '\0';
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, error_.data());
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(target_.connect_timeout.count()));
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(target_.timeout.count()));
  configure_method();
  configure_headers();
  configure_proxy();
  configure_auth();
  configure_tls();
}

/// The options that every call sets, or that cost nothing to set back, need no renewing.
void HttpExchange::release_handle() {
  CURL* handle = handle_.get();
  if (is_handle_plain_) {
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, nullptr);  // makes it a POST
    curl_easy_setopt(handle, CURLOPT_HTTPGET, 1L);          // also one that leaves no body out
    curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, nullptr);
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, nullptr);
    curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, nullptr);
  } else {
    shared_.transfers.renew(handle);
  }
  shared_.transfers.give_handle(std::move(handle_));
}

void HttpExchange::configure_method() {
  CURL* handle = handle_.get();
  const bool sends_length =
      target_.method == "POST" || target_.method == "PUT" || target_.method == "PATCH";
  if (target_.method == "GET" && !target_.has_body) return;
  if (target_.has_body || sends_length) {
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(target_.body.size()));
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, target_.body.c_str());
  } else if (target_.method == "HEAD") {
    curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
  }
  curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, target_.method.c_str());
}

void HttpExchange::configure_headers() {
  headers_.clear();
  // A header without a value is left out by libcurl; with a semicolon it is sent empty.
  for (const auto& [name, value] : target_.headers) {
    headers_.add(value.empty() ? name + ';' : name + ": " + value);
  }
  if (target_.method != "GET" || target_.has_body) {
    // What libcurl would add of its own.
    if (!target_.has_header("content-type")) headers_.add("Content-Type:");
    if (!target_.has_header("expect")) headers_.add("Expect:");
  }
  curl_easy_setopt(handle_.get(), CURLOPT_HTTPHEADER, headers_.get());
}

void HttpExchange::configure_proxy() {
  if (target_.proxy.url.empty()) return;
  is_handle_plain_ = false;
  curl_easy_setopt(handle_.get(), CURLOPT_PROXY, target_.proxy.url.c_str());
  curl_easy_setopt(handle_.get(), CURLOPT_NOPROXY, target_.proxy.exclude.c_str());
}

void HttpExchange::configure_auth() {
  if (!target_.auth) return;
  is_handle_plain_ = false;
  CURL* handle = handle_.get();
  const HttpAuth& auth = *target_.auth;
  if (!auth.user.empty()) {
    curl_easy_setopt(handle, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    curl_easy_setopt(handle, CURLOPT_USERNAME, auth.user.c_str());
    curl_easy_setopt(handle, CURLOPT_PASSWORD, auth.password.c_str());
  } else if (!auth.token.empty()) {
    curl_easy_setopt(handle, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
    curl_easy_setopt(handle, CURLOPT_XOAUTH2_BEARER, auth.token.c_str());
  }
}

void HttpExchange::configure_tls() {
  if (!target_.tls) return;
  is_handle_plain_ = false;
  CURL* handle = handle_.get();
  const HttpTls& tls = *target_.tls;
  curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, tls.verify ? 1L : 0L);
  curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, tls.verify ? 2L : 0L);
  const auto set = [handle](CURLoption option, const std::string& value) {
    if (!value.empty()) curl_easy_setopt(handle, option, value.c_str());
  };
  set(CURLOPT_CAINFO, tls.ca_file);
  set(CURLOPT_SSLCERT, tls.certificate_file);
  set(CURLOPT_SSLKEY, tls.key_file);
  // Also an empty one: without any a key under a password asks for it at the terminal.
  curl_easy_setopt(handle, CURLOPT_KEYPASSWD, tls.key_password.c_str());
}

std::size_t HttpExchange::on_data(char* data, std::size_t size, std::size_t count, void* self) {
  const std::string_view piece(data, size * count);
  try {
    return static_cast<HttpExchange*>(self)->answer_to(piece);
  } catch (const std::exception& error) {
    static_cast<HttpExchange*>(self)->stop(plugin::Result::failure(error.what()));
    return 0;
  }
}

/// What libcurl is told of it.
std::size_t HttpExchange::answer_to(std::string_view piece) {
  if (!may_take(piece.size())) return CURL_WRITEFUNC_PAUSE;
  return take(piece) ? piece.size() : 0;
}

/// False ends the transfer.
bool HttpExchange::take(std::string_view piece) {
  using Keep = HttpJudge::Keep;
  const auto now = std::chrono::steady_clock::now();
  if (now - heartbeat_ >= kHeartbeatEvery) {
    heartbeat_ = now;
    attempt_.heartbeat();
  }
  if (!keep_) {
    keep_ = is_to_be_followed(status()) ? Keep::nothing : judge_->keep(status());
  }
  switch (*keep_) {
    case Keep::all: return keep_piece(piece);
    case Keep::sample:
      sample_ += piece.substr(0, kSampleBytesMax + 1 - sample_.size());
      return drop_piece(piece);
    case Keep::nothing: return is_to_be_followed(status()) ? drop_piece(piece) : pass_piece(piece);
  }
  return true;
}

/// Of a body that nobody keeps, and whose end is waited for.
bool HttpExchange::pass_piece(std::string_view piece) {
  dropped_ += piece.size();
  if (dropped_ <= judge_->bytes_max()) return true;
  stop(judge_->too_large());
  return false;
}

/// Of a body that nobody needs to the end.
bool HttpExchange::drop_piece(std::string_view piece) {
  dropped_ += piece.size();
  has_dropped_enough_ = dropped_ > kDroppedBytesMax;
  return !has_dropped_enough_;
}

bool HttpExchange::keep_piece(std::string_view piece) {
  if (body_.size() + piece.size() > judge_->bytes_max()) {
    stop(judge_->too_large());
    return false;
  }
  auto added = body_.append(piece);
  if (!added) stop(plugin::Result::failure(added.error().message, "WriteError"));
  return added.ok();
}

void HttpExchange::stop(plugin::Result&& why) {
  stopped_ = std::make_unique<plugin::Result>(std::move(why));
}

void HttpExchange::on_done(CURLcode code) {
  std::optional<plugin::Result> result;
  try {
    result = conclude(code);
  } catch (const std::exception& error) {
    result = plugin::Result::failure(error.what(), "Internal");
  }
  if (!result) return;
  if (result->outcome != PAWL_SUCCEEDED) tell();
  owner_.ended(attempt_, *result);
}

/// Nothing when a redirect is followed.
std::optional<plugin::Result> HttpExchange::conclude(CURLcode code) {
  if (stopped_) return judge_->judge_failure(*this, *stopped_);
  if (code == CURLE_WRITE_ERROR && has_dropped_enough_) code = CURLE_OK;
  if (code == CURLE_UNSUPPORTED_PROTOCOL && is_connected()) {
    // What listens there speaks something else, or is not ready to speak.
    return judge_->judge_failure(
        *this, transfer_failure(CURLE_WEIRD_SERVER_REPLY, shown(), "the answer is not HTTP"));
  }
  // What libcurl says of what it does not keep: a small piece that unpacks to too much, and a line
  // of more than 100 KiB.
  if (code == CURLE_OUT_OF_MEMORY && keep_) {
    return judge_->judge_failure(
        *this, plugin::Result::permanent(
                   "the response is compressed too much: " + format_bytes(kReceiveBytes) +
                       " of it become more than " + format_bytes(kUnpackedBytesMax) +
                       "; ask for a plain one with the header \"Accept-Encoding\": \"identity\" (" +
                       shown() + ')',
                   "ResponseTooLarge"));
  }
  if (code == CURLE_OUT_OF_MEMORY && is_connected()) {
    return judge_->judge_failure(
        *this,
        plugin::Result::failure("the answer has a header that is too large (" + shown() + ')',
                                "HeaderTooLarge"));
  }
  if (code != CURLE_OK) {
    const plugin::Result failure = transfer_failure(code, shown(), error_.data());
    return judge_->judge_failure(*this, failure);
  }
  const HttpAnswer got = answer();
  if (tells_) {
    tell_answer(got);
  } else {
    untold_ = got;
  }
  if (is_to_be_followed(got.status) && follow_redirect(got.status)) return std::nullopt;
  if (stopped_) return judge_->judge_failure(*this, *stopped_);
  return judge_->judge(*this, got);
}

bool HttpExchange::is_to_be_followed(long status) const {
  return is_redirect(status) && redirects_ < target_.max_redirects && !judge_->expects(status);
}

/// Where the answer leads to; empty when it does not say. What libcurl knows of it (by
/// CURLINFO_REDIRECT_URL) it knows at the end of the body only, which need not come.
std::string HttpExchange::redirect_url() const {
  curl_header* location = nullptr;
  if (curl_easy_header(handle_.get(), "Location", 0, CURLH_HEADER, -1, &location) != CURLHE_OK) {
    return {};
  }
  return resolve_url(target_.url, location->value);
}

bool HttpExchange::holds_secret(const std::string& text) const {
  return attempt_.hidden(text) != text;
}

plugin::Result HttpExchange::refusal_to_tell(const std::string& url) const {
  return plugin::Result::permanent(
      attempt_.hidden(origin_of(target_.url)) + " redirects to " + attempt_.hidden(origin_of(url)) +
          " and asks for the same body there, which holds a secret: not sent. If that host may "
          "know it, call it by its own address",
      "SecretForAnotherHost");
}

/// Follows by itself, not by libcurl, which would hand every header to wherever the answer points.
/// False when there is nothing to follow, or, with `stopped_`, when it may not be.
bool HttpExchange::follow_redirect(long status) {
  const std::string url = redirect_url();
  if (url.empty()) return false;
  ++redirects_;
  tell();
  untold_.reset();
  if (!same_origin(target_.url, url)) {
    if (keeps_method(status, target_.method) && holds_secret(target_.body)) {
      stop(refusal_to_tell(url));
      return false;
    }
    target_.auth.reset();
    std::erase_if(target_.headers, [](const auto& header) { return !is_harmless(header.first); });
  }
  if (!set_url(target_, url, attempt_, request_)) return false;
  if (!keeps_method(status, target_.method)) {
    target_.method = "GET";
    target_.has_body = false;
    target_.body.clear();
    std::erase_if(target_.headers,
                  [](const auto& header) { return ascii_lower(header.first) == "content-type"; });
  }
  keep_.reset();
  dropped_ = 0;
  has_dropped_enough_ = false;
  release_handle();
  send();
  return true;
}

HttpAnswer HttpExchange::answer() const {
  HttpAnswer out;
  out.status = status();
  char* type = nullptr;
  curl_easy_getinfo(handle_.get(), CURLINFO_CONTENT_TYPE, &type);
  if (type != nullptr) out.content_type = type;
  if (!is_success(out.status)) out.retry_after = retry_after(handle_.get());
  curl_off_t micros = 0;
  curl_easy_getinfo(handle_.get(), CURLINFO_TOTAL_TIME_T, &micros);
  out.took = std::chrono::milliseconds(micros / 1000);
  curl_easy_getinfo(handle_.get(), CURLINFO_SIZE_DOWNLOAD_T, &out.bytes);
  return out;
}

bool HttpExchange::is_connected() const {
  char* address = nullptr;
  curl_easy_getinfo(handle_.get(), CURLINFO_PRIMARY_IP, &address);
  return address != nullptr && *address != '\0';
}

long HttpExchange::status() const {
  long status = 0;
  curl_easy_getinfo(handle_.get(), CURLINFO_RESPONSE_CODE, &status);
  return status;
}

std::string HttpExchange::sample() const { return shown_beginning(sample_); }

std::string HttpExchange::shown_beginning(std::string_view body) const {
  std::string out;
  const std::string hidden = body.size() > kSampleBytesMax
                                 ? attempt_.hidden_beginning(body.substr(0, kSampleBytesMax))
                                 : attempt_.hidden(body);
  std::string_view left = hidden;
  while (!left.empty()) {
    const std::size_t end = std::min(left.find('\n'), left.size());
    out += escape_for_terminal(left.substr(0, end)) + '\n';
    left.remove_prefix(std::min(end + 1, left.size()));
  }
  return out;
}

nlohmann::json HttpExchange::headers() const {
  nlohmann::json out = nlohmann::json::object();
  curl_header* header = nullptr;
  while ((header = curl_easy_nextheader(handle_.get(), CURLH_HEADER, -1, header)) != nullptr) {
    const std::string name = ascii_lower(header_text(header->name));
    const std::string value = header_text(header->value);
    const auto found = out.find(name);
    if (found == out.end()) {
      out[name] = value;
    } else {
      *found = found->get<std::string>() + ", " + value;
    }
  }
  return out;
}

}  // namespace pawl::operators
