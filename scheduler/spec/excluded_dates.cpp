#include "scheduler/spec/excluded_dates.h"

#include <algorithm>
#include <chrono>
#include <string>

#include "scheduler/base/limits.h"
#include "scheduler/base/text.h"
#include "scheduler/spec/civil.h"

namespace pawl {
namespace {

constexpr std::int64_t kDayMs = 86'400'000;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) + 1 - first);
}

std::chrono::year_month_day date_of(std::int64_t day) {
  return std::chrono::sys_days(std::chrono::days(day));
}

}  // namespace

ExcludedDates::ExcludedDates(std::vector<std::int64_t> days) {
  std::sort(days.begin(), days.end());
  days.erase(std::unique(days.begin(), days.end()), days.end());
  for (const std::int64_t day : days) {
    if (runs_.empty() || runs_.back().behind != day) runs_.push_back({day, day});
    ++runs_.back().behind;
    const auto date = date_of(day);
    const int index = static_cast<int>(date.year()) * 12 +
                      static_cast<int>(static_cast<unsigned>(date.month())) - 1;
    if (months_.empty() || months_.back().index != index) months_.push_back({index, 0});
    months_.back().days |= 1U << static_cast<unsigned>(date.day());
  }
  runs_.shrink_to_fit();
  months_.shrink_to_fit();
}

const ExcludedDates::Run* ExcludedDates::run_of(std::int64_t day) const {
  const auto after = std::upper_bound(runs_.begin(), runs_.end(), day,
                                      [](std::int64_t d, const Run& run) { return d < run.first; });
  if (after == runs_.begin()) return nullptr;
  const Run& run = *std::prev(after);
  return day < run.behind ? &run : nullptr;
}

bool ExcludedDates::contains(std::int64_t day) const { return run_of(day) != nullptr; }

std::pair<std::size_t, std::size_t> ExcludedDates::runs_between(std::int64_t first,
                                                                std::int64_t behind) const {
  const auto begin = std::partition_point(runs_.begin(), runs_.end(),
                                          [&](const Run& r) { return r.behind <= first; });
  const auto end =
      std::partition_point(begin, runs_.end(), [&](const Run& r) { return r.first < behind; });
  return {static_cast<std::size_t>(begin - runs_.begin()),
          static_cast<std::size_t>(end - runs_.begin())};
}

std::uint32_t ExcludedDates::days_of_month(int year, int month) const {
  if (months_.empty()) return 0;
  const std::int32_t index = year * 12 + month - 1;
  const auto found = std::partition_point(months_.begin(), months_.end(),
                                          [&](const Month& m) { return m.index < index; });
  return found != months_.end() && found->index == index ? found->days : 0;
}

Result<std::vector<std::int64_t>> parse_dates(std::string_view text) {
  std::vector<std::int64_t> days;
  std::size_t begin = 0;
  for (int line = 1; begin < text.size(); ++line) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view word = text.substr(begin, end - begin);
    begin = end + 1;
    word = trimmed(word.substr(0, word.find('#')));
    if (word.empty()) continue;
    const auto date = parse_date(word);
    if (!date) {
      return Error{ErrorKind::invalid, "line " + std::to_string(line) + ": '" +
                                           escape_for_terminal(word.substr(0, 40)) +
                                           "' is no date. Write one a line, such as 2026-12-25"};
    }
    if (days.size() == limits::kExceptDatesMax) {
      return Error{ErrorKind::invalid, "line " + std::to_string(line) + ": more than " +
                                           std::to_string(limits::kExceptDatesMax) + " dates"};
    }
    days.push_back(date->count_ms() / kDayMs);
  }
  return days;
}

}  // namespace pawl
