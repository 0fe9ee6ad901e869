// Schedules: each fire has its run, or its recorded decision, once; whatever the clock does and
// whoever was away. The oracle counts in minutes and shares nothing with the calendar.

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <cctz/civil_time.h>
#include <cctz/time_zone.h>

#include "tests/sim/world.h"

using namespace pawl;
using namespace pawl::sim;
using namespace std::chrono_literals;

namespace {

constexpr Duration kMinute = 1min;
constexpr Duration kDay = 24h;
constexpr Duration kYear = 365 * kDay;

WallTime minute_before(WallTime at) { return {at.ms - at.ms % kMinute.count()}; }

/// Runs of the job that stand for a fire, in the order of their numbers.
std::vector<RunRow> runs_of(const World& w, const std::string& job = "job") {
  std::vector<RunRow> out;
  for (const auto& [id, row] : w.store.runs) {
    if (row.job == job && row.scheduled_for) out.push_back(row);
  }
  return out;
}

/// `schedule` and `catchup` of the fires, oldest run first, by minutes after `base`.
std::string fires(const World& w, WallTime base, const std::string& job = "job") {
  std::string out;
  for (const RunRow& row : runs_of(w, job)) {
    out += (out.empty() ? "" : " ") + std::string(to_string(row.trigger)) + "@" +
           std::to_string((*row.scheduled_for - base) / kMinute);
  }
  return out;
}

/// `catchup 3` and so on, in the order of the decisions.
std::string drops(const World& w, const std::string& job = "job") {
  std::string out;
  for (const DroppedRow& row : w.store.dropped) {
    if (row.job != job) continue;
    out += (out.empty() ? "" : ", ") + std::string(to_string(row.reason)) + " " +
           std::to_string(row.count);
  }
  return out;
}

/// Every minute in (from, through] has one run, or lies in the dropped ranges, and never both but
/// for a run that was taken out of the queue.
void each_minute_is_decided_once(const World& w, WallTime from, WallTime through) {
  std::map<std::int64_t, int> runs;
  std::set<std::int64_t> cancelled;
  for (const RunRow& row : runs_of(w)) {
    ++runs[row.scheduled_for->ms];
    if (row.reason == Reason::replaced) cancelled.insert(row.scheduled_for->ms);
  }
  std::map<std::int64_t, int> dropped;
  std::int64_t dropped_count = 0;
  std::int64_t dropped_minutes = 0;
  for (const DroppedRow& row : w.store.dropped) {
    if (row.count == 1 && cancelled.contains(row.first.ms)) continue;
    dropped_count += row.count;
    for (std::int64_t at = row.first.ms; at <= row.last.ms; at += kMinute.count()) {
      ++dropped[at];
      if (!runs.contains(at)) ++dropped_minutes;
    }
  }
  CHECK(dropped_count == dropped_minutes);
  std::int64_t wrong = 0;
  for (std::int64_t at = minute_before(from).ms + kMinute.count(); at <= through.ms;
       at += kMinute.count()) {
    const int decisions = runs[at] + (runs[at] == 0 ? dropped[at] : 0);
    wrong += decisions == 1 ? 0 : 1;
  }
  CHECK(wrong == 0);
}

/// Ends every run that is active, as often as another one follows.
void finish_active(World& w, Outcome outcome = Outcome::succeeded) {
  while (!w.running.empty()) w.finish_all(w.running.begin()->second.key.run, outcome);
}

/// As `World::pass`, and nothing ever lasts.
void pass_idle(World& w, Duration time) {
  for (; time > kMinute; time -= kMinute) {
    w.pass(kMinute);
    finish_active(w);
  }
  w.pass(time);
  finish_active(w);
}

struct Minutely {
  World w;
  WallTime base;  ///< the minute before the job was served

  explicit Minutely(const std::string& words = "") {
    w.now.wall = WallTime{1'795'000'020'000};  // a whole minute
    base = w.now.wall;
    w.pass(30s);
    w.serve("job every=1m " + words + "; a");
  }
  /// The scheduler is down for so long.
  void down(Duration time) {
    w.now = {w.now.mono + time, w.now.wall + time};
    w.restart();
  }
  std::string seen() const { return fires(w, base); }
};

}  // namespace

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

// Missed -----------------------------------------------------------------------------------------

