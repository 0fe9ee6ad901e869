#include <string>

#include "tests/unit/cel_support.h"

namespace pawl {
namespace {

/// The references of an expression, as `0:tasks/list/output 9:params`.
std::string references(std::string_view text) {
  auto compiled = Expression::compile(text);
  if (const auto* error = std::get_if<ExpressionError>(&compiled)) return "! " + error->message;
  std::string out;
  for (const Reference& reference : std::get<Expression>(compiled).references()) {
    if (!out.empty()) out += ' ';
    out += std::to_string(reference.offset) + ":";
    for (std::size_t i = 0; i < reference.path.size(); ++i) {
      out += (i == 0 ? "" : "/") + reference.path[i];
    }
  }
  return out;
}

TEST_CASE("references are the paths that an expression names, so far as they are fixed") {
  CHECK(references("params.region") == "0:params/region");
  CHECK(references("tasks['load-eu'].output") == "0:tasks/load-eu/output");
  CHECK(references("tasks.`load-eu`.output") == "0:tasks/load-eu/output");
  CHECK(references("params[x]") == "0:params 7:x");
  CHECK(references("params[x].y") == "0:params 7:x");
  CHECK(references("tasks.a.output[0].id") == "0:tasks/a/output");
  CHECK(references("(tasks.a).output") == "1:tasks/a/output");
  CHECK(references(".params.x") == "1:params/x");
  CHECK(references("a.b + a.b") == "0:a/b 6:a/b");
  CHECK(references("a ? b.c : d") == "0:a 4:b/c 10:d");
  CHECK(references("1 + 2").empty());
}

TEST_CASE("what has, default and functions ask for is a reference too") {
  CHECK(references("has(tasks.x.output)") == "4:tasks/x/output");
  CHECK(references("default(params.a.b, params.c)") == "8:params/a/b 20:params/c");
  CHECK(references("tasks.a.output.size()") == "0:tasks/a/output");
  CHECK(references("size(tasks.a.output) > params.n") == "5:tasks/a/output 23:params/n");
  CHECK(references("{'k': a, b.c: 1}") == "6:a 9:b/c");
}

TEST_CASE("variables of macros are no references, outside of their macro they are") {
  CHECK(references("tasks.a.output.map(x, x.id)") == "0:tasks/a/output");
  CHECK(references("[1].map(x, x + y.z)") == "15:y/z");
  CHECK(references("[1].map(x, x) + [x]") == "17:x");
  CHECK(references("[1].map(x, .x)") == "12:x");
  CHECK(references("[1].map(x, [2].map(y, x + y)).exists(y, y == x)") == "45:x");
  CHECK(references("[1].all(i, v, i == v)").empty());
  CHECK(references("x.map(x, x.y)") == "0:x");
}

TEST_CASE("names of types and functions are no references") {
  CHECK(references("type(x) == int || type(x) == google.protobuf.Timestamp") == "5:x 23:x");
  CHECK(references("base64.encode(bytes(a.b))") == "20:a/b");
  CHECK(references("base64.x") == "0:base64/x");
  CHECK(references("google.x") == "0:google/x");
}

}  // namespace
}  // namespace pawl
