#include "tests/unit/cel_support.h"

namespace pawl {
namespace {

using test::check;

TEST_CASE("has tells whether a field is there, null or not") {
  const Json names = {{"m", {{"a", nullptr}, {"b", {{"c", 1}}}}}, {"n", nullptr}};
  check(
      {
          {"has(m.a)", "true"},
          {"has(m.b.c)", "true"},
          {"has(m.b.d)", "false"},
          {"has(m.x)", "false"},
          {"has({'a': 1}.a) && !has({}.a)", "true"},
          {"has(m.x.y)", "! no such key 'x' in m"},
          {"has(n.x)", "! n is null, so it has no field 'x'"},
          {"has(m.b.c.d)", "! m.b.c is int, so it has no field 'd'"},
          {"has(m)", "! has() asks for a field: has(a.b)"},
          {"has(m['a'])", "! has() asks for a field"},
          {"has(1)", "! has() asks for a field"},
          {"has(m.`a`)", "true"},
      },
      names);
}

TEST_CASE("default answers for what is missing or null, and for nothing else") {
  const Json names = {{"m", {{"a", nullptr}, {"b", 1}}}, {"list", {1}}, {"n", nullptr}};
  check(
      {
          {"default(m.b, 7)", "1"},
          {"default(m.a, 7)", "7"},
          {"default(m.x, 7)", "7"},
          {"default(m.x.y.z, 7)", "7"},
          {"default(m.a.y, 7)", "7"},
          {"default(n.x, 7)", "7"},
          {"default(n['x'], 7)", "7"},
          {"default(m['x'], 7)", "7"},
          {"default(list[5], 7)", "7"},
          {"default(nowhere.x, 7)", "7"},
          {"default(m.x, default(m.y, 9))", "9"},
          {"default(m.x, m.y)", "! no such key 'y'"},
          {"default(m.x + 1, 7)", "7"},
          {"default(false, true)", "false"},
          {"default('', 'x')", R"("")"},
          {"default(1 / 0, 7)", "! division by zero"},
          {"default(m.b.c, 7)", "! m.b is int, so it has no field 'c'"},
          {"default(int('x'), 7)", "! cannot convert string 'x' to int"},
          {"default(1)", "! write default(VALUE, OTHER)"},
          {"default(1, 2, 3)", "! write default(VALUE, OTHER)"},
      },
      names);
}

TEST_CASE("nothing stands in for an output that is left out, and the error says why it is") {
  const std::string why = "! the results have too many bytes";
  const Json names = {
      {"tasks", {{"big", {{"state", "succeeded"}}}, {"other", {{"state", "failed"}}}}},
      {"item", {{"state", "succeeded"}}},
      {kOutputsLeftOut, {{"big", "the results have too many bytes"}}}};
  check({{"tasks.big.output", why},
         {"tasks['big'].output", why},
         {"tasks.big['output'].x", why},
         {"default(tasks.big.output, [])", why},
         {"has(tasks.big.output)", why},
         {"'output' in tasks.big", why},
         {"has(tasks.big.output_file)", "false"},
         {"tasks.big.state", "\"succeeded\""},
         {"default(tasks.other.output, 7)", "7"},
         {"default(item.output, 7)", "7"},
         {"nothing", "! no such name 'nothing'; known: item, tasks"}},
        names);
}

TEST_CASE("all and exists pass over errors once an element decides") {
  check({
      {"[1, 2, 3].all(x, x > 0)", "true"},
      {"[1, 2, 3].all(x, x == 2)", "false"},
      {"[].all(x, x > 0)", "true"},
      {"[1, 2, 3].all(x, 6 / (2 - x) == 6)", "false"},
      {"[1, 2, 3].all(x, x / 0 != 17)", "! division by zero"},
      {"[1, 'foo', 3].all(x, x == 1)", "false"},
      {"[1, 'foo', 3].all(x, x % 2 == 1)", "! no operator '%' for string and int"},
      {"[1, 2, 3].exists(x, x == 2)", "true"},
      {"[1, 2, 3].exists(x, x > 3)", "false"},
      {"[].exists(x, x == 2)", "false"},
      {"[0, 2].exists(x, 4 / x == 2)", "true"},
      {"[1, 2].exists(x, x / 0 == 17)", "! division by zero"},
      {"[1, 'foo', 3].exists(x, x == '10')", "false"},
      {"{'key1': 1, 'key2': 2}.exists(k, k == 'key2')", "true"},
      {"{'key1': 1, 'key2': 2}.all(k, k == 'key2')", "false"},
      {"[1].all(x, x)", "! the condition of a macro needs bool, and this is int"},
      {"[1].exists(x, 'x')", "! the condition of a macro needs bool, and this is string"},
  });
}

TEST_CASE("exists_one wants exactly one and passes over no error") {
  check({
      {"[].exists_one(a, a == 7)", "false"},
      {"[7].exists_one(a, a == 7)", "true"},
      {"[6, 7, 8].exists_one(x, x % 5 == 2)", "true"},
      {"[0, 1, 2, 3, 4].exists_one(n, n % 2 == 1)", "false"},
      {"['foal', 'foo', 'four'].exists_one(n, n.startsWith('fo'))", "false"},
      {"[3, 2, 1, 0].exists_one(n, 12 / n > 1)", "! division by zero"},
      {"{6: 'six', 7: 'seven'}.exists_one(k, k % 5 == 2)", "true"},
      {"[7].existsOne(a, a == 7)", "true"},
  });
}

TEST_CASE("map and filter make lists") {
  check({
      {"[].map(n, n / 2)", "[]"},
      {"[2, 4, 6].map(n, n / 2)", "[1,2,3]"},
      {"[1, 2, 3, 4].map(n, n % 2 == 0, n * 2)", "[4,8]"},
      {"[2, 1, 0].map(n, 4 / n)", "! division by zero"},
      {"{'John': 'smart'}.map(k, k)", R"(["John"])"},
      {"{'a': 1, 'b': 2}.map(k, {k: true})", R"([{"a":true},{"b":true}])"},
      {"[].filter(n, n % 2 == 0)", "[]"},
      {"[0, 1, 2, 3, 4].filter(x, x % 2 == 1)", "[1,3]"},
      {"[3, 2, 1, 0].filter(n, 12 / n > 4)", "! division by zero"},
      {"{'a': 1, 'b': 2}.filter(k, k == 'b')", R"(["b"])"},
      {"[1].filter(x, x)", "! the condition of a macro needs bool"},
      {"[1].map(x, x, x)", "! the condition of a macro needs bool"},
      {"[1, 2].map(x, [10, 20].map(y, x * y))", "[[10,20],[20,40]]"},
      {"[[1, 2], [3]].map(l, l.filter(x, x > 1))", "[[2],[3]]"},
      {"[1, 2].exists(x, [[], [1]].map(y, y[0]).size() == x) || true", "true"},
  });
}

TEST_CASE("macros with two variables give the place or key and the value") {
  check({
      {"[1, 2, 3].exists(i, v, i == 1 && v == 2)", "true"},
      {"[1, 2, 3].all(i, v, v == i + 1)", "true"},
      {"[5, 7, 8].exists_one(i, v, v % 5 == i)", "true"},
      {"{'a': 1}.exists(k, v, k == 'a' && v == 1)", "true"},
      {"{6: 'six', 7: 'seven'}.existsOne(k, v, k % 5 == 2 && v == 'seven')", "true"},
      {"[2, 4, 6].transformList(i, v, v / 2 + i)", "[1,3,5]"},
      {"[2, 4, 6].transformList(i, v, i != 1, v)", "[2,6]"},
      {"{'foo': 'bar'}.transformMap(k, v, k + v)", R"({"foo":"foobar"})"},
      {"{'a': 1, 'b': 2}.transformMap(k, v, v > 1, v * 10)", R"({"b":20})"},
      {"['x', 'y'].transformMap(i, v, v)", R"({"0":"x","1":"y"})"},
      {"{'a': 0}.transformMap(k, v, 4 / v)", "! division by zero"},
  });
}

TEST_CASE("variables of macros hide outer names, and a leading dot reaches those") {
  const Json names = {{"x", 100}, {"y", {{"z", 42}}}};
  check(
      {
          {"[1].map(x, x)", "[1]"},
          {"[1].map(x, .x)", "[100]"},
          {"[1].map(x, x) + [x]", "[1,100]"},
          {"[1].map(x, [2].map(x, x)[0] + x)", "[3]"},
          {"[{'z': 0}].exists(y, y.z == 0)", "true"},
          {"[1].map(int, int + 1)", "[2]"},
          {"[x].map(x, x + 1)", "[101]"},
      },
      names);
}

TEST_CASE("macros walk lists and maps of the context") {
  const Json names = {{"rows", {{{"id", 1}, {"ok", true}}, {{"id", 2}, {"ok", false}}}},
                      {"map", {{"b", 2}, {"a", 1}}}};
  check(
      {
          {"rows.filter(r, r.ok).map(r, r.id)", "[1]"},
          {"rows.all(r, has(r.id))", "true"},
          {"rows.map(r, r.id)[1]", "2"},
          {"map.map(k, map[k])", "[1,2]"},
          {"map.transformMap(k, v, v + 1)", R"({"a":2,"b":3})"},
          {"rows.exists(r, r.missing == 1)", "! no such key 'missing' in r"},
      },
      names);
}

TEST_CASE("a macro that is written wrong says how it is written") {
  check({
      {"[1].all(x)", "! write LIST.all(x, CONDITION)"},
      {"[1].all(1, true)", "! write LIST.all(x, CONDITION)"},
      {"[1].all(x.y, true)", "! write LIST.all(x, CONDITION)"},
      {"[1].all(true, true)", "! write LIST.all(x, CONDITION)"},
      {"[1].filter(x, true, 1)", "! write LIST.filter(x, CONDITION)"},
      {"[1].map(x, 1, 2, 3)", "! write LIST.map(x, VALUE)"},
      {"[1].transformList(x, 1)", "! write LIST.transformList(i, x, VALUE)"},
      {"[1].map()", "! write LIST.map"},
      {"map([1], x, 1)", "! 'map' is called otherwise: LIST.map"},
      {"5.all(x, true)", "! a macro walks a list or a map"},
      {"(5).all(x, true)", "! a macro walks a list or a map, and this is int"},
      {"'abc'.map(x, x)", "! and this is string"},
      {"null.map(x, x)", "! and this is null"},
  });
}

}  // namespace
}  // namespace pawl
