#include "tests/unit/cel_support.h"

namespace pawl {
namespace {

using test::check;

TEST_CASE("int takes whole numbers within its range") {
  check({
      {"int(42u)", "42"},
      {"int(9223372036854775807u)", "9223372036854775807"},
      {"int(18446744073709551615u)", "! uint 18446744073709551615 is out of range of int"},
      {"int(1.9)", "1"},
      {"int(-7.9)", "-7"},
      {"int(11.5)", "11"},
      {"int(double(36028797018963969))", "36028797018963968"},
      {"int(9223372036854775807.0)", "! is out of range of int"},
      {"int(-9223372036854775808.0)", "! is out of range of int"},
      {"int(1e99)", "! is out of range of int"},
      {"int(0.0/0.0)", "! is out of range of int"},
      {"int('987')", "987"},
      {"int('-987')", "-987"},
      {"int('+7')", "7"},
      {"int('9223372036854775808')", "! is out of range of int"},
      {"int('12x')", "! cannot convert string '12x' to int"},
      {"int('')", "! cannot convert string '' to int"},
      {"int(' 1')", "! cannot convert"},
      {"int('1.0')", "! cannot convert"},
      {"int('+-1')", "! cannot convert"},
      {"int(timestamp('2004-09-16T23:59:59Z'))", "1095379199"},
      {"int(timestamp('1969-12-31T23:59:59.5Z'))", "-1"},
      {"int(true)", "! int() does not take (bool); write int(UINT|DOUBLE|STRING|TIMESTAMP)"},
      {"int(null)", "! int() does not take (null)"},
  });
}

TEST_CASE("uint takes whole numbers from zero") {
  check({
      {"uint(1729)", "1729"},
      {"uint(-1)", "! int -1 is out of range of uint"},
      {"uint(3.99)", "3"},
      {"uint(-0.5)", "0"},
      {"uint(-1.0)", "! is out of range of uint"},
      {"uint(6.022e23)", "! is out of range of uint"},
      {"uint(18446744073709551616.0)", "! is out of range of uint"},
      {"uint('300')", "300"},
      {"uint('18446744073709551615')", "18446744073709551615"},
      {"uint('-1')", "! cannot convert string '-1' to uint"},
      {"type(uint('300')) == uint", "true"},
  });
}

TEST_CASE("double takes every number, and texts of numbers") {
  check({
      {"double(-1000000000000000)", "-1e15"},
      {"double(9223372036854775807) == 9223372036854775807.0", "true"},
      {"double(123u)", "123.0"},
      {"double('123.456')", "123.456"},
      {"double('-84.32e7')", "-843200000.0"},
      {"double('1.38e-23')", "1.38e-23"},
      {"double('0')", "0.0"},
      {"double('5.')", "5.0"},
      {"double('NaN')", R"("NaN")"},
      {"double('-Infinity')", R"("-Infinity")"},
      {"double('1e999')", "! cannot convert"},
      {"double('1e-999')", "0.0"},
      {"double('1e9223372036854775807')", "! cannot convert"},
      {"double('1e-99999999999999999999')", "0.0"},
      {"double('0.0001e309')", "1e305"},
      {"double('1000e-400')", "0.0"},
      {"double('0x10')", "! cannot convert string '0x10' to double"},
      {"double('')", "! cannot convert"},
      {"double('.')", "! cannot convert"},
      {"double([])", "! double() does not take (list)"},
  });
}

TEST_CASE("bool takes the words of the language definition") {
  check({
      {"['1', 't', 'T', 'true', 'TRUE', 'True'].all(s, bool(s))", "true"},
      {"['0', 'f', 'F', 'false', 'FALSE', 'False'].exists(s, bool(s))", "false"},
      {"bool('TrUe')", "! cannot convert string 'TrUe' to bool"},
      {"bool('yes')", "! cannot convert"},
      {"bool(1)", "! bool() does not take (int)"},
  });
}

TEST_CASE("string writes scalars") {
  check({
      {"string(-456)", R"("-456")"},
      {"string(9876u)", R"("9876")"},
      {"string(true)", R"("true")"},
      {"string(123.456)", R"("123.456")"},
      {"string(-4.5e-3)", R"("-0.0045")"},
      {"string(1.0)", R"("1")"},
      {"string(1000000.0)", R"("1000000")"},
      {"string(0.1)", R"("0.1")"},
      {"string(1e21)", R"("1e+21")"},
      {"string(0.0/0.0)", R"("NaN")"},
      {"string(b'abc')", R"("abc")"},
      {R"(string(b'\303\277'))", R"("ÿ")"},
      {R"(string(b'\000\xff'))", "! not valid UTF-8"},
      {"string(type(1))", R"("int")"},
      {"string(timestamp('2009-02-13T23:31:30Z'))", R"("2009-02-13T23:31:30Z")"},
      {"string(duration('1m1ms'))", R"("60.001s")"},
      {"string([1])", "! string() does not take (list); write string(SCALAR); json(VALUE)"},
      {"string(null)", "! string() does not take (null)"},
  });
}

TEST_CASE("bytes takes strings") {
  check({
      {"bytes('')", R"("")"},
      {"bytes('ÿ')", R"("w78=")"},
      {"bytes(b'abc') == b'abc'", "true"},
      {"bytes(1)", "! bytes() does not take (int)"},
  });
}

TEST_CASE("a conversion to the own kind changes nothing") {
  check({
      {"int(1) == 1 && uint(1u) == 1u && double(5.5) == 5.5 && bool(true)", "true"},
      {"string('hello')", R"("hello")"},
      {"duration(duration('100s')) == duration('100s')", "true"},
      {"timestamp(timestamp(1000000000)) == timestamp(1000000000)", "true"},
      {"dyn([1, 'one'])", R"([1,"one"])"},
      {"dyn(1) + 1", "2"},
  });
}

TEST_CASE("types are values with names") {
  check({
      {"type(true)", R"("bool")"},
      {"type(0) == int && type(0u) == uint && type(0.0) == double", "true"},
      {"type('') == string && type(b'') == bytes", "true"},
      {"type([]) == list && type({}) == map", "true"},
      {"type(null) == null_type", "true"},
      {"type(int) == type && type(type) == type", "true"},
      {"type(7) == type(7u)", "false"},
      {"type(timestamp(0)) == google.protobuf.Timestamp", "true"},
      {"type(duration('1s'))", R"("google.protobuf.Duration")"},
      {"type(1) in [int, uint, double]", "true"},
      {"dyn", "! no such name 'dyn'"},
      {"google.protobuf.Value", "! no such name 'google'"},
  });
}

TEST_CASE("json writes any value as JSON text") {
  const Json names = {{"m", {{"b", {1, nullptr}}, {"a", "x\"y"}}}, {"raw", std::string("\xff")}};
  check(
      {
          {"json(m)", R"("{\"a\":\"x\\\"y\",\"b\":[1,null]}")"},
          {"json({'z': 1, 'a': [true]})", R"("{\"a\":[true],\"z\":1}")"},
          {"json('text')", R"("\"text\"")"},
          {"json(1.0)", R"("1.0")"},
          {"json(9223372036854775807)", R"("9223372036854775807")"},
          {"json(18446744073709551615u)", R"("18446744073709551615")"},
          {"json(null)", R"("null")"},
          {"json(b'abc')", R"("\"YWJj\"")"},
          {"json(timestamp(0))", R"("\"1970-01-01T00:00:00Z\"")"},
          {"json([duration('90s'), int])", R"("[\"90s\",\"int\"]")"},
          {"json(raw)", "\"\\\"\xEF\xBF\xBD\\\"\""},
          {"json()", "! write json(VALUE)"},
      },
      names);
}

}  // namespace
}  // namespace pawl
