// Warm programs in any language, here in sh: what they say, how they die, and who is told.

#include <sys/stat.h>

#include <map>
#include <set>
#include <string>

#include "plugins/worker/process_table.h"
#include "tests/integration/program_support.h"

using namespace pawl;
using namespace pawl::test;

namespace {

/// Speaks the protocol; what it does with an attempt stands in the parameters as `"do": …`.
constexpr const char* kProgram = R"sh(#!/bin/sh
echo '{"type":"ready","protocol":1,"capabilities":["cancel"]}'
count=0
heard=
while read -r line; do
  type=${line#*\"type\":\"}
  heard="$heard ${type%%\"*}"
  id=${line#*\"attempt\":}
  id=${id%%[,\}]*}
  count=$((count + 1))
  say() { printf "{\"type\":\"$1\",\"attempt\":%s%s}\n" "$id" "$2"; }
  finish() { say finish ",\"outcome\":\"succeeded\",\"output\":$1"; }
  case $line in
    *'"type":"hello"'*) count=0 ;;
    *'"type":"shutdown"'*) exit 0 ;;
    *'"type":"cancel"'*) finish '"cancelled"' ;;
    *'"type":"kept"'*) finish "\"${line##*:}\"" ;;
    *'"do":"pid"'*) finish "$$" ;;
    *'"do":"count"'*) finish "$count" ;;
    *'"do":"heard"'*) finish "\"$heard\"" ;;
    *'"do":"env"'*) finish "\"$CENSUS $LANG $PAWL_ATTEMPT_ID\"" ;;
    *'"do":"wait"'*) say heartbeat ;;
    *'"do":"told"'*) say finish ',"outcome":"succeeded","cpu_us":5000000,"memory_bound_bytes":7000000' ;;
    *'"do":"fail"'*) say finish ',"outcome":"failed","class":"Flood","message":"wet","reason":"permanent"' ;;
    *'"do":"defer"'*) say finish ',"outcome":"deferred","after_ms":5000,"state":"later"' ;;
    *'"do":"defer by '*)
      after=${line#*defer by }
      say finish ",\"outcome\":\"deferred\",\"after_ms\":${after%%\"*}" ;;
    *'"do":"talk"'*)
      say log ',"stream":"out","text":"hello\n"'
      say log ',"stream":"err","text":"oh\n"'
      say heartbeat
      say progress ',"fraction":0.5,"text":"half"'
      echo "aside" >&2
      finish true ;;
    *'"do":"betray"'*)
      say log ',"text":"it is canary-of-another\n"'
      say progress ',"fraction":0.5,"text":"at canary-of-another"'
      say finish ',"outcome":"failed","message":"not canary-of-another","trace":"canary-of-another"' ;;
    *'"do":"collapse"'*) printf '%s%4080sx' "$(printf 'canary-of-\nthe-last-words')" >&2; exit 3 ;;
    *'"do":"handle"'*) say handle ',"handle":"job-1"' ;;
    *'"do":"asks"'*) while say handle ',"handle":"job-1"'; do :; done ;;
    *'"do":"refused"'*) say handle ',"handle":"refused"' ;;
    *'"do":"garbage"'*) echo "Segmentation fault, I suppose" ;;
    *'"do":"foreign"'*) id=999; finish 1 ;;
    *'"do":"exit"'*) echo "giving up" >&2; exit 3 ;;
    *'"do":"last"'*) finish '"last"'; exit 4 ;;
    *'"do":"crash"'*) kill -SEGV $$ ;;
    *'"do":"orphan"'*) (setsid sleep 1000 </dev/null >/dev/null 2>&1 &) ; sleep 1000 & finish 1 ;;
    *'"do":"close"'*) exec >&-; sleep 1000 ;;
    *'"do":"return"'*) if [ "$count" = 1 ]; then finish "$count"; else say return; fi ;;
  esac
done
)sh";

/// Its processes count themselves, and wait until they are told to die or to serve.
constexpr const char* kStartsInTurn = R"sh(#!/bin/sh
turn=1
until mkdir "$0.$turn" 2>/dev/null; do turn=$((turn + 1)); done
until [ -e "$0.serves.$turn" ]; do
  [ ! -e "$0.dies.$turn" ] || exit 1
  sleep 0.01
