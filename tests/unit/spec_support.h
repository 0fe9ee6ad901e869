#pragma once

// Helpers of the tests of job files.

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "scheduler/spec/document.h"
#include "scheduler/spec/parse.h"

namespace pawl::test {

inline ParseOptions options() {
  ParseOptions out;
  out.folder = "/jobs";
  out.zone = [](std::string_view name) -> std::optional<cctz::time_zone> {
    cctz::time_zone zone;
    const bool is_known = name == "UTC" || name == "Asia/Tokyo" || name == "America/New_York";
    if (!is_known || !cctz::load_time_zone(std::string(name), &zone)) return std::nullopt;
    return zone;
  };
  return out;
}

inline ParseResult parse(std::string_view text) { return parse_job(text, options()); }

/// A job with one task `a` and these keys beside `name` and `tasks`.
inline std::string job_with(std::string_view keys) {
  return "{\"name\": \"j\", \"tasks\": [{\"id\": \"a\", \"command\": [\"true\"]}]" +
         (keys.empty() ? std::string() : ", " + std::string(keys)) + "}";
}

/// A job with one task `a` that runs `true` and has these keys.
inline std::string task_with(std::string_view keys, std::string_view job_keys = "") {
  return "{\"name\": \"j\", \"tasks\": [{\"id\": \"a\", \"command\": [\"true\"]" +
         (keys.empty() ? std::string() : ", " + std::string(keys)) + "}]" +
         (job_keys.empty() ? std::string() : ", " + std::string(job_keys)) + "}";
}

/// A job with these tasks.
inline std::string tasks_of(std::string_view tasks, std::string_view job_keys = "") {
  return "{\"name\": \"j\", \"tasks\": [" + std::string(tasks) + "]" +
         (job_keys.empty() ? std::string() : ", " + std::string(job_keys)) + "}";
}

inline std::vector<Diagnostic> of_severity(const ParseResult& result, Diagnostic::Severity wanted) {
  std::vector<Diagnostic> out;
  std::copy_if(result.diagnostics.begin(), result.diagnostics.end(), std::back_inserter(out),
               [&](const Diagnostic& d) { return d.severity == wanted; });
  return out;
}

inline std::vector<Diagnostic> errors_of(std::string_view text) {
  return of_severity(parse(text), Diagnostic::Severity::error);
}

inline std::vector<Diagnostic> warnings_of(std::string_view text) {
  return of_severity(parse(text), Diagnostic::Severity::warning);
}

inline std::string all_messages(const ParseResult& result) {
  std::string out;
  for (const Diagnostic& d : result.diagnostics) out += format_diagnostic("job.json", d) + "\n";
  return out;
}

/// The job of a text that must be valid.
inline JobSpec valid_job(std::string_view text) {
  ParseResult result = parse(text);
  INFO(all_messages(result));
  INFO(text);
  REQUIRE(result.ok);
  return result.job;
}

inline TaskSpec valid_task(std::string_view keys, std::string_view job_keys = "") {
  return valid_job(task_with(keys, job_keys)).tasks.at(0);
}

inline Json with_of(const TaskSpec& task) { return Json::parse(task.with); }

/// The one error of a text.
inline Diagnostic only_error(std::string_view text) {
  const ParseResult result = parse(text);
  INFO(text);
  INFO(all_messages(result));
  const auto errors = of_severity(result, Diagnostic::Severity::error);
  REQUIRE(errors.size() == 1);
  REQUIRE_FALSE(result.ok);
  return errors[0];
}

/// Checks that there is one error, at the value (or key) that begins with `place` in the text.
inline void check_error(std::string_view text, std::string_view pointer, std::string_view place,
                        std::string_view message) {
  const Diagnostic error = only_error(text);
  INFO(text);
  INFO(error.message);
  CHECK(error.pointer == pointer);
  CHECK_THAT(error.message, Catch::Contains(std::string(message)));
  const std::size_t offset = text.find(place);
  REQUIRE(offset != std::string_view::npos);
  const auto line =
      1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(offset), '\n');
  const std::size_t line_start = text.rfind('\n', offset);
  const std::size_t column = line_start == std::string_view::npos || line_start > offset
                                 ? offset + 1
                                 : offset - line_start;
  CHECK(error.line == line);
  CHECK(error.column == static_cast<int>(column));
}

/// One wrong text; the error stands where `place` first occurs.
struct Wrong {
  std::string text;
  const char* pointer;
  const char* place;
  const char* message;
};

inline void check_all(const std::vector<Wrong>& cases) {
  for (const Wrong& wrong : cases)
    check_error(wrong.text, wrong.pointer, wrong.place, wrong.message);
}

}  // namespace pawl::test
