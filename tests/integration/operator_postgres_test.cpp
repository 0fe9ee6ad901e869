// `postgres` against a real server, which postgres_cluster.py brings.

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <map>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>
#include <libpq-fe.h>

#include "tests/unit/loop_support.h"
#include "tests/unit/operator_host.h"

using namespace pawl;
using namespace pawl::test;

namespace {

/// What a test sees of the server, on a connection of its own.
class Observer {
 public:
  Observer() : connection_(::PQconnectdb("application_name=observer")) {
    INFO(::PQerrorMessage(connection_));
    REQUIRE(::PQstatus(connection_) == CONNECTION_OK);
  }
  ~Observer() { ::PQfinish(connection_); }
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;

  /// The first value; empty when there is none.
  std::string ask(const std::string& sql) {
    PGresult* result = ::PQexec(connection_, sql.c_str());
    std::string value = ::PQntuples(result) > 0 ? ::PQgetvalue(result, 0, 0) : "";
    INFO(sql << ": " << ::PQresultErrorMessage(result));
    const ExecStatusType status = ::PQresultStatus(result);
    ::PQclear(result);
    REQUIRE((status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK));
    return value;
  }

 private:
  PGconn* connection_;
};

struct Bench {
  Observer observer;
  Loop loop;
  OperatorHost host{loop, "postgres", "postgres"};

  /// `more` are further parameters, each with a comma before it.
  static Ask ask(const std::string& sql, const std::string& more = {},
                 const std::string& output = "json") {
    Ask out;
    out.with = R"({"sql": ")" + sql + '"' + more + '}';
    out.output = output;
    return out;
  }
  End run(const std::string& sql, const std::string& more = {},
          const std::string& output = "json") {
    return host.run(ask(sql, more, output));
  }
  std::string good(const std::string& sql, const std::string& more = {},
                   const std::string& output = "json") {
    const End end = run(sql, more, output);
    INFO(sql << ": " << end.error_class << ' ' << end.message << '\n' << end.trace);
    REQUIRE(end.outcome == PAWL_SUCCEEDED);
    return end.output;
  }
  End wait(TestAttempt& attempt) {
    REQUIRE(run_until(loop, [&] { return attempt.end().has_value(); }));
    return *attempt.end();
  }
  /// Turns the loop until the server answers `sql` with `value`.
  void wait_until(const std::string& sql, const std::string& value) {
    Timer timer(loop, [] {});
    const auto is_so = [&] {
      timer.start_after(std::chrono::milliseconds(10));
      return observer.ask(sql) == value;
    };
    REQUIRE(run_until(loop, is_so));
  }
  void make_table(const std::string& name) {
    observer.ask("SET client_min_messages = warning; DROP TABLE IF EXISTS " + name +
                 "; CREATE TABLE " + name + "(a int UNIQUE)");
  }
};

/// To the server's address, with its certificate checked, in the folder of that. `more` are further
/// parameters.
Ask ask_by_tls(const std::string& sql, const std::string& more) {
  const std::string certificate = ::getenv("PAWL_POSTGRES_CERTIFICATE");
  const std::string address = ::getenv("PAWL_POSTGRES_ADDRESS");
  Ask ask =
      Bench::ask(sql, R"(, "sslmode": "verify-full", "host": ")" + address + "\", " + more, "text");
  ask.working_dir = certificate.substr(0, certificate.rfind('/'));
  return ask;
}

/// A server that takes connections and says nothing.
class MuteServer {
 public:
  MuteServer() : socket_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (folder_ / ".s.PGSQL.5432").copy(address.sun_path, sizeof(address.sun_path) - 1);
    REQUIRE(::bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    REQUIRE(::listen(socket_, 8) == 0);
  }
  ~MuteServer() { ::close(socket_); }
  MuteServer(const MuteServer&) = delete;
  MuteServer& operator=(const MuteServer&) = delete;

  std::string host() const { return R"(, "host": ")" + folder_.path() + '"'; }
  int socket() const { return socket_; }

 private:
  ScratchFolder folder_;
  int socket_;
};

