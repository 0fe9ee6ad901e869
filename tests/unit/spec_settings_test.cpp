// The settings file: what it may say, what is wrong with it, and what doctor shows of it.

#include <catch2/catch.hpp>

#include "scheduler/spec/operator_catalog.h"
#include "scheduler/spec/settings.h"
#include "scheduler/spec/settings_fields.h"

namespace pawl {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

OperatorCatalog databases() {
  OperatorCatalog catalog;
  OperatorInfo info;
  info.name = "postgres";
  info.schema = json::parse(R"({"type": "object", "required": ["host", "sql"],
      "properties": {"host": {"type": "string"}, "port": {"type": "integer"},
                     "sql": {"type": "string"},
                     "password": {"type": "string", "x-pawl-secret": true},
                     "headers": {"type": "object", "additionalProperties":
                                 {"type": "string", "x-pawl-secret": true}}},
      "additionalProperties": false})");
  catalog.add(std::move(info));
  return catalog;
}

ParsedSettings read(std::string_view text, const OperatorCatalog* operators = nullptr) {
  ParseOptions options;
  options.operators = operators;
  return parse_settings(text, options);
}

ParsedSettings good(std::string_view text, const OperatorCatalog* operators = nullptr) {
  ParsedSettings parsed = read(text, operators);
  for (const Diagnostic& wrong : parsed.diagnostics) UNSCOPED_INFO(format_diagnostic("s", wrong));
  REQUIRE(parsed.ok);
  return parsed;
}

/// What is said of a file with one mistake: `LINE POINTER MESSAGE`.
std::string wrong(std::string_view text, const OperatorCatalog* operators = nullptr) {
  const ParsedSettings parsed = read(text, operators);
  std::string all;
  for (const Diagnostic& d : parsed.diagnostics) {
    all += (all.empty() ? "" : "\n") + std::to_string(d.line) + " " + d.pointer + " " + d.message;
  }
  INFO(all);
  REQUIRE_FALSE(parsed.ok);
  CHECK(parsed.diagnostics.size() == 1);
  return all;
}

SettingValue value_of(const ParsedSettings& settings, std::string_view name) {
  for (const SettingValue& value : settings.values) {
    if (value.name == name) return value;
  }
  return {};
}

}  // namespace

TEST_CASE("settings that are not set are the defaults of the table") {
  const ParsedSettings none = good("{}");
  CHECK(none.settings == Settings{});
  CHECK_FALSE(none.settings.default_slots());
  json all = json::object();
  for (const Field& field : settings_shape().fields) {
    if (!field.fallback.empty()) all[std::string(field.key)] = json::parse(field.fallback);
    for (const Field& inner : field.shape->fields) {
      if (!inner.fallback.empty())
        all[std::string(field.key)][std::string(inner.key)] = json::parse(inner.fallback);
    }
  }
  CHECK(all.size() >= 7);
  Settings written = good(all.dump()).settings;
  // These two are what a job has without them, said to it.
  CHECK(json::parse(written.job_defaults) ==
        json({{"timezone", "UTC"}, {"defaults", {{"kill_grace", "10s"}}}}));
  written.job_defaults.clear();
  CHECK(written == Settings{});
}

