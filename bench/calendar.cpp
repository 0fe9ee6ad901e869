// What the calendar costs, one row each: the next fire of a common expression and of the worst
// ones, the previous, and counts over years.

#include "scheduler/spec/calendar.h"

#include <array>
#include <chrono>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <benchmark/benchmark.h>

#include "bench/row_printer.h"
#include "scheduler/base/text.h"

namespace pawl {
namespace {

Calendar calendar_of(std::span<const ScheduleSpec> specs) {
  CalendarSources sources;
  sources.zone = [](std::string_view name) -> std::optional<cctz::time_zone> {
    cctz::time_zone zone;
    if (!cctz::load_time_zone(std::string(name), &zone)) return std::nullopt;
    return zone;
  };
  auto calendar = Calendar::compile(specs, sources);
  PAWL_CHECK(calendar);
  return *std::move(calendar);
}

ScheduleSpec cron(std::string_view text) {
  ScheduleSpec spec;
  spec.cron = text;
  spec.timezone = "America/New_York";
  return spec;
}

/// With all the dates left out that a list may hold, `step` days from one to the next.
ScheduleSpec mostly_excluded(ScheduleSpec spec, int step) {
  const std::chrono::sys_days first = std::chrono::year(2026) / 1 / 1;
  for (int i = 0; i < 10'000; ++i) {
    const std::int64_t day = first.time_since_epoch().count() + std::int64_t{step} * i;
    spec.except_dates.push_back(format_utc({day * 86'400'000}).substr(0, 10));
  }
  return spec;
}

ScheduleSpec every(Duration period) {
  ScheduleSpec spec;
  spec.kind = ScheduleSpec::Kind::every;
  spec.every = period;
  spec.start = "2026-01-01T12:00:00Z";
  return spec;
}

void next(benchmark::State& state, const std::vector<ScheduleSpec>& specs) {
  const Calendar calendar = calendar_of(specs);
  const WallTime begin = *parse_utc("2026-01-01T00:00Z");
  WallTime at = begin;
  for (auto _ : state) at = calendar.next(at).value_or(begin);
}

/// Always from the same time.
void search(benchmark::State& state, const std::vector<ScheduleSpec>& specs) {
  const Calendar calendar = calendar_of(specs);
  const WallTime from = *parse_utc("2026-01-01T00:00Z");
  for (auto _ : state) {
    benchmark::DoNotOptimize(calendar.next(from));
  }
}

void count(benchmark::State& state, const std::vector<ScheduleSpec>& specs) {
  const Calendar calendar = calendar_of(specs);
  const WallTime from = *parse_utc("2021-01-01T00:00Z");
  const WallTime to = *parse_utc("2026-01-01T00:00Z");
  for (auto _ : state) benchmark::DoNotOptimize(calendar.count(from, to));
}

void row(const std::string& name, const char* aim,
         const std::function<void(benchmark::State&)>& body) {
  benchmark::RegisterBenchmark(name.c_str(), [body, aim](benchmark::State& state) {
    body(state);
    state.SetLabel(aim);
  });
}

}  // namespace
}  // namespace pawl

int main(int argc, char** argv) {
  using namespace pawl;
  constexpr const char* kCommon = "2 us";
  constexpr const char* kWorst = "1000 us";
  for (const char* text : {"0 2 * * *", "*/15 * * * *", "0 9 * * MON-FRI", "30 1 L * *"}) {
    row(std::string("next fire, ") + text, kCommon,
        [text](auto& state) { next(state, {cron(text)}); });
  }
  row("next fire, 29 February", kWorst, [](auto& state) { next(state, {cron("0 0 29 2 *")}); });
  row("next fire, fifth Monday of February", kWorst,
      [](auto& state) { next(state, {cron("0 0 * 2 MON#5")}); });
  row("next fire, 10,000 dates left out", kWorst,
      [](auto& state) { search(state, {mostly_excluded(every(std::chrono::hours(48)), 2)}); });
  row("next fire, mornings, 10,000 dates left out", kWorst,
      [](auto& state) { search(state, {mostly_excluded(cron("0 9 * * *"), 1)}); });
  row("no fire to the end of the calendar", kWorst, [](auto& state) {
    auto spec = cron("0 0 29 2 *");
    for (int year = 2028; year < 2390; year += 4) {
      spec.except_dates.push_back(std::to_string(year) + "-02-29");
    }
    search(state, {spec});
  });
  row("count of five years of minutes", "", [](auto& state) { count(state, {cron("* * * * *")}); });
  row("count of five years, two schedules", "", [](auto& state) {
    count(state, {cron("* * * * *"), cron("0 * * * *")});
  });
  benchmark::Initialize(&argc, argv);
  RowPrinter printer;
  benchmark::RunSpecifiedBenchmarks(&printer);
  return 0;
}