/// Lets in who comes, and ends the connection at the first statement, as poolers do: fatally, and
/// with the SQLSTATE of a breach of the protocol, whatever the reason.
class Dismisser : public MuteServer {
 public:
  explicit Dismisser(const std::string& why) : thread_([this, why] { dismiss(why); }) {}
  ~Dismisser() {
    ::shutdown(socket(), SHUT_RDWR);  // nobody may have come
    thread_.join();
  }
  Dismisser(const Dismisser&) = delete;
  Dismisser& operator=(const Dismisser&) = delete;

 private:
  static std::string message(char kind, const std::string& body) {
    const auto size = static_cast<char>(body.size() + 4);
    return kind + std::string(3, '\0') + size + body;
  }
  static void answer(int connection, const std::string& text) {
    char any[4096];
    if (::read(connection, any, sizeof(any)) > 0) {
      (void)!::write(connection, text.data(), text.size());
    }
  }
  void dismiss(const std::string& why) const {
    const int connection = ::accept(socket(), nullptr, nullptr);
    const std::string welcome(4, '\0');
    answer(connection, message('R', welcome) + message('Z', "I"));
    std::string error;
    for (const std::string& field : {std::string("SFATAL"), std::string("VFATAL"),
                                     std::string("C08P01"), 'M' + why, std::string()}) {
      error += field + '\0';
    }
    answer(connection, message('E', error));
    ::close(connection);
  }

  std::thread thread_;
};

/// Not what a session runs before it.
constexpr const char* kAsleep =
    "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT "
    "pg_sleep(600)'";

/// Kept for somebody else: the last thing that was said to it.
constexpr const char* kAtRest =
    "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle' AND query LIKE 'SET "
    "client_connection_check_interval%'";

}  // namespace

TEST_CASE("values of PostgreSQL keep their types") {
  Bench bench;
  REQUIRE(bench.good("SELECT true AS b, 32767::int2 AS s, 9223372036854775807 AS l, 0.1::float8 AS "
                     "f, 'NaN'::float8 AS nan, '-Infinity'::float4 AS low, 12::numeric AS whole, "
                     "12.50::numeric AS exact, NULL AS nothing, 'ä' AS t") ==
          R"([{"b":true,"s":32767,"l":9223372036854775807,"f":0.1,"nan":"NaN","low":"-Infinity",)"
          R"("whole":12,"exact":"12.50","nothing":null,"t":"ä"}])");
  REQUIRE(bench.good("SELECT '{\\\"a\\\" :\\n [1]}'::json AS j, '{\\\"a\\\": 1}'::jsonb AS b", "",
                     "jsonl") == R"({"j":{"a" :  [1]},"b":{"a": 1}})");
  REQUIRE(bench.good("SELECT '2026-11-20 22:58:01.5'::timestamp AS local, "
                     "'2026-11-20 22:58:01+00'::timestamptz AS point, '2026-11-20'::date AS day, "
                     "'infinity'::timestamptz AS never") ==
          R"([{"local":"2026-11-20T22:58:01.5","point":"2026-11-20T22:58:01+00:00",)"
          R"("day":"2026-11-20","never":"infinity"}])");
}

TEST_CASE("each format has its shape, and no rows are a number of changes") {
  Bench bench;
  bench.make_table("shapes");
  REQUIRE(bench.good("INSERT INTO shapes VALUES (1), (2)") == R"({"changes":2})");
  REQUIRE(bench.good("SELECT a FROM shapes ORDER BY a") == "[{\"a\":1},\n{\"a\":2}]");
  REQUIRE(bench.good("SELECT a FROM shapes ORDER BY a", "", "text") == "1");
  REQUIRE(bench.good("SELECT a FROM shapes WHERE a = 3") == "[]");
  REQUIRE(bench.good("DELETE FROM shapes", "", "text") == "2");
  REQUIRE(bench.good("SELECT 1", "", "none").empty());
}