TEST_CASE("each key of settings is read") {
  const Settings settings = good(R"({"format": 1, "workers": 4, "worker_idle": "2m",
      "control_groups": "/sys/fs/cgroup/pawl", "pools": {"default": 32, "warehouse": {"slots": 20, "rate": {"count": 5, "per": "1m"}}},
      "hosts": {"idle": "90s", "recycle_after": 1000, "memory": "2GiB", "per_library": 3},
      "limits": {"log": "1MiB", "wal": "2GiB"}, "retention": {"runs": 5, "days": 7},
      "comment": "ours", "x-owner": {"team": 5}, "$schema": "settings.schema.json"})")
                                .settings;
  CHECK(settings.workers == 4);
  CHECK(settings.worker_idle == 2min);
  CHECK(settings.control_groups == "/sys/fs/cgroup/pawl");
  CHECK(settings.default_slots() == 32);
  CHECK(settings.pools.at("warehouse") == PoolSpec{20, Rate{5, 1min}});
  CHECK(settings.hosts == Settings::Hosts{90s, 1'000, std::uint64_t{2} << 30, 3});
  CHECK(settings.log_bytes_max == 1u << 20);
  CHECK(settings.wal_bytes_max == std::int64_t{2} << 30);
  CHECK(settings.retention_runs == 5);
  CHECK(settings.retention_days == 7);
}

TEST_CASE("each value has its name, its line, and what holds without it") {
  const ParsedSettings settings = good(
      "{\"workers\": 4,\n \"pools\": {\"comment\": \"of all\",\n  \"warehouse\": {\"slots\": "
      "20}},\n"
      " \"hosts\": {\"idle\": \"90s\"},\n \"job_defaults\": {\"env\": {\"API_TOKEN\": \"t0p\", "
      "\"REGION\": \"jp\"}}}");
  CHECK(value_of(settings, "workers").value == "4");
  CHECK(value_of(settings, "workers").line == 1);
  CHECK(value_of(settings, "pools.warehouse").value == R"({"slots":20})");
  CHECK(value_of(settings, "pools.warehouse").line == 3);
  CHECK(value_of(settings, "pools.default").value == "twice the cores, at least 4");
  CHECK(value_of(settings, "pools.default").line == 0);
  CHECK(value_of(settings, "pools.comment").name.empty());
  CHECK(value_of(settings, "hosts.idle").value == "\"90s\"");
  CHECK(value_of(settings, "hosts.recycle_after").value == "never");
  CHECK(value_of(settings, "limits.log").value == "\"64MiB\"");
  CHECK(value_of(settings, "retention.days").value == "30");
  CHECK(value_of(settings, "job_defaults.env").value == R"({"API_TOKEN":"***","REGION":"jp"})");
  CHECK(value_of(good("{}"), "workers").value == "one per core");
}

TEST_CASE("a value that cannot be is refused with its place and what is allowed") {
  CHECK_THAT(wrong("[]"), Catch::Contains("expected settings: an object, found an empty list"));
  CHECK_THAT(wrong("{\n\"workers\": 4,\n}"), Catch::StartsWith("2  a comma"));
  CHECK_THAT(wrong(R"({"workers": 1, "workers": 2})"), Catch::Contains("duplicate key"));
  CHECK(wrong("{\n \"workers\": 0}") == "2 /workers 0 is out of range: 1 to 1024 are allowed");
  CHECK_THAT(wrong(R"({"workers": "4"})"), Catch::Contains("write it without quotes, 4"));
  CHECK_THAT(wrong(R"({"worker_idle": 60})"), Catch::Contains("write \"60s\""));
  CHECK_THAT(wrong(R"({"worker_idle": "0s"})"), Catch::Contains("too short"));
  CHECK_THAT(wrong(R"({"control_groups": "mine"})"), Catch::Contains("path of a folder"));
  CHECK_THAT(wrong(R"({"control_groups": true})"), Catch::Contains("found true"));
  CHECK_THAT(wrong(R"({"pools": {"warehouse": 0}})"), Catch::Contains("0 is out of range"));
  CHECK_THAT(wrong(R"({"pools": {"ware house": 1}})"), Catch::Contains("is not allowed"));
  CHECK_THAT(wrong(R"({"pools": {"w": {"slots": 1, "rate": {"count": 0, "per": "1s"}}}})"),
             Catch::Contains("/pools/w/rate/count"));
  CHECK_THAT(wrong(R"({"pools": {"w": {"slots": 1, "rate": {"count": 1}}}})"),
             Catch::Contains("the key \"per\" is missing"));
  CHECK_THAT(wrong(R"({"pools": {"warehouse": {}}})"),
             Catch::Contains("the key \"slots\" is missing"));
  CHECK_THAT(wrong(R"({"hosts": {"idle": "soon"}})"), Catch::Contains("/hosts/idle"));
  CHECK_THAT(wrong(R"({"hosts": {"recycle_after": -1}})"), Catch::Contains("out of range"));
  CHECK_THAT(wrong(R"({"hosts": {"memory": 2}})"), Catch::Contains("no unit"));
  CHECK_THAT(wrong(R"({"limits": {"log": "0B"}})"), Catch::Contains("too small"));
  CHECK_THAT(wrong(R"({"limits": {"wal": "big"}})"), Catch::Contains("/limits/wal"));
  CHECK_THAT(wrong(R"({"retention": {"days": 0.5}})"), Catch::Contains("/retention/days"));
  CHECK_THAT(wrong(R"({"timezone": "../etc"})"), Catch::Contains("not a known time zone"));
  CHECK_THAT(wrong(R"({"kill_grace": "-1s"})"), Catch::Contains("/kill_grace"));
  CHECK_THAT(wrong(R"({"connections": {"w": {"operator": "postgres"}}})"),
             Catch::Contains("the key \"with\" is missing"));
  CHECK_THAT(wrong(R"({"format": 2})"), Catch::Contains("1 is allowed"));
}

TEST_CASE("an unknown key of settings is refused with the nearest word, or where it belongs") {
  CHECK_THAT(wrong(R"({"worker": 4})"), Catch::Contains("did you mean \"workers\""));
  CHECK_THAT(wrong(R"({"hosts": {"idel": "1m"}})"), Catch::Contains("did you mean \"idle\""));
  CHECK_THAT(wrong(R"({"pool": 4})"), Catch::Contains("it is \"pools\""));
  CHECK_THAT(wrong(R"({"recycle_after": 4})"), Catch::Contains("belongs in \"hosts\""));
  CHECK_THAT(wrong(R"({"on_failure": []})"), Catch::Contains("belongs in \"job_defaults\""));
  CHECK_THAT(wrong(R"({"retry": {"max_attempts": 2}})"),
             Catch::Contains("\"job_defaults\": {\"defaults\": {\"retry\""));
  CHECK_THAT(wrong(R"({"smtp": {}})"), Catch::Contains("\"connections\""));
  CHECK_THAT(wrong(R"({"job_defaults": {"retry": {}}})"), Catch::Contains("in \"defaults\""));
  CHECK_THAT(wrong(R"({"job_defaults": {"name": "a"}})"), Catch::Contains("each job says it"));
  CHECK_THAT(wrong(R"({"zzzzzz": 1})"), Catch::Contains("known are format, workers"));
}

TEST_CASE("everything that is wrong with settings is said at once") {
  const ParsedSettings parsed = read(
      "{\"worker\": 1,\n \"limits\": {\"log\": 5},\n \"job_defaults\": {\"defaults\": "
      "{\"pool\": \"gpu\"}},\n \"connections\": {\"a b\": {\"operator\": \"x\", \"with\": {}}}}");
  std::vector<std::string> pointers;
  for (const Diagnostic& d : parsed.diagnostics) pointers.push_back(d.pointer);
  CHECK(pointers == std::vector<std::string>{"/worker", "/limits/log",
                                             "/job_defaults/defaults/pool", "/connections/a b"});
}

TEST_CASE("what job_defaults say is judged as in a job, at its place in the settings") {
  CHECK(wrong("{\"job_defaults\": {\n\"defaults\": {\"pool\": \"gpu\"}}}") ==
        "2 /job_defaults/defaults/pool there is no pool \"gpu\"; pools are \"default\"");
  CHECK_THAT(wrong(R"({"job_defaults": {"on_failure": [{"command": ["x", "{{ params.a }}"]}]}})"),
             Catch::Contains("/job_defaults/on_failure/0/command/1"));
  CHECK_THAT(wrong(R"({"job_defaults": {"on_failure": [{"operator": "oracle"}]}})",
                   [] {
                     static const OperatorCatalog catalog = databases();
                     return &catalog;
                   }()),
             Catch::Contains("no operator \"oracle\""));
  CHECK_THAT(wrong(R"({"job_defaults": {"defaults": {"timeout": "soon"}}})"),
             Catch::Contains("/job_defaults/defaults/timeout"));
  CHECK_THAT(wrong(R"({"job_defaults": {"secrets": {"KEY": {"file": "key"}}}})"),
             Catch::Contains("absolute path"));
  CHECK_THAT(wrong(R"({"job_defaults": {"timeout": "1h", "timeout": "2h"}})"),
             Catch::Contains("duplicate key"));
  // What a hook names may come from the same place.
  good(R"({"pools": {"gpu": 2}, "job_defaults": {"defaults": {"pool": "gpu"},
       "secrets": {"HOOK": {"file": "/etc/hook"}},
       "on_exit": [{"command": ["x"], "env": {"H": "{{ secrets.HOOK }}"}}]}})");
}

