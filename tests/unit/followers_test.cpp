#include "scheduler/daemon/followers.h"

#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "scheduler/daemon/definitions.h"
#include "scheduler/loop/wakeup.h"
#include "storage/sqlite_store.h"
#include "tests/unit/loop_support.h"

namespace pawl::test {
namespace {

/// An open run that nothing happens to: no worker takes its task.
class QuietRun {
 public:
  QuietRun() {
    auto store = SqliteStore::open(home_ / "pawl.db");
    PAWL_CHECK(store.ok());
    Writer::Callbacks callbacks;
    callbacks.committed = [](std::uint64_t) {};
    writer_ = std::make_unique<Writer>(std::move(*store), std::move(callbacks), WriterOptions{});
    pump_ = std::make_unique<Pump>(loop, Engine({}), *writer_, [](std::vector<Effect>&&) {});
    followers = std::make_unique<Followers>(loop, *pump_, *writer_, Epoch{1});
    const std::string text = R"({"name": "sales", "tasks": [{"id": "a", "command": ["true"]}]})";
    JobVersionRow version{VersionId{1}, "sales", "hash", text, "/", WallTime{1}};
    pump_->feed(input::AddVersion{version,
                                  parse_job(text, parse_options("/", nullptr, nullptr)).job, true});
    pump_->feed(input::Recovered{});
    RunRow row;
    row.job = "sales";
    row.version = version.id;
    row.params = "{}";
    pump_->feed(input::Submit{row, false, "ana", {}});
    name = pump_->engine().run(pump_->engine().runs().front())->name;
  }

  /// Asks for news that will not come; the function is what its client's leaving calls.
  std::function<void()> follow(std::vector<int>& answers) {
    std::function<void()> leave;
    ControlRequest request;
    request.query["version"] = std::to_string(std::numeric_limits<std::int64_t>::max());
    request.query["timeout_ms"] = "50";
    followers->follow(
        name, request,
        ControlAnswer([&answers](int status, const std::string&) { answers.push_back(status); },
                      [&leave](std::function<void()> fn) { leave = std::move(fn); }));
    return leave;
  }

  /// What is told at once.
  nlohmann::json look() {
    std::string told;
    followers->follow(name, {},
                      ControlAnswer([&told](int, std::string body) { told = std::move(body); }));
    return nlohmann::json::parse(told, nullptr, false);
  }

  void end() {
    pump_->feed(input::Cancel{{{run(), {}, {}}}, false, "ana", {}, {}});
    followers->run_ended(run());
  }
  void resume() {
    input::Resume again;
    again.targets = {{run(), {}, {}}};
    pump_->feed(std::move(again));
  }

  Loop loop;
  std::string name;

 private:
  RunId run() const { return pump_->engine().runs().front(); }

  ScratchFolder home_;
  std::unique_ptr<Writer> writer_;
  std::unique_ptr<Pump> pump_;

 public:
  std::unique_ptr<Followers> followers;
};

}  // namespace

TEST_CASE("who follows a run and leaves gives the place free at once") {
  QuietRun run;
  std::vector<int> answers;
  const auto leave = run.follow(answers);
  const auto other = run.follow(answers);
  REQUIRE(run.followers->count() == 2);
  leave();
  REQUIRE(run.followers->count() == 1);
  REQUIRE(run_until(run.loop, [&] { return !answers.empty(); }));
  REQUIRE(answers == std::vector{200});
  REQUIRE(run.followers->count() == 0);
  other();  // too late, and harmless
}

TEST_CASE("the last word of a run is none any more once it is open again, whoever opened it") {
  QuietRun run;
  REQUIRE(run.look()["state"] == "running");
  run.end();
  REQUIRE(run.look()["state"] == "cancelled");
  REQUIRE(run.look()["ended"] == true);
  run.resume();
  REQUIRE(run.look()["state"] == "running");
  REQUIRE(run.look()["ended"] == false);
}

TEST_CASE("of a run that has left memory is told what the store knows") {
  ScratchFolder home;
  const std::string text = R"({"name": "sales", "tasks": [{"id": "a", "command": ["true"]}]})";
  RunRow run;
  run.id = RunId{1};
  run.name = "20261120-225801-7k3f9q";
  run.job = "sales";
  run.version = VersionId{1};
  run.state = RunState::succeeded;
  run.ended_at = WallTime{2};
  RunRow unreadable = run;
  unreadable.id = RunId{2};
  unreadable.name = "20261120-225801-000000";
  unreadable.version = VersionId{2};
  {
    auto store = SqliteStore::open(home / "pawl.db");
    REQUIRE(store);
    const JobVersionRow version{VersionId{1}, "sales", "1", text, "/", WallTime{1}};
    const JobVersionRow broken{VersionId{2}, "sales", "2", "{}", "/", WallTime{1}};
    REQUIRE(
        (*store)->apply(Mutations{mutation::InsertVersion{version}, mutation::InsertVersion{broken},
                                  mutation::InsertRun{run}, mutation::InsertRun{unreadable}}));
  }
  Loop loop;
  std::mutex mutex;
  std::vector<std::function<void()>> delivered;
  Wakeup wakeup(loop, [&] {
    std::vector<std::function<void()>> completions;
    {
      const std::lock_guard lock(mutex);
      completions.swap(delivered);
    }
    for (const auto& completion : completions) completion();
  });
  Writer::Callbacks callbacks;
  callbacks.committed = [](std::uint64_t) {};
  callbacks.deliver = [&](std::function<void()> completion) {
    const std::lock_guard lock(mutex);
    delivered.push_back(std::move(completion));
    wakeup.wake();
  };
  auto store = SqliteStore::open(home / "pawl.db");
  REQUIRE(store);
  Writer writer(std::move(*store), std::move(callbacks), WriterOptions{});
  Pump pump(loop, Engine({}), writer, [](std::vector<Effect>&&) {});
  Followers followers(loop, pump, writer, Epoch{1});
  const auto told = [&](const std::string& name) {
    std::optional<std::pair<int, std::string>> answer;
    followers.follow(name, {}, ControlAnswer([&](int status, std::string body) {
                       answer = {status, std::move(body)};
                     }));
    REQUIRE(run_until(loop, [&] { return answer.has_value(); }));
    return *answer;
  };
  const auto [status, body] = told(run.name);
  CHECK(status == 200);
  const auto progress = nlohmann::json::parse(body);
  CHECK(progress["state"] == "succeeded");
  CHECK(progress["ended"] == true);
  CHECK(progress["tasks"].size() == 1);
  CHECK(told("20261120-225801-zzzzzz").first == 404);
  CHECK_THAT(told(unreadable.name).second, Catch::Contains("cannot be read by this version"));
}

}  // namespace pawl::test
