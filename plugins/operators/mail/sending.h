#pragma once

// The transfer of one message, on the thread of its attempt, which another thread may cut off.

#include <mutex>
#include <vector>

#include "plugins/operators/curl/handles.h"

namespace pawl::operators {

class Sending {
 public:
  /// `handle` is of a session that is prepared, and outlives this.
  explicit Sending(CURL* handle);
  /// As `close`.
  ~Sending();
  Sending(const Sending&) = delete;
  Sending& operator=(const Sending&) = delete;

  /// Goes on, or waits for the server for up to a second. True when it is over; `code` then says
  /// how.
  bool step(CURLcode& code);
  /// Says good-bye to the server, for whose answer libcurl waits up to two minutes: whoever may
  /// have to `cut` closes first.
  void close();
  /// Any thread: nothing waits for the server any more, its answer to our good-bye included.
  void cut();

 private:
  static curl_socket_t on_open(void* self, curlsocktype, curl_sockaddr* address);
  static int on_close(void* self, curl_socket_t socket);
  static void check(CURLMcode code);

  CURL* handle_;
  CURLM* multi_;
  std::mutex mutex_;          // guards all below
  MultiHandle owned_;         ///< `multi_`, until it is closed
  std::vector<int> sockets_;  ///< that are open
  bool is_cut_ = false;
};

}  // namespace pawl::operators
