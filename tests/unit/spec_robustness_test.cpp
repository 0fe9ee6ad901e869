// Any bytes give a job or errors: never a crash, never neither, never long.

#include <chrono>
#include <random>

#include "scheduler/spec/graph.h"
#include "scheduler/spec/plan.h"
#include "tests/cpu_time.h"
#include "tests/patience.h"
#include "tests/unit/spec_support.h"

using namespace pawl;
using namespace pawl::test;
using namespace std::chrono_literals;

extern const char* const kExample;

namespace {

/// The promise of `parse_job` for one text.
void check_total(const std::string& text) {
  const ParseResult result = parse(text);
  const auto errors = of_severity(result, Diagnostic::Severity::error);
  if (result.ok != errors.empty()) {
    CAPTURE(text);
    CHECK(result.ok == errors.empty());
  }
  for (const Diagnostic& d : result.diagnostics) {
    const auto lines = 1 + std::count(text.begin(), text.end(), '\n');
    if (d.line < 1 || d.line > lines || d.column < 1 || d.message.empty()) {
      CAPTURE(text, d.line, d.column, d.message);
      CHECK(false);
    }
  }
  (void)is_foreign_json(text);
  if (!result.ok) return;
  // What is accepted can be shown, stored and read again.
  const std::string canonical = canonical_job_text(text);
  if (!parse(canonical).ok || canonical_job_text(canonical) != canonical) {
    CAPTURE(text, canonical);
    CHECK(false);
  }
  (void)render_graph(result.job, GraphFormat::text);
  const auto params = resolve_params(result.job, "{}");
  if (params) (void)plan_text(plan_json(result.job, *params, result.diagnostics));
}

Duration time_of(const std::string& text, bool& ok) {
  const Duration begin = cpu_time();
  ok = parse(text).ok;
  return cpu_time() - begin;
}

std::string chain(int tasks, const char* extra = "") {
  std::string out;
  for (int i = 0; i < tasks; ++i) {
    out +=
        (i ? ",{\"id\":\"t" : "{\"id\":\"t") + std::to_string(i) + "\",\"command\":[\"x\"]" + extra;
    if (i > 0) out += ",\"depends_on\":[\"t" + std::to_string(i - 1) + "\"]";
    out += "}";
  }
  return tasks_of(out);
}

}  // namespace

TEST_CASE("the example cut at every byte gives errors") {
  const std::string example = kExample;
  for (std::size_t size = 0; size < example.size(); ++size) {
    const std::string text = example.substr(0, size);
    check_total(text);
    if (parse(text).ok) {
      CAPTURE(size);
      CHECK(false);
    }
  }
}

TEST_CASE("the example with any byte changed gives errors or a job") {
  const std::string example = kExample;
  for (std::size_t i = 0; i < example.size(); ++i) {
    for (const char byte : {'\0', '"', '\\', '{', '}', ',', '0', 'e', ' ', '\n', '\x80', '\xff'}) {
      std::string text = example;
      text[i] = byte;
      check_total(text);
    }
  }
}

TEST_CASE("the example with a byte left out or doubled gives errors or a job") {
  const std::string example = kExample;
  for (std::size_t i = 0; i < example.size(); ++i) {
    check_total(example.substr(0, i) + example.substr(i + 1));
    check_total(example.substr(0, i) + example[i] + example.substr(i));
  }
}

TEST_CASE("the example with values replaced by others gives errors or a job") {
  const Json example = Json::parse(kExample);
  const Json flat = example.flatten();
  for (const auto& [pointer, value] : flat.items()) {
    for (const Json& other :
         {Json(), Json(true), Json(0), Json(-1), Json(1e300), Json(""), Json("x"),
          Json("{{ item }}"), Json("{{"), Json(Json::array()), Json(Json::object()),
          Json(Json::array({Json::array()})), Json("\u0000"), Json(INT64_MIN), Json(UINT64_MAX)}) {
      Json changed = example;
      changed[Json::json_pointer(pointer)] = other;
      check_total(changed.dump());
    }
    // Containers too: the parent of each leaf.
    Json without = example;
    const Json::json_pointer parent = Json::json_pointer(pointer).parent_pointer();
    without[parent] = nullptr;
    check_total(without.dump());
  }
}

TEST_CASE("random edits of the example give errors or a job") {
  std::mt19937 random(20261120);  // NOLINT: the same texts each time
  const std::string example = kExample;
  for (int round = 0; round < 3'000; ++round) {
    std::string text = example;
    const int edits = 1 + static_cast<int>(random() % 5);
    for (int e = 0; e < edits; ++e) {
      const std::size_t at = random() % text.size();
      const std::size_t from = random() % text.size();
      const std::size_t length = 1 + random() % 20;
      if (random() % 2 == 0) {
        text.insert(at, text.substr(from, length));
      } else {
        text.erase(at, length);
      }
      if (text.empty()) text = "x";
    }
    check_total(text);
  }
}

