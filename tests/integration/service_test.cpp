// The running service, in this process, where a test must turn a knob that users do not have.

#include "scheduler/daemon/service.h"

#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/unit/loop_support.h"

namespace pawl::test {
namespace {

using nlohmann::json;

class ServiceTest {
 public:
  explicit ServiceTest(std::int64_t wal_bytes_max) {
    ServiceOptions options;
    options.home = home_ / "home";
    options.program = PAWL_PROGRAM;
    options.version = "0.1.0";
    options.serves = true;
    options.settings.settings.workers = 1;
    options.settings.settings.wal_bytes_max = wal_bytes_max;
    options.tell = [this](Weight weight, const std::string& text) {
      if (weight == Weight::warning) warnings.push_back(text);
    };
    auto opened = Service::open(std::move(options));
    REQUIRE(opened);
    service_ = std::move(*opened);
    until([this] { return service_->is_ready(); });
  }

  json ask(const std::string& method, const std::string& path, const json& body = nullptr,
           const std::map<std::string, std::string>& query = {}) {
    std::optional<std::string> answer;
    ControlRequest request;
    request.method = method;
    request.path = path;
    request.query = query;
    request.actor = "ana";
    if (!body.is_null()) request.body = body.dump();
    service_->call(request, [&answer](int, std::string text) { answer = std::move(text); });
    until([&] { return answer.has_value(); });
    return json::parse(*answer);
  }

  /// A run of a new job with one task; its name. The store keeps the job's text of that many bytes.
  std::string submit(std::size_t text_bytes = 0) {
    const json job = {{"name", "job" + std::to_string(++jobs_)},
                      {"description", std::string(text_bytes, 'd')},
                      {"tasks", {{{"id", "a"}, {"command", {"true"}}}}}};
    return ask("POST", "/v1/runs", {{"text", job.dump()}, {"folder", "/"}}).value("run", "");
  }

  std::string state_of(const std::string& run) {
    return ask("GET", "/v1/runs/" + run + "/follow").value("state", "");
  }

  template <typename Done>
  void until(Done done) {
    REQUIRE(run_until(service_->loop(), [&] { return done(); }));
  }

  std::string database() const { return home_ / "home/pawl.db"; }

  std::vector<std::string> warnings;

 private:
  int jobs_ = 0;
  ScratchFolder home_;
  std::unique_ptr<Service> service_;
};

/// A process that reads a database in one long transaction.
class LongReader {
 public:
  explicit LongReader(const std::string& database)
      : shell_(popen(("sqlite3 -readonly '" + database + "' >/dev/null").c_str(), "w")) {
    REQUIRE(shell_ != nullptr);
    std::fputs("BEGIN;\nSELECT count(*) FROM run;\n.shell touch ", shell_);
    std::fputs((mark_ / "reads").c_str(), shell_);
    std::fputs("\n", shell_);
    std::fflush(shell_);
  }
  ~LongReader() { pclose(shell_); }
  LongReader(const LongReader&) = delete;
  LongReader& operator=(const LongReader&) = delete;

  bool reads() const { return std::filesystem::exists(mark_ / "reads"); }

 private:
  ScratchFolder mark_;
  std::FILE* shell_;
};

}  // namespace

TEST_CASE("a command that says something of another type is refused, and the scheduler goes on") {
  ServiceTest test(Settings{}.wal_bytes_max);
  test.submit();
  const json answer = test.ask("POST", "/v1/trigger",
                               {{"job", "job1"}, {"params", 5}, {"param_texts", {{"a", "1"}}}});
  CHECK(answer["error"]["kind"] == "invalid");
  CHECK(answer["error"]["message"] == "'params' of a trigger is not an object");
  CHECK(test.ask("GET", "/v1/status")["serves"] == true);
}

TEST_CASE("a reader that holds the write-ahead log stops new starts, is named, and all goes on") {
  // More than the writer leaves in the log by itself when nobody reads.
  constexpr std::int64_t kBound = 6'000'000;
  constexpr std::size_t kJobBytes = 200'000;
  ServiceTest test(kBound);
  const std::string first = test.submit();
  test.until([&] { return test.state_of(first) == "succeeded"; });

  auto reader = std::make_unique<LongReader>(test.database());
  test.until([&] {
    test.ask("GET", "/v1/pools");
    return reader->reads();
  });
  // Each job is written to the log, which the reader keeps from being copied back.
  json status;
  test.until([&] {
    test.submit(kJobBytes);
    status = test.ask("GET", "/v1/status");
    return !status["readers"].empty();
  });
  REQUIRE(status["log_bytes"].get<std::int64_t>() > kBound / 2);
  REQUIRE(status["holds"][0]["kind"] == "long_reader");
  REQUIRE(status["readers"][0]["command"].get<std::string>().find("sqlite3") != std::string::npos);
  const std::string pid = std::to_string(status["readers"][0]["pid"].get<int>());
  REQUIRE(status["holds"][0]["text"].get<std::string>().find("process " + pid) !=
          std::string::npos);
  REQUIRE(test.warnings.back().find("process " + pid) != std::string::npos);

  // What was accepted meanwhile waits, and says why.
  const std::string waiting = test.submit();
  const json why = test.ask("GET", "/v1/explain", nullptr, {{"run", waiting}, {"task", "a"}});
  REQUIRE(why["reasons"][0]["kind"] == "long_reader");

  reader.reset();
  test.until([&] { return test.state_of(waiting) == "succeeded"; });
  REQUIRE(test.ask("GET", "/v1/status")["holds"].empty());
  REQUIRE(test.warnings.back() == "the write-ahead log is small again");
}

}  // namespace pawl::test
