// What people write: job files, schedules, expressions, templates, words of the command line.

#include <algorithm>
#include <array>
#include <functional>

#include <catch2/catch.hpp>

#include "scheduler/base/text.h"
#include "scheduler/spec/calendar.h"
#include "scheduler/spec/cron.h"
#include "scheduler/spec/expression.h"
#include "scheduler/spec/parse.h"
#include "scheduler/spec/selector.h"
#include "scheduler/spec/settings.h"
#include "tests/fuzz/fuzz.h"

using namespace pawl;
using namespace pawl::test;

namespace {

const std::vector<std::string> kCelWords = {"params",
                                            "item",
                                            "tasks.a.output",
                                            "has(",
                                            ".map(x, ",
                                            ".all(x, ",
                                            ".filter(x, ",
                                            "&&",
                                            "||",
                                            "==",
                                            "in",
                                            "? 1 : 2",
                                            "-9223372036854775808",
                                            "1e308",
                                            "0x",
                                            "'\\u0000'",
                                            "b'\\xff'",
                                            "r\"\"\"",
                                            "[",
                                            "{",
                                            "(",
                                            "!",
                                            "-",
                                            "duration(",
                                            "timestamp('2026-02-29T00:00:00Z')",
                                            "\\",
                                            "u",
                                            "%",
                                            "9999999999999999999999",
                                            ".matches('(a*)*b')"};

const JsonContext& names() {
  static const JsonContext kContext(Json::parse(R"({
    "params": {"n": 3, "big": 9223372036854775807, "text": "t\u00e4xt", "list": [1, 2.5, null]},
    "item": {"id": 7, "key": "orders"}, "index": 2, "env": {"A": "b"},
    "tasks": {"a": {"state": "succeeded", "output": [{"x": 1}], "counts": {"failed": 0}}},
    "run": {"id": "20261120-225801-7k3f9q", "date": "2026-11-20"}})"));
  return kContext;
}

template <typename Value>
void check_place(const std::variant<Value, ExpressionError>& result, std::string_view text) {
  if (const auto* error = std::get_if<ExpressionError>(&result)) {
    if (error->offset > text.size() || error->message.empty()) {
      CAPTURE(std::string(text), error->offset, error->message);
      FAIL("an error without its place");
    }
  }
}

/// What must hold of the fires of any expression, in some zone from some time.
void check_fires(std::string_view cron) {
  static const std::array<std::string, 5> kZones = {"UTC", "America/New_York", "Africa/Casablanca",
                                                    "Australia/Lord_Howe", "Pacific/Apia"};
  const std::size_t chance = std::hash<std::string_view>()(cron);
  ScheduleSpec spec;
  spec.cron = cron;
  spec.timezone = kZones[chance % kZones.size()];
  CalendarSources sources;
  sources.zone = [](std::string_view name) -> std::optional<cctz::time_zone> {
    cctz::time_zone zone;
    if (!cctz::load_time_zone(std::string(name), &zone)) return std::nullopt;
    return zone;
  };
  const auto calendar = Calendar::compile(std::array{spec}, sources);
  REQUIRE(calendar);
  // From 1990 to 2200.
  WallTime at{631'152'000'000 + static_cast<std::int64_t>(chance % 6'626'880'000'000)};
  for (int i = 0; i < 4; ++i) {
    const auto fire = calendar->next(at);
    REQUIRE(fire);  // what can never fire is refused
    REQUIRE(*fire > at);
    REQUIRE(calendar->fires_at(*fire));
    REQUIRE(calendar->count(at, *fire).fires == 1);
    REQUIRE(calendar->previous(*fire + Duration(1)) == fire);
    const auto before = calendar->previous(*fire);
    REQUIRE(before);
    REQUIRE(calendar->next(*before) == fire);
    at = *fire;
  }
}

bool has_errors(const std::vector<Diagnostic>& diagnostics) {
  return std::any_of(diagnostics.begin(), diagnostics.end(),
                     [](const Diagnostic& d) { return d.severity == Diagnostic::Severity::error; });
}

}  // namespace

TEST_CASE("any bytes as settings are settings or errors with their places") {
  const std::vector<std::string> words = {"\"pools\"",
                                          "\"default\"",
                                          "\"slots\"",
                                          "\"job_defaults\"",
                                          "\"defaults\"",
                                          "\"on_exit\"",
                                          "\"secrets\"",
                                          "\"file\"",
                                          "\"env\"",
                                          "\"connections\"",
                                          "\"operator\"",
                                          "\"with\"",
                                          "\"mail\"",
                                          "{\"a\":",
                                          "[[[[",
                                          "null",
                                          "\"5m\"",
                                          "\"timezone\"",
                                          "1e999",
                                          "\"hosts\"",
                                          "\"idle\"",
                                          "\\ud800",
                                          "{{ secrets.A }}",
                                          "\"kill_grace\""};
  fuzz("settings", {}, words, 1500, [](std::string_view text) {
    const ParsedSettings settings = parse_settings(text, {});
    REQUIRE(settings.ok != has_errors(settings.diagnostics));
    if (!settings.ok) return;
    ParseOptions options;
    apply(settings.settings, options);
    (void)parse_job(R"({"name": "j", "tasks": [{"id": "a", "command": ["a"]}]})", options);
  });
}

TEST_CASE("any bytes as a job file are a job or errors with their places") {
  const std::vector<std::string> words = {
      "\"tasks\"",  "\"id\"",       "\"depends_on\"", "\"map\"",  "\"items\"",
      "{{ item }}", "null",         "[[[[",           "{\"a\":",  "\"retry\"",
      "1e999",      "\"5m\"",       "\\ud800",        "\"when\"", "\"cron\"",
      "\"* * * *",  "\"schedule\"", "\"params\"",     "-0",       "\"output\"",
      "/*",         "2026-11-20"};
  fuzz("job", {"2026-11-20", "[1-, 0]"}, words, 1500, [](std::string_view text) {
    ParseOptions options;
    options.folder = "/srv";
    const ParseResult result = parse_job(text, options);
    REQUIRE(result.ok != has_errors(result.diagnostics));
    ParseOptions under_settings = options;
    under_settings.job_defaults =
        R"({"timezone": "UTC", "defaults": {"retry": {"max_attempts": 2}}, "on_exit": [{}],
            "secrets": {"A": {"env": "A"}}, "env": {"A": "a"}})";
    const ParseResult merged = parse_job(text, under_settings);
    REQUIRE(merged.ok != has_errors(merged.diagnostics));
    (void)is_foreign_json(text);
    if (!result.ok) return;
    const std::string canonical = canonical_job_text(text);
    REQUIRE(parse_job(canonical, options).ok);
    REQUIRE(canonical_job_text(canonical) == canonical);
    (void)resolve_params(result.job, "{}");
  });
}