TEST_CASE("a hundred thousand tasks in a chain are one job like any other") {
  bool ok = false;
  const Duration time = time_of(chain(100'000), ok);
  CHECK(ok);
  CHECK(time < patient(5s));  // about half a second
}

TEST_CASE("a hundred thousand tasks in a cycle are named, not followed without end") {
  std::string text = chain(100'000);
  text.replace(text.find("\"command\":[\"x\"]"), 15,
               "\"command\":[\"x\"],\"depends_on\":[\"t99999\"]");
  const auto errors = errors_of(text);
  REQUIRE(errors.size() == 1);
  CHECK_THAT(errors[0].message, Catch::Contains("(100000 tasks)"));
}

TEST_CASE("references to far ancestors are answered without quadratic work") {
  std::string tasks;
  for (int i = 0; i < 50'000; ++i) {
    tasks += (i ? ",{\"id\":\"t" : "{\"id\":\"t") + std::to_string(i) + "\",\"command\":[\"x\"";
    if (i > 1) tasks += ",\"{{ tasks.t" + std::to_string(i / 2) + ".state }}\"";
    tasks += "]";
    if (i > 0) tasks += ",\"depends_on\":[\"t" + std::to_string(i - 1) + "\"]";
    tasks += "}";
  }
  bool ok = false;
  const Duration time = time_of(tasks_of(tasks), ok);
  CHECK(ok);
  CHECK(time < patient(10s));
}

TEST_CASE("a wide fan with a join is read in linear time") {
  std::string tasks = "{\"id\":\"root\",\"command\":[\"x\"]}";
  std::string all;
  for (int i = 0; i < 60'000; ++i) {
    const std::string id = "\"t" + std::to_string(i) + "\"";
    tasks += ",{\"id\":" + id + ",\"command\":[\"x\"],\"depends_on\":[\"root\"]}";
    all += (i ? "," : "") + id;
  }
  tasks += ",{\"id\":\"join\",\"command\":[\"x\"],\"depends_on\":[" + all + "]}";
  bool ok = false;
  const Duration time = time_of(tasks_of(tasks), ok);
  CHECK(ok);
  CHECK(time < patient(5s));
}

TEST_CASE("very many entries of one kind are read without quadratic work") {
  constexpr int kMany = 60'000;
  const auto many = [](const std::string& form) {
    std::string out;
    for (int i = 0; i < kMany; ++i) {
      std::string entry = (i ? "," : "") + form;
      for (std::size_t at; (at = entry.find('#')) != std::string::npos;)
        entry.replace(at, 1, std::to_string(i));
      out += entry;
    }
    return out;
  };
  const std::string each =
      R"({"id":"t","command":["x"],"map":{"items":[1]}},{"id":"p","command":["x"],)"
      R"("depends_on":[{"task":"t","each":true}],"env":{)" +
      many(R"("V#":"{{ tasks.t.state }}")") + "}}";
  std::string chain_of_pairs = R"({"id":"t0","command":["x"],"map":{"items":[1]}})";
  for (int i = 1; i < kMany; ++i) {
    chain_of_pairs += ",{\"id\":\"t" + std::to_string(i) + "\",\"command\":[\"{{ tasks.t" +
                      std::to_string(i / 2) + ".state }}\"],\"depends_on\":[{\"task\":\"t" +
                      std::to_string(i - 1) + "\",\"each\":true}]}";
  }
  struct Case {
    const char* what;
    std::string text;
    bool is_good;
  };
  const Case cases[] = {
      {"labels", job_with("\"labels\": {" + many(R"("l#":"x")") + "}"), true},
      {"pools", job_with("\"pools\": {" + many(R"("p#":1)") + "}"), true},
      {"pools of a task",
       task_with("\"pool\": {" + many(R"("p#":1)") + "}", "\"pools\": {" + many(R"("p#":1)") + "}"),
       true},
      {"unknown pools", task_with("\"pool\": {" + many(R"("q#":1)") + "}"), false},
      {"params", job_with("\"params\": {" + many(R"("p#":{"default":1})") + "}"), true},
      {"unknown params",
       task_with("\"env\": {" + many(R"("V#":"{{ params.q# }}")") + "}",
                 "\"params\": {" + many(R"("p#":{"default":1})") + "}"),
       false},
      {"secrets",
       task_with("\"env\": {" + many(R"("V#":"{{ secrets.S# }}")") + "}",
                 "\"secrets\": {" + many(R"("S#":{"env":"A"})") + "}"),
       true},
      {"unknown secrets",
       task_with("\"env\": {" + many(R"("V#":"{{ secrets.Q# }}")") + "}",
                 "\"secrets\": {" + many(R"("S#":{"env":"A"})") + "}"),
       false},
      {"unknown variables", task_with("\"env\": {" + many(R"("V#":"{{ env.W# }}")") + "}"), false},
      {"a pair named often", tasks_of(each), true},
      {"a chain of pairs", tasks_of(chain_of_pairs), true},
      {"different elements",
       job_with(R"("params": {"p": {"type": "array", "uniqueItems": true, "default": [)" +
                many("#") + "]}}"),
       true},
  };
  for (const Case& c : cases) {
    CAPTURE(c.what);
    bool ok = false;
    const Duration time = time_of(c.text, ok);
    CHECK(ok == c.is_good);
    CHECK(time < patient(5s));  // at most a second; minutes where each looks at all
  }
}

TEST_CASE("a small file takes well under a millisecond, many in a row") {
  bool ok = false;
  const Duration begin = cpu_time();
  for (int i = 0; i < 100; ++i) ok = parse(job_with("")).ok;
  CHECK(ok);
  CHECK(cpu_time() - begin < patient(100ms));  // about 5 ms
}
