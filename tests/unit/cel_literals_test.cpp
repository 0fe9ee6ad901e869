#include "tests/unit/cel_support.h"

namespace pawl {
namespace {

using test::check;

TEST_CASE("numbers are read exactly, with the kind that they are written in") {
  check({
      {"0", "0"},
      {"42", "42"},
      {"007", "7"},
      {"0x55555555", "1431655765"},
      {"-0x55555555", "-1431655765"},
      {"0xFFu", "255"},
      {"123456789U", "123456789"},
      {"9223372036854775807", "9223372036854775807"},
      {"-9223372036854775808", "-9223372036854775808"},
      {"18446744073709551615u", "18446744073709551615"},
      {"9007199254740993", "9007199254740993"},
      {"0.0", "0.0"},
      {".5", "0.5"},
      {"-2.3e+1", "-23.0"},
      {"1e3", "1000.0"},
      {"6.02214e23", "6.02214e23"},
      {"1e-324 / 2.0", "0.0"},
      {"type(1) == int && type(1u) == uint && type(1.0) == double", "true"},
  });
}

TEST_CASE("numbers that do not fit or do not end are errors at their place") {
  check({
      {"9223372036854775808", "! 0 this number does not fit in int"},
      {"-9223372036854775809", "! 1 this number does not fit in int"},
      {"18446744073709551616u", "! does not fit in uint"},
      {"0x10000000000000000", "! does not fit in int"},
      {"1e400", "! does not fit in double"},
      {"0x", "! hexadecimal number needs digits"},
      {"1e", "! an exponent needs digits"},
      {"1e+", "! an exponent needs digits"},
      {"12abc", "! 2 a number ends before this"},
      {"1.", "! expected a name after '.'"},
      {"-1u", "! no operator '-' for uint"},
  });
}

TEST_CASE("texts may be quoted in four ways and hold every escape") {
  check({
      {R"('')", R"("")"},
      {R"("it's")", R"("it's")"},
      {R"('say "hi"')", R"("say \"hi\"")"},
      {R"('\'')", R"("'")"},
      {R"('''a'b''c''')", R"("a'b''c")"},
      {R"("""a"b""")", R"("a\"b")"},
      {"'''two\nlines'''", R"("two\nlines")"},
      {R"('''x\'''y''')", R"("x'''y")"},
      {R"("\a\b\f\n\r\t\v\\\?\"\'\`")", R"("\u0007\b\f\n\r\t\u000b\\?\"'`")"},
      {R"('\x41\X42\101')", R"("ABA")"},
      {R"('\377 \xff')", R"("ÿ ÿ")"},
      {R"('\u270c')", R"("✌")"},
      {R"('\U0001f431')", R"("🐱")"},
      {R"('\U00088888' == '\U00088888')", "true"},
      {R"(r'\d+')", R"("\\d+")"},
      {R"(R"\n")", R"("\\n")"},
      {R"(r'''\''')", R"("\\")"},
      {"'ÿ Ω 🐱'", R"("ÿ Ω 🐱")"},
      {"'a\tb'", R"("a\tb")"},
  });
}

TEST_CASE("bytes hold octets, and come out as base64") {
  check({
      {"b''", R"("")"},
      {"b'abc'", R"("YWJj")"},
      {"B\"abc\"", R"("YWJj")"},
      {"b'ÿ'", R"("w78=")"},
      {R"(b'\303\277' == b'ÿ')", "true"},
      {R"(b'\xff')", R"("/w==")"},
      {R"(b'\000\xff')", R"("AP8=")"},
      {R"(br'\x')", R"("XHg=")"},
      {R"(bytes('\377') == b'\377')", "false"},
      {R"(b'\u0041')", "! cannot stand in bytes"},
  });
}

TEST_CASE("a text that is written wrong is an error at the place where it goes wrong") {
  check({
      {"'abc", "! 0 this text has no closing quote"},
      {"1 + \"abc", "! 4 this text has no closing quote"},
      {"'''abc'", "! no closing quote"},
      {"'a\nb'", "! 2 a text in single quotation marks ends on its line"},
      {R"('a\sb')", "! 2 '\\' begins an escape"},
      {R"('\x4')", "! needs 2 hexadecimal digits"},
      {R"('\u12')", "! needs 4 hexadecimal digits"},
      {R"('\U0011')", "! needs 8 hexadecimal digits"},
      {R"('\08')", "! needs 3 octal digits"},
      {R"('\uD83D\uDE03')", "! names no Unicode character"},
      {R"('\U00110000')", "! names no Unicode character"},
      {R"('\400')", "! '\\' begins an escape"},
      {"'\\", "! no closing quote"},
      {"b", "! no such name 'b'"},
      {"r 'x'", "! expected an operator or the end"},
  });
}

TEST_CASE("blanks and comments may stand between any two words") {
  check({
      {" \t\n\f\r 1 \n + \n 2 ", "3"},
      {"1 // one\n + 2 // two", "3"},
      {"[ 1 , 2 ] [ 0 ]", "1"},
      {"{ 'a' : 1 } . a", "1"},
      {"// nothing", "! the expression is empty"},
      {"", "! 0 the expression is empty"},
      {"   ", "! the expression is empty"},
  });
}

TEST_CASE("lists and maps keep what is written, trailing commas allowed") {
  check({
      {"[]", "[]"},
      {"[1, 'two', 3.0, null, true]", R"([1,"two",3.0,null,true])"},
      {"[1, 2,]", "[1,2]"},
      {"[[1], []]", "[[1],[]]"},
      {"{}", "{}"},
      {"{'a': 1, 'b': [2],}", R"({"a":1,"b":[2]})"},
      {"{1: 'int', 2u: 'uint', true: 'bool'}", R"({"1":"int","2":"uint","true":"bool"})"},
      {"{'a': {'b': {}}}", R"({"a":{"b":{}}})"},
      {"[,]", "! expected a value, found ','"},
      {"[1,,2]", "! expected a value, found ','"},
      {"[1 2]", "! expected ',' or ']', found '2'"},
      {"{'a' 1}", "! expected ':' and a value, found '1'"},
      {"{'a': 1", "! expected ',' or '}', found the end"},
      {"size(1,)", "! expected a value"},
  });
}

TEST_CASE("a map refuses keys that are there twice or can be none") {
  check({
      {"{true: 1, false: 2, true: 3}", "! the map has the key true twice"},
      {"{0: 1, 0u: 2}", "! the map has the key 0 twice"},
      {"{'a': 1, 'a': 2}", "! the map has the key 'a' twice"},
      {"{3.3: 1}", "! double can be no key of a map"},
      {"{1.0: 1}", "! double can be no key"},
      {"{null: 1}", "! null can be no key"},
      {"{[]: 1}", "! list can be no key"},
      {"{'1': 1, 1: 2}", "! two keys of the map read 1 in JSON"},
  });
}

TEST_CASE("words of the language name nothing") {
  check({
      {"true && !false", "true"},
      {"null", "null"},
      {"in", "! expected a value, found 'in'"},
      {"for", "! 'for' is reserved"},
      {"if x", "! write CONDITION ? YES : NO"},
      {"{'for': 1}.for", "1"},
      {"{'in': 1}.in", "! write ['in']"},
      {"{'in': 1}['in']", "1"},
      {"{'true': 1}.true", "! write ['true']"},
  });
}

}  // namespace
}  // namespace pawl