TEST_CASE("parameters are bound and never become SQL") {
  Bench bench;
  bench.make_table("bound");
  const std::string evil = "'); DROP TABLE bound; --";
  REQUIRE(bench.good("SELECT $1::text AS t, $2::int + 1 AS i, $3::bool AS b, $4::text AS n, "
                     "$5::jsonb -> 'k' AS j",
                     R"(, "parameters": [")" + evil + R"(", 41, true, null, {"k": [1]}])") ==
          R"([{"t":")" + evil + R"(","i":42,"b":true,"n":null,"j":[1]}])");
  const End zero = bench.run("SELECT $1::text", R"(, "parameters": ["a\u0000b"])");
  REQUIRE(zero.outcome == PAWL_FAILED_FOR_GOOD);
  const End several = bench.run("SELECT 1; SELECT $1::text", R"(, "parameters": ["a"])");
  REQUIRE(several.error_class == "42601");
}

TEST_CASE("parameters that are too few or too many are not tried again") {
  Bench bench;
  for (const char* parameters : {R"(, "parameters": [1])", R"(, "parameters": [1, 2, 3])"}) {
    const End end = bench.run("SELECT $1::int + $2::int", parameters);
    INFO(end.message);
    CHECK(end.outcome == PAWL_FAILED_FOR_GOOD);
    CHECK(end.error_class == "08P01");
    CHECK_THAT(end.message, Catch::Contains("requires 2"));
  }
}

TEST_CASE("a pooler that sends somebody away is worth another try") {
  Bench bench;
  const Dismisser pooler("query_wait_timeout");
  const End end = bench.run("SELECT 1", pooler.host());
  CHECK(end.message == "query_wait_timeout");
  CHECK(end.error_class == "08P01");
  CHECK(end.outcome == PAWL_FAILED);
}

TEST_CASE("several statements are one transaction, and the last rows are the output") {
  Bench bench;
  bench.make_table("together");
  REQUIRE(bench.good("INSERT INTO together VALUES (1); SELECT a + 1 AS b FROM together; "
                     "INSERT INTO together VALUES (2)") == R"([{"b":2}])");
  const End end = bench.run("INSERT INTO together VALUES (3);\\nINSERT INTO together VALUES (1)");
  REQUIRE(end.outcome == PAWL_FAILED_FOR_GOOD);
  REQUIRE(end.error_class == "23505");
  REQUIRE(end.trace.find("detail: Key (a)=(1) already exists.") != std::string::npos);
  REQUIRE(bench.observer.ask("SELECT count(*) FROM together") == "2");
}

TEST_CASE("a wrong statement is refused for good, with its place") {
  Bench bench;
  const End end = bench.run("SELECT 1;\\nSELECT 'ä', nothing\\nFROM nowhere");
  REQUIRE(end.outcome == PAWL_FAILED_FOR_GOOD);
  REQUIRE(end.error_class == "42P01");
  REQUIRE(end.message == R"(relation "nowhere" does not exist)");
  REQUIRE(end.trace == "line 3, column 6: FROM nowhere\n");
}

TEST_CASE("a transaction left open fails instead of losing its work silently") {
  Bench bench;
  bench.make_table("left_open");
  const End open = bench.run("BEGIN; INSERT INTO left_open VALUES (1)");
  REQUIRE(open.outcome == PAWL_FAILED_FOR_GOOD);
  REQUIRE(open.error_class == "25P01");
  REQUIRE(bench.observer.ask("SELECT count(*) FROM left_open") == "0");
}

TEST_CASE("a cancellation ends the statement on the server too") {
  Bench bench;
  TestAttempt& attempt = bench.host.start(Bench::ask("SELECT pg_sleep(600)"));
  bench.wait_until(kAsleep, "1");
  bench.host.cancel(attempt);
  const End end = bench.wait(attempt);
  REQUIRE(end.outcome == PAWL_FAILED);
  REQUIRE(end.error_class == "57014");
  bench.wait_until(kAsleep, "0");
}

TEST_CASE("the server looks whether this side is still there, also on a connection used again") {
  Bench bench;
  const std::string first = bench.good("SELECT pg_backend_pid()", "", "text");
  bench.wait_until(kAtRest + (" AND pid = " + first), "1");
  const std::string ask =
      "SELECT current_setting('client_connection_check_interval') || ' ' || pg_backend_pid()";
  REQUIRE(bench.good(ask, "", "text") == "1s " + first);
}

