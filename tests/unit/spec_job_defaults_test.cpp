// Jobs under settings: what is said for all of them, and the connections that their tasks name.

#include <catch2/catch.hpp>

#include "scheduler/spec/connections.h"
#include "scheduler/spec/job_defaults.h"
#include "scheduler/spec/operator_catalog.h"
#include "scheduler/spec/settings.h"

namespace pawl {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

Settings settings_of(std::string_view text, const OperatorCatalog* operators = nullptr) {
  ParseOptions options;
  options.operators = operators;
  ParsedSettings parsed = parse_settings(text, options);
  for (const Diagnostic& wrong : parsed.diagnostics) UNSCOPED_INFO(format_diagnostic("s", wrong));
  REQUIRE(parsed.ok);
  return parsed.settings;
}

ParseResult under(const Settings& settings, const std::string& text,
                  const OperatorCatalog* operators = nullptr) {
  ParseOptions options;
  options.operators = operators;
  apply(settings, options);
  return parse_job(text, options);
}

JobSpec good(const Settings& settings, const std::string& text) {
  ParseResult parsed = under(settings, text);
  for (const Diagnostic& wrong : parsed.diagnostics) UNSCOPED_INFO(format_diagnostic("j", wrong));
  REQUIRE(parsed.ok);
  return parsed.job;
}

std::string job_with(const std::string& more) {
  return R"({"name": "j", )" + more + R"(, "tasks": [{"id": "a", "command": ["x"]}]})";
}

}  // namespace

TEST_CASE("what is said for all jobs is in each, and the job has the last word") {
  const Settings settings = settings_of(R"({
      "timezone": "Asia/Tokyo", "kill_grace": "3s", "pools": {"default": 4, "warehouse": 7},
      "job_defaults": {
        "defaults": {"timeout": "1h", "pool": "warehouse", "env": {"A": "all", "B": "all"}},
        "labels": {"team": "data"}, "overlap": "skip", "timeout": "6h"}})");
  const JobSpec job = good(settings, R"({
      "name": "j", "schedule": [{"cron": "0 2 * * *"}, {"cron": "0 3 * * *", "timezone": "UTC"}],
      "defaults": {"env": {"B": "job"}}, "labels": {"tier": "1"}, "overlap": "queue",
      "tasks": [{"id": "a", "command": ["x"]},
                {"id": "b", "command": ["x"], "timeout": null, "kill_grace": "9s",
                 "pool": "default"}]})");
  CHECK(job.tasks[0].timeout == 1h);
  CHECK(job.tasks[0].kill_grace == 3s);
  CHECK(job.tasks[0].pools[0].pool == "warehouse");
  CHECK(job.tasks[0].env.at("A") == "all");
  CHECK(job.tasks[0].env.at("B") == "job");
  CHECK(job.tasks[1].timeout == 0s);
  CHECK(job.tasks[1].kill_grace == 9s);
  CHECK(job.tasks[1].pools[0].pool == "default");
  CHECK(job.schedules[0].timezone == "Asia/Tokyo");
  CHECK(job.schedules[1].timezone == "UTC");
  CHECK(job.labels == std::map<std::string, std::string>{{"team", "data"}, {"tier", "1"}});
  CHECK(job.overlap == Overlap::queue);
  CHECK(job.timeout == 6h);
}

TEST_CASE("hooks for all jobs run behind the job's own, and a job may have none") {
  const Settings settings = settings_of(R"({"job_defaults": {
      "on_failure": [{"command": ["tell", "all"]}], "on_exit": [{"command": ["clean"]}]}})");
  const JobSpec job = good(settings, job_with(R"("on_failure": [{"command": ["tell", "own"]}])"));
  REQUIRE(job.hooks.size() == 3);
  CHECK(job.hooks[0].task.id == "hook:on_failure:0");
  CHECK_THAT(job.hooks[0].task.with, Catch::Contains("own"));
  CHECK_THAT(job.hooks[1].task.with, Catch::Contains("all"));
  CHECK(job.hooks[2].task.id == "hook:on_exit:0");
  const JobSpec alone = good(settings, job_with(R"("on_failure": null, "on_exit": [])"));
  REQUIRE(alone.hooks.size() == 1);
  CHECK(alone.hooks[0].kind == HookKind::on_exit);
}

