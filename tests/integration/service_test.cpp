// The running service, in this process, where a test must turn a knob that users do not have.

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "scheduler/daemon/control.h"
#include "tests/integration/service_support.h"

namespace pawl::test {
namespace {

using nlohmann::json;

class ServiceTest : public RunningService {
 public:
  explicit ServiceTest(std::int64_t wal_bytes_max) {
    ServiceOptions with = options();
    with.settings.settings.wal_bytes_max = wal_bytes_max;
    with.tell = [this](Weight weight, const std::string& text) {
      if (weight == Weight::warning) warnings.push_back(text);
    };
    open(std::move(with));
  }

  /// A run of a new job with one task; its name. The store keeps the job's text of that many bytes.
  std::string submit(std::size_t text_bytes = 0) {
    const json job = {{"name", "job" + std::to_string(++jobs_)},
                      {"description", std::string(text_bytes, 'd')},
                      {"tasks", {{{"id", "a"}, {"command", {"true"}}}}}};
    return ask("POST", "/v1/runs", {{"text", job.dump()}, {"folder", "/"}}).value("run", "");
  }

  /// The status of the answer to what is asked just before the service ends.
  int ask_at_the_end(const std::string& path, const json& body) {
    int answered = 0;
    ControlRequest request;
    request.method = "POST";
    request.path = path;
    request.body = body.dump();
    service_->call(request, [&answered](int status, const std::string&) { answered = status; });
    service_.reset();
    return answered;
  }
  /// Starts another one, and waits for nothing.
  void open_again() {
    auto opened = Service::open(options());
    REQUIRE(opened);
    service_ = std::move(*opened);
  }

  std::string database() const { return folder_ / "home/pawl.db"; }

  std::vector<std::string> warnings;

 private:
  int jobs_ = 0;
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

TEST_CASE("a scheduler that ends answers what it has taken, and says that it took nothing more") {
  ServiceTest test(Settings{}.wal_bytes_max);
  const std::string run = test.submit();
  test.until([&] { return test.state_of(run) == "succeeded"; });
  const json mark = {{"verb", "mark"},
                     {"targets", {{{"run", run}, {"task", "a"}}}},
                     {"options", {{"state", "failed"}}}};
  CHECK(test.ask_at_the_end("/v1/commands", mark) == 200);
  test.open_again();
  CHECK(test.ask_at_the_end("/v1/commands", mark) == kStatusNotTaken);
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