TEST_CASE("the server knows which task is at work") {
  Bench bench;
  Ask ask = Bench::ask("SELECT current_setting('application_name') AS n", "", "text");
  ask.job = "nightly";
  ask.task = "load";
  REQUIRE(bench.host.run(ask).output == "pawl nightly/load");
  bench.wait_until(kAtRest, "1");
  // The same connection, for somebody else.
  ask.task = "it's";
  REQUIRE(bench.host.run(ask).output == "pawl nightly/it's");
}

TEST_CASE("a connection is used again, without what was set in it") {
  Bench bench;
  const std::string first = bench.good(
      "SET work_mem = '7MB'; CREATE TEMP TABLE mine(a int); SELECT "
      "pg_backend_pid() AS pid",
      "", "text");
  bench.wait_until(kAtRest + (" AND pid = " + first), "1");
  REQUIRE(bench.good("SELECT pg_backend_pid()", "", "text") == first);
  bench.wait_until("SELECT state FROM pg_stat_activity WHERE pid = " + first, "idle");
  REQUIRE(bench.good("SELECT current_setting('work_mem') || to_regclass('mine') IS NULL", "",
                     "text") == "true");
}

TEST_CASE("a connection that the server ended meanwhile is not used again") {
  Bench bench;
  const std::string first = bench.good("SELECT pg_backend_pid()", "", "text");
  bench.wait_until(kAtRest + (" AND pid = " + first), "1");
  REQUIRE(bench.observer.ask("SELECT pg_terminate_backend(" + first + ", 10000)") == "t");
  REQUIRE(bench.good("SELECT pg_backend_pid()", "", "text") != first);
}

TEST_CASE("a session that the server ends is worth another try") {
  Bench bench;
  TestAttempt& attempt = bench.host.start(Bench::ask("SELECT pg_sleep(600)"));
  bench.wait_until(kAsleep, "1");
  bench.observer.ask(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE "
      "'%pg_sleep(600)' AND pid <> pg_backend_pid()");
  const End end = bench.wait(attempt);
  REQUIRE(end.outcome == PAWL_FAILED);
  REQUIRE(end.error_class == "57P01");
}

TEST_CASE("a lock of somebody else is worth another try when the statement does not wait") {
  Bench bench;
  bench.make_table("locked");
  bench.observer.ask("BEGIN");
  bench.observer.ask("LOCK TABLE locked");
  const End end = bench.run("BEGIN; LOCK TABLE locked NOWAIT; COMMIT");
  REQUIRE(end.outcome == PAWL_FAILED);
  REQUIRE(end.error_class == "55P03");
  bench.observer.ask("ROLLBACK");
}

TEST_CASE("which failures to connect are worth another try") {
  Bench bench;
  const std::map<std::string, std::pair<std::string, pawl_outcome>> cases = {
      {R"(, "host": "/nowhere")", {"08001", PAWL_FAILED}},
      {R"(, "host": "localhost", "port": 1)", {"08001", PAWL_FAILED}},
      {R"(, "dbname": "nothing")", {"3D000", PAWL_FAILED_FOR_GOOD}},
      {R"(, "user": "nobody")", {"28000", PAWL_FAILED_FOR_GOOD}},
  };
  for (const auto& [more, expected] : cases) {
    const End end = bench.run("SELECT 1", more);
    INFO(more << ' ' << end.message);
    CHECK(end.error_class == expected.first);
    CHECK(end.outcome == expected.second);
    CHECK(end.message.find("LOCATION") == std::string::npos);
    CHECK(end.message.find('\n') == std::string::npos);
  }
}

TEST_CASE("a wrong password is not tried again, and is in no message") {
  Bench bench;
  bench.observer.ask(
      "SET client_min_messages = warning; DROP ROLE IF EXISTS guarded; "
      "CREATE ROLE guarded LOGIN PASSWORD 'the right one'");
  CHECK(bench.good("SELECT current_user AS u",
                   R"(, "user": "guarded", "password": "the right one")") ==
        R"([{"u":"guarded"}])");
  for (const char* wrong : {R"(, "password": "hunter2")", ""}) {
    const End end = bench.run("SELECT 1", std::string(R"(, "user": "guarded")") + wrong);
    INFO(wrong << ' ' << end.error_class << ' ' << end.message << ' ' << end.trace);
    CHECK(end.outcome == PAWL_FAILED_FOR_GOOD);
    CHECK(end.error_class == "28P01");
    CHECK((end.message + end.trace).find("hunter2") == std::string::npos);
  }
}