TEST_CASE("a connection holds where secrets come from, and no secret") {
  const OperatorCatalog operators = databases();
  const ParsedSettings settings = good(R"({"connections": {"ware-house": {"operator": "postgres",
      "with": {"host": "wh-02", "password": {"env": "WH_PASSWORD"},
               "headers": {"Authorization": {"file": "/etc/pawl/token"}}}}}})",
                                       &operators);
  const Connection& connection = settings.settings.connections.at("ware-house");
  CHECK(connection.operator_name == "postgres");
  CHECK(json::parse(connection.with) ==
        json({{"host", "wh-02"},
              {"password", R"({{ secrets["password of connection ware-house"] }})"},
              {"headers",
               {{"Authorization",
                 R"({{ secrets["headers.Authorization of connection ware-house"] }})"}}}}));
  CHECK(connection.secrets.at("password of connection ware-house") ==
        SecretSource{false, "WH_PASSWORD"});
  CHECK(connection.secrets.at("headers.Authorization of connection ware-house") ==
        SecretSource{true, "/etc/pawl/token"});
}

TEST_CASE("a secret in plain text is warned of, and never shown") {
  const OperatorCatalog operators = databases();
  const ParsedSettings settings = good(R"({"connections": {"w": {"operator": "postgres",
      "with": {"host": "wh-02", "port": 5, "password": "s3cret"}}}})",
                                       &operators);
  REQUIRE(settings.diagnostics.size() == 1);
  CHECK(settings.diagnostics[0].pointer == "/connections/w/with/password");
  CHECK(settings.diagnostics[0].severity == Diagnostic::Severity::warning);
  CHECK(json::parse(value_of(settings, "connections.w").value) ==
        json({{"operator", "postgres"},
              {"with", {{"host", "wh-02"}, {"port", 5}, {"password", "***"}}}}));
  // Where the operator is not known, anything may be one.
  const ParsedSettings unknown = good(
      R"({"connections": {"w": {"operator": "mine", "with": {"pin": 12, "k": {"env": "K"}}}}})");
  CHECK(json::parse(value_of(unknown, "connections.w").value)["with"] ==
        json({{"pin", "***"}, {"k", {{"env", "K"}}}}));
  CHECK(good(R"({"connections": {"w": {"operator": "mine", "with": {"env": "K"}}}})")
            .settings.connections.at("w")
            .secrets.contains("with of connection w"));
}