TEST_CASE("a null of the job removes what is said for all jobs") {
  const Settings settings = settings_of(R"({"job_defaults": {"timeout": "6h",
      "env": {"A": "all", "B": "all"}, "defaults": {"timeout": "1h", "retry": {"max_attempts": 4,
      "delay": "1s"}}}})");
  const JobSpec job = good(settings, job_with(R"("timeout": null, "env": {"A": null},
      "defaults": {"timeout": null, "retry": {"delay": null}})"));
  CHECK(job.timeout == 0s);
  CHECK(job.tasks[0].timeout == 0s);
  CHECK_FALSE(job.tasks[0].env.contains("A"));
  CHECK(job.tasks[0].env.at("B") == "all");
  CHECK(job.tasks[0].retry.max_attempts == 4);
  CHECK(job.tasks[0].retry.delay == TaskSpec{}.retry.delay);
  CHECK(good(settings, job_with(R"("defaults": null)")).tasks[0].timeout == 0s);
}

TEST_CASE("a job uses a secret that is declared for all jobs, and replaces it as a whole") {
  const Settings settings =
      settings_of(R"({"job_defaults": {"secrets": {"KEY": {"env": "ALL_KEY"}}}})");
  const std::string uses = R"("env": {"K": "{{ secrets.KEY }}"})";
  CHECK(good(settings, job_with(uses)).secrets.at("KEY") == SecretSource{false, "ALL_KEY"});
  CHECK(good(settings, job_with(uses + R"(, "secrets": {"KEY": {"file": "key"}})"))
            .secrets.at("KEY") == SecretSource{true, "key"});
  CHECK_FALSE(under(Settings{}, job_with(uses)).ok);
}

TEST_CASE("operators' parameters for all tasks are for tasks of that operator") {
  const Settings settings = settings_of(R"({"job_defaults": {"defaults": {"operator": "http",
      "with": {"method": "POST", "headers": {"A": "1"}}}}})");
  const auto with_of = [&](const std::string& defaults) {
    return json::parse(good(settings, R"({"name": "j", "defaults": )" + defaults +
                                          R"(, "tasks": [{"id": "a", "with": {"url": "u"}}]})")
                           .tasks[0]
                           .with);
  };
  CHECK(with_of("{}") == json({{"url", "u"}, {"method", "POST"}, {"headers", {{"A", "1"}}}}));
  CHECK(with_of(R"({"operator": "mail", "with": {"from": "f"}})") ==
        json({{"url", "u"}, {"from", "f"}}));
}

TEST_CASE("a version of a job says all of itself, whatever the settings become") {
  const Settings settings = settings_of(R"({"pools": {"warehouse": 7}, "job_defaults":
      {"defaults": {"timeout": "1h", "pool": "warehouse"}, "on_exit": [{"command": ["clean"]}]}})");
  const ParseResult parsed = under(settings, job_with(R"("timeout": "2h")"));
  REQUIRE(parsed.ok);
  ParseOptions later;
  later.any_pool = true;
  const ParseResult stored = parse_job(canonical_job_text(parsed.text), later);
  REQUIRE(stored.ok);
  CHECK(stored.job.tasks[0].timeout == 1h);
  CHECK(stored.job.tasks[0].pools[0].pool == "warehouse");
  CHECK(stored.job.hooks.size() == 1);
  // Without settings the text stays that of the file.
  const std::string plain = job_with(R"("timeout": "2h")");
  CHECK(under(Settings{}, plain).text == plain);
}

