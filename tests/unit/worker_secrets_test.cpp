// The values of secrets, where a worker reads them.

#include <catch2/catch.hpp>

#include "plugins/worker/secrets.h"
#include "tests/unit/worker_support.h"

namespace pawl {
namespace {

using test::TempFolder;

TEST_CASE("of a secret in a file one line end is the editor's, of whatever system") {
  TempFolder folder;
  TaskDefinition task;
  task.folder = folder.path();
  task.secrets.emplace("KEY", SecretSource{true, "key"});
  for (const auto& [text, value] : {std::pair("s3cret", "s3cret"),
                                    {"s3cret\n", "s3cret"},
                                    {"s3cret\r\n", "s3cret"},
                                    {"s3cret\n\n", "s3cret\n"},
                                    {"s3cret\r", "s3cret\r"}}) {
    CAPTURE(text);
    test::write_whole(folder / "key", text);
    const auto read = read_secrets(task);
    REQUIRE(read);
    CHECK(read->at("KEY") == value);
  }
}

TEST_CASE("a secret that is not there is named, with where it was looked for") {
  TempFolder folder;
  TaskDefinition task;
  task.folder = folder.path();
  task.secrets.emplace("KEY", SecretSource{true, "key"});
  CHECK(read_secrets(task).error().message ==
        "secrets.KEY: " + (folder / "key") + ": No such file or directory");
  task.secrets.at("KEY") = {false, "API_KEY"};
  CHECK(read_secrets(task).error().message ==
        "secrets.KEY: variable API_KEY is not set where the scheduler was started");
}

}  // namespace
}  // namespace pawl
