// What calls that are under way together share: look-ups of names, and descriptors.

#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "tests/unit/held_names.h"
#include "tests/unit/http_operator.h"

using namespace pawl;
using namespace pawl::test;
using nlohmann::json;

namespace {

/// Of this process, to anybody by IP.
int open_connections() {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    const int descriptor = std::stoi(entry.path().filename().string());
    int family = 0;
    socklen_t size = sizeof(family);
    const int known = ::getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &family, &size);
    if (known == 0 && family == AF_INET) ++count;
  }
  return count;
}

/// As long as it lives this process may have so many descriptors open.
class DescriptorLimit {
 public:
  explicit DescriptorLimit(rlim_t most) {
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
    rlimit less = before_;
    less.rlim_cur = most;
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &less) == 0);
  }
  ~DescriptorLimit() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  DescriptorLimit(const DescriptorLimit&) = delete;
  DescriptorLimit& operator=(const DescriptorLimit&) = delete;

 private:
  rlimit before_{};
};

}  // namespace

TEST_CASE("a call whose name has become known does not wait for names that have not") {
  HttpOperator http("http");
  const auto begin = [&](const std::string& name) {
    const std::string url = "http://" + name + ".held:" + http.server.port() + "/echo";
    return &http.host.start(HttpOperator::ask_with({{"url", url}}));
  };
  // Four are looked up at once, the others wait for these.
  std::vector<TestAttempt*> attempts;
  for (const char* name : {"known", "a", "b", "c", "d", "e", "known", "known"}) {
    attempts.push_back(begin(name));
  }
  held_names().let_go("known.held");
  for (const std::size_t known : {0, 6, 7}) {
    REQUIRE(run_until(http.loop, [&] { return attempts[known]->end().has_value(); }));
    CHECK(attempts[known]->end()->outcome == PAWL_SUCCEEDED);
  }
  CHECK_FALSE(attempts[1]->end().has_value());
  http.host.cancel(*attempts[5]);
  for (const char* name : {"a", "b", "c", "d"}) held_names().let_go(std::string(name) + ".held");
  for (const std::size_t late : {1, 2, 3, 4}) {
    REQUIRE(run_until(http.loop, [&] { return attempts[late]->end().has_value(); }));
    CHECK(attempts[late]->end()->outcome == PAWL_SUCCEEDED);
  }
}

TEST_CASE("a look for which no connection gets free in its time says so") {
  constexpr int kNoMoreThanFew = 256;
  HttpOperator http("wait_http");
  const DescriptorLimit limit(kNoMoreThanFew);
  Ask ask = HttpOperator::ask_with({{"url", http.server.url("/slow/60")}, {"timeout", "300ms"}});
  std::vector<TestAttempt*> attempts;
  for (int i = 0; i < 40; ++i) attempts.push_back(&http.host.start(ask));
  std::string told;
  for (TestAttempt* attempt : attempts) {
    REQUIRE(run_until(http.loop, [&] { return attempt->end().has_value(); }));
    told += attempt->end()->message;
  }
  CHECK_THAT(told, Catch::Contains("Operation timed out"));
  CHECK_THAT(told, Catch::Contains("its time was over before a connection was free"));
}

TEST_CASE("the operators over HTTP promise themselves the descriptors of the process once") {
  constexpr int kConnections = 80;
  constexpr int kNotForConnections = 256;
  HttpOperator http("http");
  OperatorHost wait_http(http.loop, "http", "wait_http");
  const DescriptorLimit limit(kConnections + kNotForConnections);
  Ask ask = HttpOperator::ask_with({{"url", http.server.url("/slow/0.2")}});
  ask.output = "text";
  std::vector<TestAttempt*> attempts;
  for (int i = 0; i < 100; ++i) {
    attempts.push_back(&http.host.start(ask));
    attempts.push_back(&wait_http.start(ask));
  }
  int most = 0;
  for (TestAttempt* attempt : attempts) {
    REQUIRE(run_until(http.loop, [&] {
      most = std::max(most, open_connections());
      return attempt->end().has_value();
    }));
    CHECK(attempt->end()->outcome == PAWL_SUCCEEDED);
  }
  CHECK(most > kConnections / 2);
  CHECK(most <= kConnections);
}