TEST_CASE("any bytes as a cron expression are a schedule or an error with its place") {
  const std::vector<std::string> words = {"*", "?",   "L",  "#",  "MON", "jan",       "-",  "/",
                                          ",", "7",   "59", "@",  " ",   "0",         "31", "W",
                                          "H", "TZ=", "1-", "*/", "5L ", "4294967296"};
  fuzz("cron", {}, words, 20'000, [](std::string_view text) {
    const auto parsed = parse_cron(text);
    if (const auto* error = std::get_if<CronError>(&parsed)) {
      REQUIRE(error->offset <= text.size());
      REQUIRE_FALSE(error->message.empty());
      return;
    }
    const Cron& cron = std::get<Cron>(parsed);
    REQUIRE(cron.minutes >> 60 == 0);
    REQUIRE(cron.hours >> 24 == 0);
    (void)cron.matches_day(2, 29, 0, 29);
    check_fires(text);
  });
}

TEST_CASE("any bytes as an expression give a value or an error, within their limits") {
  fuzz("expression", {}, kCelWords, 10'000, [](std::string_view text) {
    const auto compiled = Expression::compile(text);
    check_place(compiled, text);
    if (const auto* expression = std::get_if<Expression>(&compiled)) {
      (void)expression->references();
      check_place(expression->evaluate(names()), text);
      check_place(expression->test(names()), text);
    }
  });
}

TEST_CASE("any bytes as a template give a text or an error, within their limits") {
  std::vector<std::string> words = kCelWords;
  words.insert(words.end(), {"{{", "}}", "{{{{", "{{ ", " }}", "}"});
  fuzz("template", {}, words, 10'000, [](std::string_view text) {
    const auto compiled = Template::compile(text);
    check_place(compiled, text);
    if (const auto* made = std::get_if<Template>(&compiled)) {
      check_place(made->render(names()), text);
      const auto rendered = made->render_text(names(), true);
      if (made->is_literal()) REQUIRE(std::holds_alternative<std::string>(rendered));
    }
  });
}

TEST_CASE("any bytes as a duration, a size, a time or a name are one or an error") {
  const std::vector<std::string> words = {
      "ms", "s",   "m", "h",    "d",       "KiB", "GiB", "-",     ".",    "99999999999999999",
      "#1", ":17", "/", "key=", "@latest", "T",   "Z",   "hook:", "1h30m"};
  fuzz("words", {}, words, 20'000, [](std::string_view text) {
    if (const auto duration = parse_duration(text)) {
      const auto again = parse_duration(format_duration(*duration));
      REQUIRE(again);
      REQUIRE(*again == *duration);
    }
    (void)parse_size(text);
    if (const auto time = parse_utc(text)) REQUIRE(parse_utc(format_utc(*time)) == time);
    if (const auto name = parse_object_name(text)) {
      const auto again = parse_object_name(to_text(*name));
      REQUIRE(again);
      REQUIRE(to_text(*again) == to_text(*name));
    }
    (void)parse_reasons(text);
    (void)parse_label(text);
    REQUIRE(is_utf8(escape_for_terminal(text)));
  });
}