done
echo '{"type":"ready","protocol":1}'
while read -r line; do
  case $line in *'"type":"start"'*) ;; *) continue ;; esac
  id=${line#*\"attempt\":}
  printf '{"type":"finish","attempt":%s,"outcome":"succeeded","output":1}\n' "${id%%[,\}]*}"
done
)sh";

bool is_there(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

class Programs {
 public:
  explicit Programs(const std::string& manifest = "", const std::string& program = kProgram) {
    write_file(folder_ / "census.sh", program);
    ::chmod((folder_ / "census.sh").c_str(), 0755);
    const std::string text = R"({"command": ["./census.sh"], "env": {"CENSUS": "yes"}, )"
                             R"("processes": 2)" +
                             manifest + "}";
    auto parsed = parse_manifest(text, "census.json", folder_.path());
    for (const auto& one : parsed.diagnostics) FAIL(format_diagnostic("census.json", one));
    manifest_ = parsed.manifest;
  }

  TestHost::Make make() {
    return [this](Loop& loop, ProgramHost& host, OperatorEvents& events) {
      return std::make_unique<ProgramOperators>(loop, host, manifest_source(manifest_, 2), events,
                                                idle_after);
    };
  }

  const std::string& folder() const { return folder_.path(); }
  Duration idle_after = std::chrono::minutes(1);

 private:
  ScratchFolder folder_;
  Manifest manifest_;
};

std::string todo(std::string_view what) { return "{\"do\":\"" + std::string(what) + "\"}"; }

}  // namespace

TEST_CASE("a warm process takes one attempt after the other") {
  Programs programs;
  TestHost host(programs.make());
  const std::string pid = host.run(1, todo("pid")).output;
  CHECK(host.recorder.told[1].result.outcome == Outcome::succeeded);
  CHECK(host.run(2, todo("pid")).output == pid);
  CHECK(host.run(3, todo("count")).output == "3");
  CHECK(host.host->process_count() == 1);
}

TEST_CASE("many attempts share the processes that a manifest allows") {
  Programs programs;
  TestHost host(programs.make());
  for (int id = 1; id <= 200; ++id) host.start(id, todo("pid"));
  host.wait([&] { return host.recorder.count == 200; });
  std::map<std::string, int> by_pid;
  for (const auto& [id, told] : host.recorder.told) ++by_pid[told.result.output];
  CHECK(by_pid.size() == 2);
}

TEST_CASE("the example in sh adds up") {
  const std::string folder = std::string(PAWL_SOURCE_DIR) + "/examples/plugins";
  auto parsed = parse_manifest(read_whole(folder + "/sum.json"), "sum.json", folder);
  REQUIRE(parsed.ok);
  TestHost host([&](Loop& loop, ProgramHost& shared, OperatorEvents& events) {
    return make_program_operator(loop, shared, parsed.manifest, events);
  });
  CHECK(host.run(1, R"({"numbers":[1,2,-30]})").output == "-27");
  CHECK(host.recorder.told[1].out == "added up 1,2,-30\n");
  CHECK(host.run(2, R"({"numbers":[5]})").output == "5");
}

TEST_CASE("a process takes as many attempts at once as its manifest says") {
  Programs programs(R"(, "concurrency": 3)");
  TestHost host(programs.make());
  for (int id = 1; id <= 3; ++id) host.start(id, todo("wait"));
  for (int id = 1; id <= 3; ++id) {
    host.wait([&] { return host.recorder.told[id].heartbeats == 1; });
  }
  CHECK(host.host->process_count() == 1);
  CHECK(host.run(4, todo("count")).output == "1");
  host.backend->cancel(AttemptId(2));
  CHECK(host.end(2).output == "\"cancelled\"");
  host.backend->kill(AttemptId(1));
  CHECK(host.end(1).outcome == Outcome::lost);
  CHECK(host.end(3).outcome == Outcome::lost);
  CHECK_THAT(host.end(3).message, Catch::Contains("one of its attempts did not listen"));
}

