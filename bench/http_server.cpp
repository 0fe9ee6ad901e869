// A server for measurements: answers every request after a fixed time, on one thread, with as
// little work as possible, so that it is not what is measured. `http_server DELAY_MS`: prints its
// port, serves until standard input ends.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

#include "scheduler/base/check.h"

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view kAnswer =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"rows\": "
    "12345}";
constexpr int kEventsMax = 512;

struct Due {
  Clock::time_point when;
  int fd;
};

class Server {
 public:
  explicit Server(std::chrono::milliseconds delay) : delay_(delay) {
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    listening_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* name = reinterpret_cast<sockaddr*>(&address);
    PAWL_CHECK(::bind(listening_, name, size) == 0 && ::listen(listening_, 4096) == 0);
    PAWL_CHECK(::getsockname(listening_, name, &size) == 0);
    port_ = ntohs(address.sin_port);
    watch(listening_);
    watch(STDIN_FILENO);
  }
  int port() const { return port_; }

  void serve() {
    std::array<epoll_event, kEventsMax> events{};
    for (;;) {
      const int n = ::epoll_wait(epoll_, events.data(), kEventsMax, wait_ms());
      for (int i = 0; i < n; ++i) {
        const int fd = events[static_cast<std::size_t>(i)].data.fd;
        if (fd == STDIN_FILENO) return;
        if (fd == listening_) {
          accept_all();
        } else {
          read(fd);
        }
      }
      answer_due();
    }
  }

 private:
  void watch(int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    PAWL_CHECK(::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0);
  }

  int wait_ms() const {
    if (due_.empty()) return -1;
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(due_.front().when - Clock::now());
    return left.count() < 0 ? 0 : static_cast<int>(left.count());
  }

  void accept_all() {
    for (;;) {
      const int fd = ::accept4(listening_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      const int on = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
      watch(fd);
    }
  }

  /// Requests have no body here: each ends with an empty line.
  void read(int fd) {
    std::array<char, 16384> buffer;
    const ssize_t n = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (n <= 0) {
      unfinished_.erase(fd);
      ::close(fd);
      return;
    }
    std::string_view text(buffer.data(), static_cast<std::size_t>(n));
    if (text.ends_with("\r\n\r\n") && !unfinished_.contains(fd)) {
      due_.push_back({Clock::now() + delay_, fd});
      return;
    }
    std::string& all = unfinished_[fd];
    all += text;
    if (!all.ends_with("\r\n\r\n")) return;
    unfinished_.erase(fd);
    due_.push_back({Clock::now() + delay_, fd});
  }

  void answer_due() {
    const auto now = Clock::now();
    while (!due_.empty() && due_.front().when <= now) {
      ::send(due_.front().fd, kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      due_.pop_front();
    }
  }

  std::chrono::milliseconds delay_;
  int epoll_ = -1;
  int listening_ = -1;
  int port_ = 0;
  std::deque<Due> due_;
  std::unordered_map<int, std::string> unfinished_;
};

}  // namespace

int main(int argc, char** argv) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  Server server(std::chrono::milliseconds(argc > 1 ? std::atoi(argv[1]) : 100));
  std::printf("%d\n", server.port());
  std::fflush(stdout);
  server.serve();
  return 0;
}
