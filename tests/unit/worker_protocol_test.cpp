// The lines between a host and a warm program.

#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "plugins/worker/program_protocol.h"
#include "scheduler/base/limits.h"

using namespace pawl;
using nlohmann::json;

namespace {

template <class Message>
Message read(std::string_view line) {
  auto message = decode_program_message(line);
  if (!message) FAIL(message.error().message);
  REQUIRE(std::holds_alternative<Message>(*message));
  return std::get<Message>(*message);
}

std::string error_of(std::string_view line) {
  auto message = decode_program_message(line);
  return message ? "" : message.error().message;
}

std::string output_of(std::string value, OutputFormat format) {
  auto text = output_text(std::move(value), format);
  return text ? *text : "error: " + text.error().message;
}

}  // namespace

TEST_CASE("a start says everything of an attempt on one line") {
  OperatorRequest request;
  request.attempt = AttemptId(7);
  request.number = 2;
  request.parameters = "{\n \"n\": 12345678901234567890123\n}";
  request.job = "nightly";
  request.run = "r1";
  request.task = "query";
  request.item = R"({"id":1})";
  request.key = "k\"1";
  request.index = ItemIndex(3);
  request.idempotency_key = "abc";
  request.deadline = WallTime{1795000000000};
  request.working_dir = "/w";
  request.output = OutputFormat::jsonl;
  request.scratch = "/s";
  request.handle = "h";
  request.state = "{}";
  request.secrets = {{"TOKEN", "sesame"}};
  std::string line;
  append_start(line, request, {"A=1=2", "B=\xff\n"});
  REQUIRE(line.find('\n') == line.size() - 1);
  CHECK_THAT(line, Catch::Contains("\"n\": 12345678901234567890123"));
  const json start = json::parse(line);
  CHECK(start["type"] == "start");
  CHECK(start["attempt"] == 7);
  CHECK(start["number"] == 2);
  CHECK(start["job"] == "nightly");
  CHECK(start["run"] == "r1");
  CHECK(start["task"] == "query");
  CHECK(start["item"]["id"] == 1);
  CHECK(start["key"] == "k\"1");
  CHECK(start["index"] == 3);
  CHECK(start["idempotency_key"] == "abc");
  CHECK(start["deadline_ms"] == 1795000000000);
  CHECK(start["working_dir"] == "/w");
  CHECK(start["scratch"] == "/s");
  CHECK(start["env"]["A"] == "1=2");
  CHECK(start["env"]["B"] == "\uFFFD\n");
  CHECK(start["output_format"] == "jsonl");
  CHECK(start["handle"] == "h");
  CHECK(start["state"] == "{}");
  CHECK(start["secrets"]["TOKEN"] == "sesame");
}

TEST_CASE("a start leaves out what an attempt does not have") {
  std::string line;
  OperatorRequest request;
  request.parameters = "{}";
  append_start(line, request, {});
  const json start = json::parse(line);
  for (const char* key : {"item", "key", "index", "deadline_ms", "handle", "state", "secrets"}) {
    CHECK_FALSE(start.contains(key));
  }
}

TEST_CASE("the other lines to a program") {
  std::string lines;
  append_hello(lines, "census", 4);
  append_cancel(lines, AttemptId(7));
  append_kept(lines, AttemptId(7), true);
  append_shutdown(lines);
  CHECK(lines ==
        "{\"type\":\"hello\",\"protocol\":1,\"operator\":\"census\",\"concurrency\":4}\n"
        "{\"type\":\"cancel\",\"attempt\":7}\n"
        "{\"type\":\"kept\",\"attempt\":7,\"kept\":true}\n"
        "{\"type\":\"shutdown\"}\n");
}

TEST_CASE("an output is passed on as the bytes it came in") {
  auto finish = read<program_message::Finish>(
      R"( { "type":"finish", "attempt":7, "output": {"n": 12345678901234567890123, "s":"}\"]"} ,)"
      R"( "outcome":"succeeded" } )");
  CHECK(finish.attempt == AttemptId(7));
  CHECK(finish.result.outcome == Outcome::succeeded);
  CHECK(finish.result.output == R"({"n": 12345678901234567890123, "s":"}\"]"})");
}

TEST_CASE("an attempt finishes in four ways") {
  auto failed = read<program_message::Finish>(
      R"({"type":"finish","attempt":1,"outcome":"failed","class":"E","message":"a\nb","trace":"t",)"
      R"("reason":"permanent"})");
  CHECK(failed.result.outcome == Outcome::failed);
  CHECK(failed.result.reason == Reason::permanent);
  CHECK(failed.result.error_class == "E");
  CHECK(failed.result.message == "a\nb");
  CHECK(failed.result.trace == "t");
  auto plain = read<program_message::Finish>(R"({"type":"finish","attempt":1,"outcome":"failed"})");
  CHECK(plain.result.reason == Reason::error);
  auto skipped = read<program_message::Finish>(
      R"({"type":"finish","attempt":1,"outcome":"skipped","message":"nothing new"})");
  CHECK(skipped.result.outcome == Outcome::skipped);
  CHECK(skipped.result.message == "nothing new");
  auto deferred = read<program_message::Finish>(
      R"({"type":"finish","attempt":1,"outcome":"deferred","after_ms":1500,"state":"s"})");
  CHECK(deferred.result.outcome == Outcome::deferred);
  CHECK(deferred.result.after == Duration(1500));
  CHECK(deferred.result.state == "s");
  // What cannot be is the attempt's failure, not the end of its process.
  const std::string large(limits::kStateTextBytesMax + 1, 's');
  for (const std::string& wrong :
       {std::string(R"("after_ms":31622400001)"), R"("after_ms":1,"state":")" + large + '"'}) {
    auto impossible = read<program_message::Finish>(
        R"({"type":"finish","attempt":1,"outcome":"deferred",)" + wrong + "}");
    CHECK(impossible.result.reason == Reason::permanent);
    CHECK_THAT(impossible.result.message, Catch::StartsWith("it deferred itself"));
  }
}

