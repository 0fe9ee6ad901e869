#include "cli/outlet.h"

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <utility>

namespace pawl {

namespace {

/// 0, or the errno of why it could not be written.
int write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n >= 0) {
      text.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno == EAGAIN) {
      // Somebody who shares the descriptor has made it so.
      pollfd watched{.fd = fd, .events = POLLOUT, .revents = 0};
      ::poll(&watched, 1, -1);
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

}  // namespace

Outlet::~Outlet() { finish(); }

void Outlet::write(std::FILE* stream, std::string_view text) {
  {
    const std::lock_guard lock(mutex_);
    if (!is_started_) {
      std::fwrite(text.data(), 1, text.size(), stream);
      return;
    }
    unread_ += text.size();
    if (!pieces_.empty() && pieces_.back().stream == stream) {
      pieces_.back().text += text;
    } else {
      pieces_.push_back({stream, std::string(text)});
    }
  }
  changed_.notify_one();
}

void Outlet::flush(std::FILE* stream) {
  const std::lock_guard lock(mutex_);
  if (!is_started_) std::fflush(stream);
}

void Outlet::start() {
  for (std::FILE* stream : {stdout, stderr}) std::fflush(stream);
  {
    const std::lock_guard lock(mutex_);
    is_started_ = true;
  }
  // Signals are for the thread that waits for them.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Outlet::finish() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    is_started_ = false;
  }
  changed_.notify_one();
  thread_.join();
}

std::size_t Outlet::unread() const {
  const std::lock_guard lock(mutex_);
  return unread_;
}

int Outlet::error_of(std::FILE* stream) const {
  const std::lock_guard lock(mutex_);
  const auto found = errors_.find(stream);
  return found == errors_.end() ? 0 : found->second;
}

void Outlet::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return !pieces_.empty() || !is_started_; });
    if (pieces_.empty()) return;
    const Piece piece = std::move(pieces_.front());
    pieces_.pop_front();
    if (!errors_.contains(piece.stream)) {
      lock.unlock();
      const int failed = write_all(fileno(piece.stream), piece.text);
      lock.lock();
      if (failed != 0) errors_.emplace(piece.stream, failed);
    }
    unread_ -= piece.text.size();
  }
}

}  // namespace pawl
