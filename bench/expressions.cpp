// What expressions and templates cost, one row each: compiled once, evaluated over the same names
// as a task's. The aims: a template of plain paths 1 µs, a common expression 3 µs.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include "bench/row_printer.h"
#include "scheduler/spec/expression.h"

namespace pawl {
namespace {

const JsonContext& names() {
  static const JsonContext kNames = [] {
    Json rows = Json::array();
    for (int i = 0; i < 100; ++i) {
      rows.push_back({{"id", i}, {"region", i % 2 == 0 ? "eu" : "us"}, {"bytes", 1000 * i}});
    }
    Json object = {{"params", {{"region", "eu"}, {"mode", "delta"}, {"limit", 25}}},
                   {"run",
                    {{"id", "20261120-225801-7k3f9q"},
                     {"date", "2026-11-20"},
                     {"logical_time", "2026-11-20T22:58:01.000Z"}}},
                   {"task", {{"id", "query"}, {"attempt", 2}, {"index", 17}}},
                   {"item", {{"id", 4711}, {"region", "us"}}},
                   {"tasks", {{"list", {{"state", "succeeded"}, {"output", {{"rows", rows}}}}}}}};
    return JsonContext(std::move(object));
  }();
  return kNames;
}

void evaluate(benchmark::State& state, std::string_view text) {
  auto compiled = Expression::compile(text);
  const auto* expression = std::get_if<Expression>(&compiled);
  if (expression == nullptr) return state.SkipWithError("does not compile");
  if (expression->evaluate(names()).index() != 0) return state.SkipWithError("does not evaluate");
  for (auto _ : state) benchmark::DoNotOptimize(expression->evaluate(names()));
}

void render_text(benchmark::State& state, std::string_view text) {
  auto compiled = Template::compile(text);
  const auto* made = std::get_if<Template>(&compiled);
  if (made == nullptr) return state.SkipWithError("does not compile");
  if (made->render_text(names(), false).index() != 0) return state.SkipWithError("does not render");
  for (auto _ : state) benchmark::DoNotOptimize(made->render_text(names(), false));
}

void compile_only(benchmark::State& state, std::string_view text) {
  for (auto _ : state) benchmark::DoNotOptimize(Expression::compile(text));
}

void render_object(benchmark::State& state) {
  const Json with = {{"method", "POST"},
                     {"url", "http://127.0.0.1:8080/query/{{ item.id }}"},
                     {"headers", {{"x-run", "{{ run.id }}"}}},
                     {"body", {{"region", "{{ item.region }}"}, {"limit", "{{ params.limit }}"}}}};
  auto compiled = JsonTemplate::compile(with);
  const auto& made = std::get<JsonTemplate>(compiled);
  for (auto _ : state) benchmark::DoNotOptimize(made.render(names()));
}

void render_object_uncompiled(benchmark::State& state) {
  const Json with = {{"url", "http://127.0.0.1:8080/query/{{ item.id }}"},
                     {"body", {{"region", "{{ item.region }}"}}}};
  for (auto _ : state) benchmark::DoNotOptimize(render_json(with, names()));
}

constexpr const char* kTemplateAim = "(1 µs)";
constexpr const char* kExpressionAim = "(3 µs)";

struct Row {
  const char* name;
  void (*run)(benchmark::State&, std::string_view);
  std::string_view text;
  const char* aim = "";
};

constexpr Row kRows[] = {
    {"template: no expression", render_text, "http://127.0.0.1:8080/query", kTemplateAim},
    {"template: one path in text", render_text, "http://127.0.0.1:8080/query/{{ item.id }}",
     kTemplateAim},
    {"template: three paths in text", render_text,
     "--run={{ run.id }} --region={{ params.region }} --item={{ item.id }}", kTemplateAim},
    {"template: deep path alone", render_text, "{{ tasks.list.output.rows[3].id }}", kTemplateAim},
    {"expression: path", evaluate, "tasks.list.output.rows[3].id", kExpressionAim},
    {"expression: when", evaluate, "params.mode == 'full' || task.index % 2 == 1", kExpressionAim},
    {"expression: in, ternary, join", evaluate,
     "item.region in ['eu', 'us'] ? params.region + '-' + string(item.id) : 'none'",
     kExpressionAim},
    {"expression: default and has", evaluate,
     "has(params.limit) ? default(params.offset, 0) + params.limit : 0", kExpressionAim},
    {"expression: matches", evaluate, "run.id.matches('^[0-9]{8}-[0-9]{6}-')", kExpressionAim},
    {"expression: format a date", evaluate, "format(run.logical_time, '%Y-%m-%d', 'Asia/Tokyo')",
     kExpressionAim},
    {"expression: date arithmetic", evaluate,
     "timestamp(run.logical_time) - duration('24h') < timestamp('2026-11-20T00:00:00Z')",
     kExpressionAim},
    {"expression: filter 100 rows", evaluate,
     "tasks.list.output.rows.filter(r, r.region == 'eu' && r.bytes > 50000).size()"},
    {"expression: an error absorbed", evaluate, "params.nothing == 1 || params.limit > 20",
     kExpressionAim},
    {"compile: path", compile_only, "tasks.list.output.rows[3].id"},
    {"compile: when", compile_only, "params.mode == 'full' || task.index % 2 == 1"},
};

}  // namespace
}  // namespace pawl

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  for (const auto& row : pawl::kRows) {
    benchmark::RegisterBenchmark(row.name, [&row](benchmark::State& state) {
      row.run(state, row.text);
      state.SetLabel(row.aim);
    });
  }
  benchmark::RegisterBenchmark("object: four templates, compiled", pawl::render_object);
  benchmark::RegisterBenchmark("object: two templates, not compiled",
                               pawl::render_object_uncompiled);
  pawl::RowPrinter printer;
  benchmark::RunSpecifiedBenchmarks(&printer);
  return 0;
}