TEST_CASE("a finish may say what CPU time the attempt took") {
  const auto cpu = [](const std::string& told) {
    const std::string line = R"({"type":"finish","attempt":7,"outcome":"succeeded")" + told + "}";
    return read<program_message::Finish>(line).result.use.cpu_us;
  };
  CHECK(cpu("") == 0);
  CHECK(cpu(R"(,"cpu_us":1500)") == 1500);
  CHECK_THAT(error_of(R"({"type":"finish","attempt":7,"outcome":"skipped","cpu_us":-1})"),
             Catch::StartsWith("\"cpu_us\" expects a whole number from 0"));
}

TEST_CASE("what a program says while an attempt runs") {
  CHECK(read<program_message::Ready>(R"({"type":"ready","protocol":1,"capabilities":["cancel"]})")
            .can_cancel);
  CHECK_FALSE(read<program_message::Ready>(R"({"type":"ready","protocol":1})").can_cancel);
  auto log =
      read<program_message::Log>(R"({"type":"log","attempt":2,"stream":"err","text":"x\n"})");
  CHECK(log.stream == LogStream::err);
  CHECK(log.text == "x\n");
  CHECK(read<program_message::Heartbeat>(R"({"type":"heartbeat","attempt":2})").attempt.value == 2);
  auto progress = read<program_message::Progress>(
      R"({"type":"progress","attempt":2,"fraction":1.5,"text":"late"})");
  CHECK(progress.fraction == 1.0);
  CHECK(progress.text == "late");
  CHECK(read<program_message::Handle>(R"({"type":"handle","attempt":2,"handle":"job-1"})").handle ==
        "job-1");
  CHECK(read<program_message::Return>(R"({"type":"return","attempt":2})").attempt.value == 2);
}

TEST_CASE("what is no message is refused with its beginning") {
  const char* const kNoSpan = "\"after_ms\" expects a whole number of milliseconds;";
  CHECK_THAT(error_of("Traceback (most recent call last):"),
             Catch::Contains("not JSON; the line begins with: Traceback"));
  CHECK(error_of("token=" + std::string(200, 's')) == "not JSON; the line begins with: token=…");
  CHECK_THAT(error_of("[1]"), Catch::Contains("not a JSON object"));
  CHECK_THAT(error_of(R"({"type":"finnish"})"), Catch::Contains("\"type\" expects"));
  CHECK_THAT(error_of("{}"), Catch::Contains("\"type\" expects a text"));
  CHECK_THAT(
      error_of(R"({"type":"ready","protocol":2})"),
      Catch::StartsWith("\"protocol\" expects 1, the only version of it that this pawl speaks;"));
  CHECK_THAT(error_of(R"({"type":"finish","attempt":"7","outcome":"failed"})"),
             Catch::Contains("\"attempt\" expects"));
  CHECK_THAT(error_of(R"({"type":"finish","attempt":7,"outcome":"ok"})"),
             Catch::Contains("\"outcome\" expects"));
  CHECK_THAT(error_of(R"({"type":"finish","attempt":18446744073709551615,"outcome":"failed"})"),
             Catch::Contains("\"attempt\" expects"));
  CHECK_THAT(error_of(R"({"type":"finish","attempt":7,"outcome":"deferred","after_ms":"1"})"),
             Catch::StartsWith(kNoSpan));
  CHECK_THAT(error_of(R"({"type":"finish","attempt":7,"outcome":"deferred"})"),
             Catch::StartsWith(kNoSpan));
  CHECK_THAT(error_of(R"({"type":"log","attempt":7})"), Catch::Contains("\"text\" expects"));
  CHECK_THAT(error_of(std::string(9u << 20, 'x')), Catch::Contains("over 8 MiB"));
}

TEST_CASE("a line cut anywhere is refused or a message, never worse") {
  const std::string line =
      R"({"type":"finish","attempt":7,"outcome":"succeeded","output":{"a":[1,"\"}",null,{}],"b":""}})";
  for (std::size_t size = 0; size < line.size(); ++size) {
    CHECK_FALSE(decode_program_message(line.substr(0, size)));
  }
  REQUIRE(decode_program_message(line));
  for (std::size_t i = 0; i < line.size(); ++i) {
    for (char c : {'"', '\\', '{', ']', ',', '\0', '\xff'}) {
      std::string broken = line;
      broken[i] = c;
      (void)decode_program_message(broken);
    }
  }
}

TEST_CASE("an output is written as the task declares it") {
  CHECK(output_of(R"("a\nb")", OutputFormat::text) == "a\nb");
  CHECK(output_of("5", OutputFormat::text) == "5");
  CHECK(output_of("", OutputFormat::text).empty());
  CHECK(output_of(R"("a")", OutputFormat::json) == R"("a")");
  CHECK(output_of("", OutputFormat::json) == "null");
  CHECK(output_of(R"([1, {"a": [2, 3]} ,"x,]"])", OutputFormat::jsonl) ==
        "1\n{\"a\": [2, 3]}\n\"x,]\"\n");
  CHECK(output_of("[]", OutputFormat::jsonl).empty());
  CHECK(output_of(R"("{}\n{}\n")", OutputFormat::jsonl) == "{}\n{}\n");
  CHECK_THAT(output_of("{}", OutputFormat::jsonl), Catch::Contains("expects a list"));
  CHECK(output_of("{}", OutputFormat::none).empty());
}