namespace {

struct Expected {
  std::vector<std::int64_t> run;               ///< minutes, oldest first
  std::map<DropReason, std::int64_t> dropped;  ///< fires by reason
};

/// What the job file's contract says of the missed minutes 1 to `missed`, counted one by one.
Expected oracle(std::int64_t missed, Duration since_last, CatchupPolicy policy, std::int64_t limit,
                Duration window, Overlap overlap, bool is_active) {
  Expected out;
  std::vector<std::int64_t> left;
  for (std::int64_t minute = 1; minute <= missed; ++minute) {
    const Duration age = since_last + (missed - minute) * kMinute;
    if (policy == CatchupPolicy::none)
      ++out.dropped[DropReason::catchup];
    else if (overlap == Overlap::skip && is_active)
      ++out.dropped[DropReason::skip];
    else if (age > window)
      ++out.dropped[DropReason::window];
    else
      left.push_back(minute);
  }
  while (policy == CatchupPolicy::all && static_cast<std::int64_t>(left.size()) > limit) {
    left.erase(left.begin());
    ++out.dropped[DropReason::limit];
  }
  const bool only_last = policy == CatchupPolicy::latest || overlap == Overlap::replace;
  while (only_last && left.size() > 1) {
    left.erase(left.begin());
    ++out.dropped[policy == CatchupPolicy::latest ? DropReason::catchup : DropReason::replaced];
  }
  out.run = left;
  return out;
}

}  // namespace

TEST_CASE("what was missed is caught up as the job says, for every overlap and downtime") {
  for (const Overlap overlap : {Overlap::queue, Overlap::skip, Overlap::replace, Overlap::allow}) {
    for (const CatchupPolicy policy :
         {CatchupPolicy::none, CatchupPolicy::latest, CatchupPolicy::all}) {
      for (const Duration window : {Duration(90s), Duration(7 * kDay)}) {
        for (const Duration down :
             std::vector<Duration>{20s, 31s, 97s, 310s, 3h + 1s, 10 * kDay + 50s}) {
          for (const bool is_active : {false, true}) {
            const std::string words = "overlap=" + std::string(to_string(overlap)) +
                                      " catchup=" + std::string(to_string(policy)) +
                                      " limit=4 window=" + std::to_string(window / 1s) + "s";
            INFO(words << " down " << down / 1s << "s active " << is_active);
            Minutely m(words);
            m.w.checks = false;
            m.w.pass(30s);
            REQUIRE(m.seen() == "schedule@1");
            if (!is_active) finish_active(m.w);
            m.base = m.base + kMinute;  // decided: count from here
            m.w.pass(30s);
            m.down(down);
            const WallTime last = minute_before(m.w.now.wall - 1ms);
            const std::int64_t missed = (last - m.base) / kMinute;
            const Expected expected =
                oracle(missed, m.w.now.wall - last, policy, 4, window, overlap, is_active);
            std::vector<std::int64_t> run;
            for (const RunRow& row : runs_of(m.w)) {
              if (*row.scheduled_for <= m.base) continue;
              CHECK(row.trigger == Trigger::catchup);
              run.push_back((*row.scheduled_for - m.base) / kMinute);
            }
            CHECK(run == expected.run);
            std::map<DropReason, std::int64_t> dropped;
            for (const DroppedRow& row : m.w.store.dropped) dropped[row.reason] += row.count;
            CHECK(dropped == expected.dropped);
            each_minute_is_decided_once(m.w, m.base - kMinute, last);
            // What was active goes on, or makes room; what waits comes in its turn.
            if (is_active && overlap == Overlap::replace && !run.empty())
              CHECK(!m.w.stopped.empty());
            finish_active(m.w);
            CHECK(m.w.engine.runs().empty());
            m.w.pass(kMinute);
            CHECK(runs_of(m.w).back().trigger == Trigger::schedule);
          }
        }
      }
    }
  }
}

TEST_CASE("five years of minutes are counted, not walked") {
  for (const char* policy : {"none", "latest", "all"}) {
    Minutely m("catchup=" + std::string(policy) + " limit=7");
    m.w.pass(30s);
    finish_active(m.w);
    m.down(5 * kYear + 10s);
    const std::int64_t missed = 5 * 365 * 24 * 60;
    std::int64_t dropped = 0;
    for (const DroppedRow& row : m.w.store.dropped) dropped += row.count;
    const auto made = static_cast<std::int64_t>(runs_of(m.w).size()) - 1;
    CHECK(made == (policy == std::string("none") ? 0 : policy == std::string("all") ? 7 : 1));
    CHECK(dropped + made == missed);
    CHECK(m.w.store.dropped.size() <= 2);
  }
}

