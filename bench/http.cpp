// What the operator `http` carries: calls of 100 ms against bench/http_server.cpp, thousands in
// flight, in one process without the rest of pawl. `bench_http [CALLS [IN_FLIGHT]]`.

#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "bench/http_calls.h"
#include "scheduler/base/check.h"
#include "scheduler/loop/loop.h"
#include "tests/unit/operator_host.h"
#include "tests/unit/server_process.h"

namespace {

using pawl::Loop;
using pawl::test::Ask;
using pawl::test::OperatorHost;
using Clock = std::chrono::steady_clock;

/// Starts the next call whenever one has ended.
class Calls {
 public:
  Calls(OperatorHost& host, const std::string& url, int calls) : host_(host), left_(calls) {
    ask_.with = R"({"url": ")" + url + R"("})";
    ask_.on_end = [this] {
      ++ended_;
      ++to_start_;
    };
  }
  /// Turns the loop until all are over.
  void run(Loop& loop, int in_flight) {
    const int calls = left_;
    to_start_ = in_flight;
    while (ended_ < calls) {
      for (; to_start_ > 0 && left_ > 0; --to_start_, --left_)
        started_.push_back(&host_.start(ask_));
      loop.run_once(true);
    }
  }
  int failed() const {
    int failed = 0;
    for (const auto* attempt : started_) {
      failed += attempt->end()->outcome == PAWL_SUCCEEDED ? 0 : 1;
    }
    return failed;
  }

 private:
  OperatorHost& host_;
  Ask ask_;
  int left_;
  int to_start_ = 0;
  int ended_ = 0;
  std::vector<const pawl::test::TestAttempt*> started_;
};

}  // namespace

int main(int argc, char** argv) {
  const auto [calls, in_flight] = pawl::bench::begin(argc, argv);
  const pawl::test::ServerProcess server({PAWL_HTTP_SERVER, "100"});

  Loop loop;
  double seconds = 0;
  double used_us = 0;
  int failed = 0;
  {
    OperatorHost host(loop, "http", "http");
    // The connections are up, as in a host that has been at work.
    Calls(host, server.url("/query"), in_flight).run(loop, in_flight);
    Calls work(host, server.url("/query"), calls);
    const double used_before = pawl::bench::cpu_us();
    const auto before = Clock::now();
    work.run(loop, in_flight);
    seconds = std::chrono::duration<double>(Clock::now() - before).count();
    used_us = pawl::bench::cpu_us() - used_before;
    failed = work.failed();
  }
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  std::printf(
      "http: %d calls of 100 ms, %d in flight | %.0f calls/s, %.0f us of CPU a call, %ld MB%s "
      "| 18,000/s, 80 MB |\n",
      calls, in_flight, calls / seconds, used_us / calls, usage.ru_maxrss / 1024,
      failed == 0 ? "" : ", SOME FAILED");
  return failed == 0 ? 0 : 1;
}
