// Definitions on their way: large ones are read beside the loop, once for all who ask, and one that
// was found is there when the run comes that it was found for.

#include "scheduler/daemon/jobs.h"

#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "scheduler/daemon/calendars.h"
#include "scheduler/daemon/definitions.h"
#include "scheduler/daemon/folder_jobs.h"
#include "scheduler/daemon/retainer.h"
#include "scheduler/loop/clock.h"
#include "scheduler/loop/wakeup.h"
#include "storage/sqlite_store.h"
#include "tests/unit/loop_support.h"

namespace pawl::test {
namespace {

/// A home without a service: a store, its writer, an engine, and the jobs.
class Home {
 public:
  Home() {
    auto store = SqliteStore::open(folder_ / "pawl.db");
    PAWL_CHECK(store.ok());
    Writer::Callbacks callbacks;
    callbacks.committed = [](std::uint64_t) {};
    callbacks.deliver = [this](std::function<void()> done) {
      {
        const std::lock_guard lock(mutex_);
        delivered_.push_back(std::move(done));
      }
      wakeup_.wake();
    };
    writer_ = std::make_unique<Writer>(std::move(*store), std::move(callbacks), WriterOptions{});
    restart();
  }
  ~Home() { writer_->stop(); }

  /// Nothing is in memory any more.
  void restart() {
    jobs.reset();
    pump = std::make_unique<Pump>(loop, Engine({}), *writer_, [](std::vector<Effect>&&) {});
    pump->feed(input::Recovered{});
    jobs = std::make_unique<Jobs>(loop, *pump, *writer_, VersionId{0}, std::vector<JobRow>{},
                                  operators_);
  }

  VersionId store(const std::string& text) {
    ParseResult parsed = parse_job(text, parse_options("/", nullptr, nullptr));
    PAWL_CHECK(parsed.ok);
    std::optional<VersionId> made;
    jobs->version_of(parsed.text, SharedJob(std::move(parsed.job)),
                     [&made](Result<VersionId> version) { made = *version; });
    PAWL_CHECK(run_until(loop, [&] { return made.has_value(); }));
    pump->flush();
    return *made;
  }

  Writer& writer() { return *writer_; }

  Loop loop;
  std::unique_ptr<Pump> pump;
  std::unique_ptr<Jobs> jobs;

 private:
  void run_delivered() {
    std::deque<std::function<void()>> todo;
    {
      const std::lock_guard lock(mutex_);
      todo.swap(delivered_);
    }
    for (const auto& done : todo) done();
  }

  ScratchFolder folder_;
  OperatorCatalog operators_;
  std::mutex mutex_;
  std::deque<std::function<void()>> delivered_;
  Wakeup wakeup_{loop, [this] { run_delivered(); }};
  std::unique_ptr<Writer> writer_;
};

std::string job_of(std::size_t tasks) {
  std::string text = R"({"name": "sales", "tasks": [)";
  for (std::size_t i = 0; i < tasks; ++i) {
    text += (i > 0 ? "," : "") + std::string(R"({"id": "t)") + std::to_string(i) +
            R"(", "command": ["true"]})";
  }
  return text + "]}";
}

}  // namespace

TEST_CASE("who asks for a stored definition that is being read waits for the same reading") {
  Home home;
  const VersionId version = home.store(job_of(3));
  home.restart();
  std::vector<std::pair<int, SharedJob>> read;
  for (int asked = 0; asked < 3; ++asked) {
    home.jobs->stored(
        version, [&read, asked](const Result<SharedJob>& job) { read.emplace_back(asked, *job); });
  }
  CHECK(read.empty());
  REQUIRE(run_until(home.loop, [&] { return read.size() == 3; }));
  for (int i = 0; i < 3; ++i) CHECK(read[static_cast<std::size_t>(i)].first == i);
  CHECK(&*read[0].second == &*read[2].second);
  CHECK(read[0].second->tasks.size() == 3);
}

TEST_CASE("a definition in memory is had at once") {
  Home home;
  const VersionId version = home.store(job_of(1));
  bool is_read = false;
  home.jobs->stored(version, [&is_read](const Result<SharedJob>& job) { is_read = job.ok(); });
  CHECK(is_read);
}

