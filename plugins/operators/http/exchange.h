#pragma once

// One request and its answer, redirects followed, over a transfer on the loop. Says what it does in
// the attempt's log: no header values, no query, no body. An answer that comes soon and as expected
// leaves no log: a file for each of ten thousand calls costs more than the calls.

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "pawl/operator.hpp"
#include "plugins/operators/curl/handles.h"
#include "plugins/operators/curl/transfers.h"
#include "plugins/operators/http/response_body.h"
#include "plugins/operators/http/target.h"

namespace pawl::operators {

/// Of a body that does not become an output, where nobody says otherwise.
inline constexpr std::size_t kBodyBytesDefault = 1u << 30;

/// What came back. The body is the exchange's.
struct HttpAnswer {
  long status = 0;
  std::string_view content_type;  ///< good until the exchange sends its next request, or goes
  std::optional<std::chrono::seconds> retry_after;
  std::chrono::milliseconds took{};
  curl_off_t bytes = 0;  ///< of the body, as it came
};

class HttpExchange;

/// What one attempt makes of its answer.
class HttpJudge {
 public:
  /// What becomes of the body of an answer.
  enum class Keep {
    all,
    sample,   ///< the first bytes, for a message
    nothing,  ///< it is read to its end, where the answer is complete
  };

  virtual ~HttpJudge() = default;
  /// A status of success. A redirect that is one is not followed.
  virtual bool expects(long status) const = 0;
  virtual Keep keep(long status) const = 0;
  /// Of the body of an answer that it expects; beyond it the exchange fails.
  virtual std::size_t bytes_max() const = 0;
  /// The failure that a larger one is.
  virtual plugin::Result too_large() const = 0;
  virtual plugin::Result judge(HttpExchange& exchange, const HttpAnswer& answer) = 0;
  /// There was no answer; `failure` says why.
  virtual plugin::Result judge_failure(HttpExchange&, const plugin::Result& failure) {
    return failure;
  }
};

class HttpExchange : public Transfer {
 public:
  /// Of the exchanges of one operator; what limits the process is shared with all others.
  struct Shared {
    explicit Shared(plugin::Host host) : transfers(host, &HttpExchange::set_up) {}
    Transfers transfers;
    BodyMemory& memory = BodyMemory::of_process();
  };
  /// Who waits for the end.
  class Owner {
   public:
    virtual ~Owner() = default;
    /// Once. May destroy the exchange.
    virtual void ended(plugin::Attempt attempt, const plugin::Result& result) = 0;
  };

  /// `file`: for the body; without a path it may need one in the attempt's own folder.
  HttpExchange(Shared& shared, plugin::Attempt attempt, const plugin::Request& request,
               HttpTarget&& target, BodyFile file, std::unique_ptr<HttpJudge> judge, Owner& owner);
  /// Ends the transfer at once.
  ~HttpExchange() override;

  /// Sends the request. The owner hears of its end later.
  void send();
  /// Says what was done so far, and from now on at once what is done.
  void tell();
  bool is_older_than(std::chrono::steady_clock::duration age) const;

  // For the judge.
  const HttpTarget& target() const { return target_; }
  std::string shown() const { return operators::shown(target_, attempt_); }  ///< the address
  /// A line for the log, which makes all that came before worth telling.
  void log(const std::string& line);
  ResponseBody& body() { return body_; }
  int redirects() const { return redirects_; }  ///< that were followed
  /// The first bytes of a body that was not kept, as text for people.
  std::string sample() const;
  /// The same of one that was kept.
  std::string shown_beginning(std::string_view body) const;
  /// The header lines of the answer, names in small letters; lines of one name joined.
  nlohmann::json headers() const;

 private:
  static void set_up(CURL* handle);
  static std::size_t on_data(char* data, std::size_t size, std::size_t count, void* self);
  void on_done(CURLcode code) override;
  std::optional<plugin::Result> conclude(CURLcode code);
  void configure();
  void configure_method();
  void configure_headers();
  void configure_proxy();
  void configure_auth();
  void configure_tls();
  void release_handle();
  bool is_to_be_followed(long status) const;
  std::string redirect_url() const;
  bool follow_redirect(long status);
  bool holds_secret(const std::string& text) const;
  plugin::Result refusal_to_tell(const std::string& url) const;
  std::size_t answer_to(std::string_view piece);
  bool take(std::string_view piece);
  bool keep_piece(std::string_view piece);
  bool pass_piece(std::string_view piece);
  bool drop_piece(std::string_view piece);
  void stop(plugin::Result&& why);
  HttpAnswer answer() const;
  void tell_request();
  void tell_answer(const HttpAnswer& answer);
  bool is_connected() const;  ///< or was
  long status() const;

  Shared& shared_;
  plugin::Attempt attempt_;
  plugin::Request request_;
  HttpTarget target_;
  ResponseBody body_;
  std::unique_ptr<HttpJudge> judge_;
  Owner& owner_;
  EasyHandle handle_;
  bool is_handle_plain_ = true;  ///< only what `release_handle` sets back was set
  TextList headers_;
  std::array<char, CURL_ERROR_SIZE> error_;  ///< empty where libcurl has said nothing
  std::optional<HttpJudge::Keep> keep_;      ///< once the first piece of the body is there
  std::string sample_;                       ///< a byte more than is shown, where there is one
  std::size_t dropped_ = 0;                  ///< bytes of a body that is not kept
  std::unique_ptr<plugin::Result> stopped_;  ///< why we ended the transfer ourselves
  bool has_dropped_enough_ = false;
  int redirects_ = 0;
  bool is_sent_ = false;              ///< a request, which is not in the log unless `tells_`
  std::optional<HttpAnswer> untold_;  ///< as its answer
  bool tells_ = false;
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point heartbeat_ = begun_;  ///< the last; the start counts as one
};

}  // namespace pawl::operators