TEST_CASE("a connection that cannot be used is refused when it is read") {
  const OperatorCatalog operators = databases();
  const auto wrong_with = [&](const std::string& with) {
    return wrong(R"({"connections": {"w": {"operator": "postgres", "with": )" + with + "}}}",
                 &operators);
  };
  CHECK_THAT(wrong(R"({"connections": {"w": {"operator": "postgre", "with": {}}}})", &operators),
             Catch::Contains("did you mean \"postgres\""));
  CHECK_THAT(wrong(R"({"connections": {"w": {"operator": "process", "with": {}}}})", &operators),
             Catch::Contains("is not allowed"));
  for (const char* no_name : {"a b", ""}) {
    INFO(no_name);
    CHECK_THAT(wrong(R"({"connections": {"w": {"operator": ")" + std::string(no_name) +
                         R"(", "with": {}}}})",
                     &operators),
               !Catch::Contains("there is no operator"));
  }
  CHECK_THAT(wrong_with(R"({"hots": "wh-02"})"), Catch::Contains("did you mean \"host\""));
  CHECK_THAT(wrong_with(R"({"port": "many"})"), Catch::Contains("/connections/w/with/port"));
  CHECK_THAT(wrong_with(R"({"host": {"env": "HOST"}})"), Catch::Contains("takes no secrets here"));
  CHECK_THAT(wrong_with(R"({"password": {"file": "secret"}})"), Catch::Contains("absolute path"));
  CHECK_THAT(wrong_with(R"({"password": {"env": "A B"}})"), Catch::Contains("not allowed"));
  CHECK_THAT(wrong_with(R"({"host": "{{ params.host }}"})"), Catch::Contains("takes no templates"));
  // What the task says is not asked of it.
  good(R"({"connections": {"w": {"operator": "postgres", "with": {}}}})", &operators);
}

TEST_CASE("the schema of settings has each key with a sentence, and the default") {
  const json schema = json::parse(settings_schema());
  for (const Field& field : settings_shape().fields) {
    CAPTURE(field.key);
    const json& property = schema["properties"][std::string(field.key)];
    CHECK_FALSE(property["description"].get<std::string>().empty());
    if (!field.fallback.empty()) CHECK(property["default"] == json::parse(field.fallback));
  }
  CHECK(schema["additionalProperties"] == false);
  CHECK(schema["$defs"]["hosts"]["properties"]["idle"]["default"] == "5m");
  CHECK(schema["$defs"]["job_defaults"]["properties"].contains("on_failure"));
  CHECK(schema["$defs"]["connection"]["required"] == json({"operator", "with"}));
}

}  // namespace pawl
