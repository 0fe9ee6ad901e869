#include "plugins/operators/mail/sending.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace pawl::operators {

namespace {

constexpr int kLookAroundMs = 1'000;  ///< a cancellation wakes the thread at once

}  // namespace

Sending::Sending(CURL* handle)
    : handle_(handle), multi_(curl_multi_init()), owned_(own<MultiHandle>(multi_)) {
  curl_easy_setopt(handle_, CURLOPT_OPENSOCKETFUNCTION, &Sending::on_open);
  curl_easy_setopt(handle_, CURLOPT_OPENSOCKETDATA, this);
  curl_easy_setopt(handle_, CURLOPT_CLOSESOCKETFUNCTION, &Sending::on_close);
  curl_easy_setopt(handle_, CURLOPT_CLOSESOCKETDATA, this);
  check(curl_multi_add_handle(multi_, handle_));
}

Sending::~Sending() { close(); }

void Sending::check(CURLMcode code) {
  if (code != CURLM_OK) throw std::runtime_error(curl_multi_strerror(code));
}

bool Sending::step(CURLcode& code) {
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

void Sending::close() {
  MultiHandle ours;
  {
    const std::scoped_lock lock(mutex_);
    ours = std::move(owned_);
  }
  // Not under the lock: both close connections, and tell of it.
  if (ours != nullptr) curl_multi_remove_handle(multi_, handle_);
}

void Sending::cut() {
  const std::scoped_lock lock(mutex_);
  is_cut_ = true;
  for (const int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
  if (owned_ != nullptr) curl_multi_wakeup(owned_.get());
}

curl_socket_t Sending::on_open(void* self, curlsocktype, curl_sockaddr* address) {
  auto& us = *static_cast<Sending*>(self);
  const std::scoped_lock lock(us.mutex_);
  if (us.is_cut_) return CURL_SOCKET_BAD;
  const int socket = ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  if (socket < 0) return CURL_SOCKET_BAD;
  try {
    us.sockets_.push_back(socket);
  } catch (const std::exception&) {
    ::close(socket);
    return CURL_SOCKET_BAD;
  }
  return socket;
}

int Sending::on_close(void* self, curl_socket_t socket) {
  auto& us = *static_cast<Sending*>(self);
  // Under the lock: else the number could be another's file by the time it is shut down.
  const std::scoped_lock lock(us.mutex_);
  std::erase(us.sockets_, socket);
  return ::close(socket);
}

}  // namespace pawl::operators
