// `sqlite` on files of its own.

#include <filesystem>
#include <map>
#include <vector>

#include <catch2/catch.hpp>
#include <sqlite3.h>

#include "tests/unit/loop_support.h"
#include "tests/unit/operator_host.h"

using namespace pawl;
using namespace pawl::test;

namespace {

namespace fs = std::filesystem;

struct Bench {
  ScratchFolder folder;
  Loop loop;
  OperatorHost host{loop, "sqlite", "sqlite"};

  std::string file() const { return folder / "data.db"; }
  /// `more` are further parameters, each with a comma before it.
  Ask ask(const std::string& sql, const std::string& more = {},
          const std::string& output = "json") const {
    Ask out;
    out.with = R"({"database": "data.db", "sql": ")" + sql + '"' + more + '}';
    out.output = output;
    out.working_dir = folder.path();
    return out;
  }
  End run(const std::string& sql, const std::string& more = {},
          const std::string& output = "json") {
    return host.run(ask(sql, more, output));
  }
  std::string good(const std::string& sql, const std::string& more = {},
                   const std::string& output = "json") {
    const End end = run(sql, more, output);
    INFO(sql << ": " << end.error_class << ' ' << end.message);
    REQUIRE(end.outcome == PAWL_SUCCEEDED);
    return end.output;
  }
};

/// Another program that holds the write lock.
class Holder {
 public:
  explicit Holder(const Bench& bench) {
    REQUIRE(::sqlite3_open(bench.file().c_str(), &handle_) == SQLITE_OK);
    REQUIRE(::sqlite3_exec(handle_, "BEGIN EXCLUSIVE", nullptr, nullptr, nullptr) == SQLITE_OK);
  }
  ~Holder() { ::sqlite3_close(handle_); }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;

 private:
  sqlite3* handle_ = nullptr;
};

// Counts for minutes, unless it is ended.
constexpr const char* kEndless =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";

}  // namespace

TEST_CASE("rows of the last statement that returns any are the output, with types kept") {
  Bench bench;
  REQUIRE(bench.good("CREATE TABLE t(a, b, c, d, e); INSERT INTO t VALUES (1, 1.5, 'x', NULL, "
                     "x'00ff'), (-9223372036854775808, 1e20, 'ä', 0, x''); SELECT * FROM t; "
                     "UPDATE t SET a = 0 -- the end") ==
          "[{\"a\":1,\"b\":1.5,\"c\":\"x\",\"d\":null,\"e\":\"\\\\x00ff\"},\n"
          "{\"a\":-9223372036854775808,\"b\":1e+20,\"c\":\"ä\",\"d\":0,\"e\":\"\\\\x\"}]");
  REQUIRE(bench.good("SELECT count(*) AS n FROM t WHERE a = 0") == R"([{"n":2}])");
  REQUIRE(bench.good("SELECT a FROM t WHERE a = 7") == "[]");
}

TEST_CASE("each format has its shape of rows") {
  Bench bench;
  const std::string two = "SELECT 1 AS a, 'x' AS b UNION ALL SELECT 2, 'y'";
  REQUIRE(bench.good(two, "", "jsonl") == "{\"a\":1,\"b\":\"x\"}\n{\"a\":2,\"b\":\"y\"}");
  REQUIRE(bench.good(two, "", "text") == "1");
  REQUIRE(bench.good(two, "", "none").empty());
  REQUIRE(bench.good("SELECT 'plain \\\"text\\\"'", "", "text") == "plain \"text\"");
}

TEST_CASE("without rows the output is the number of changes") {
  Bench bench;
  REQUIRE(
      bench.good("CREATE TABLE t(a); INSERT INTO t VALUES (1), (2); DELETE FROM t WHERE a = 1") ==
      R"({"changes":3})");
  REQUIRE(bench.good("DELETE FROM t", "", "text") == "1");
}

TEST_CASE("statements may be a list of lines") {
  Bench bench;
  Ask ask = bench.ask("");
  ask.with = R"({"database": "data.db", "sql": ["SELECT 1 -- one", "  AS a"]})";
  REQUIRE(bench.host.run(ask).output == R"([{"a":1}])");
}

TEST_CASE("statements with a zero byte are refused before any of them runs") {
  Bench bench;
  bench.good("CREATE TABLE t(a)");
  Ask ask = bench.ask("");
  for (const char* sql : {R"("INSERT INTO t VALUES (1);\u0000")", R"(["SELECT 1", "\u0000"])",
                          R"("SELECT '\u0000'")"}) {
    INFO(sql);
    ask.with = std::string(R"({"database": "data.db", "sql": )") + sql + "}";
    const End end = bench.host.run(ask);
    CHECK(end.outcome == PAWL_FAILED_FOR_GOOD);
    CHECK(end.error_class == "InvalidParameter");
    CHECK(end.message.starts_with("sql: it has a zero byte"));
  }
  REQUIRE(bench.good("SELECT count(*) FROM t", "", "text") == "0");
}

