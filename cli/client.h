#pragma once

// Asks the home's scheduler: HTTP over the home's socket. Blocks.

#include <memory>
#include <string>
#include <string_view>

#include "scheduler/base/result.h"
#include "scheduler/base/time.h"

namespace pawl {

struct Reply {
  int status = 0;
  std::string body;
};

class Client {
 public:
  struct Call {
    std::string method = "GET";
    std::string path = {};                        ///< with its query, encoded: see `encode`
    std::string body = {};                        ///< JSON; sent with POST, PUT and PATCH
    Duration timeout = std::chrono::seconds(60);  ///< for an answer, once somebody listens
    /// May be asked again when the answer is lost: it reads, or carries a request id.
    bool idempotent = false;
    /// While the home is locked but nobody listens (a scheduler starts, or ends), try this long.
    /// Over everything, asking again included, it is this and `timeout`.
    Duration wait_for_start = std::chrono::seconds(10);
  };

  explicit Client(std::string home);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// One question, one answer, of any status. Errors:
  /// - no_scheduler: nobody listens and nobody holds the home's lock, also after a scheduler that
  ///   went while it was asked; or it went before it answered, and the call is not idempotent (the
  ///   message says that it is unknown what it did);
  /// - locked: somebody holds the home, but does not answer in time;
  /// - home_unusable: the socket may not be used;
  /// - failed: the answer is too long, or libcurl is not installed.
  Result<Reply> call(const Call& call);

  /// Whether the last call came to a scheduler that did not answer in time: there is one.
  bool was_silent() const { return was_silent_; }

  /// Whether the last call, where it failed, may have been carried out all the same. Otherwise
  /// nobody took it, and it may be asked again, whatever it is.
  bool was_taken() const { return was_taken_; }

  /// A piece of a path or query with everything special written as `%XX`.
  static std::string encode(std::string_view text);

 private:
  struct Impl;

  std::string home_;
  bool was_silent_ = false;
  bool was_taken_ = false;
  std::unique_ptr<Impl> impl_;  ///< from the first call on
};

}  // namespace pawl