TEST_CASE("the host measures an attempt that has its process alone, and believes others") {
  Programs programs(R"(, "concurrency": 2)");
  TestHost host(programs.make());
  const OperatorResult& alone = host.run(1, todo("told"));
  CHECK(alone.use.cpu_us > 0);
  CHECK(alone.use.cpu_us < 5'000'000);
  host.start(2, todo("wait"));
  host.wait([&] { return host.recorder.told[2].heartbeats > 0; });
  const OperatorResult& told = host.run(3, todo("told"));
  CHECK(told.use.cpu_us == 5'000'000);
  CHECK(told.use.peak_memory_bytes == 0);
  CHECK(told.use.memory_bound_bytes == 7'000'000);
  host.backend->cancel(AttemptId(2));
  const OperatorResult& silent = host.end(2);
  CHECK(silent.use.cpu_us == 0);
  CHECK(silent.use.memory_bound_bytes > 0);
}

TEST_CASE("what a program says of one attempt hides the secrets of all that it has") {
  Programs programs(R"(, "concurrency": 2)");
  TestHost host(programs.make());
  OperatorRequest other = TestHost::request(1, todo("wait"));
  other.secrets = {{"TOKEN", "canary-of-another"}};
  host.start(std::move(other));
  host.wait([&] { return host.recorder.told[1].heartbeats == 1; });
  const OperatorResult& result = host.run(2, todo("betray"));
  CHECK(result.message == "not ***");
  CHECK(result.trace == "***");
  CHECK(host.recorder.told[2].out == "it is ***\n");
  CHECK(host.recorder.told[2].progress == "at ***");
}

TEST_CASE("of a secret in the last words of a program no part is left where they are cut") {
  Programs programs;
  TestHost host(programs.make());
  OperatorRequest request = host.request(1, todo("collapse"));
  request.secrets = {{"TOKEN", "canary-of-\nthe-last-words"}};
  host.start(std::move(request));
  const OperatorResult& result = host.end(1);
  CHECK(result.outcome == Outcome::lost);
  CHECK(result.trace == "***" + std::string(4080, ' ') + "x");
}

TEST_CASE("a process gets the login variables and those of its manifest, nothing of an attempt") {
  Programs programs;
  TestHost host(programs.make());
  CHECK(host.run(1, todo("env")).output == "\"yes C.UTF-8 \"");
}

TEST_CASE("what a program says while it works reaches the host") {
  Programs programs;
  TestHost host(programs.make());
  CHECK(host.run(1, todo("talk")).output == "true");
  const Recorder::Told& told = host.recorder.told[1];
  CHECK(told.out == "hello\n");
  CHECK(told.err == "oh\naside\n");
  CHECK(told.heartbeats == 1);
  CHECK(told.fraction == 0.5);
  CHECK(told.progress == "half");
}

TEST_CASE("a program hears whether its handle is kept") {
  Programs programs;
  TestHost host(programs.make());
  CHECK(host.run(1, todo("handle")).output == "\"true}\"");
  CHECK(host.recorder.told[1].handle == "job-1");
  CHECK(host.run(2, todo("refused")).output == "\"false}\"");
}

TEST_CASE("a program that asks on and on and reads no answer is killed") {
  Programs programs;
  TestHost host(programs.make());
  const OperatorResult& result = host.run(1, todo("asks"));
  CHECK(result.outcome == Outcome::lost);
  CHECK_THAT(result.message, Catch::Contains("names handles and does not read the answers"));
  CHECK(host.run(2, todo("count")).output == "1");
}

TEST_CASE("failures and deferrals are what the program says") {
  Programs programs;
  TestHost host(programs.make());
  const OperatorResult& failed = host.run(1, todo("fail"));
  CHECK(failed.outcome == Outcome::failed);
  CHECK(failed.reason == Reason::permanent);
  CHECK(failed.error_class == "Flood");
  CHECK(failed.message == "wet");
  const OperatorResult& deferred = host.run(2, todo("defer"));
  CHECK(deferred.outcome == Outcome::deferred);
  CHECK(deferred.after == std::chrono::seconds(5));
  CHECK(deferred.state == "later");
}

TEST_CASE("a deferral that is too long or negative fails for good, and its process lives on") {
  Programs programs;
  TestHost host(programs.make());
  const std::string pid = host.run(1, todo("pid")).output;
  std::int64_t id = 1;
  for (const char* after : {"-5", "31622400001", "18446744073709551615", "1e300", "-1e300"}) {
    INFO(after);
    const OperatorResult& refused = host.run(++id, todo("defer by " + std::string(after)));
    CHECK(refused.outcome == Outcome::failed);
    CHECK(refused.reason == Reason::permanent);
    CHECK_THAT(refused.message, Catch::Contains("0 to 366 days are possible"));
  }
  CHECK(host.run(++id, todo("pid")).output == pid);
}

