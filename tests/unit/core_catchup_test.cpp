// What a schedule missed: downtime, sleep, and clocks that step.

#include <cctz/civil_time.h>
#include <cctz/time_zone.h>

#include "tests/unit/core_schedules_support.h"

using namespace pawl;
using namespace pawl::sim;
using namespace std::chrono_literals;

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
