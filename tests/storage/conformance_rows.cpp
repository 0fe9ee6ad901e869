// Rows come back as they went in, and change as they were changed.

#include <catch2/catch.hpp>

#include "conformance.h"
#include "support.h"

namespace pawl::test {
namespace {

RunRow full_run() {
  RunRow run = run_row(1);
  run.state = RunState::paused;
  run.reason = Reason::restored;
  run.trigger = Trigger::backfill;
  run.scheduled_for = at(100);
  run.interval_start = at(90);
  run.interval_end = at(100);
  run.start_at = at(110);
  run.request_id = "ask-1";
  run.params = R"({"region":"jp"})";
  run.default_slots = 3;
  run.priority_class = 2;
  run.parent = RunId{9};
  run.caller = Caller{{RunId{9}, TaskIndex{2}, ItemIndex{3}}, 4, 1};
  run.ancestors = "top/mid";
  run.started_at = at(111);
  run.ended_at = at(112);
  run.resumes = 4;
  run.cancel_requested = true;
  run.dismissed = true;
  for (std::size_t i = 0; i < run.counts.size(); ++i) run.counts[i] = static_cast<std::int64_t>(i);
  return run;
}

}  // namespace

void store_keeps_runs(const OpenStore& open) {
  auto store = open();
  SECTION("a run comes back with every column") {
    commit(*store, {mutation::InsertRun{full_run()}});
    CHECK(text(load(*store, 1).run) == text(full_run()));
    store.reset();
    store = open();
    CHECK(text(load(*store, 1).run) == text(full_run()));
    CHECK(text(*must(store->run_by_request("ask-1"))) == text(full_run()));
    CHECK(text(*must(store->run_by_name(full_run().name))) == text(full_run()));
    CHECK_FALSE(must(store->run_by_request("ask-2")));
    CHECK_FALSE(must(store->run_by_name("ask-1")));
    CHECK_FALSE(must(store->load_run(RunId{2}, {})));
  }
  SECTION("a changed run keeps what cannot change") {
    commit(*store, {mutation::InsertRun{full_run()}});
    RunRow changed = full_run();
    changed.version = VersionId{2};
    changed.state = RunState::running;
    changed.reason = Reason::hooks;
    changed.start_at.reset();
    changed.default_slots = 0;
    changed.priority_class = 0;
    changed.started_at = at(200);
    changed.ended_at.reset();
    changed.resumes = 5;
    changed.cancel_requested = false;
    changed.dismissed = false;
    changed.outcome = RunState::failed;
    changed.outcome_reason = Reason::run_timeout;
    commit(*store, {mutation::UpdateRun{RunState::paused, changed}});
    CHECK(text(load(*store, 1).run) == text(changed));
  }
  SECTION("of counts the last ones of a batch are kept") {
    commit(*store, {mutation::SetRunCounts{RunId{1}, {1, 1}}, mutation::InsertRun{run_row(1)},
                    mutation::SetRunCounts{RunId{1}, {2, 3}}});
    CHECK(load(*store, 1).run.counts == Counts{2, 3});
  }
  SECTION("a task comes back with every column, new and changed") {
    TaskRow task = task_row(1, 2);
    commit(*store, {mutation::InsertRun{run_row(1)}, mutation::InsertTask{task}});
    CHECK(text(load(*store, 1).tasks.at(0)) == text(task));
    TaskRow changed = ended(task, TaskState::failed, Reason::exit);
    changed.attempts = 4;
    changed.counted = 3;
    changed.interrupted_at = at(5);
    changed.interrupted_before = at(4);
    changed.work = 1;
    changed.queued_at = at(1);
    changed.error = "no slot\nwithin 5m";
    changed.dismissed = 1;
    commit(*store, {mutation::UpdateTask{TaskState::running, AttemptId{}, changed}});
    CHECK(text(load(*store, 1).tasks.at(0)) == text(changed));
  }
}

void store_keeps_attempts(const OpenStore& open) {
  auto store = open();
  SECTION("an attempt comes back with every column while it lives") {
    TaskRow task = running(1, 0, -1, 5);
    AttemptRow attempt = attempt_row(5, task.key);
    attempt.handle = "job-17";
    commit(*store, {mutation::InsertRun{run_row(1)}, mutation::InsertTask{task},
                    mutation::InsertAttempt{attempt}});
    CHECK(text(load(*store, 1).live_attempts.at(0)) == text(attempt));
    AttemptRow changed = attempt;
    changed.state = AttemptState::stopping;
    changed.reason = Reason::timeout;
    changed.exit_code = 0;
    changed.signal = 15;
    changed.worker = WorkerId{8};
    changed.slot = 3;
    changed.started_at = at(2);
    changed.cpu_us = 1;
    changed.peak_memory_bytes = 2;
    changed.memory_bound_bytes = 4;
    changed.log_bytes = 3;
    changed.failure = {"Class", "message", "trace"};
    AttemptRow update = changed;
    update.handle = "";  // has a change of its own
    commit(*store, {mutation::UpdateAttempt{AttemptState::starting, update}});
    CHECK(text(load(*store, 1).live_attempts.at(0)) == text(changed));
    commit(*store, {end_of(task, TaskState::succeeded).front()});
    CHECK(load(*store, 1).live_attempts.empty());
  }
  SECTION("an attempt that sleeps and goes on keeps what it had, and each stay adds to it") {
    TaskRow task = running(1, 0, -1, 5);
    AttemptRow attempt = attempt_row(5, task.key);
    attempt.cpu_us = 10;
    attempt.peak_memory_bytes = 100;
    attempt.memory_bound_bytes = 50;
    attempt.log_bytes = 7;
    commit(*store,
           {mutation::InsertRun{run_row(1)}, mutation::InsertTask{task},
            mutation::InsertAttempt{attempt}, mutation::SetHandle{attempt.id, task.key, "job-17"}});
    AttemptRow stay = attempt;
    stay.state = AttemptState::deferred;
    stay.started_at = WallTime{};
    stay.cpu_us = 5;
    stay.peak_memory_bytes = 60;
    stay.memory_bound_bytes = 70;
    stay.log_bytes = 9;
    stay.stays = 1;
    stay.state_text = "page 7";
    TaskRow asleep = task;
    asleep.state = TaskState::deferred;
    commit(*store, {mutation::UpdateTask{TaskState::running, attempt.id, asleep},
                    mutation::UpdateAttempt{attempt.state, stay}});
    CHECK(load(*store, 1).live_attempts.empty());
    CHECK(load(*store, 1).tasks.at(0).live_attempt == attempt.id);
    commit(*store, {mutation::UpdateTask{TaskState::deferred, attempt.id, task},
                    mutation::MoveAttempt{attempt.id, task.key, AttemptState::deferred,
                                          AttemptState::starting, Reason::none, WorkerId{9}, 4,
                                          std::nullopt}});
    AttemptRow expected = attempt;
    expected.state = AttemptState::starting;
    expected.cpu_us = 15;
    expected.memory_bound_bytes = 70;
    expected.log_bytes = 9;
    expected.stays = 1;
    expected.handle = "job-17";
    expected.state_text = "page 7";
    expected.worker = WorkerId{9};
    expected.slot = 4;
    CHECK(text(load(*store, 1).live_attempts.at(0)) == text(expected));
    refuse(*store, {mutation::MoveAttempt{attempt.id,
                                          task.key,
                                          AttemptState::deferred,
                                          AttemptState::cancelled,
                                          Reason::cancelled,
                                          {},
                                          0,
                                          at(9)}});
    commit(*store, {mutation::MoveAttempt{attempt.id,
                                          task.key,
                                          AttemptState::starting,
                                          AttemptState::cancelled,
                                          Reason::cancelled,
                                          {},
                                          0,
                                          at(9)}});
    refuse(*store, {mutation::SetHandle{attempt.id, task.key, "job-18"}});
  }
  SECTION("an attempt inherits the handle of the one before it, if that has no proof of its end") {
    const bool has_proof = GENERATE(false, true);
    TaskRow task = running(1, 0, -1, 5);
    AttemptRow attempt = attempt_row(5, task.key);
    commit(*store, {mutation::InsertRun{run_row(1)}, mutation::InsertTask{task},
                    mutation::InsertAttempt{attempt}});
    for (int number = 2; number < 4; ++number) {
      AttemptRow ended = attempt;
      ended.state = has_proof ? AttemptState::failed : AttemptState::lost;
      ended.ended_at = at(3);
      AttemptRow following = attempt_row(attempt.id.value + 1, task.key);
      following.number = number;
      TaskRow again = task;
      again.attempts = number;
      again.live_attempt = following.id;
      Mutations batch;
      if (number == 2) batch.emplace_back(mutation::SetHandle{attempt.id, task.key, "job-17"});
      batch.emplace_back(mutation::UpdateAttempt{attempt.state, ended});
      batch.emplace_back(mutation::UpdateTask{TaskState::running, attempt.id, again});
      batch.emplace_back(mutation::InsertAttempt{following, true});
      commit(*store, batch);
      CHECK(load(*store, 1).live_attempts.at(0).handle == (has_proof ? "" : "job-17"));
      attempt = following;
    }
  }
}

void store_keeps_jobs(const OpenStore& open) {
  auto store = open();
  SECTION("versions, jobs and timers come back") {
    commit(*store, {mutation::InsertVersion{version_row(3)}});
    CHECK(text(*must(store->version(VersionId{3}))) == text(version_row(3)));
    CHECK(text(*must(store->version_by_hash("sales", "hash3"))) == text(version_row(3)));
    CHECK_FALSE(must(store->version_by_hash("other", "hash3")));
    JobRow job;
    job.name = "sales";
    commit(*store, {mutation::SetJob{job}});
    CHECK(text(must(store->jobs()).at(0)) == text(job));
    job.version = VersionId{3};
    job.file = "/jobs/sales.json";
    job.quarantined = "line 3: no";
    job.removed = true;
    job.first_loaded_at = at(1);
    JobRow other;
    other.name = "a";
    commit(*store, {mutation::SetJob{job}, mutation::SetJob{other}});
    CHECK(text(must(store->jobs()).at(0)) == text(other));
    CHECK(text(must(store->jobs()).at(1)) == text(job));
  }
  SECTION("a schedule and a pause write their own columns, and a job's row leaves them alone") {
    JobRow job;
    job.name = "sales";
    commit(*store,
           {mutation::SetJob{job}, mutation::SetSchedule{"sales", std::nullopt, at(5), at(9), 2}});
    job.decided_through = at(5);
    job.next_fire_at = at(9);
    job.failures = 2;
    CHECK(text(must(store->jobs()).at(0)) == text(job));
    job.file = "/jobs/sales.json";
    JobRow stale = job;
    stale.decided_through = stale.next_fire_at = std::nullopt;
    stale.failures = 0;
    commit(*store,
           {mutation::SetJob{stale}, mutation::PauseJob{"sales", true, "holiday", "ana", at(7)}});
    job.paused = true;
    job.pause_note = "holiday";
    job.paused_by = "ana";
    job.paused_at = at(7);
    job.next_fire_at.reset();
    CHECK(text(must(store->jobs()).at(0)) == text(job));
    commit(*store, {mutation::PauseJob{"sales", false, "", "ana", at(20)}});
    job.paused = false;
    job.pause_note.clear();
    job.paused_at.reset();
    job.decided_through = at(20);
    job.failures = 0;
    CHECK(text(must(store->jobs()).at(0)) == text(job));
    // The clock went back: what was decided stays decided.
    commit(*store, {mutation::PauseJob{"sales", false, "", "ana", at(3)}});
    CHECK(text(must(store->jobs()).at(0)) == text(job));
  }
  SECTION("runs of fires are found by their time and by their request") {
    RunRow first = run_row(1);
    first.scheduled_for = first.logical_time = at(100);
    first.trigger = Trigger::schedule;
    RunRow second = run_row(2);
    second.scheduled_for.reset();
    second.logical_time = at(100);
    second.trigger = Trigger::backfill;
    second.state = RunState::failed;
    second.request_id = "ask:0";
    RunRow third = run_row(3);
    third.scheduled_for = third.logical_time = at(200);
    third.trigger = Trigger::backfill;
    third.request_id = "ask:1";
    RunRow by_hand = run_row(4);
    by_hand.scheduled_for.reset();
    by_hand.trigger = Trigger::manual;
    by_hand.logical_time = at(100);
    by_hand.request_id = "ask";
    commit(*store, {mutation::InsertRun{first}, mutation::InsertRun{second},
                    mutation::InsertRun{third}, mutation::InsertRun{by_hand}});
    CHECK(must(store->fires_with_run("sales", at(99))) == std::vector<WallTime>{at(100), at(200)});
    CHECK(must(store->fires_with_run("sales", at(100))) == std::vector<WallTime>{at(200)});
    CHECK(must(store->fires_with_run("other", at(0))).empty());
    const auto runs = must(store->runs_of_fires("sales", at(100), at(200)));
    REQUIRE(runs.size() == 2);
    CHECK(runs[0].fire == at(100));
    CHECK(runs[1].state == RunState::failed);
    CHECK(must(store->runs_of_request("ask")) == std::vector<std::string>{second.name, third.name});
  }
  SECTION("what rates counted comes back, and one of another boot is told apart") {
    must(store->begin_epoch("boot-1"));
    RateRow task{{"sales", "", "query"}, {500}, at(9), Duration(1'000), {}, true};
    task.starts = {{Duration(900), 64}, {Duration(0), 2'500}};
    RateRow pool{{"", "api", ""}, {700}, at(10), Duration(60'000), {{Duration(5), 1}}, true};
    commit(*store, {mutation::SetRate{task}, mutation::SetRate{pool}});
    store.reset();
    store = open();
    must(store->begin_epoch("boot-2"));
    auto rates = must(store->rates());
    REQUIRE(rates.size() == 2);
    CHECK_FALSE(rates[1].same_boot);
    rates[0].same_boot = rates[1].same_boot = true;
    CHECK(text(rates[0]) == text(pool));
    CHECK(text(rates[1]) == text(task));
    task.starts = {{Duration(1), 7}};
    pool.starts.clear();
    commit(*store, {mutation::SetRate{task}, mutation::SetRate{pool}});
    rates = must(store->rates());
    REQUIRE(rates.size() == 1);
    CHECK(text(rates[0]) == text(task));
  }
  SECTION("a timer of another boot is told apart") {
    must(store->begin_epoch("boot-1"));
    TimerRow timer{
        {RunId{1}, TaskIndex{0}, kWhole}, TimerKind::retry, {500}, at(9), Duration(400), true};
    commit(*store, {mutation::InsertRun{run_row(1)}, mutation::SetTimer{timer}});
    CHECK(text(load(*store, 1).timers.at(0)) == text(timer));
    store.reset();
    store = open();
    must(store->begin_epoch("boot-2"));
    TimerRow later = timer;
    later.kind = TimerKind::total;
    commit(*store, {mutation::SetTimer{later}});
    auto timers = load(*store, 1).timers;
    CHECK_FALSE(timers.at(0).same_boot);
    CHECK(timers.at(1).same_boot);
    timer.due = MonoTime{900};
    commit(*store, {mutation::SetTimer{timer}, mutation::ClearTimer{timer.key, TimerKind::total},
                    mutation::ClearTimer{timer.key, TimerKind::queue}});
    timers = load(*store, 1).timers;
    REQUIRE(timers.size() == 1);
    CHECK(text(timers[0]) == text(timer));
  }
}

}  // namespace pawl::test