TEST_CASE("who waits for a process says so, and no more when it has one") {
  Programs programs;
  TestHost host(programs.make());
  for (int id = 1; id <= 3; ++id) host.start(id, todo("wait"));
  auto& told = host.recorder.told;
  host.wait([&] { return told[1].heartbeats > 0 && told[2].heartbeats > 0; });
  CHECK_FALSE(told[1].is_waiting);
  CHECK(told[3].is_waiting);
  host.backend->cancel(AttemptId(1));
  host.wait([&] { return told[3].heartbeats > 0; });
  CHECK_FALSE(told[3].is_waiting);
}

TEST_CASE("a process that dies takes its attempt, and another one goes on") {
  Programs programs;
  TestHost host(programs.make());
  const OperatorResult& exited = host.run(1, todo("exit"));
  CHECK(exited.outcome == Outcome::lost);
  CHECK(exited.reason == Reason::lost);
  CHECK_THAT(exited.message, Catch::Contains("exited with code 3"));
  CHECK(host.recorder.told[1].err == "giving up\n");
  const OperatorResult& crashed = host.run(2, todo("crash"));
  CHECK_THAT(crashed.message, Catch::Contains("SIGSEGV"));
  CHECK(host.run(3, todo("count")).output == "1");
}

TEST_CASE("what a process said before it died counts") {
  Programs programs;
  TestHost host(programs.make());
  CHECK(host.run(1, todo("last")).output == "\"last\"");
  host.wait([&] { return host.host->process_count() == 0; });
  CHECK(host.run(2, todo("count")).output == "1");
}

TEST_CASE("garbage ends the process with the reason") {
  Programs programs;
  TestHost host(programs.make());
  const OperatorResult& result = host.run(1, todo("garbage"));
  CHECK(result.outcome == Outcome::lost);
  CHECK_THAT(result.message, Catch::Contains("not JSON; the line begins with: Segmentation fault"));
  CHECK(host.run(2, todo("count")).output == "1");
}

TEST_CASE("an attempt that a program does not have is ignored and noted") {
  Programs programs;
  TestHost host(programs.make());
  host.start(1, todo("foreign"));
  host.wait([&] { return host.recorder.notes.find("attempt 999") != std::string::npos; });
  CHECK(host.recorder.told.count(999) == 0);
  host.backend->kill(AttemptId(1));
  CHECK(host.end(1).outcome == Outcome::lost);
}

TEST_CASE("a program that closes its output is ended") {
  Programs programs;
  TestHost host(programs.make());
  CHECK_THAT(host.run(1, todo("close")).message, Catch::Contains("closed its standard output"));
}

TEST_CASE("a cancelled attempt may end by itself, and is killed when it does not") {
  Programs programs;
  TestHost host(programs.make());
  host.start(1, todo("wait"));
  CHECK(host.run(2, todo("pid")).outcome == Outcome::succeeded);
  host.backend->cancel(AttemptId(1));
  CHECK(host.end(1).output == "\"cancelled\"");
  host.start(3, todo("wait"));
  CHECK(host.run(4, todo("pid")).outcome == Outcome::succeeded);
  CHECK(host.backend->kill(AttemptId(3)));
  CHECK(host.end(3).outcome == Outcome::lost);
}

TEST_CASE("a program hears of a cancellation only when it has said that it can cancel") {
  std::string deaf = kProgram;
  constexpr std::string_view kCapabilities = R"(,"capabilities":["cancel"])";
  deaf.erase(deaf.find(kCapabilities), kCapabilities.size());
  for (const bool can_cancel : {true, false}) {
    CAPTURE(can_cancel);
    Programs programs(R"(, "concurrency": 2)", can_cancel ? kProgram : deaf);
    TestHost host(programs.make());
    host.start(1, todo("wait"));
    host.wait([&] { return host.recorder.told[1].heartbeats == 1; });
    host.backend->cancel(AttemptId(1));
    const std::string heard = host.run(2, todo("heard")).output;
    CHECK(heard == (can_cancel ? R"(" hello start cancel start")" : R"(" hello start start")"));
    CHECK(host.recorder.told[1].finished == (can_cancel ? 1 : 0));
  }
}