TEST_CASE("a restart in the middle of a backlog goes on with it") {
  Minutely m("catchup=all limit=50");
  m.w.pass(30s);
  m.down(10min + 10s);
  CHECK(m.w.engine.runs().size() == 11);
  m.down(10ms);
  CHECK(m.w.engine.runs().size() == 11);
  finish_active(m.w);
  CHECK(m.seen() ==
        "schedule@1 catchup@2 catchup@3 catchup@4 catchup@5 catchup@6 catchup@7 catchup@8 "
        "catchup@9 catchup@10 catchup@11");
  CHECK(drops(m.w).empty());
}

TEST_CASE("a scheduler that was only busy has missed nothing") {
  Minutely m("catchup=none");
  m.w.now = {m.w.now.mono + 39s, m.w.now.wall + 39s};
  m.w.handle(input::Tick{});
  CHECK(m.seen() == "schedule@1");
  CHECK(drops(m.w).empty());
}

TEST_CASE("a machine that slept has missed what it slept through") {
  Minutely m("catchup=none");
  m.w.now = {m.w.now.mono + 8h, m.w.now.wall + 8h};
  m.w.handle(input::Tick{});
  CHECK(m.seen().empty());
  CHECK(drops(m.w) == "catchup 480");
  m.w.pass(kMinute);
  CHECK(m.seen() == "schedule@481");
}

// The clock --------------------------------------------------------------------------------------

TEST_CASE("a clock that steps back repeats nothing, and one that steps on is downtime") {
  for (const Duration step : {Duration(1s), Duration(1min), Duration(1h), Duration(kYear)}) {
    for (const bool with_restart : {false, true}) {
      INFO("step of " << step / 1s << "s, restart " << with_restart);
      Minutely m("catchup=latest");
      pass_idle(m.w, 2min);
      REQUIRE(m.seen() == "schedule@1 schedule@2");
      auto set_clock = [&](Duration by) {
        m.w.now.wall = m.w.now.wall + by;
        if (with_restart) m.w.restart();
        m.w.handle(input::Tick{});
        finish_active(m.w);
      };
      set_clock(step);
      const std::size_t after_jump = runs_of(m.w).size();
      CHECK(after_jump <= 3);
      set_clock(-step);
      CHECK(runs_of(m.w).size() == after_jump);
      pass_idle(m.w, 5min);
      // What lies behind the place that was reached is never run again.
      const WallTime reached = std::max(m.w.now.wall, *m.w.store.jobs.at("job").decided_through);
      each_minute_is_decided_once(m.w, m.base, minute_before(reached));
      if (step <= kMinute) CHECK(runs_of(m.w).back().trigger == Trigger::schedule);
      if (step > 1h) CHECK(runs_of(m.w).size() == after_jump);
    }
  }
}