TEST_CASE("many definitions are read one after the other, and one that is not there is an error") {
  Home home;
  std::vector<VersionId> versions;
  for (std::size_t tasks = 1; tasks <= 10; ++tasks) versions.push_back(home.store(job_of(tasks)));
  versions.push_back(VersionId{99});
  home.restart();
  std::vector<std::size_t> sizes(versions.size());
  std::size_t read = 0;
  for (std::size_t i = 0; i < versions.size(); ++i) {
    home.jobs->stored(versions[i], [&, i](const Result<SharedJob>& job) {
      if (job) sizes[i] = (*job)->tasks.size();
      ++read;
    });
  }
  REQUIRE(run_until(home.loop, [&] { return read == versions.size(); }));
  CHECK(sizes == std::vector<std::size_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0});
}

TEST_CASE("the loop turns while a definition of 20,000 tasks is read") {
  Home home;
  const VersionId version = home.store(job_of(20'000));
  home.restart();
  bool is_read = false;
  home.jobs->stored(version, [&is_read](const Result<SharedJob>& job) { is_read = job.ok(); });
  int turns = 0;
  Timer timer(home.loop, [&] {
    ++turns;
    timer.start_after(Duration(1));
  });
  timer.start_after(Duration(1));
  REQUIRE(run_until(home.loop, [&] { return is_read; }));
  // It takes a hundred milliseconds and more: as many as the loop would have stood.
  CHECK(turns > 10);
}

TEST_CASE("a definition on its way comes, though the dates of the one in force are read again") {
  Home home;
  const ScratchFolder files;
  write_file(files / "days.txt", "2026-12-25\n");
  const auto loaded = [&](const std::string& command) {
    const std::string text =
        R"({"name": "sales", "tasks": [{"id": "t", "command": [")" + command +
        R"("]}], "schedule": {"cron": "0 2 * * *", "except": {"file": "days.txt"}}})";
    ParseResult parsed = parse_job(text, parse_options(files.path(), nullptr, nullptr));
    PAWL_CHECK(parsed.ok);
    const auto calendar = calendar_of(parsed.job);
    PAWL_CHECK(calendar.ok());
    return JobLoaded{"sales",     files / "sales.json", files.path(),
                     parsed.text, parsed.job,           *calendar};
  };
  FolderJobs jobs(home.loop, *home.pump, home.writer(), *home.jobs, [](Weight, std::string) {});
  const auto version = [&] {
    const JobRow* row = home.jobs->find("sales");
    return row != nullptr ? row->version : VersionId{};
  };
  jobs.on(loaded("old"));
  REQUIRE(run_until(home.loop, [&] { return version().value != 0; }));
  const VersionId old = version();
  jobs.on(loaded("new"));
  jobs.reload_dates();
  REQUIRE(run_until(home.loop, [&] { return version() != old; }));
  CHECK(home.pump->engine().schedule("sales").has_value());
}

TEST_CASE("retention waits for who reads runs, and leaves definitions that are in memory") {
  Home home;
  const VersionId version = home.store(job_of(1));
  bool is_reading = true;
  int asked = 0;
  const auto prune = [&](const std::function<void()>& meanwhile) {
    const auto is_read = [&] {
      ++asked;
      return is_reading;
    };
    Retainer retainer(home.loop, *home.pump, home.writer(), *home.jobs, {"", "", {}, is_read});
    std::optional<bool> done;
    retainer.prune(Retainer::Asked{wall_now(), {}},
                   [&](const Result<std::int64_t>& runs) { done = runs.ok(); });
    meanwhile();
    is_reading = false;
    REQUIRE(run_until(home.loop, [&] { return done.has_value(); }));
    CHECK(*done);
  };
  const auto is_stored = [&] {
    std::optional<bool> found;
    home.jobs->stored(version, [&](const Result<SharedJob>& job) { found = job.ok(); });
    REQUIRE(run_until(home.loop, [&] { return found.has_value(); }));
    return *found;
  };
  prune([&] {
    const int before = asked;
    REQUIRE(run_until(home.loop, [&] { return asked > before + 1; }));
  });
  home.restart();
  CHECK(is_stored());
  prune([] {});
  CHECK_FALSE(is_stored());
}

}  // namespace pawl::test