TEST_CASE("errors of a job under job_defaults keep the places of its own file") {
  const Settings settings =
      settings_of(R"({"pools": {"gpu": 2}, "job_defaults": {"defaults": {"pool": {"gpu": 2}}}})");
  const ParseResult own =
      under(settings,
            "{\"name\": \"j\",\n \"tasks\": [{\"id\": \"a\", \"command\": [\"x\"],\n  "
            "\"timeout\": 5}, {\"id\": \"a\", \"command\": [\"x\"]}]}");
  REQUIRE_FALSE(own.ok);
  REQUIRE(own.diagnostics.size() == 2);
  CHECK(own.diagnostics[0].line == 3);
  CHECK(own.diagnostics[0].pointer == "/tasks/0/timeout");
  CHECK_THAT(own.diagnostics[1].message, Catch::Contains("line 2 has it"));
  // A key that is there twice is found though the merged text has it once.
  CHECK_FALSE(under(settings, R"({"name": "j", "name": "k", "tasks": []})").ok);
  // What comes of both is told at the place that the file has.
  const ParseResult both =
      under(settings,
            "{\"name\": \"j\",\n \"pools\": {\"gpu\": 1},\n \"tasks\": [{\"id\": \"a\", "
            "\"command\": [\"x\"]}]}");
  REQUIRE_FALSE(both.ok);
  REQUIRE(both.diagnostics.size() == 1);
  CHECK_THAT(both.diagnostics[0].message,
             Catch::StartsWith("with job_defaults of the settings: 2 slots are more"));
  CHECK_THAT(both.diagnostics[0].message, Catch::Contains("(/defaults/pool/gpu)"));
  CHECK_FALSE(under(settings, "not json").ok);
  CHECK_FALSE(under(settings, "[]").ok);
}

TEST_CASE("a warning of a job stays under job_defaults, unless they mend it") {
  const std::string scheduled = job_with(R"("schedule": {"cron": "0 2 * * *"})");
  const ParseResult warned = under(settings_of(R"({"kill_grace": "1s"})"), scheduled);
  REQUIRE(warned.diagnostics.size() == 1);
  CHECK(warned.diagnostics[0].pointer == "/schedule");
  const ParseResult mended = under(
      settings_of(R"({"job_defaults": {"timeout": "1h", "env": {"MY_TOKEN": "x"}}})"), scheduled);
  CHECK(mended.ok);
  CHECK(mended.diagnostics.empty());
}

namespace {

OperatorCatalog databases() {
  OperatorCatalog catalog;
  for (const char* name : {"postgres", "mail"}) {
    OperatorInfo info;
    info.name = name;
    info.schema = json::parse(R"({"type": "object", "required": ["host", "sql"],
        "properties": {"host": {"type": "string"}, "sql": {"type": "string"},
                       "password": {"type": "string", "x-pawl-secret": true}},
        "additionalProperties": false})");
    catalog.add(std::move(info));
  }
  return catalog;
}

std::string job_naming(const std::string& connection, const std::string& of = "postgres") {
  return R"({"name": "j", "tasks": [{"id": "a", "operator": ")" + of +
         R"(", "with": {"connection": )" + connection + R"(, "sql": "select 1"}}]})";
}

}  // namespace

TEST_CASE("a task has the parameters of the connection it names, and its own first") {
  const OperatorCatalog operators = databases();
  const Settings settings = settings_of(R"({"connections": {"wh": {"operator": "postgres",
      "with": {"host": "wh-02", "password": {"env": "WH"}}}}})",
                                        &operators);
  const ParseResult parsed = under(settings, job_naming("\"wh\""), &operators);
  REQUIRE(parsed.ok);
  // Nothing of it is in what is stored.
  CHECK(parsed.text.find("wh-02") == std::string::npos);
  CHECK(connection_name(parsed.job.tasks[0].with) == "wh");
  const auto with = with_connection(parsed.job.tasks[0].with, "postgres", settings.connections);
  REQUIRE(with);
  CHECK(json::parse(*with) == json({{"host", "wh-02"},
                                    {"password", R"({{ secrets["password of connection wh"] }})"},
                                    {"sql", "select 1"}}));
  const auto closer =
      with_connection(R"({"connection": "wh", "host": "wh-03"})", "postgres", settings.connections);
  REQUIRE(closer);
  CHECK(json::parse(*closer)["host"] == "wh-03");
  const Connection& connection = settings.connections.at("wh");
  CHECK(secrets_in(*closer, connection) == connection.secrets);
  const auto own = with_connection(R"({"connection": "wh", "password": "mine"})", "postgres",
                                   settings.connections);
  REQUIRE(own);
  CHECK(secrets_in(*own, connection).empty());
  CHECK(*with_connection(R"({"host":"x"})", "postgres", {}) == R"({"host":"x"})");
}

