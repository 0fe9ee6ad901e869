// What a scheduler makes of workers that die while their ends are not durable, or while what they
// left cannot be read. The test decides what the engine believes and what is durable.

#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "plugins/worker/definition.h"
#include "plugins/worker/journal_writer.h"
#include "scheduler/daemon/home.h"
#include "scheduler/daemon/workers.h"
#include "scheduler/loop/clock.h"
#include "scheduler/loop/process_stat.h"
#include "tests/unit/loop_support.h"

namespace pawl::test {
namespace {

/// What users are told of a worker that left no word.
const std::string kKilled =
    "its worker died without a word, as by SIGKILL, which the kernel sends, too, where memory is "
    "short (`journalctl -k` tells); what was left of it was killed";

namespace fs = std::filesystem;

constexpr WorkerId kWorker{1};

/// A scheduler's workers, at most one at a time.
class Directed {
 public:
  explicit Directed(const std::string& home, std::vector<StayOfAttempt> live = {},
                    std::uint32_t protocol = kProtocolVersion)
      : live_(std::move(live)), home_(home) {
    Workers::Options options;
    options.folder = home + "/workers";
    options.home = home;
    options.program = PAWL_PROGRAM;
    options.version = "0.1.0";
    options.protocol = protocol;
    options.epoch = Epoch(1);
    options.count = 1;
    Workers::Events events;
    events.up = [this](WorkerId, std::vector<std::string>) { is_up = true; };
    events.drains = [](WorkerId) {};
    events.gone = [this](WorkerId) { is_gone = true; };
    events.ended = [this](std::vector<AttemptResult> results) {
      for (AttemptResult& result : results) {
        std::erase_if(live_, [&](const StayOfAttempt& one) {
          return one.attempt == result.attempt && one.stay == result.stay;
        });
        ended.push_back(std::move(result));
      }
    };
    events.began = [](AttemptId, WallTime) {};
    events.handle = [](const input::AttemptHandle&) {};
    events.progress = [](const frame::Progress&) {};
    events.attempts_of = [this](WorkerId id) {
      return id == kWorker ? live_ : std::vector<StayOfAttempt>();
    };
    events.bounds_of = [](AttemptId) { return AttemptBounds{}; };
    events.new_id = [this](WorkerId, const std::function<void(std::optional<WorkerId>)>& done) {
      done(given_ ? std::nullopt : std::optional(kWorker));
      given_ = true;
    };
    events.settled = [this] { is_settled = true; };
    events.problem = [this](const std::string& text) { problems.push_back(text); };
    workers_ = std::make_unique<Workers>(loop_, std::move(options), std::move(events));
  }

  Workers& workers() { return *workers_; }
  std::string folder() const { return home_ + "/workers/1"; }
  pid_t pid() const { return workers_->view().front().pid; }

  template <typename Done>
  void until(Done done) {
    REQUIRE(run_until(loop_, done));
  }
  void until_up() {
    workers_->keep_running();
    until([this] { return is_up; });
  }
  void start(AttemptId attempt, std::int32_t stay, const std::string& script) {
    TaskDefinition task;
    task.home = home_;
    task.run = "20261120-225801-7k3f9q";
    task.job = "sales";
    task.task = "query";
    task.with = R"({"command":["sh","-c",")" + script + R"("]})";
    task.folder = home_;
    task.log_dir = home_ + "/logs";
    const DefinitionId definition{static_cast<std::uint64_t>(attempt.value)};
    workers_->define(kWorker, definition, encode_definition(task));
    frame::AttemptStart start;
    start.attempt = attempt;
    start.definition = definition;
    start.number = 1;
    start.stay = stay;
    start.idempotency_key = "key";
    live_.push_back({attempt, stay});
    workers_->start(kWorker, {start});
  }
  void kill_worker() { REQUIRE(::kill(pid(), SIGKILL) == 0); }
  void forget(AttemptId attempt, std::int32_t stay) {
    workers_->forget(kWorker, {{attempt, stay}});
  }

  std::vector<AttemptResult> ended;
  std::vector<std::string> problems;
  bool is_up = false;
  bool is_gone = false;
  bool is_settled = false;

 private:
  std::vector<StayOfAttempt> live_;
  std::string home_;
  bool given_ = false;
  Loop loop_;
  std::unique_ptr<Workers> workers_;
};

class HomeFolder {
 public:
  HomeFolder() { REQUIRE(Home::open_or_create(path())); }
  std::string path() const { return folder_ / "home"; }

 private:
  ScratchFolder folder_;
};

/// A file of a worker's folder that is there and cannot be opened, by root neither, while it lives.
class Unreadable {
 public:
  explicit Unreadable(std::string path) : path_(std::move(path)) {
    fs::rename(path_, path_ + ".aside");
    fs::create_symlink("nowhere", path_);
  }
  ~Unreadable() { fs::rename(path_ + ".aside", path_); }
  Unreadable(const Unreadable&) = delete;
  Unreadable& operator=(const Unreadable&) = delete;

