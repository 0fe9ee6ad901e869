#pragma once

// What the tests of schedules share: a job of every minute, and what became of its fires. The
// oracle counts in minutes and shares nothing with the calendar.

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "tests/sim/world.h"

namespace pawl::sim {

using namespace std::chrono_literals;

inline constexpr Duration kMinute = 1min;
inline constexpr Duration kDay = 24h;
inline constexpr Duration kYear = 365 * kDay;

inline WallTime minute_before(WallTime at) { return {at.ms - at.ms % kMinute.count()}; }

/// Runs of the job that stand for a fire, in the order of their numbers.
inline std::vector<RunRow> runs_of(const World& w, const std::string& job = "job") {
  std::vector<RunRow> out;
  for (const auto& [id, row] : w.store.runs) {
    if (row.job == job && row.scheduled_for) out.push_back(row);
  }
  return out;
}

/// `schedule` and `catchup` of the fires, oldest run first, by minutes after `base`.
inline std::string fires(const World& w, WallTime base, const std::string& job = "job") {
  std::string out;
  for (const RunRow& row : runs_of(w, job)) {
    out += (out.empty() ? "" : " ") + std::string(to_string(row.trigger)) + "@" +
           std::to_string((*row.scheduled_for - base) / kMinute);
  }
  return out;
}

/// `catchup 3` and so on, in the order of the decisions.
inline std::string drops(const World& w, const std::string& job = "job") {
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
inline void each_minute_is_decided_once(const World& w, WallTime from, WallTime through) {
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
inline void finish_active(World& w, Outcome outcome = Outcome::succeeded) {
  while (!w.running.empty()) w.finish_all(w.running.begin()->second.key.run, outcome);
}

/// As `World::pass`, and nothing ever lasts.
inline void pass_idle(World& w, Duration time) {
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

}  // namespace pawl::sim
