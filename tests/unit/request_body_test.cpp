// What the bodies of commands may hold.

#include "scheduler/daemon/request_body.h"

#include <catch2/catch.hpp>

namespace pawl::test {
namespace {

using nlohmann::json;

/// What is said against a body; empty: nothing.
std::string objection(const char* path, const char* body) {
  const Result<void> known = check_body(path, json::parse(body));
  if (known) return "";
  CHECK(known.error().kind == ErrorKind::invalid);
  return known.error().message;
}

}  // namespace

TEST_CASE("what is misspelled in a command is refused, not ignored") {
  CHECK(objection("/v1/trigger", R"({"job": "j", "parms": {"region": "us"}})") ==
        "a trigger has no 'parms'. Did you mean 'params'?");
  CHECK(objection("/v1/runs", R"({"text": "{}", "folder": "/", "start": true})") ==
        "a run of a file has no 'start'");
  CHECK(objection("/v1/commands", R"({"verb": "resume", "options": {"downsteam": true}})") ==
        "'options' has no 'downsteam'. Did you mean 'downstream'?");
  CHECK(objection("/v1/prune", R"({"ended_before": 5})") ==
        "a prune has no 'ended_before'. Did you mean 'ended_before_ms'?");
  CHECK(objection("/v1/reload", R"({"now": true})") == "this command has no 'now'");
}

TEST_CASE("what is of another type in a command is refused, not taken for missing") {
  // The whole task would be cancelled instead of the item.
  CHECK(objection("/v1/commands",
                  R"({"verb": "cancel", "targets": [{"run": "r", "task": "t", "index": "3"}]})") ==
        "'index' of a target is not a whole number");
  CHECK(objection("/v1/commands", R"({"verb": "cancel", "targets": [5]})") ==
        "a target is not an object");
  CHECK(objection("/v1/commands", R"({"verb": "cancel", "targets": {"run": "r"}})") ==
        "'targets' of a command is not a list");
  CHECK(objection("/v1/commands", R"({"verb": "cancel", "options": []})") ==
        "'options' of a command is not an object");
  CHECK(objection("/v1/trigger", R"({"job": "j", "params": 5})") ==
        "'params' of a trigger is not an object");
  CHECK(objection("/v1/trigger", R"({"job": "j", "force": "true"})") ==
        "'force' of a trigger is not true or false");
  CHECK(objection("/v1/backfill", R"({"job": "j", "max_active": 99999999999999999999})") ==
        "'max_active' of a backfill is not a whole number");
  const std::string note(5'000, 'n');
  CHECK(objection("/v1/jobs/j/pause", (R"({"note": ")" + note + "\"}").c_str()) ==
        "'note' of a pause is not a text of at most 4 KiB");
}

TEST_CASE("null in a command counts as missing") {
  CHECK(objection("/v1/runs", R"({"text": "{}", "folder": "/", "params": null,
      "concurrency": null, "request_id": null})")
            .empty());
  CHECK(
      objection(
          "/v1/commands",
          R"({"verb": "cancel", "targets": [{"run": "r", "task": null, "index": null, "itself": true}]})")
          .empty());
}

}  // namespace pawl::test
