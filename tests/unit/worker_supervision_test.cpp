#include <optional>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "plugins/worker/supervision.h"

namespace pawl {
namespace {

using namespace std::chrono_literals;
constexpr AttemptId kId{7};

std::string word(AttemptPhase phase) {
  switch (phase) {
    case AttemptPhase::starting: return "starting";
    case AttemptPhase::running: return "running";
    case AttemptPhase::stopping: return "stopping";
    case AttemptPhase::killing: return "killing";
    case AttemptPhase::clearing: return "clearing";
    case AttemptPhase::keeping: return "keeping";
    case AttemptPhase::ended: return "ended";
  }
  return "";
}

std::string word(Outcome outcome) {
  switch (outcome) {
    case Outcome::succeeded: return "succeeded";
    case Outcome::failed: return "failed";
    case Outcome::skipped: return "skipped";
    case Outcome::cancelled: return "cancelled";
    case Outcome::deferred: return "deferred";
    case Outcome::lost: return "lost";
  }
  return "";
}

/// One attempt in a supervision of its own, with a clock that is set by hand.
class Bench {
 public:
  explicit Bench(AttemptLimits limits = {}) : supervision_({100ms, 60s}) {
    REQUIRE(supervision_.start(kId, limits));
  }

  void at(Duration since_start) { now_ = MonoTime{1'000'000} + since_start; }

  void spawned() { supervision_.spawned(kId, now_, actions_); }
  void refused() { supervision_.refused(kId, Reason::spawn, actions_); }
  void stop(bool force = false, Reason reason = Reason::cancelled) {
    supervision_.stop(kId, reason, force, now_, actions_);
  }
  void exited(int code, bool skip = false) { supervision_.exited(kId, {code, {}}, skip, now_); }
  void killed(int signal, bool oom = false) {
    supervision_.exited(kId, {{}, signal, oom ? Reason::oom : Reason::none}, false, now_);
  }
  void limit(Reason reason) { supervision_.limit_reached(kId, reason, now_, actions_); }
  void cleared() { supervision_.cleared(kId); }
  void finished() { supervision_.finished(kId, actions_); }
  void advance() { supervision_.advance(now_, actions_); }
  void active() { supervision_.active(kId, now_); }
  void waits() { supervision_.waits(kId); }
  void over() {
    cleared();
    finished();
  }
  bool forget() { return supervision_.forget(kId); }

  std::string phase() const {
    auto phase = supervision_.phase(kId);
    return phase ? word(*phase) : "unknown";
  }
  std::optional<Duration> next() const {
    auto at = supervision_.next_deadline();
    if (!at) return std::nullopt;
    return *at - MonoTime{1'000'000};
  }
  const Supervision& supervision() const { return supervision_; }

  /// What was asked for since the last look: `terminate kill failed(timeout)`.
  std::string actions() {
    std::string text;
    for (const SupervisionAction& action : actions_) {
      CHECK(action.attempt == kId);
      if (!text.empty()) text += ' ';
      switch (action.kind) {
        case SupervisionAction::Kind::terminate: text += "terminate"; break;
        case SupervisionAction::Kind::kill: text += "kill"; break;
        case SupervisionAction::Kind::report_began: text += "began"; break;
        case SupervisionAction::Kind::finish:
          text += word(action.verdict.outcome) + "(" +
                  std::string(to_string(action.verdict.reason)) + ")" +
                  (action.verdict.stop_seen ? "!" : "");
          break;
      }
    }
    actions_.clear();
    return text;
  }

