#include <catch2/catch.hpp>

#include "scheduler/core/error_group.h"
#include "scheduler/spec/selector.h"
#include "storage/version_task.h"
#include "support.h"

namespace pawl::test {

TEST_CASE("names of runs, tasks, items and attempts are read and printed back") {
  for (const char* text :
       {"7k3f", "20261120-225801-7k3f9q", "@latest", "sales@latest", "7k3f/query", "7k3f/query:17",
        "7k3f/query:key=orders-eu", "7k3f/query#2", "7k3f/query:17#2", "7k3f/hook:on_failure:0",
        "7k3f/hook:on_failure:0#3", "7k3f/query:key=a/b:c", "7k3f/query:key=a#b",
        "7k3f/query:key=k#2"}) {
    auto name = parse_object_name(text);
    INFO(text);
    REQUIRE(name);
    CHECK(to_text(*name) == text);
  }
  const ObjectName item = must(parse_object_name("7k3f/query:17#2"));
  CHECK(item == ObjectName{"7k3f", "query", 17, std::nullopt, 2});
  const ObjectName hook = must(parse_object_name("7k3f/hook:on_exit:1"));
  CHECK(hook == ObjectName{"7k3f", "hook:on_exit:1", std::nullopt, std::nullopt, std::nullopt});
}

TEST_CASE("what is no name says what a name looks like") {
  for (const char* text :
       {"", "/query", "7k3f/", "7k3f/query:", "7k3f/query:x", "7k3f/query:-1", "7k3f/query:+1",
        "7k3f/query#", "7k3f/query#0", "7k3f/query#x", "7k3f#2", "7k3f:2",
        "7k3f/query:key=", "7k3f/query:99999999999999999999", "7k3f/query#99999999999"}) {
    auto name = parse_object_name(text);
    INFO(text);
    REQUIRE_FALSE(name);
    CHECK(name.error().kind == ErrorKind::invalid);
    CHECK(name.error().message.find("RUN/TASK:17") != std::string::npos);
  }
}

TEST_CASE("words of selectors are checked and the nearest is named") {
  CHECK(must(parse_states("failed,held", {"failed", "held"})) ==
        std::vector<std::string>{"failed", "held"});
  CHECK(parse_states("faild", {"failed", "held"}).error().message.find("did you mean 'failed'") !=
        std::string::npos);
  CHECK(must(parse_reasons("exit,template")) ==
        std::vector<Reason>{Reason::exit, Reason::template_});
  CHECK(parse_reasons("timout").error().message.find("timeout") != std::string::npos);
  CHECK_FALSE(parse_reasons(""));
  CHECK(must(parse_label("team=data=x")) == std::pair<std::string, std::string>{"team", "data=x"});
  CHECK_FALSE(parse_label("team"));
  CHECK_FALSE(parse_label("=data"));
}

TEST_CASE("errors that differ in numbers, ids, paths and times only are one error") {
  struct Case {
    const char* message;
    const char* normal;
  };
  for (const Case& c : {
           Case{"cannot reach warehouse 3", "cannot reach warehouse <n>"},
           Case{"no end within 5m", "no end within <n>m"},
           Case{"timeout after 1.5 s at 10.0.0.7:5432", "timeout after <n> s at <n>:<n>"},
           Case{"run 550e8400-e29b-41d4-a716-446655440000 is gone", "run <id> is gone"},
           Case{"object 0x7ffee4 leaked, commit 9fadc20ab1", "object <id> leaked, commit <id>"},
           Case{"cannot open /var/lib/x-1.db: no such file", "cannot open <path>: no such file"},
           Case{"in \"/tmp/a b\"", "in \"<path> b\""},
           Case{"cannot read data/eu-1.csv.", "cannot read <path>."},
           Case{"./a/b and ~/c, ../d; and/or n/a ./", "<path> and <path>, <path>; and/or n/a ./"},
           Case{"text/html of http://host/a/b.csv, api/v2",
                "text/html of http://host<path>, api/v2"},
           Case{"2026-11-20T22:58:01.123Z late", "<time> late"},
           Case{"at 2026-11-20 22:58:01+01:00 and 12:30", "at <time> and <time>"},
           Case{"utf8 codec, table v2_orders, wh-02", "utf8 codec, table v2_orders, wh-<n>"},
           Case{"decade deadbeef", "decade deadbeef"},
           Case{"Status503: GET https://api.test:8443/users/alice?all=1",
                "Status503: GET https://api.test:<n><path>"},
           Case{"(see http://host/a/b), or \"ftp://x?y\".",
                "(see http://host<path>), or \"ftp://x<path>\"."},
           Case{"http://10.0.0.7:80/: refused; http://host, http:// ://",
                "http://<n>:<n>/: refused; http://host, http:// ://"},
           Case{"first line 1\nsecond line 2", "first line <n>"},
           Case{"", ""},
           Case{"5", "<n>"},
           Case{"/", "/"},
           Case{"é 5 – ü", "é <n> – ü"},
       }) {
    CHECK(normalize_error(c.message) == c.normal);
  }
  CHECK(normalize_error(std::string(100'000, 'x')).size() == 300);
  const std::string cut = normalize_error(std::string(299, 'x') + "éé");
  CHECK(cut.size() == 299);
  CHECK(normalize_error(normalize_error("cannot reach warehouse 3 at 12:30")) ==
        "cannot reach warehouse <n> at <time>");
}

TEST_CASE("a version knows its tasks' names, attempts and whose items they have") {
  const VersionSummary summary = summarize_version(R"({"name":"j","labels":{"team":"data"},
    "defaults":{"retry":{"max_attempts":4},"allow_failure":true},
    "tasks":[{"id":"list","command":["x"]},
             {"id":"query","command":["x"],"map":{"items":[1]},"retry":{"max_attempts":2},
              "allow_failure":false},
             {"id":"load","command":["x"],"depends_on":["list",{"task":"query","each":true}]},
             {"id":"check","command":["x"],"depends_on":[{"task":"load","each":true}]}],
    "on_exit":[{"operator":"http"}],"on_failure":[{"operator":"http"},{"operator":"http","retry":{"max_attempts":3}}]})");
  CHECK(summary.labels == R"({"team":"data"})");
  REQUIRE(summary.tasks.size() == 7);
  CHECK(summary.tasks[0].max_attempts == 4);
  CHECK(summary.tasks[0].allow_failure);
  CHECK_FALSE(summary.tasks[1].allow_failure);
  CHECK_FALSE(summary.tasks[4].allow_failure);
  CHECK_FALSE(summary.tasks[0].mapped);
  CHECK(summary.tasks[1].max_attempts == 2);
  CHECK(summary.tasks[1].mapped);
  CHECK_FALSE(summary.tasks[1].source_task);
  CHECK(summary.tasks[2].source_task == TaskIndex{1});
  CHECK(summary.tasks[3].source_task == TaskIndex{1});
  CHECK(summary.tasks[4].id == "hook:on_failure:0");
  CHECK(summary.tasks[5].max_attempts == 3);
  CHECK(summary.tasks[6].id == "hook:on_exit:0");
  CHECK(summarize_version("no json").tasks.empty());
  CHECK(summarize_version("[]").labels == "{}");
  CHECK(summarize_version(R"({"tasks":[1,{"id":2,"depends_on":[{"task":"x","each":true}]}]})")
            .tasks.size() == 2);
}

}  // namespace pawl::test