TEST_CASE("an attempt that waits for a process is cancelled at once") {
  Programs programs;
  TestHost host(programs.make());
  for (int id = 1; id <= 3; ++id) host.start(id, todo("wait"));
  host.wait([&] { return host.host->process_count() == 2; });
  host.backend->cancel(AttemptId(3));
  CHECK(host.recorder.told[3].finished == 1);
  CHECK(host.recorder.told[3].result.outcome == Outcome::lost);
}

TEST_CASE("a process is killed with everything that it started") {
  Programs programs;
  TestHost host(programs.make());
  CHECK(host.run(1, todo("orphan")).output == "1");
  host.start(2, todo("crash"));
  CHECK(host.end(2).outcome == Outcome::lost);
  host.wait([&] { return own_children().size() <= host.host->process_count(); });
}

TEST_CASE("a process ends after the attempts that its manifest gives it") {
  Programs programs(R"(, "recycle_after": 2)");
  TestHost host(programs.make());
  for (int id = 1; id <= 6; ++id) {
    CHECK(host.run(id, todo("count")).output == (id % 2 == 1 ? "1" : "2"));
  }
}

TEST_CASE(
    "no process has more attempts than its manifest gives it, however many it takes at once") {
  Programs programs(R"(, "concurrency": 4, "recycle_after": 3)");
  TestHost host(programs.make());
  for (int id = 1; id <= 12; ++id) host.start(id, todo("count"));
  std::map<std::string, int> counts;
  for (int id = 1; id <= 12; ++id) ++counts[host.end(id).output];
  CHECK(counts == std::map<std::string, int>{{"1", 4}, {"2", 4}, {"3", 4}});
}

TEST_CASE("a process above its memory limit is replaced between attempts") {
  Programs programs(R"(, "memory_limit": "4KiB")");
  TestHost host(programs.make());
  const std::string pid = host.run(1, todo("pid")).output;
  CHECK(host.run(2, todo("pid")).output != pid);
  CHECK_THAT(host.recorder.notes, Catch::Contains("memory_limit"));
}

TEST_CASE("what a program gives back goes to another process") {
  Programs programs;
  TestHost host(programs.make());
  const std::string pid = host.run(1, todo("pid")).output;
  CHECK(host.run(2, todo("return")).output == "1");
  CHECK(host.run(3, todo("pid")).output != pid);
}

TEST_CASE("what a process could not be told goes to another one") {
  Programs programs("", R"sh(#!/bin/sh
echo '{"type":"ready","protocol":1}'
read -r hello
read -r line
case $line in *'"type":"start"'*) ;; *) exit ;; esac
id=${line#*\"attempt\":}
exec <&-
echo "{\"type\":\"finish\",\"attempt\":${id%%,*},\"outcome\":\"succeeded\",\"output\":$$}"
)sh");
  TestHost host(programs.make());
  for (int id = 1; id <= 10; ++id) host.start(id);
  std::set<std::string> pids;
  for (int id = 1; id <= 10; ++id) {
    CAPTURE(id);
    const OperatorResult& result = host.end(id);
    INFO(result.message);
    CHECK(result.outcome == Outcome::succeeded);
    pids.insert(result.output);
  }
  CHECK(pids.size() == 10);
}

TEST_CASE("a program that cannot be started fails what waits for it") {
  Programs programs("", "#!/no/such/interpreter\n");
  TestHost host(programs.make());
  const OperatorResult& result = host.run(1);
  CHECK(result.outcome == Outcome::failed);
  CHECK(result.reason == Reason::spawn);
  CHECK_THAT(result.message, Catch::Contains("cannot start"));
  CHECK(host.run(2).reason == Reason::spawn);
}

TEST_CASE("one start that fails leaves what waits to the others that are starting") {
  Programs programs("", kStartsInTurn);
  const std::string turn = programs.folder() + "/census.sh.";
  TestHost host(programs.make());
  for (int id : {1, 2}) host.start(id);
  host.wait([&] { return is_there(turn + "2"); });
  write_file(turn + "dies.1", "");
  host.wait([&] { return host.recorder.notes.find("did not get ready") != std::string::npos; });
  CHECK(host.recorder.count == 0);
  write_file(turn + "serves.2", "");
  for (int id : {1, 2}) CHECK(host.end(id).outcome == Outcome::succeeded);
}

