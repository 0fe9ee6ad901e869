// The calls of bench/http.cpp by libcurl alone, as far as a program can leave everything else out:
// one thread, one epoll, a handle for each call in flight that is set up once, and answers that
// nobody looks at. What pawl's operator could reach at most on this machine.
// `bench_curl [CALLS [IN_FLIGHT]]`.

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <curl/curl.h>

#include "bench/http_calls.h"
#include "scheduler/base/check.h"
#include "tests/unit/server_process.h"

namespace {

using Clock = std::chrono::steady_clock;

/// A handle looks through its connections for a free one; more handles are no faster when there is
/// nothing but libcurl.
constexpr int kCallsPerMulti = 250;

class Calls;

struct Shard {
  Calls* calls = nullptr;
  CURLM* multi = nullptr;
  Clock::time_point due = Clock::time_point::max();
};

class Calls {
 public:
  Calls(const std::string& url, int in_flight) : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    for (int i = 0; i < in_flight; ++i) {
      if (i % kCallsPerMulti == 0) add_shard();
      CURL* handle = curl_easy_init();
      curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
      curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
      curl_easy_setopt(handle, CURLOPT_PROXY, "");
      curl_easy_setopt(handle, CURLOPT_BUFFERSIZE, 8192L);
      curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &Calls::on_data);
      curl_easy_setopt(handle, CURLOPT_PRIVATE, shards_.back().get());
      handles_.push_back({handle, shards_.back()->multi});
    }
  }
  ~Calls() {
    for (const auto& [handle, multi] : handles_) curl_easy_cleanup(handle);
    for (const auto& shard : shards_) curl_multi_cleanup(shard->multi);
    ::close(epoll_);
  }
  Calls(const Calls&) = delete;
  Calls& operator=(const Calls&) = delete;

  /// So many calls, all handles at once.
  void run(int calls) {
    left_ = calls;
    open_ = 0;
    for (const auto& [handle, multi] : handles_) begin(handle, multi);
    std::array<epoll_event, 1024> events{};
    while (open_ > 0) {
      const int n = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), wait_ms());
      for (int i = 0; i < n; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        const auto fd = static_cast<std::size_t>(event.data.fd);
        const int mask = ((event.events & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0) |
                         ((event.events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0);
        act(*watched_[fd].shard, event.data.fd, mask);
      }
      for (const auto& shard : shards_) {
        if (shard->due > Clock::now()) continue;
        shard->due = Clock::time_point::max();
        act(*shard, CURL_SOCKET_TIMEOUT, 0);
      }
    }
  }
  int failed() const { return failed_; }

 private:
  struct Watched {
    Shard* shard = nullptr;
    int events = 0;
  };

  void add_shard() {
    auto shard = std::make_unique<Shard>();
    shard->calls = this;
    shard->multi = curl_multi_init();
    curl_multi_setopt(shard->multi, CURLMOPT_SOCKETFUNCTION, &Calls::on_socket);
    curl_multi_setopt(shard->multi, CURLMOPT_SOCKETDATA, shard.get());
    curl_multi_setopt(shard->multi, CURLMOPT_TIMERFUNCTION, &Calls::on_timer);
    curl_multi_setopt(shard->multi, CURLMOPT_TIMERDATA, shard.get());
    curl_multi_setopt(shard->multi, CURLMOPT_MAXCONNECTS, long{kCallsPerMulti});
    shards_.push_back(std::move(shard));
  }

  void begin(CURL* handle, CURLM* multi) {
    if (left_ == 0) return;
    --left_;
    ++open_;
    curl_multi_add_handle(multi, handle);
  }

  void act(Shard& shard, curl_socket_t socket, int mask) {
    int running = 0;
    curl_multi_socket_action(shard.multi, socket, mask, &running);
    int more = 0;
    while (const CURLMsg* message = curl_multi_info_read(shard.multi, &more)) {
      CURL* handle = message->easy_handle;
      if (message->data.result != CURLE_OK) ++failed_;
      curl_multi_remove_handle(shard.multi, handle);
      --open_;
      begin(handle, shard.multi);
    }
  }

  int wait_ms() const {
    Clock::time_point due = Clock::time_point::max();
    for (const auto& shard : shards_) due = std::min(due, shard->due);
    if (due == Clock::time_point::max()) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - Clock::now());
    return static_cast<int>(std::max<std::int64_t>(left.count(), 0));
  }

  static std::size_t on_data(char*, std::size_t size, std::size_t count, void*) {
    return size * count;
  }

  /// What is watched stays watched: a connection that is kept is used again for the same.
  static int on_socket(CURL*, curl_socket_t socket, int what, void* data, void*) {
    auto* shard = static_cast<Shard*>(data);
    Calls& self = *shard->calls;
    const auto place = static_cast<std::size_t>(socket);
    if (self.watched_.size() <= place) self.watched_.resize(place + 1);
    Watched& watched = self.watched_[place];
    if (what == CURL_POLL_REMOVE) return 0;
    const int events = ((what & CURL_POLL_IN) != 0 ? int{EPOLLIN} : 0) |
                       ((what & CURL_POLL_OUT) != 0 ? int{EPOLLOUT} : 0);
    if (watched.shard != nullptr && watched.events == events) return 0;
    epoll_event event{};
    event.events = static_cast<std::uint32_t>(events);
    event.data.fd = socket;
    const int how = watched.shard == nullptr ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    watched = {shard, events};
    return ::epoll_ctl(self.epoll_, how, socket, &event);
  }

  static int on_timer(CURLM*, long timeout_ms, void* data) {
    static_cast<Shard*>(data)->due = timeout_ms < 0
                                         ? Clock::time_point::max()
                                         : Clock::now() + std::chrono::milliseconds(timeout_ms);
    return 0;
  }

  int epoll_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::vector<std::pair<CURL*, CURLM*>> handles_;
  std::vector<Watched> watched_;  ///< by descriptor; no connection is closed before the end
  int left_ = 0;
  int open_ = 0;
  int failed_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  const auto [calls, in_flight] = pawl::bench::begin(argc, argv);
  const pawl::test::ServerProcess server({PAWL_HTTP_SERVER, "100"});
  PAWL_CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
  Calls work(server.url("/query"), in_flight);
  work.run(in_flight);  // the connections are up
  const double cpu_before = pawl::bench::cpu_us();
  const auto before = Clock::now();
  work.run(calls);
  const double seconds = std::chrono::duration<double>(Clock::now() - before).count();
  std::printf(
      "libcurl alone: %d calls of 100 ms, %d in flight | %.0f calls/s, %.0f us of CPU a call%s | "
      "|\n",
      calls, in_flight, calls / seconds, (pawl::bench::cpu_us() - cpu_before) / calls,
      work.failed() == 0 ? "" : ", SOME FAILED");
  return work.failed() == 0 ? 0 : 1;
}