TEST_CASE("parameters are bound in order over all statements and never become SQL") {
  Bench bench;
  bench.good("CREATE TABLE t(a)");
  const std::string evil = R"('); DROP TABLE t; --)";
  REQUIRE(bench.good("INSERT INTO t VALUES (?); INSERT INTO t VALUES (?), (?); SELECT a FROM t",
                     R"(, "parameters": [")" + evil + R"(", null, 2.5])") ==
          "[{\"a\":\"" + evil + "\"},\n{\"a\":null},\n{\"a\":2.5}]");
  REQUIRE(bench.good("SELECT count(*) FROM t", "", "text") == "3");
}

TEST_CASE("parameters are bound by name, also lists and objects as JSON") {
  Bench bench;
  REQUIRE(bench.good("SELECT :yes AS yes, json_extract(:o, '$.k[1]') AS second, @big AS big",
                     R"(, "parameters": {"yes": true, "o": {"k": [1, 7]},
                         "big": 9223372036854775807})") ==
          R"([{"yes":1,"second":7,"big":9223372036854775807}])");
}

TEST_CASE("parameters that do not fit the statements are refused, and nothing is changed") {
  Bench bench;
  bench.good("CREATE TABLE t(a)");
  const std::string insert = "INSERT INTO t VALUES (1); INSERT INTO t VALUES (?)";
  for (const auto& [sql, parameters] : std::map<std::string, std::string>{
           {insert, "[]"},
           {insert + " ", "[1, 2]"},
           {insert + "  ", R"({"a": 1})"},
           {"INSERT INTO t VALUES (1); INSERT INTO t VALUES (:a)", "[1]"},
           {"INSERT INTO t VALUES (1); INSERT INTO t VALUES (:a) ", R"({"b": 1})"},
           {"INSERT INTO t VALUES (1); INSERT INTO t VALUES (:a)  ", R"({"a": 1, "b": 1})"},
           {insert + "   ", "[18446744073709551615]"}}) {
    const End end = bench.run(sql, ", \"parameters\": " + parameters);
    INFO(sql << ' ' << parameters << ' ' << end.message);
    REQUIRE(end.outcome == PAWL_FAILED_FOR_GOOD);
    REQUIRE(end.error_class == "InvalidParameter");
  }
  REQUIRE(bench.good("SELECT count(*) FROM t", "", "text") == "0");
}

TEST_CASE("all statements or none, unless each is for itself") {
  Bench bench;
  bench.good("CREATE TABLE t(a UNIQUE)");
  const End end = bench.run("INSERT INTO t VALUES (1);\\nINSERT INTO t VALUES (1)");
  REQUIRE(end.outcome == PAWL_FAILED_FOR_GOOD);
  REQUIRE(end.error_class == "SQLITE_CONSTRAINT_UNIQUE");
  REQUIRE(end.message == "UNIQUE constraint failed: t.a");
  REQUIRE(bench.good("SELECT count(*) FROM t", "", "text") == "0");
  bench.run("INSERT INTO t VALUES (1); INSERT INTO t VALUES (1)", R"(, "transaction": false)");
  REQUIRE(bench.good("SELECT count(*) FROM t", "", "text") == "1");
}

TEST_CASE("a wrong statement is refused for good, with its place") {
  Bench bench;
  const End end = bench.run("SELECT 1;\\nSELECT missing\\nFROM nowhere");
  REQUIRE(end.outcome == PAWL_FAILED_FOR_GOOD);
  REQUIRE(end.error_class == "SQLITE_ERROR");
  REQUIRE(end.message == "no such table: nowhere");
  const End where = bench.run("SELECT 1;\\nSELEKT 2");
  REQUIRE(where.trace == "line 2, column 1: SELEKT 2");
}

