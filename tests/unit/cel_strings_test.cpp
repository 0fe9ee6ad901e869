#include "tests/unit/cel_support.h"

namespace pawl {
namespace {

using test::check;

TEST_CASE("size counts characters, bytes, elements and keys") {
  check({
      {"size('')", "0"},
      {"size('four')", "4"},
      {"'πέντε'.size()", "5"},
      {R"("fiance\u0301".size())", "7"},
      {"size('🐱')", "1"},
      {"size(b'abc')", "3"},
      {"size(b'ÿ')", "2"},
      {"size([1, 2, 3])", "3"},
      {"{}.size()", "0"},
      {"size({1: 'one', 2: 'two'})", "2"},
      {"size(1)", "! size() does not take (int); write size(STRING|BYTES|LIST|MAP)"},
      {"size(null)", "! size() does not take (null)"},
  });
}

TEST_CASE("contains, startsWith and endsWith compare parts") {
  check({
      {"'hello'.contains('he') && 'hello'.contains('')", "true"},
      {"'hello'.contains('ol')", "false"},
      {"'abababc'.contains('ababc')", "true"},
      {"'Straße'.contains('aß')", "true"},
      {"''.contains('something')", "false"},
      {"''.contains('')", "true"},
      {"'foobar'.startsWith('foo') && 'foobar'.startsWith('')", "true"},
      {"'foobar'.startsWith('bar') || ''.startsWith('foo')", "false"},
      {"'завтра'.startsWith('за')", "true"},
      {"'foobar'.endsWith('bar') && ''.endsWith('')", "true"},
      {"'bar'.endsWith('foobar')", "false"},
      {"'forté'.endsWith('té')", "true"},
      {"'a'.contains(1)",
       "! contains() does not take (string, int); write STRING.contains(STRING)"},
      {"[1].contains(1)", "! contains() does not take (list, int)"},
      {"contains('a', 'b')", "! 'contains' is called otherwise: STRING.contains(STRING)"},
  });
}

TEST_CASE("matches finds an RE2 expression anywhere in the text") {
  const Json names = {{"p", "^a+$"}, {"bad", "("}, {"list", {"aa", "ab"}}};
  check(
      {
          {"'hubba'.matches('ubb')", "true"},
          {"''.matches('foo|bar')", "false"},
          {"'cows'.matches('')", "true"},
          {"'grey'.matches('gr(a|e)y')", "true"},
          {"'abcd'.matches('^bc')", "false"},
          {"'mañana'.matches('a+ñ+a+')", "true"},
          {"'🐱😀😀'.matches('(a|😀){2}')", "true"},
          {"matches('foobar', 'foo.*')", "true"},
          {R"('v1.2'.matches(r'^v\d+\.\d+$'))", "true"},
          {"list.map(x, x.matches(p))", "[true,false]"},
          {"'a'.matches('(')", "! 12 this is no regular expression: missing ): ("},
          {"'a'.matches('(?<=x)')", "! this is no regular expression"},
          {"'a'.matches(bad)", "! this is no regular expression: missing )"},
          {"'a'.matches(bad) || true", "true"},
          {"(1).matches('a')", "! matches() does not take (int, string)"},
      },
      names);
}

TEST_CASE("case changes in ASCII only") {
  check({
      {"'TacoCat'.lowerAscii()", R"("tacocat")"},
      {"'TacoCÆt'.lowerAscii()", R"("tacocÆt")"},
      {"'tacoCαt'.upperAscii()", R"("TACOCαT")"},
      {"''.upperAscii()", R"("")"},
  });
}

TEST_CASE("trim takes Unicode's white space off both ends") {
  check({
      {R"(' \f\n\r\t\vtext  '.trim())", R"("text")"},
      {R"('\u0085\u00a0\u1680text'.trim())", R"("text")"},
      {R"('text\u2000\u2009\u200a\u2028\u2029\u202F\u205F\u3000'.trim())", R"("text")"},
      {R"('\u200btext\ufeff'.trim() == '\u200btext\ufeff')", "true"},
      {"' a b '.trim()", R"("a b")"},
      {"'   '.trim()", R"("")"},
      {"''.trim()", R"("")"},
  });
}

TEST_CASE("split cuts and join puts together") {
  check({
      {"'hello world'.split(' ')", R"(["hello","world"])"},
      {"'a,,b,'.split(',')", R"(["a","","b",""])"},
      {"''.split(',')", R"([""])"},
      {"'abc'.split(',')", R"(["abc"])"},
      {"'hello world events!'.split(' ', 0)", "[]"},
      {"'hello world events!'.split(' ', 1)", R"(["hello world events!"])"},
      {"'hello world events!'.split(' ', 2)", R"(["hello","world events!"])"},
      {"'o©o©o©o'.split('©', -1)", R"(["o","o","o","o"])"},
      {"'©αT'.split('')", R"(["©","α","T"])"},
      {"'abc'.split('', 2)", R"(["a","bc"])"},
      {"''.split('')", "[]"},
      {"['x', 'y'].join()", R"("xy")"},
      {"['x', 'y'].join('-')", R"("x-y")"},
      {"[].join('-')", R"("")"},
      {"['x'].join(', ')", R"("x")"},
      {"'a b c'.split(' ').join('')", R"("abc")"},
      {"[1, 2].join(',')", "! join() takes a list of strings, and one is int"},
      {"[1, 2].map(x, string(x)).join(',')", R"("1,2")"},
  });
}

TEST_CASE("replace changes all or the first few") {
  check({
      {"'{0} days {0} hours'.replace('{0}', '2')", R"("2 days 2 hours")"},
      {"'{0} days {0} hours'.replace('{0}', '2', 1).replace('{0}', '23')", R"("2 days 23 hours")"},
      {"'1 ©αT taco'.replace('αT', 'o©α')", R"("1 ©o©α taco")"},
      {"'abc'.replace('x', 'y')", R"("abc")"},
      {"'aaa'.replace('a', '')", R"("")"},
      {"'aaaa'.replace('aa', 'b')", R"("bb")"},
      {"'abc'.replace('', '-')", R"("-a-b-c-")"},
      {"'αβ'.replace('', '-', 2)", R"("-α-β")"},
      {"'aaa'.replace('a', 'b', 0)", R"("aaa")"},
      {"'aaa'.replace('a', 'b', -1)", R"("bbb")"},
      {"'42'.replace(2, '1')", "! replace() does not take (string, int, string)"},
  });
}

TEST_CASE("positions count characters, not bytes") {
  check({
      {"'tacocat'.substring(4)", R"("cat")"},
      {"'tacocat'.substring(7)", R"("")"},
      {"'tacocat'.substring(0, 4)", R"("taco")"},
      {"'ta©o©αT'.substring(2, 6)", R"("©o©α")"},
      {"'ta©o©αT'.substring(7, 7)", R"("")"},
      {"'tacocat'.substring(40)", "! index 40 is out of range; the text has 7 characters"},
      {"'tacocat'.substring(-1)", "! index -1 is out of range"},
      {"'tacocat'.substring(1, 50)", "! index 50 is out of range"},
      {"'tacocat'.substring(4, 3)", "! index 3 is out of range"},
      {"'tacocat'.charAt(3)", R"("o")"},
      {"'tacocat'.charAt(7)", R"("")"},
      {"'©αT'.charAt(1)", R"("α")"},
      {"'tacocat'.charAt(30)", "! index 30 is out of range"},
      {"'ta©o©αT'.indexOf('©')", "2"},
      {"'ta©o©αT'.indexOf('©', 3)", "4"},
      {"'ta©o©αT'.indexOf('©α', 5)", "-1"},
      {"'tacocat'.indexOf('')", "0"},
      {"'tacocat'.indexOf('', 3)", "3"},
      {"'tacocat'.indexOf('none')", "-1"},
      {"'tacocat'.indexOf('a', 30)", "! index 30 is out of range"},
      {"'tacocat'.lastIndexOf('at')", "5"},
      {"'tacocat'.lastIndexOf('a', 3)", "1"},
      {"'tacocat'.lastIndexOf('')", "7"},
      {"'tacocat'.lastIndexOf('', 3)", "3"},
      {"'ta©o©αT'.lastIndexOf('©α', 4)", "4"},
      {"'bananananana'.lastIndexOf('nana', 7)", "6"},
      {"''.lastIndexOf('@@')", "-1"},
      {"'tacocat'.lastIndexOf('a', -1)", "! index -1 is out of range"},
      {"'Ta©oCαt'.reverse()", R"("tαCo©aT")"},
      {"''.reverse()", R"("")"},
      {"'hello'.charAt(true)", "! charAt() does not take (string, bool)"},
  });
}

TEST_CASE("base64 goes both ways") {
  check({
      {"base64.encode(b'hello')", R"("aGVsbG8=")"},
      {"base64.encode(bytes('user:pass'))", R"("dXNlcjpwYXNz")"},
      {"string(base64.decode('aGVsbG8='))", R"("hello")"},
      {"string(base64.decode('aGVsbG8'))", R"("hello")"},
      {"base64.decode('') == b''", "true"},
      {"base64.decode('a')", "! the text is not base64"},
      {"base64.decode('a?==')", "! the text is not base64"},
      {"base64.encode('text')", "! base64.encode() does not take (string)"},
  });
}

TEST_CASE("bytes that are no UTF-8 in a value of the context break nothing") {
  const Json names = {{"s", std::string("a\xff\xfe b\xc3", 6)}};
  check(
      {
          {"size(s)", "6"},
          {"s.charAt(0)", R"("a")"},
          {"s.reverse().size()", "6"},
          {"s.split('').size()", "6"},
          {"s.trim().size()", "6"},
          {"s.indexOf('b')", "4"},
          {"s.matches('a')", "true"},
      },
      names);
}

}  // namespace
}  // namespace pawl
