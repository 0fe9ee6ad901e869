// Schedules: each fire has its run, or its recorded decision, once.

#include "tests/unit/core_schedules_support.h"

using namespace pawl;
using namespace pawl::sim;
using namespace std::chrono_literals;

// On time ----------------------------------------------------------------------------------------

TEST_CASE("a scheduled job fires at its times, with its logical time and interval, and no sooner") {
  Minutely m;
  CHECK(m.seen().empty());
  CHECK(m.w.engine.next_deadline() == m.w.now.mono + 30s);
  m.w.pass(29'999ms);
  CHECK(m.seen().empty());
  m.w.pass(1ms);
  CHECK(m.seen() == "schedule@1");
  const RunRow run = runs_of(m.w).front();
  CHECK(run.logical_time == run.scheduled_for);
  CHECK(run.interval_start == m.base);
  CHECK(run.interval_end == run.scheduled_for);
  CHECK(run.state == RunState::running);
  CHECK(m.w.store.jobs.at("job").decided_through == run.scheduled_for);
  CHECK(m.w.store.jobs.at("job").next_fire_at == *run.scheduled_for + kMinute);
  finish_active(m.w);
  pass_idle(m.w, 3min);
  CHECK(m.seen() == "schedule@1 schedule@2 schedule@3 schedule@4");
  each_minute_is_decided_once(m.w, m.base, m.w.now.wall);
}

TEST_CASE("fires before a job was loaded are not missed") {
  Minutely m("catchup=all");
  CHECK(m.seen().empty());
  CHECK(drops(m.w).empty());
}

TEST_CASE("jitter moves the start and nothing else") {
  World w;
  w.now.wall = WallTime{1'795'000'020'000};
  const WallTime base = w.now.wall;
  w.serve("job every=1m jitter=40s overlap=allow; a");
  std::set<std::int64_t> delays;
  for (int i = 1; i <= 20; ++i) {
    const auto due = w.engine.next_deadline();
    REQUIRE(due);
    w.pass(*due - w.now.mono);
    const RunRow run = runs_of(w).back();
    CHECK(*run.scheduled_for == base + i * kMinute);
    CHECK(run.trigger == Trigger::schedule);
    const Duration delay = w.now.wall - *run.scheduled_for;
    CHECK(delay >= 0ms);
    CHECK(delay <= 40s);
    delays.insert(delay.count());
    finish_active(w);
  }
  CHECK(delays.size() > 10);
  each_minute_is_decided_once(w, base, base + 20 * kMinute);
}

TEST_CASE("a thousand jobs of one second all start in that second, and idle jobs cost nothing") {
  World w;
  w.checks = false;
  w.default_slots = 2'000;
  w.handle(input::SetPool{2'000});
  const JobSpec busy = job_from_text("job every=1m; a");
  const JobSpec idle = job_from_text("job every=1h; a");
  for (int i = 0; i < 3'000; ++i) {
    JobSpec job = i < 1'000 ? busy : idle;
    job.name = "j" + std::to_string(i);
    w.serve(std::move(job));
  }
  const WallTime next = minute_before(w.now.wall) + kMinute;
  w.pass(next - w.now.wall);
  CHECK(w.running.size() == 1'000);
  CHECK(w.now.wall == next);
  w.handle(input::Tick{});
  CHECK(w.mutations == 0);
}

// Overlap ----------------------------------------------------------------------------------------

TEST_CASE("overlap queue: fires wait in order, and beyond the limit the oldest is dropped") {
  Minutely m("waiting=2");
  m.w.pass(30s);
  m.w.pass(4min);
  CHECK(m.seen() == "schedule@1 schedule@2 schedule@3 schedule@4 schedule@5");
  CHECK(drops(m.w) == "queue_limit 1, queue_limit 1");
  const auto runs = runs_of(m.w);
  CHECK(m.w.state(runs[0].id) == "running");
  CHECK(m.w.state(runs[1].id) == "cancelled:replaced");
  CHECK(m.w.state(runs[2].id) == "cancelled:replaced");
  CHECK(m.w.state(runs[3].id) == "queued");
  CHECK(m.w.explain(runs[3].id, "").find("is active, overlap queue") != std::string::npos);
  m.w.restart();
  finish_active(m.w);
  CHECK(m.w.state(runs[3].id) == "succeeded");
  CHECK(m.w.state(runs[4].id) == "succeeded");
  each_minute_is_decided_once(m.w, m.base, m.w.now.wall);
}

TEST_CASE("overlap skip: a fire that meets an active run is dropped, a run by hand counts") {
  Minutely m("overlap=skip");
  m.w.pass(30s);
  m.w.pass(2min);
  CHECK(m.seen() == "schedule@1");
  CHECK(drops(m.w) == "skip 1, skip 1");
  finish_active(m.w);
  const RunId by_hand = m.w.start(m.w.served.at("job").version);
  m.w.pass(1min);
  CHECK(drops(m.w) == "skip 1, skip 1, skip 1");
  m.w.finish_all(by_hand);
  m.w.pass(1min);
  CHECK(m.seen() == "schedule@1 schedule@5");
}

TEST_CASE("overlap replace: a fire ends the active run, and takes the place of one that waits") {
  Minutely m("overlap=replace");
  m.w.pass(30s);
  m.w.pass(1min);
  auto runs = runs_of(m.w);
  REQUIRE(runs.size() == 2);
  CHECK(m.w.stopped.begin()->second == Reason::replaced);
  CHECK(m.w.state(runs[1].id) == "queued");  // the first one still ends
  m.w.pass(1min);
  runs = runs_of(m.w);
  CHECK(m.w.state(runs[1].id) == "cancelled:replaced");
  CHECK(drops(m.w) == "replaced 1");
  m.w.restart();
  m.w.finish(runs[0].id, "a", {Outcome::failed, Reason::signal});
  CHECK(m.w.state(runs[0].id) == "cancelled:replaced");
  CHECK(m.w.state(runs[2].id) == "running");
  const RunId by_hand = m.w.start(m.w.served.at("job").version);
  CHECK(m.w.state(by_hand) == "queued");  // and replaces nothing
  CHECK(m.w.state(runs[2].id) == "running");
}

TEST_CASE("overlap allow: up to max_active_runs go at once, then fires wait") {
  Minutely m("overlap=allow active=2 waiting=1");
  m.w.pass(30s);
  m.w.pass(3min);
  const auto runs = runs_of(m.w);
  CHECK(m.w.state(runs[0].id) == "running");
  CHECK(m.w.state(runs[1].id) == "running");
  CHECK(m.w.state(runs[2].id) == "cancelled:replaced");
  CHECK(m.w.state(runs[3].id) == "queued");
  CHECK(drops(m.w) == "queue_limit 1");
}

// Pauses, changes, removal -----------------------------------------------------------------------

TEST_CASE("what passes while a schedule is paused is not missed") {
  Minutely m("catchup=all");
  pass_idle(m.w, kMinute);
  m.w.pause_job("job", true, "holiday");
  CHECK(m.w.store.jobs.at("job").pause_note == "holiday");
  CHECK(!m.w.store.jobs.at("job").next_fire_at);
  SECTION("by a scheduler that goes on") { m.w.pass(5min); }
  SECTION("over a restart") {
    m.w.pass(2min);
    m.down(3min);
  }
  CHECK(m.seen() == "schedule@1");
  m.w.pause_job("job", false);
  m.w.pass(30s);
  finish_active(m.w);
  CHECK(m.seen() == "schedule@1 schedule@7");
  CHECK(drops(m.w).empty());
}

TEST_CASE("failed runs in a row pause the schedule, a success begins the count anew") {
  Minutely m("pause_after=3");
  m.w.pass(30s);
  finish_active(m.w, Outcome::failed);
  m.w.pass(1min);
  finish_active(m.w, Outcome::failed);
  m.w.pass(1min);
  finish_active(m.w);
  for (int i = 0; i < 3; ++i) {
    CHECK(m.w.paused.empty());
    m.w.pass(1min);
    if (i == 1) m.w.restart();
    finish_active(m.w, Outcome::failed);
  }
  CHECK(m.w.paused == std::vector<std::string>{"job"});
  CHECK(m.w.store.jobs.at("job").pause_note.find("3 scheduled runs in a row failed") == 0);
  m.w.pass(5min);
  CHECK(runs_of(m.w).size() == 6);
  m.w.pause_job("job", false);
  m.w.pass(1min);
  finish_active(m.w, Outcome::failed);
  CHECK(m.w.paused.size() == 1);
  CHECK(m.w.store.jobs.at("job").failures == 1);
}

TEST_CASE("a changed schedule counts from its change, and what the old one owed is settled") {
  SECTION("while the scheduler runs") {
    Minutely m("catchup=all");
    pass_idle(m.w, 2min);
    m.w.pass(29s);
    m.w.serve("job every=7m catchup=all; a; b");
    pass_idle(m.w, 14min);
    const auto runs = runs_of(m.w);
    REQUIRE(runs.size() == 4);
    CHECK(runs[2].scheduled_for->ms % (7 * kMinute.count()) == 0);
    CHECK(*runs[3].scheduled_for - *runs[2].scheduled_for == 7min);
    CHECK(drops(m.w).empty());
  }
  SECTION("a definition with the same schedule changes nothing but what is run") {
    Minutely m;
    pass_idle(m.w, 1min);
    m.w.serve("job every=1m; a; b");
    pass_idle(m.w, 2min);
    CHECK(m.seen() == "schedule@1 schedule@2 schedule@3");
    CHECK(runs_of(m.w).back().version != runs_of(m.w).front().version);
  }
}

TEST_CASE("a job that is removed fires no more, its runs go on, and its return is a beginning") {
  Minutely m("catchup=all");
  m.w.pass(30s);
  m.w.remove("job");
  CHECK(!m.w.store.jobs.at("job").next_fire_at);
  m.w.pass(10min);
  CHECK(m.seen() == "schedule@1");
  finish_active(m.w);
  CHECK(m.w.state(runs_of(m.w).front().id) == "succeeded");
  m.w.serve("job every=1m catchup=all; a");
  m.w.pass(30s);
  m.w.pass(30s);
  CHECK(m.seen() == "schedule@1 schedule@12");
}

// Backfills --------------------------------------------------------------------------------------

TEST_CASE("a backfill goes by its own limit, behind what is scheduled, and counts for nobody") {
  Minutely m("overlap=skip");
  const VersionId version = m.w.served.at("job").version;
  std::vector<WallTime> past;
  for (int i = 1; i <= 5; ++i) past.push_back(m.base - i * kMinute);
  m.w.backfill(version, past, 2);
  CHECK(m.w.running.size() == 2);
  CHECK(m.w.reply.results.size() == 5);
  m.w.pass(30s);
  CHECK(runs_of(m.w).back().trigger == Trigger::schedule);
  CHECK(m.w.running.size() == 3);
  CHECK(drops(m.w).empty());
  const auto runs = runs_of(m.w);
  CHECK(m.w.explain(runs[3].id, "").find("is active, --max-active 2") != std::string::npos);
  m.w.restart();
  CHECK(m.w.running.size() == 3);
  finish_active(m.w);
  CHECK(m.w.engine.runs().empty());
}

TEST_CASE("a fire that a backfill has run already is not run again by the schedule") {
  Minutely m("catchup=all");
  pass_idle(m.w, kMinute);
  m.w.now = {m.w.now.mono + 10min, m.w.now.wall + 10min};
  m.w.served.clear();
  m.w.restart();
  const VersionId version{1};
  m.w.backfill(version, {m.base + 3 * kMinute, m.base + 5 * kMinute}, 2);
  SECTION("known to the store alone") {}
  SECTION("over a restart") { m.w.restart(); }
  m.w.serve("job every=1m catchup=all; a");
  finish_active(m.w);
  CHECK(m.seen() ==
        "schedule@1 backfill@3 backfill@5 catchup@2 catchup@4 catchup@6 catchup@7 catchup@8 "
        "catchup@9 catchup@10 catchup@11");
  each_minute_is_decided_once(m.w, m.base, m.w.now.wall);
}