TEST_CASE(
    "with verify-full the server's certificate must be of the authority that the task names") {
  Bench bench;
  const std::string question = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
  const End good = bench.host.run(ask_by_tls(question, R"("sslrootcert": "server.crt")"));
  INFO(good.error_class << ' ' << good.message << ' ' << good.trace);
  REQUIRE(good.outcome == PAWL_SUCCEEDED);
  CHECK(good.output == "true");

  const Ask ask = ask_by_tls(question, R"("sslrootcert": "none.crt")");
  const End none = bench.host.run(ask);
  CHECK(none.outcome == PAWL_FAILED_FOR_GOOD);
  CHECK(none.message ==
        "sslrootcert: " + ask.working_dir + "/none.crt cannot be read: No such file or directory");
}

TEST_CASE("a certificate of our own and its key open a door that needs them") {
  Bench bench;
  bench.observer.ask(
      "SET client_min_messages = warning; DROP ROLE IF EXISTS certified; "
      "CREATE ROLE certified LOGIN");
  const auto ask = [](const std::string& more) {
    return ask_by_tls(
        "SELECT session_user || client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
        R"("sslrootcert": "server.crt", "user": "certified")" + more);
  };
  const Ask ours = ask(R"(, "sslcert": "server.crt", "sslkey": "server.key")");
  const End good = bench.host.run(ours);
  INFO(good.error_class << ' ' << good.message << ' ' << good.trace);
  REQUIRE(good.outcome == PAWL_SUCCEEDED);
  CHECK(good.output == "certified/CN=certified");

  const End none = bench.host.run(ask(""));
  CHECK(none.outcome == PAWL_FAILED_FOR_GOOD);
  CHECK(none.error_class == "28000");
  CHECK_THAT(none.message, Catch::Contains("requires a valid client certificate"));
  const End no_key = bench.host.run(ask(R"(, "sslcert": "server.crt", "sslkey": "none.key")"));
  CHECK(no_key.outcome == PAWL_FAILED_FOR_GOOD);
  CHECK(no_key.message ==
        "sslkey: " + ours.working_dir + "/none.key cannot be read: No such file or directory");
  const End no_cert = bench.host.run(ask(R"(, "sslcert": "none.crt", "sslkey": "server.key")"));
  CHECK(no_cert.outcome == PAWL_FAILED_FOR_GOOD);
  CHECK_THAT(no_cert.message, Catch::StartsWith("sslcert: "));
  const End no_key_in_it =
      bench.host.run(ask(R"(, "sslcert": "server.crt", "sslkey": "server.crt")"));
  CHECK(no_key_in_it.outcome == PAWL_FAILED_FOR_GOOD);
  CHECK(no_key_in_it.error_class == "TlsFile");

  // Nobody is asked for the password of a key.
  CHECK(::PQgetSSLKeyPassHook_OpenSSL() != nullptr);
  const std::string locked = R"(, "sslcert": "server.crt", "sslkey": "locked.key")";
  const End unknown = bench.host.run(ask(locked));
  CHECK(unknown.outcome == PAWL_FAILED_FOR_GOOD);
  CHECK(unknown.error_class == "TlsFile");
  const End opened = bench.host.run(ask(locked + R"(, "dsn": "sslpassword=sesame")"));
  INFO(opened.message);
  CHECK(opened.outcome == PAWL_SUCCEEDED);
}

TEST_CASE("a server that does not answer is given up, or cancelled") {
  Bench bench;
  const MuteServer mute;
  const End late = bench.run("SELECT 1", mute.host() + R"(, "connect_timeout": "20ms")");
  REQUIRE(late.outcome == PAWL_FAILED);
  REQUIRE(late.message == "no connection within 20ms");
  TestAttempt& attempt = bench.host.start(Bench::ask("SELECT 1", mute.host()));
  bench.host.cancel(attempt);
  REQUIRE(attempt.end().has_value());
}