TEST_CASE("what a task says in another way takes the place of what its connection says") {
  OperatorCatalog operators;
  OperatorInfo info;
  info.name = "postgres";
  info.schema = json::parse(R"({"type": "object", "properties": {
      "dsn": {"type": "string", "x-pawl-replaces": ["host", "password"]},
      "host": {"type": "string"}, "sql": {"type": "string"},
      "password": {"type": "string", "x-pawl-secret": true},
      "auth": {"type": "object", "properties": {
        "user": {"type": "string"}, "token": {"type": "string", "x-pawl-replaces": ["user"]}}}}})");
  operators.add(std::move(info));
  const Settings settings = settings_of(R"({"connections": {"wh": {"operator": "postgres",
      "with": {"host": "wh-02", "password": {"env": "WH"}, "sql": "select 2",
               "auth": {"user": "me"}}}}})",
                                        &operators);
  const auto with = [&](const char* own) {
    const auto all = with_connection(own, "postgres", settings.connections);
    REQUIRE(all);
    return json::parse(*all);
  };
  CHECK(with(R"({"connection": "wh", "dsn": "host=x"})") ==
        json::parse(R"({"dsn": "host=x", "sql": "select 2", "auth": {"user": "me"}})"));
  CHECK(with(R"({"connection": "wh", "auth": {"token": "t"}})")["auth"] == json({{"token", "t"}}));
  CHECK(with(R"({"connection": "wh", "auth": {"user": "you"}})")["host"] == "wh-02");
}

TEST_CASE("a connection that is not there, or is another operator's, is an error of the job") {
  const OperatorCatalog operators = databases();
  const Settings settings = settings_of(R"({"connections": {
      "warehouse": {"operator": "postgres", "with": {"host": "h"}},
      "office": {"operator": "mail", "with": {"host": "h"}}}})",
                                        &operators);
  const auto wrong = [&](const std::string& job) {
    const ParseResult parsed = under(settings, job, &operators);
    REQUIRE_FALSE(parsed.ok);
    REQUIRE(parsed.diagnostics.size() == 1);
    CHECK(parsed.diagnostics[0].pointer == "/tasks/0/with/connection");
    return parsed.diagnostics[0].message;
  };
  CHECK(wrong(job_naming("\"warehose\"")) ==
        "there is no connection \"warehose\"; did you mean \"warehouse\"?; there are "
        "\"warehouse\"");
  CHECK(wrong(job_naming("\"office\"")) ==
        "connection \"office\" is for operator \"mail\", not for \"postgres\"");
  CHECK_THAT(wrong(job_naming("5")), Catch::Contains("the name of a connection"));
  CHECK_THAT(wrong(job_naming("\"{{ run.id }}\"")), Catch::Contains("there is no connection"));
  const ParseResult none = under(Settings{}, job_naming("\"warehouse\""), &operators);
  REQUIRE_FALSE(none.ok);
  CHECK_THAT(none.diagnostics[0].message,
             Catch::Contains("the settings have none for operator \"postgres\""));
  // Read where the settings are not known, it passes.
  ParseOptions elsewhere;
  elsewhere.operators = &operators;
  CHECK(parse_job(job_naming("\"warehose\""), elsewhere).ok);
}

}  // namespace pawl
