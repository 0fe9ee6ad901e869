#include "tests/unit/cel_support.h"

namespace pawl {
namespace {

using test::check;
using test::outcome;

TEST_CASE("operators bind as in the language definition") {
  check({
      {"1 + 2 * 3", "7"},
      {"(1 + 2) * 3", "9"},
      {"10 - 2 - 3", "5"},
      {"100 / 10 / 5", "2"},
      {"7 % 4 * 2", "6"},
      {"2 * -3", "-6"},
      {"1 + 2 == 3 && 4 > 3", "true"},
      {"true || false && false", "true"},
      {"(true || false) && false", "false"},
      {"false ? 1 : true ? 2 : 3", "2"},
      {"true ? false ? 1 : 2 : 3", "2"},
      {"!true || true", "true"},
      {"!!true", "true"},
      {"!!!true", "false"},
      {"--5", "5"},
      {"---5", "-5"},
      {"-(-(5))", "5"},
      {"1 in [1] == true", "true"},
      {"1 < 2 == true", "true"},
      {"-[1, 2].size()", "-2"},
      {"!'abc'.contains('x')", "true"},
      {"--------------------------------19", "19"},
      {"!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!true", "true"},
  });
}

TEST_CASE("int arithmetic is exact and never wraps") {
  check({
      {"42 + (-7)", "35"},
      {"-20 / 2", "-10"},
      {"-7 / 2", "-3"},
      {"43 % (-5)", "3"},
      {"-42 % 5", "-2"},
      {"9223372036854775806 + 1", "9223372036854775807"},
      {"9223372036854775807 + 1", "! overflow: the result of '+' does not fit in int"},
      {"-9223372036854775808 - 1", "! overflow"},
      {"-9223372036854775808 + (-1)", "! overflow"},
      {"1 - (-9223372036854775807)", "! overflow"},
      {"5000000000 * 5000000000", "! overflow: the result of '*'"},
      {"(-9223372036854775808) * -1", "! overflow"},
      {"(-9223372036854775808) / -1", "! overflow"},
      {"(-9223372036854775808) % -1", "! overflow"},
      {"-(-9223372036854775808)", "! overflow: the result of '-'"},
      {"15 / 0", "! 3 division by zero"},
      {"34 % 0", "! modulus by zero"},
  });
}

TEST_CASE("uint arithmetic stays in its range") {
  check({
      {"42u + 2u", "44"},
      {"42u - 12u", "30"},
      {"40u * 2u", "80"},
      {"60u / 2u", "30"},
      {"42u % 5u", "2"},
      {"18446744073709551615u + 1u", "! overflow"},
      {"0u - 1u", "! overflow: the result of '-' does not fit in uint"},
      {"5000000000u * 5000000000u", "! overflow"},
      {"15u / 0u", "! division by zero"},
      {"34u % 0u", "! modulus by zero"},
      {"-(42u)", "! no operator '-' for uint"},
  });
}

TEST_CASE("double arithmetic follows IEEE 754; what JSON lacks comes out as text") {
  check({
      {"4.25 + 15.25", "19.5"},
      {"40.75 * (-2.25)", "-91.6875"},
      {"0.0625 / 0.002", "31.25"},
      {"-(4.5)", "-4.5"},
      {"15.75 / 0.0", R"("Infinity")"},
      {"-15.75 / 0.0", R"("-Infinity")"},
      {"0.0 / 0.0", R"("NaN")"},
      {"2.0 * 8.988466e+307", R"("Infinity")"},
      {"47.5 % 5.5", "! no operator '%' for double and double"},
  });
}

TEST_CASE("numbers of two kinds are not calculated with, and the message says what to do") {
  check({
      {"1 + 1u", "! no operator '+' for int and uint; convert one: int(x)"},
      {"1 + 1.0", "! no operator '+' for int and double"},
      {"2.5 * 2", "! no operator '*' for double and int"},
      {"'a' + 1", "! 4 no operator '+' for string and int; convert: string(x)"},
      {"null + 1", "! write default(VALUE, OTHER)"},
      {"true + true", "! no operator '+' for bool and bool"},
      {"'a' - 'b'", "! no operator '-' for string and string"},
      {"[1] - [1]", "! no operator '-' for list and list"},
      {"!1", "! no operator '!' for int; it takes bool"},
      {"-true", "! no operator '-' for bool"},
      {"-'x'", "! no operator '-' for string"},
  });
}

TEST_CASE("plus joins texts, bytes and lists") {
  check({
      {"'he' + 'llo'", R"("hello")"},
      {"'' + 'abc' + ''", R"("abc")"},
      {"'¢' + 'ÿ' + 'Ȁ'", R"("¢ÿȀ")"},
      {"b'abc' + b'def' == b'abcdef'", "true"},
      {R"(b'' + b'\xff' == b'\xff')", "true"},
      {"[0, 1] + [2] + []", "[0,1,2]"},
      {"[] + []", "[]"},
      {"[1] + ['a']", R"([1,"a"])"},
      {"['ab', 'cd'].map(x, x + '-' + x)", R"(["ab-ab","cd-cd"])"},
  });
}

TEST_CASE("what was joined once may be joined again and again without changing") {
  const Json names = {{"a", "left"}, {"b", "right"}};
  check(
      {
          {"[a + b].map(x, [x + '1', x + '2', x])", R"([["leftright1","leftright2","leftright"]])"},
          {"[a + b].map(x, x.substring(4) + '!' + x)", R"(["right!leftright"])"},
          {"(a + b) + (a + b) == 'leftrightleftright'", "true"},
      },
      names);
}

TEST_CASE("numbers of all kinds lie on one line") {
  check({
      {"1 == 1.0 && 1 == 1u && 1u == 1.0", "true"},
      {"1 != 1.0", "false"},
      {"2u != 2", "false"},
      {"1 == 2u", "false"},
      {"-1 < 0u", "true"},
      {"1 < 9223372036854775808u", "true"},
      {"9223372036854775808u > 1", "true"},
      {"18446744073709551615u > -1.0", "true"},
      {"9223372036854775807 < 9223372036854775808.0", "false"},
      {"9223372036854775807 <= 9223372036854775808.0", "true"},
      {"9223372036854775807 < 9223372036854777857.0", "true"},
      {"-9223372036854775808 > -9223372036854777857.0", "true"},
      {"18446744073709551615u < 18446744073709590000.0", "true"},
      {"18446744073709553665.0 > 18446744073709551615u", "true"},
      {"1.0 < 1.0000001", "true"},
      {"-0.0 < 0.0", "false"},
      {"-0.0 == 0.0", "true"},
  });
}

TEST_CASE("not-a-number is equal to nothing and before or after nothing") {
  check({
      {"0.0/0.0 == 0.0/0.0", "false"},
      {"0.0/0.0 != 0.0/0.0", "true"},
      {"1 == 0.0/0.0", "false"},
      {"1u != 0.0/0.0", "true"},
      {"0.0/0.0 < 1", "false"},
      {"0.0/0.0 >= 1", "false"},
      {"0.0/0.0 <= 1", "false"},
      {"0.0/0.0 > 1", "false"},
      {"0.0/0.0 in [0.0/0.0]", "false"},
  });
}

TEST_CASE("values of different kinds are unequal, not an error") {
  check({
      {"null == null", "true"},
      {"false == null", "false"},
      {"'1' == 1", "false"},
      {"'' == null", "false"},
      {"[] == {}", "false"},
      {"b'a' == 'a'", "false"},
      {"duration('0s') == 0", "false"},
      {"timestamp(0) == null", "false"},
      {"'1' != 1", "true"},
      {R"('Am\u00E9lie' == 'Ame\u0301lie')", "false"},
  });
}

TEST_CASE("lists and maps are equal when their elements are") {
  check({
      {"[1, 2, 3] == [1, 2, 3]", "true"},
      {"[1, 2, 3] == [1, 3, 2]", "false"},
      {"[1.0, 2.0, 3] == [1u, 2, 3u]", "true"},
      {"[1.0, 2.1] == [1u, 2]", "false"},
      {"['one'] == [2, 3]", "false"},
      {"[[]] != [[]]", "false"},
      {"[null] == [null]", "true"},
      {"[1, 'dos', 3] == [1, 2, 4]", "false"},
      {"{} == {}", "true"},
      {"{'k1': 'v1', 'k2': 'v2'} == {'k2': 'v2', 'k1': 'v1'}", "true"},
      {"{1: 1.0, 2u: 3u} == {1u: 1, 2: 3.0}", "true"},
      {"{'k': 'v'} == {'k': 'v1'}", "false"},
      {"{'k': 'v', 'k1': 'v1'} == {'k': 'v'}", "false"},
      {"{'a': null} == {'b': null}", "false"},
      {"{'a': {'b': [1]}} == {'a': {'b': [1.0]}}", "true"},
  });
}

TEST_CASE("values of the context are equal to written ones") {
  const Json names = {{"list", {1, 2.5, "x", nullptr}}, {"map", {{"a", 1}, {"b", {true}}}}};
  check(
      {
          {"list == [1, 2.5, 'x', null]", "true"},
          {"[1u, 2.5, 'x', null] == list", "true"},
          {"list == list", "true"},
          {"map == {'b': [true], 'a': 1.0}", "true"},
          {"{'a': 1} == map", "false"},
          {"map == {1: 1, 'a': 1}", "false"},
      },
      names);
}

TEST_CASE("order is defined within a kind and between numbers") {
  check({
      {"'a' < 'b' && '' < 'a' && 'abc' < 'abcd'", "true"},
      {"'a' < 'AB'", "false"},
      {"'α' > 'omega'", "true"},
      {R"('f' < '\u1EBF')", "true"},
      {"b'a' < b'b'", "true"},
      {"b'á' < b'b'", "false"},
      {"false < true", "true"},
      {"true <= true && true >= true", "true"},
      {"true < true", "false"},
      {"duration('1m') < duration('61s')", "true"},
      {"timestamp(5) >= timestamp(5)", "true"},
      {"[0] < [1]", "! no operator '<' for list and list"},
      {"{} >= {}", "! no operator '>=' for map and map"},
      {"null < null", "! no operator '<' for null and null"},
      {"'foo' < 1024", "! no operator '<' for string and int; convert"},
      {"timestamp(0) > '2020'", "! convert: int(x), timestamp(x)"},
  });
}

TEST_CASE("in looks through lists by equality and through maps by key") {
  check({
      {"7 in []", "false"},
      {"'beta' in ['alpha', 'beta']", "true"},
      {"3.0 in [5, 4, 3]", "true"},
      {"3 in [5u, 4u, 3u]", "true"},
      {"'elem' in [1u, 'str', 2, b'bytes']", "false"},
      {"[1] in [[1], [2]]", "true"},
      {"'key' in {'key': 1}", "true"},
      {"7 in {}", "false"},
      {"3.0 in {1: 1, 3u: 3} && 2u in {2: 2}", "true"},
      {"3.1 in {3: 3}", "false"},
      {"null in {'a': 1}", "false"},
      {"'a' in 'abc'",
       "! no operator 'in' for string and string; the right side is a list or a map"},
  });
}

TEST_CASE("and and or decide by one operand, whatever goes wrong in the other") {
  check({
      {"false && 1/0 > 3", "false"},
      {"1/0 > 3 && false", "false"},
      {"true || 1/0 > 3", "true"},
      {"1/0 > 3 || true", "true"},
      {"'horses' && false", "false"},
      {"false && 32", "false"},
      {"'horses' || true", "true"},
      {"unknown || true", "true"},
      {"true && false && 1/0 == 1 && unknown", "false"},
      {"1/0 == 1 || unknown || true", "true"},
      {"[1, 2, 3][3] || true", "true"},
      {"{0: 1}[1] && false", "false"},
      {"true && 1/0 != 0", "! division by zero"},
      {"1/0 != 0 && true", "! division by zero"},
      {"false || 1/0 != 0", "! division by zero"},
      {"1/0 == 1 || 1%0 == 1", "! division by zero"},
      {"'less filling' && 'tastes great'", "! '&&' needs bool, and this is string"},
      {"true || 'x'", "true"},
      {"false || 'x'", "! 9 '||' needs bool, and this is string"},
  });
}

TEST_CASE("the conditional looks at the branch that it takes") {
  check({
      {"true ? 1 : 1/0", "1"},
      {"false ? 1/0 : 'b'", R"("b")"},
      {"true ? 'cows' : 17", R"("cows")"},
      {"2 / 0 > 4 ? 1 : 2", "! division by zero"},
      {"'cows' ? 1 : 2", "! '? :' needs bool, and this is string"},
      {"null ? 1 : 2", "! needs bool, and this is null"},
      {"true ? 1", "! expected ':'"},
      {"true ? : 1", "! expected a value, found ':'"},
  });
}

TEST_CASE("long chains are no deep trees") {
  std::string ors = "false";
  std::string sums = "0";
  std::string texts = "''";
  std::string compared = "1 in [1]";
  for (int i = 0; i < 2000; ++i) {
    ors += " || false";
    sums += " + 1";
    texts += " + 'x'";
  }
  for (int i = 0; i < 24; ++i) compared += " == true";
  CHECK(outcome(ors + " || true") == "true");
  CHECK(outcome(sums) == "2000");
  CHECK(outcome("size(" + texts + ")") == "2000");
  CHECK(outcome(compared) == "true");
}

}  // namespace
}  // namespace pawl