TEST_CASE("a time to connect may be longer than anybody waits") {
  Bench bench;
  CHECK(
      bench.good("SELECT 1 AS n", R"(, "dsn": "application_name=x", "connect_timeout": "400d")") ==
      R"([{"n":1}])");
}

TEST_CASE("a wrong connection string is not quoted: it may hold a password") {
  Bench bench;
  const End end = bench.run("SELECT 1", R"(, "dsn": "host=h hunter2 password=hunter3")");
  REQUIRE(end.outcome == PAWL_FAILED_FOR_GOOD);
  REQUIRE(end.message.find("hunter") == std::string::npos);
  for (const char* dsn : {"hunter2", "hunter2 password=hunter3", "mysql://u:hunter2@h/d"}) {
    const auto wrong =
        bench.host.violation(R"({"sql": "SELECT 1", "dsn": ")" + std::string(dsn) + R"("})");
    REQUIRE(wrong.has_value());
    REQUIRE(wrong->find("hunter") == std::string::npos);
  }
}

TEST_CASE("a dsn and the task's variables say where to connect") {
  Bench bench;
  const std::string folder = ::getenv("PGHOST");
  REQUIRE(bench.good("SELECT 1", R"(, "dsn": "postgresql://pawl@/postgres?host=)" + folder + '"',
                     "text") == "1");
  Ask ask = Bench::ask("SELECT 1", "", "text");
  ask.environment = {"PGHOST=/nowhere"};
  REQUIRE(bench.host.run(ask).error_class == "08001");
}

TEST_CASE("notices go to the log of the attempt") {
  Bench bench;
  TestAttempt& attempt =
      bench.host.start(Bench::ask("DO $$ BEGIN RAISE NOTICE 'half way'; END $$"));
  REQUIRE(bench.wait(attempt).outcome == PAWL_SUCCEEDED);
  REQUIRE(attempt.log_error() == "NOTICE:  half way\n");
}

TEST_CASE("more rows than an output may have fail clearly, in bounded memory") {
  Bench bench;
  bench.make_table("many");
  const End end = bench.run("SELECT generate_series(1, 100000000) AS i");
  REQUIRE(end.outcome == PAWL_FAILED_FOR_GOOD);
  REQUIRE(end.error_class == "Output");
  REQUIRE(bench.run("SELECT i FROM generate_series(1, 11) AS i", R"(, "max_rows": 10)").message ==
          "more than 10 rows (`max_rows`)");
  REQUIRE(bench.good("SELECT i FROM generate_series(1, 300000) AS i", "", "none").empty());
  REQUIRE(bench.run("SELECT i FROM generate_series(1, 11) AS i", R"(, "max_rows": 10)", "none")
              .message == "more than 10 rows (`max_rows`)");
  REQUIRE(bench.run("SELECT 1 AS a, 2 AS a WHERE false").message ==
          "two columns are called a: name them apart with AS");
}

TEST_CASE("COPY with this side is refused") {
  Bench bench;
  REQUIRE(bench.run("COPY (SELECT 1) TO STDOUT").outcome == PAWL_FAILED_FOR_GOOD);
  bench.make_table("copied");
  REQUIRE(bench.run("COPY copied FROM STDIN").outcome == PAWL_FAILED_FOR_GOOD);
}

TEST_CASE("a large statement is sent in pieces") {
  Bench bench;
  const std::string text(3'000'000, 'x');
  REQUIRE(bench.good("SELECT length($1::text)", R"(, "parameters": [")" + text + "\"]", "text") ==
          "3000000");
}

TEST_CASE("thirty attempts at once do not need thirty threads or wait for each other") {
  Bench bench;
  std::vector<TestAttempt*> attempts;
  for (int i = 0; i < 30; ++i) {
    attempts.push_back(&bench.host.start(Bench::ask("SELECT pg_sleep(0.2), 1 AS one", "", "none")));
  }
  for (TestAttempt* attempt : attempts) {
    const End end = bench.wait(*attempt);
    INFO(end.message);
    REQUIRE(end.outcome == PAWL_SUCCEEDED);
  }
  bench.wait_until(
      "SELECT count(*) <= 8 FROM pg_stat_activity WHERE application_name = 'pawl "
      "job/task'",
      "t");
}