TEST_CASE("the place of an error is that of its own statement, not the end of the one before") {
  Bench bench;
  bench.good("CREATE TABLE one(a UNIQUE)");
  const auto place = [&](const std::string& sql) { return bench.run(sql).trace; };
  const std::string taken = "INSERT INTO one VALUES (1);";
  CHECK(place(taken + "\\n\\n  " + taken) == "line 3, column 3:   " + taken);
  CHECK(place(taken + " -- why\\n/* two\\nlines */ " + taken) ==
        "line 3, column 10: lines */ " + taken);
  CHECK(place("\\n;;\\n" + taken + taken) == "line 3, column 28: " + taken + taken);
  CHECK(place("SELECT 1;\\n\\n-- ä\\n/* ö */ SELECT nothing") ==
        "line 4, column 16: /* ö */ SELECT nothing");
  CHECK(place("SELECT 1;\\n\\n\\tSELECT abs(-9223372036854775807 - 1)") ==
        "line 3, column 2: \tSELECT abs(-9223372036854775807 - 1)");
  // Nothing but blanks and comments is no statement.
  CHECK(bench.good("SELECT 1 AS a;\\n-- end\\n/* of it") == R"([{"a":1}])");
}

TEST_CASE("a lock of somebody else is waited for, and then worth another try") {
  Bench bench;
  bench.good("CREATE TABLE t(a)");
  const Holder holder(bench);
  const End end = bench.run("INSERT INTO t VALUES (1)", R"(, "busy_timeout": "20ms")");
  REQUIRE(end.outcome == PAWL_FAILED);
  REQUIRE(end.error_class == "SQLITE_BUSY");
  REQUIRE(end.message == bench.file() + ": database is locked");
}

TEST_CASE("a cancellation ends a statement, and a wait for a lock") {
  Bench bench;
  bench.good("CREATE TABLE t(a)");
  TestAttempt& counting = bench.host.start(bench.ask(kEndless));
  bench.host.cancel(counting);
  REQUIRE(run_until(bench.loop, [&] { return counting.end().has_value(); }));
  REQUIRE(counting.end()->error_class == "SQLITE_INTERRUPT");

  const Holder holder(bench);
  TestAttempt& waiting =
      bench.host.start(bench.ask("INSERT INTO t VALUES (1)", R"(, "busy_timeout": "1h")"));
  bench.host.cancel(waiting);
  REQUIRE(run_until(bench.loop, [&] { return waiting.end().has_value(); }));
}

TEST_CASE("an output beyond 1 MiB fails clearly, and what was written with it is taken back") {
  Bench bench;
  bench.good("CREATE TABLE t(a)");
  const std::string many =
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 200000) ";
  const End end = bench.run(many + "INSERT INTO t SELECT i FROM n RETURNING a");
  REQUIRE(end.outcome == PAWL_FAILED_FOR_GOOD);
  REQUIRE(end.error_class == "Output");
  REQUIRE(bench.good("SELECT count(*) FROM t", "", "text") == "0");
  const End rows = bench.run(many + "SELECT i FROM n", R"(, "max_rows": 10)");
  REQUIRE(rows.outcome == PAWL_FAILED_FOR_GOOD);
  REQUIRE(rows.message == "more than 10 rows (`max_rows`)");
  REQUIRE(bench.run(many + "SELECT i FROM n", "", "none").outcome == PAWL_SUCCEEDED);
  const End unread = bench.run(many + "SELECT i FROM n", R"(, "max_rows": 10)", "none");
  REQUIRE(unread.message == "more than 10 rows (`max_rows`)");
}

TEST_CASE("two columns of one name do not silently become one") {
  Bench bench;
  const End end = bench.run("SELECT 1 AS id, 2 AS id");
  REQUIRE(end.outcome == PAWL_FAILED_FOR_GOOD);
  REQUIRE(end.message == "two columns are called id: name them apart with AS");
}

TEST_CASE("other files and extensions are closed unless they are asked for") {
  Bench bench;
  const std::string attach = "ATTACH 'other.db' AS other";
  REQUIRE(bench.run(attach).error_class == "SQLITE_AUTH");
  REQUIRE(bench.run("VACUUM INTO 'copy.db'").outcome == PAWL_FAILED_FOR_GOOD);
  REQUIRE(bench.run("SELECT load_extension('x')").outcome == PAWL_FAILED_FOR_GOOD);
  REQUIRE_FALSE(fs::exists(bench.folder / "copy.db"));
  bench.good("VACUUM");
  const std::string copy = "VACUUM INTO '" + (bench.folder / "copy.db") + "'";
  bench.good("CREATE TABLE t(a)");
  bench.good(copy, R"(, "allow_attach": true)");
  REQUIRE(fs::exists(bench.folder / "copy.db"));
}

