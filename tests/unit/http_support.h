#pragma once

// Both ends of the control socket for tests: a server on a thread of its own, and a client that
// writes bytes as it likes.

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <catch2/catch.hpp>

#include "scheduler/daemon/http_server.h"
#include "scheduler/loop/poll.h"
#include "scheduler/loop/unix_socket.h"
#include "scheduler/loop/wakeup.h"
#include "tests/unit/loop_support.h"

namespace pawl::test {

/// A home in a folder whose path is longer than a socket's address.
class DeepHome {
 public:
  DeepHome() : path_(scratch_ / (std::string(70, 'd') + "/" + std::string(70, 'e'))) {
    std::filesystem::create_directories(path_);
    PAWL_CHECK(path_.size() > 107);
  }
  const std::string& path() const { return path_; }
  std::string socket() const { return path_ + "/sock"; }

 private:
  ScratchFolder scratch_;
  std::string path_;
};

inline Fd listen_or_fail(const std::string& path) {
  auto fd = listen_unix(path);
  PAWL_CHECK(fd.ok());
  return std::move(*fd);
}

inline std::unique_ptr<HttpServer> start_or_fail(Loop& loop, const std::string& path,
                                                 HttpServer::Handler handler,
                                                 HttpServer::Options options = {}) {
  auto server = HttpServer::start(loop, listen_or_fail(path), std::move(handler), options);
  PAWL_CHECK(server.ok());
  return std::move(*server);
}

/// A connection on the test's own loop that keeps all it reads.
class RawClient {
 public:
  RawClient(Loop& loop, const std::string& path) {
    auto fd = connect_unix(path);
    PAWL_CHECK(fd.ok());
    fd_ = std::move(*fd);
    poll_.emplace(loop, fd_.get(), [this](PollEvents) { read(); });
    poll_->watch({.readable = true});
  }

  /// Whether the socket took all of it.
  bool send(std::string_view bytes) { return send_some(bytes).empty(); }
  /// Sends what the socket takes; the rest of `bytes` is returned.
  std::string_view send_some(std::string_view bytes) {
    const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) bytes.remove_prefix(static_cast<std::size_t>(n));
    return bytes;
  }
  void close() {
    poll_.reset();
    fd_.reset();
    closed_ = true;
  }

  bool closed() const { return closed_; }
  const std::string& received() const { return received_; }
  bool got(std::string_view text) const { return received_.find(text) != std::string::npos; }

 private:
  void read() {
    std::array<char, 64u << 10> buffer;
    const ssize_t n = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n > 0) {
      received_.append(buffer.data(), static_cast<std::size_t>(n));
    } else if (n == 0 || errno != EAGAIN) {
      poll_->stop();
      closed_ = true;
    }
  }

  Fd fd_;
  std::optional<Poll> poll_;
  std::string received_;
  bool closed_ = false;
};

/// A server on a thread of its own, for clients that block.
class ServerThread {
 public:
  ServerThread(const std::string& path, HttpServer::Handler handler)
      : thread_([this, path, handler = std::move(handler)] { serve(path, handler); }) {
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [this] { return stop_ != nullptr; });
  }
  ~ServerThread() {
    stop_->wake();
    thread_.join();
  }

 private:
  void serve(const std::string& path, const HttpServer::Handler& handler) {
    Loop loop;
    Wakeup stop(loop, [&loop] { loop.stop(); });
    const auto server = start_or_fail(loop, path, handler);
    {
      const std::scoped_lock lock(mutex_);
      stop_ = &stop;
    }
    ready_.notify_one();
    loop.run();
  }

  std::mutex mutex_;
  std::condition_variable ready_;
  Wakeup* stop_ = nullptr;
  std::thread thread_;
};

}  // namespace pawl::test