TEST_CASE("a boot in 1970 waits for the calendar, and then catches up") {
  Minutely m("catchup=latest");
  pass_idle(m.w, kMinute);
  const WallTime true_time = m.w.now.wall;
  m.w.now.wall = WallTime{5'000};
  m.w.restart(true);
  pass_idle(m.w, 10min);
  CHECK(m.seen() == "schedule@1");
  m.w.now.wall = true_time + 15min;
  m.w.handle(input::Tick{});
  finish_active(m.w);
  CHECK(m.seen() == "schedule@1 catchup@16");
  CHECK(drops(m.w) == "catchup 14");
  pass_idle(m.w, kMinute);
  each_minute_is_decided_once(m.w, m.base, m.w.now.wall);
}

TEST_CASE("daylight saving neither skips nor doubles, up or down over the change") {
  struct Zone {
    const char* name;
    const char* cron;
    WallTime from;            ///< UTC, some days before a change
    std::int64_t runs_first;  ///< of ten days
  };
  // Fixed times fire once a local day; every ten days have ten of them.
  for (const Zone& zone : {
           Zone{"Europe/Berlin", "30 2 * * *", {1'774'310'400'000}, 10},       // 24 March 2026
           Zone{"Europe/Berlin", "30 2 * * *", {1'792'540'800'000}, 10},       // 21 October 2026
           Zone{"America/New_York", "30 1 * * *", {1'793'145'600'000}, 10},    // 28 October 2026
           Zone{"Australia/Lord_Howe", "15 2 * * *", {1'774'828'800'000}, 10}  // 30 March 2026
       }) {
    for (const bool sleeps : {false, true}) {
      INFO(zone.name << " " << zone.cron << " sleeps " << sleeps);
      World w;
      w.now.wall = zone.from;
      JobSpec job = job_from_text("job catchup=all window=720h; a");
      job.schedules.emplace_back().cron = zone.cron;
      job.schedules.back().timezone = zone.name;
      w.serve(job);
      if (sleeps) {
        w.now = {w.now.mono + 10 * kDay, w.now.wall + 10 * kDay};
        w.restart();
        finish_active(w);
      } else {
        for (int hour = 0; hour < 240; ++hour) {
          w.pass(1h);
          finish_active(w);
        }
      }
      const auto runs = runs_of(w);
      CHECK(static_cast<std::int64_t>(runs.size()) == zone.runs_first);
      for (std::size_t i = 1; i < runs.size(); ++i) {
        const Duration between = *runs[i].scheduled_for - *runs[i - 1].scheduled_for;
        CHECK(between >= 23h);
        CHECK(between <= 25h);
        CHECK(runs[i].interval_start == runs[i - 1].scheduled_for);
      }
    }
  }
}

TEST_CASE("a year of nights in fifty zones: each local day has its run, whoever sleeps when") {
  static const char* const kZones[] = {
      "Africa/Cairo",        "Africa/Casablanca",   "Africa/El_Aaiun",    "Africa/Johannesburg",
      "America/Adak",        "America/Anchorage",   "America/Asuncion",   "America/Bogota",
      "America/Chicago",     "America/Denver",      "America/Godthab",    "America/Halifax",
      "America/Havana",      "America/Los_Angeles", "America/Miquelon",   "America/New_York",
      "America/Noronha",     "America/Santiago",    "America/Sao_Paulo",  "America/Scoresbysund",
      "America/St_Johns",    "Antarctica/Troll",    "Asia/Amman",         "Asia/Beirut",
      "Asia/Dhaka",          "Asia/Gaza",           "Asia/Jerusalem",     "Asia/Kabul",
      "Asia/Kathmandu",      "Asia/Kolkata",        "Asia/Tehran",        "Asia/Tokyo",
      "Atlantic/Azores",     "Atlantic/Canary",     "Australia/Adelaide", "Australia/Eucla",
      "Australia/Lord_Howe", "Australia/Sydney",    "Europe/Berlin",      "Europe/Chisinau",
      "Europe/Dublin",       "Europe/Istanbul",     "Europe/Lisbon",      "Europe/London",
      "Pacific/Apia",        "Pacific/Auckland",    "Pacific/Chatham",    "Pacific/Easter",
      "Pacific/Kiritimati",  "Pacific/Norfolk"};
  static_assert(std::size(kZones) == 50);
  for (const char* name : kZones) {
    for (const int hour : {0, 2}) {
      INFO(name << " at " << hour << ":30");
      cctz::time_zone zone;
      REQUIRE(cctz::load_time_zone(name, &zone));
      World w;
      w.checks = false;
      w.now.wall = WallTime{1'772'323'200'000};  // 1 March 2026
      const WallTime from = w.now.wall;
      JobSpec job = job_from_text("job catchup=all window=720h; a");
      job.schedules.emplace_back().cron = "30 " + std::to_string(hour) + " * * *";
      job.schedules.back().timezone = name;
      w.serve(job);
      for (int step = 0; step < 730; ++step) {
        // Up for half a day, or down over three of them, or asleep.
        if (step % 11 == 5) {
          w.now = {w.now.mono + 36h, w.now.wall + 36h};
          if (step % 2 == 0) w.restart();
        }
        w.pass(12h);
        finish_active(w);
      }
      // What the zone's own rules say: a time that the clock skips is moved by the gap, of one that
      // it shows twice the first counts.
      std::set<std::int64_t> expected;
      cctz::civil_day day(2026, 2, 27);
      for (int i = 0; i < 500; ++i, ++day) {
        const cctz::civil_second local(day.year(), day.month(), day.day(), hour, 30, 0);
        const auto at = zone.lookup(local).pre.time_since_epoch();
        const WallTime fire{std::chrono::duration_cast<Duration>(at).count()};
        if (fire > from && fire <= w.now.wall) expected.insert(fire.ms);
      }
      std::set<std::int64_t> made;
      for (const RunRow& row : runs_of(w)) made.insert(row.scheduled_for->ms);
      CHECK(made == expected);
      CHECK(w.store.dropped.empty());
    }
  }
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