TEST_CASE("comments and empty statements are no statements: they change nothing around others") {
  Bench bench;
  bench.good("VACUUM; -- tidy");
  bench.good("/* first */ ; VACUUM /* all */; /* of it */ -- done");
  bench.good("-- nothing");
  bench.good("CREATE TABLE t(a)");
  REQUIRE(bench.run("; /* both or none */ INSERT INTO t VALUES (1); INSERT INTO u VALUES (1)")
              .outcome != PAWL_SUCCEEDED);
  REQUIRE(bench.good("SELECT count(*) AS n FROM t") == R"([{"n":0}])");
}

TEST_CASE("a read-only database is neither made nor changed") {
  Bench bench;
  const End missing = bench.run("SELECT 1", R"(, "read_only": true)");
  REQUIRE(missing.error_class == "SQLITE_CANTOPEN");
  REQUIRE(missing.message == bench.file() + ": unable to open database file");
  REQUIRE_FALSE(fs::exists(bench.file()));
  bench.good("CREATE TABLE t(a)");
  const End write = bench.run("INSERT INTO t VALUES (1)", R"(, "read_only": true)");
  REQUIRE(write.outcome == PAWL_FAILED_FOR_GOOD);
  REQUIRE(write.error_class == "SQLITE_READONLY");
  REQUIRE(write.message == bench.file() + ": attempt to write a readonly database");
}

TEST_CASE("what is no database says so") {
  Bench bench;
  write_file(bench.file(), std::string(4096, 'x'));
  const End end = bench.run("SELECT * FROM t");
  REQUIRE(end.error_class == "SQLITE_NOTADB");
  REQUIRE(end.message == bench.file() + ": file is not a database");
}

TEST_CASE("no statement ends the one transaction of all statements") {
  Bench bench;
  bench.good("CREATE TABLE t(a)");
  for (const std::string attach : {"false", "true"}) {
    for (const std::string word : {"BEGIN", "COMMIT", "END", "ROLLBACK"}) {
      const End end = bench.run("INSERT INTO t VALUES (1); " + word + "; INSERT INTO u VALUES (2)",
                                R"(, "allow_attach": )" + attach);
      INFO(word << ": " << end.message);
      REQUIRE(end.outcome == PAWL_FAILED_FOR_GOOD);
      REQUIRE(end.error_class == "InvalidParameter");
      REQUIRE(end.message ==
              "sql: " + (word == "END" ? "COMMIT" : word) +
                  " within the one transaction of all statements. Leave it out, or "
                  "say \"transaction\": false and begin and end transactions in sql");
      REQUIRE(bench.good("SELECT count(*) FROM t", "", "text") == "0");
    }
  }
  bench.good(
      "INSERT INTO t VALUES (1); SAVEPOINT s; INSERT INTO t VALUES (2); ROLLBACK TO s; RELEASE s");
  REQUIRE(bench.good("SELECT count(*) FROM t", "", "text") == "1");
  bench.good("BEGIN; INSERT INTO t VALUES (3); COMMIT", R"(, "transaction": false)");
  REQUIRE(bench.good("SELECT count(*) FROM t", "", "text") == "2");
}

TEST_CASE("a transaction left open fails instead of losing its work silently") {
  Bench bench;
  const End end =
      bench.run("CREATE TABLE t(a); BEGIN; INSERT INTO t VALUES (1)", R"(, "transaction": false)");
  REQUIRE(end.outcome == PAWL_FAILED_FOR_GOOD);
  REQUIRE(end.message == "sql: the last transaction has no COMMIT, so nothing of it was kept");
}

TEST_CASE("foreign keys are enforced when asked for") {
  Bench bench;
  bench.good("CREATE TABLE p(id PRIMARY KEY); CREATE TABLE c(p REFERENCES p(id))");
  bench.good("INSERT INTO c VALUES (1)");
  REQUIRE(bench.run("INSERT INTO c VALUES (2)", R"(, "foreign_keys": true)").error_class ==
          "SQLITE_CONSTRAINT_FOREIGNKEY");
}

TEST_CASE("many attempts on one file wait for each other") {
  Bench bench;
  bench.good("CREATE TABLE t(a)");
  std::vector<TestAttempt*> attempts;
  for (int i = 0; i < 16; ++i) {
    attempts.push_back(
        &bench.host.start(bench.ask("INSERT INTO t SELECT count(*) FROM t; SELECT max(a) FROM t",
                                    R"(, "busy_timeout": "20s")")));
  }
  for (TestAttempt* attempt : attempts) {
    REQUIRE(run_until(bench.loop, [&] { return attempt->end().has_value(); }));
    INFO(attempt->end()->message);
    REQUIRE(attempt->end()->outcome == PAWL_SUCCEEDED);
  }
  REQUIRE(bench.good("SELECT count(DISTINCT a) FROM t", "", "text") == "16");
}