 private:
  Supervision supervision_;
  Supervision::Actions actions_;
  MonoTime now_{1'000'000};
};

/// Brings an attempt with a time-out of an hour and a grace of 10 s into a phase; two seconds have
/// passed.
void bring_to(Bench& bench, AttemptPhase phase) {
  if (phase == AttemptPhase::starting) return;
  bench.spawned();
  bench.at(2s);
  if (phase == AttemptPhase::stopping) bench.stop();
  if (phase == AttemptPhase::killing) bench.stop(true);
  if (phase >= AttemptPhase::clearing) bench.exited(0);
  if (phase >= AttemptPhase::keeping) bench.cleared();
  if (phase >= AttemptPhase::ended) bench.finished();
  bench.advance();
  bench.actions();
  REQUIRE(bench.phase() == word(phase));
}

}  // namespace

TEST_CASE("memory and processes over their limit kill at once, CPU time leaves the grace") {
  for (const Reason reason : {Reason::oom, Reason::pids}) {
    Bench bench;
    bring_to(bench, AttemptPhase::running);
    bench.limit(reason);
    CHECK(bench.actions() == "kill");
    bench.limit(reason);
    CHECK(bench.actions().empty());
    bench.killed(9);
    bench.over();
    CHECK(bench.actions() == "failed(" + std::string(to_string(reason)) + ")");
  }
  Bench bench({.grace = 10s});
  bring_to(bench, AttemptPhase::running);
  bench.limit(Reason::cpu_time);
  CHECK(bench.actions() == "terminate");
  CHECK(bench.next() == 12s);
  // What it does to the machine while it ends is not bounded by its first cause.
  bench.limit(Reason::oom);
  CHECK(bench.actions() == "kill");
  bench.killed(9);
  bench.over();
  CHECK(bench.actions() == "failed(cpu_time)");
}

TEST_CASE("a limit that the kernel kept is the reason of a failure, never of a success") {
  ProgramExit exit{0, std::nullopt, Reason::pids};
  CHECK(judge_exit(exit, false).outcome == Outcome::succeeded);
  exit.code = 2;
  CHECK(judge_exit(exit, false).reason == Reason::pids);
  CHECK(judge_exit(exit, true).outcome == Outcome::skipped);
  CHECK(judge_exit({std::nullopt, 9, Reason::oom}, false).reason == Reason::oom);
  CHECK(judge_exit({std::nullopt, 9}, false).reason == Reason::signal);
}

TEST_CASE("every input in every phase does what the table says") {
  struct Row {
    AttemptPhase from;
    std::string input;
    std::string to;
    std::string actions;
  };
  using P = AttemptPhase;
  const std::vector<Row> table = {
      {P::starting, "spawned", "running", ""},
      {P::starting, "refused", "ended", "failed(spawn)"},
      {P::starting, "stop", "starting", ""},
      {P::starting, "force", "starting", ""},
      {P::starting, "exited", "starting", ""},
      {P::starting, "cleared", "starting", ""},
      {P::starting, "finished", "starting", ""},
      {P::starting, "forget", "starting", ""},
      {P::starting, "a day", "starting", ""},
      {P::running, "spawned", "running", ""},
      {P::running, "refused", "running", ""},
      {P::running, "stop", "stopping", "terminate"},
      {P::running, "force", "killing", "kill"},
      {P::running, "exited", "clearing", ""},
      {P::running, "cleared", "running", ""},
      {P::running, "finished", "running", ""},
      {P::running, "forget", "running", ""},
      {P::running, "a day", "stopping", "terminate"},
      {P::stopping, "spawned", "stopping", ""},
      {P::stopping, "refused", "stopping", ""},
      {P::stopping, "stop", "stopping", ""},
      {P::stopping, "force", "killing", "kill"},
      {P::stopping, "exited", "clearing", ""},
      {P::stopping, "cleared", "stopping", ""},
      {P::stopping, "finished", "stopping", ""},
      {P::stopping, "forget", "stopping", ""},
      {P::stopping, "a day", "killing", "kill"},
      {P::killing, "spawned", "killing", ""},
      {P::killing, "refused", "killing", ""},
      {P::killing, "stop", "killing", ""},
      {P::killing, "force", "killing", ""},
      {P::killing, "exited", "clearing", ""},
      {P::killing, "cleared", "killing", ""},
      {P::killing, "finished", "killing", ""},
      {P::killing, "forget", "killing", ""},
      {P::killing, "a day", "ended", "failed(unkillable)!"},
      {P::clearing, "spawned", "clearing", ""},
      {P::clearing, "refused", "clearing", ""},
      {P::clearing, "stop", "clearing", ""},
      {P::clearing, "force", "clearing", ""},
      {P::clearing, "exited", "clearing", ""},
      {P::clearing, "cleared", "keeping", ""},
      {P::clearing, "finished", "clearing", ""},
      {P::clearing, "forget", "clearing", ""},
      {P::clearing, "a day", "ended", "failed(unkillable)"},
      {P::keeping, "spawned", "keeping", ""},
      {P::keeping, "refused", "keeping", ""},
      {P::keeping, "stop", "keeping", ""},
      {P::keeping, "force", "keeping", ""},
      {P::keeping, "exited", "keeping", ""},
      {P::keeping, "cleared", "keeping", ""},
      {P::keeping, "finished", "ended", "succeeded()"},
      {P::keeping, "forget", "keeping", ""},
      {P::keeping, "a day", "keeping", ""},
      {P::ended, "spawned", "ended", ""},
      {P::ended, "refused", "ended", ""},
      {P::ended, "stop", "ended", ""},
      {P::ended, "force", "ended", ""},
      {P::ended, "exited", "ended", ""},
      {P::ended, "cleared", "ended", ""},
      {P::ended, "finished", "ended", ""},
      {P::ended, "forget", "unknown", ""},
      {P::ended, "a day", "ended", ""},
  };
  const std::vector<std::string> inputs = {"spawned", "refused",  "stop",   "force", "exited",
                                           "cleared", "finished", "forget", "a day"};
  REQUIRE(table.size() == kAttemptPhaseCount * inputs.size());
  for (const Row& row : table) {
    Bench bench({1h, {}, {}, 10s});
    bring_to(bench, row.from);
    if (row.input == "spawned") bench.spawned();
    if (row.input == "refused") bench.refused();
    if (row.input == "stop") bench.stop();
    if (row.input == "force") bench.stop(true);
    if (row.input == "exited") bench.exited(3);
    if (row.input == "cleared") bench.cleared();
    if (row.input == "finished") bench.finished();
    if (row.input == "forget") CHECK(bench.forget() == (row.from == P::ended));
    if (row.input == "a day") {
      bench.at(24h);
      bench.advance();
    }
    INFO(word(row.from) << " + " << row.input);
    CHECK(bench.phase() == row.to);
    CHECK(bench.actions() == row.actions);
  }
}

TEST_CASE("what is not known is left alone") {
  Supervision supervision({});
  Supervision::Actions actions;
  supervision.spawned(kId, {1}, actions);
  supervision.refused(kId, Reason::spawn, actions);
  supervision.stop(kId, Reason::cancelled, true, {1}, actions);
  supervision.active(kId, {1});
  supervision.exited(kId, {}, false, {1});
  supervision.cleared(kId);
  supervision.finished(kId, actions);
  supervision.advance({99'999'999}, actions);
  CHECK_FALSE(supervision.forget(kId));
  CHECK(actions.empty());
  CHECK(supervision.known_count() == 0);
}

TEST_CASE("an attempt that is started twice is one attempt") {
  Supervision supervision({});
  CHECK(supervision.start(kId, {}));
  CHECK_FALSE(supervision.start(kId, {}));
  CHECK(supervision.known_count() == 1);
}

TEST_CASE("the exit of a program is its verdict") {
  struct Row {
    ProgramExit exit;
    bool skip;
    std::string verdict;
  };
  for (const Row& row : std::vector<Row>{{{0, {}}, false, "succeeded()"},
                                         {{3, {}}, false, "failed(exit)"},
                                         {{127, {}}, false, "failed(exit)"},
                                         {{99, {}}, true, "skipped(exit)"},
                                         {{{}, 11}, false, "failed(signal)"},
                                         {{{}, 9}, false, "failed(signal)"},
                                         {{{}, 9, Reason::oom}, false, "failed(oom)"}}) {
    auto verdict = judge_exit(row.exit, row.skip);
    CHECK(word(verdict.outcome) + "(" + std::string(to_string(verdict.reason)) + ")" ==
          row.verdict);
    CHECK(verdict.exit.code == row.exit.code);
    CHECK(verdict.exit.signal == row.exit.signal);
  }
}

TEST_CASE("a time-out wins over how the program then ends") {
  Bench bench({5s, {}, {}, 10s});
  bench.spawned();
  bench.at(5s);
  bench.advance();
  CHECK(bench.actions() == "began terminate");
  bench.exited(0);
  bench.over();
  CHECK(bench.actions() == "failed(timeout)");
}

TEST_CASE(
    "a program that ignores SIGTERM is killed after its grace, one that cannot die is given up") {
  Bench bench({5s, {}, {}, 10s});
  bench.spawned();
  bench.at(6s);
  bench.advance();
  bench.actions();
  bench.at(15'999ms);
  bench.advance();
  CHECK(bench.actions().empty());
  bench.at(16s);
  bench.advance();
  CHECK(bench.actions() == "kill");
  bench.at(75'999ms);
  bench.advance();
  CHECK(bench.actions().empty());
  bench.at(76s);
  bench.advance();
  CHECK(bench.actions() == "failed(unkillable)");
  bench.killed(9);
  bench.over();
  CHECK(bench.actions().empty());
}

TEST_CASE("what a program leaves behind is waited for a minute, then given up") {
  Bench bench;
  bench.spawned();
  bench.exited(0);
  bench.at(59s);
  bench.advance();
  CHECK(bench.actions().empty());
  CHECK(bench.next() == 60s);
  bench.at(60s);
  bench.advance();
  CHECK(bench.actions() == "failed(unkillable)");
}

TEST_CASE("a slow output has all the time it needs") {
  Bench bench;
  bench.spawned();
  bench.exited(0);
  bench.cleared();
  CHECK_FALSE(bench.next());
  CHECK(bench.supervision().may_succeed(kId));
}

TEST_CASE("the total time-out is told from the attempt's own") {
  Bench bench({10s, 5s, {}, 1s});
  bench.spawned();
  bench.at(5s);
  bench.advance();
  bench.exited(0);
  bench.over();
  CHECK(bench.actions() == "began terminate failed(total_timeout)");
}

TEST_CASE("whoever writes does not stall, whoever falls silent does") {
  Bench bench({{}, {}, 10s, 1s});
  bench.spawned();
  for (int second = 5; second <= 50; second += 5) {
    bench.at(std::chrono::seconds(second));
    bench.active();
    bench.advance();
  }
  CHECK(bench.actions() == "began");
  bench.at(59'999ms);
  bench.advance();
  CHECK(bench.actions().empty());
  bench.at(60s);
  bench.advance();
  CHECK(bench.actions() == "terminate");
  bench.killed(15);
  bench.over();
  CHECK(bench.actions() == "failed(stalled)");
}

TEST_CASE("who waits for its turn does not stall, and then has all its time") {
  Bench bench({30s, {}, 10s, 1s});
  bench.spawned();
  bench.waits();
  bench.at(25s);
  bench.advance();
  CHECK(bench.actions() == "began");
  bench.active();
  CHECK(bench.next() == 30s);
  bench.waits();
  bench.active();
  bench.at(30s);
  bench.advance();
  CHECK(bench.actions() == "terminate");
}

TEST_CASE("who was given back waits again, and stalls only after its next turn") {
  Bench bench({{}, {}, 10s, 1s});
  bench.spawned();
  bench.at(5s);
  bench.active();
  bench.waits();
  bench.at(20s);
  bench.advance();
  CHECK(bench.actions() == "began");
  CHECK_FALSE(bench.next());
  bench.active();
  CHECK(bench.next() == 30s);
  bench.at(30s);
  bench.advance();
  CHECK(bench.actions() == "terminate");
}

TEST_CASE("only an attempt that lives a tenth of a second is reported as begun, once") {
  Bench bench;
  bench.spawned();
  CHECK(bench.next() == 100ms);
  bench.at(99ms);
  bench.advance();
  CHECK(bench.actions().empty());
  bench.at(100ms);
  bench.advance();
  bench.at(10s);
  bench.advance();
  CHECK(bench.actions() == "began");
  CHECK_FALSE(bench.next());
}

TEST_CASE("a stop cancels, and its reason is the first one's") {
  Bench bench;
  bench.spawned();
  bench.stop(false, Reason::fail_fast);
  bench.stop(true, Reason::cancelled);
  CHECK(bench.actions() == "terminate kill");
  bench.killed(9);
  bench.over();
  CHECK(bench.actions() == "cancelled(fail_fast)!");
}

TEST_CASE("a stop after a time-out leaves the time-out the cause, and is told") {
  Bench bench({5s, {}, {}, 10s});
  bench.spawned();
  bench.at(5s);
  bench.advance();
  bench.stop();
  bench.killed(15);
  bench.over();
  CHECK(bench.actions() == "began terminate failed(timeout)!");
}

TEST_CASE("a stop that comes before the end is recorded wins over a program that ended by itself") {
  for (bool is_keeping : {false, true}) {
    Bench bench;
    bench.spawned();
    bench.exited(0);
    if (is_keeping) bench.cleared();
    bench.stop();
    bench.over();
    CHECK(bench.actions() == "cancelled(cancelled)!");
  }
}

TEST_CASE("a stop that comes after the end changes nothing") {
  Bench bench;
  bench.spawned();
  bench.exited(0);
  bench.over();
  CHECK(bench.actions() == "succeeded()");
  bench.stop();
  CHECK(bench.actions().empty());
}

TEST_CASE("a stop that comes before the program runs acts as soon as it does") {
  Bench gentle;
  gentle.stop();
  CHECK(gentle.supervision().is_stopped(kId));
  gentle.spawned();
  CHECK(gentle.actions() == "terminate");
  Bench hard;
  hard.stop(true);
  hard.spawned();
  CHECK(hard.actions() == "kill");
  Bench never;
  never.stop();
  never.refused();
  CHECK(never.actions() == "cancelled(cancelled)!");
}

TEST_CASE("a time-out that the scheduler sends fails, everything else that it sends cancels") {
  CHECK(outcome_of_stop(Reason::timeout) == Outcome::failed);
  CHECK(outcome_of_stop(Reason::total_timeout) == Outcome::failed);
  CHECK(outcome_of_stop(Reason::cancelled) == Outcome::cancelled);
  CHECK(outcome_of_stop(Reason::run_timeout) == Outcome::cancelled);
  CHECK(outcome_of_stop(Reason::replaced) == Outcome::cancelled);
}

TEST_CASE("any order of inputs ends an attempt at most once and leaves no timer behind") {
  std::mt19937 random(7);
  for (int round = 0; round < 20'000; ++round) {
    Bench bench(
        {random() % 2 == 0 ? Duration(0) : Duration(3s), {}, random() % 2 == 0 ? 0s : 2s, 1s});
    int finishes = 0;
    Duration now{};
    for (int step = 0; step < 30; ++step) {
      bench.at(now += Duration(random() % 2000));
      switch (random() % 9) {
        case 0: bench.spawned(); break;
        case 1:
          if (step == 0) bench.refused();
          break;
        case 2: bench.stop(random() % 2 == 0); break;
        case 3: bench.exited(static_cast<int>(random() % 2)); break;
        case 4: bench.cleared(); break;
        case 5: bench.finished(); break;
        case 6: bench.active(); break;
        default: bench.advance(); break;
      }
      std::string actions = bench.actions();
      if (actions.find('(') != std::string::npos) ++finishes;
      if (bench.phase() == "ended") {
        CHECK_FALSE(bench.next());
        CHECK(bench.supervision().open_count() == 0);
      }
    }
    CHECK(finishes <= 1);
    CHECK((finishes == 1) == (bench.phase() == "ended"));
  }
}

}  // namespace pawl