TEST_CASE(
    "when all that were starting have failed, those that are tried again are not waited for") {
  Programs programs("", kStartsInTurn);
  const std::string turn = programs.folder() + "/census.sh.";
  TestHost host(programs.make());
  for (int id : {1, 2}) host.start(id);
  host.wait([&] { return is_there(turn + "2"); });
  write_file(turn + "dies.1", "");
  host.wait([&] { return is_there(turn + "3"); });
  write_file(turn + "dies.2", "");
  for (int id : {1, 2}) CHECK(host.end(id).reason == Reason::spawn);
}

TEST_CASE("a process that no descriptors are left for fails what waits for it, and no host") {
  Programs programs;
  const rlimit before = own_descriptor_limit();
  std::set<std::string> messages;
  for (int spare = 0; spare < 16; ++spare) {
    TestHost host(programs.make());
    Timer first(host.loop, [] {});
    first.start_after(kPatience);  // those that follow share its descriptor
    const int next = ::dup(0);
    ::close(next);
    rlimit few = before;
    few.rlim_cur = static_cast<rlim_t>(next + spare);
    REQUIRE(setrlimit(RLIMIT_NOFILE, &few) == 0);
    host.start(1, todo("count"));
    run_until(host.loop, [&] { return host.recorder.count == 1; });
    REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
    const OperatorResult& result = host.end(1);
    if (result.outcome == Outcome::succeeded) break;
    CHECK(result.reason == Reason::spawn);
    messages.insert(result.message);
  }
  CHECK(messages.count("cannot watch " + programs.folder() +
                       "/./census.sh, which was started: Too many open files") == 1);
}

TEST_CASE("a program that dies before it is ready fails with its own words") {
  Programs programs("", "#!/bin/sh\necho 'no census today' >&2\nexit 5\n");
  TestHost host(programs.make());
  const OperatorResult& result = host.run(1);
  CHECK(result.reason == Reason::spawn);
  CHECK_THAT(result.message, Catch::Contains("exited with code 5: no census today"));
}

TEST_CASE("a program that does not get ready in time fails") {
  Programs programs(R"(, "start_timeout": "50ms")", "#!/bin/sh\nsleep 1000\n");
  TestHost host(programs.make());
  const OperatorResult& result = host.run(1);
  CHECK(result.reason == Reason::spawn);
  CHECK_THAT(result.message, Catch::Contains("start_timeout"));
}

TEST_CASE("a process that has nothing to do ends after a while") {
  Programs programs;
  programs.idle_after = Duration(50);
  TestHost host(programs.make());
  CHECK(host.run(1, todo("pid")).outcome == Outcome::succeeded);
  host.wait([&] { return host.host->process_count() == 0; });
  CHECK(host.run(2, todo("count")).output == "1");
}

TEST_CASE("parameters that no line can hold fail without harm") {
  Programs programs;
  TestHost host(programs.make());
  host.start(1, "{\"text\":\"" + std::string(9u << 20, 'x') + "\"}");
  CHECK_THAT(host.end(1).message, Catch::Contains("over 8 MiB"));
  CHECK(host.run(2, todo("pid")).outcome == Outcome::succeeded);
}

TEST_CASE("no process outlives its host") {
  Programs programs;
  int pipe_ends[2];
  REQUIRE(pipe(pipe_ends) == 0);
  const pid_t host = fork();
  if (host == 0) {
    TestHost inner(programs.make());
    inner.start(1, todo("pid"));
    run_until(inner.loop, [&] { return inner.recorder.count == 1; });
    inner.start(2, todo("wait"));
    const std::string pid = inner.recorder.told[1].result.output + "\n";
    if (write(pipe_ends[1], pid.data(), pid.size()) < 0) _exit(1);
    inner.loop.run();
    _exit(0);
  }
  char text[32] = {};
  REQUIRE(read(pipe_ends[0], text, sizeof(text) - 1) > 0);
  const pid_t program = std::atoi(text);
  REQUIRE(program > 0);
  ::kill(host, SIGKILL);
  waitpid(host, nullptr, 0);
  eventually([&] {
    auto stat = read_process_stat(program);
    return !stat || stat->has_ended();
  });
  while (waitpid(-1, nullptr, WNOHANG) > 0) {
  }
  close(pipe_ends[0]);
  close(pipe_ends[1]);
}