 private:
  std::string path_;
};

/// Of `exec sleep` in a script that wrote its number down.
bool is_alive(const std::string& file) {
  std::ifstream in(file);
  pid_t pid = 0;
  in >> pid;
  const auto stat = read_process_stat(pid);
  return stat && !stat->has_ended();
}

std::string program(const std::string& file) { return "echo $$ > " + file + "; exec sleep 1000"; }

}  // namespace

TEST_CASE("what a dead worker noted of an end that was told stays until that end is durable") {
  const HomeFolder home;
  {
    Directed scheduler(home.path());
    scheduler.until_up();
    scheduler.start(AttemptId(7), 0, "exit 3");
    scheduler.until([&] { return scheduler.ended.size() == 1; });
    scheduler.kill_worker();
    scheduler.until([&] { return scheduler.is_gone; });
    CHECK(scheduler.ended.size() == 1);
    // An end of an earlier stay is another one.
    scheduler.forget(AttemptId(7), 1);
  }
  // That scheduler died before it had stored the end.
  Directed next(home.path(), {{AttemptId(7), 0}});
  next.workers().recover({kWorker});
  next.until([&] { return next.is_settled; });
  REQUIRE(next.ended.size() == 1);
  CHECK(next.ended[0].outcome == AttemptResult::Outcome::failed);
  CHECK(next.ended[0].exit_code == 3);
  REQUIRE(fs::exists(next.folder()));
  next.forget(AttemptId(7), 0);
  next.until([&] { return !fs::exists(next.folder()); });
}

TEST_CASE("a worker of an earlier scheduler goes on if it speaks as this one, and else ends") {
  HomeFolder home;
  { Directed(home.path()).until_up(); }
  SECTION("the same words") {
    Directed next(home.path());
    next.workers().recover({kWorker});
    next.until([&] { return next.is_settled; });
    CHECK(next.is_up);
    next.kill_worker();
  }
  SECTION("others, of the same version of pawl") {
    Directed next(home.path(), {}, kProtocolVersion + 1);
    next.workers().recover({kWorker});
    next.until([&] { return next.is_gone; });
    CHECK_FALSE(next.is_up);
  }
}

TEST_CASE("a worker of which nobody can tell whether it lives is not judged") {
  const HomeFolder home;
  const std::string file = home.path() + "/pid";
  Directed scheduler(home.path());
  scheduler.until_up();
  scheduler.start(AttemptId(7), 2, program(file));
  scheduler.until([&] { return is_alive(file); });
  {
    const Unreadable lock(scheduler.folder() + "/lock");
    scheduler.kill_worker();
    scheduler.until([&] { return !scheduler.problems.empty(); });
    CHECK(scheduler.problems[0].find("/lock: ") != std::string::npos);
    CHECK(scheduler.ended.empty());
    CHECK_FALSE(scheduler.is_gone);
    CHECK(is_alive(file));
  }
  scheduler.until([&] { return scheduler.is_gone; });
  REQUIRE(scheduler.ended.size() == 1);
  CHECK(scheduler.ended[0].outcome == AttemptResult::Outcome::lost);
  CHECK(scheduler.ended[0].stay == 2);
  CHECK(scheduler.ended[0].failure.message == kKilled);
  CHECK_FALSE(is_alive(file));
}

TEST_CASE("a dead worker whose journal cannot be read is looked at again until it can") {
  const HomeFolder home;
  Directed scheduler(home.path());
  scheduler.until_up();
  scheduler.start(AttemptId(7), 0, "exit 3");
  scheduler.until([&] { return scheduler.ended.size() == 1; });
  const std::string file = home.path() + "/pid";
  scheduler.start(AttemptId(8), 0, program(file));
  scheduler.until([&] { return is_alive(file); });
  {
    const Unreadable journal(scheduler.folder() + "/journal.00000001");
    scheduler.kill_worker();
    scheduler.until([&] { return !scheduler.problems.empty(); });
    CHECK(scheduler.problems[0].find("journal.00000001") != std::string::npos);
    CHECK(scheduler.problems[0].find("move " + scheduler.folder() + " away") != std::string::npos);
    CHECK(scheduler.ended.size() == 1);
    CHECK_FALSE(scheduler.is_gone);
    scheduler.forget(AttemptId(7), 0);
  }
  scheduler.until([&] { return scheduler.is_gone; });
  REQUIRE(scheduler.ended.size() == 2);
  CHECK(scheduler.ended[1].outcome == AttemptResult::Outcome::lost);
  CHECK_FALSE(is_alive(file));
  CHECK(fs::exists(scheduler.folder()));
  scheduler.forget(AttemptId(8), 0);
  scheduler.until([&] { return !fs::exists(scheduler.folder()); });
}

TEST_CASE("the machine is said to have restarted only when the lock file says so") {
  const HomeFolder home;
  const std::string folder = home.path() + "/workers/1";
  const auto fate = [&](WorkerDeath death) {
    const auto results =
        fate_of_attempts(folder, home.path(), kWorker, {{AttemptId(7), 3}}, death, wall_now());
    REQUIRE(results);
    REQUIRE(results->size() == 1);
    CHECK(results->front().stay == 3);
    return results->front();
  };
  // Nothing is left of it.
  CHECK(fate(WorkerDeath::unseen).outcome == AttemptResult::Outcome::interrupted);
  const std::string unknown = "its worker died and left no word of when; it may have done its work";
  CHECK(fate(WorkerDeath::unseen).failure.message == unknown);
  CHECK(fate(WorkerDeath::seen).failure.message == kKilled);
  fs::create_directories(folder);
  // As a power cut may leave it.
  write_file(folder + "/lock", "");
  CHECK(fate(WorkerDeath::unseen).failure.message == unknown);
  write_file(folder + "/lock", "another-boot 17 18\n");
  CHECK(fate(WorkerDeath::unseen).outcome == AttemptResult::Outcome::interrupted);
  CHECK(fate(WorkerDeath::unseen).failure.message ==
        "the machine restarted; it may have done its work");
  write_file(folder + "/lock", format_identity(own_identity()) + "\n");
  CHECK(fate(WorkerDeath::unseen).outcome == AttemptResult::Outcome::never_started);
  const Unreadable lock(folder + "/lock");
  CHECK_FALSE(fate_of_attempts(folder, home.path(), kWorker, {{AttemptId(7), 3}},
                               WorkerDeath::unseen, wall_now()));
}

TEST_CASE("who was lost with a host that another attempt made end is told so and is not to blame") {
  const HomeFolder home;
  const std::string folder = home.path() + "/workers/1";
  fs::create_directories(folder);
  write_file(folder + "/lock", format_identity(own_identity()) + "\n");
  auto journal = JournalWriter::open(folder);
  REQUIRE(journal);
  JournalEntry entry;
  REQUIRE(journal->begin(AttemptId(7), entry, wall_now(), false, false));
  REQUIRE(journal->flush());
  const auto fate = [&](const std::string& last_word) {
    write_file(folder + "/crash", last_word);
    const auto results = fate_of_attempts(folder, home.path(), kWorker, {{AttemptId(7), 0}},
                                          WorkerDeath::seen, wall_now());
    REQUIRE(results);
    REQUIRE(results->size() == 1);
    return results->front();
  };
  const AttemptResult beside = fate("6 -1 20261120-225801-7k3f9q/query\n");
  CHECK(beside.outcome == AttemptResult::Outcome::interrupted);
  CHECK_FALSE(beside.may_be_cause);
  CHECK(beside.failure.message ==
        "another attempt of its host (20261120-225801-7k3f9q/query) did not end when it was told "
        "to, which ended both");
  CHECK(fate("6 -2 \n").failure.message ==
        "another attempt of its host blocked the host's event loop, which ended both");
  // Alone in its host it may be to blame all the same.
  const AttemptResult alone = fate("0 11\n");
  CHECK(alone.outcome == AttemptResult::Outcome::lost);
  CHECK(alone.may_be_cause);
  CHECK(
      alone.failure.message ==
      "a thread of its host that worked for no attempt crashed with SIGSEGV, which ended the whole "
      "host");
  const AttemptResult culprit = fate("7 -2 \n");
  CHECK(culprit.outcome == AttemptResult::Outcome::lost);
  CHECK(culprit.may_be_cause);
  CHECK(culprit.failure.message ==
        "its operator blocked the host's event loop, which ended the whole host");
}

TEST_CASE("what is left of a worker that left no lock file is found by its mark and killed") {
  const HomeFolder home;
  const std::string file = home.path() + "/pid";
  {
    Directed scheduler(home.path());
    scheduler.until_up();
    scheduler.start(AttemptId(7), 0, program(file));
    scheduler.until([&] { return is_alive(file); });
    fs::rename(scheduler.folder(), home.path() + "/aside");
    scheduler.kill_worker();
  }
  Directed next(home.path(), {{AttemptId(7), 0}});
  next.workers().recover({kWorker});
  next.until([&] { return next.is_settled; });
  REQUIRE(next.ended.size() == 1);
  CHECK(next.ended[0].outcome == AttemptResult::Outcome::interrupted);
  CHECK_FALSE(is_alive(file));
}

}  // namespace pawl::test
