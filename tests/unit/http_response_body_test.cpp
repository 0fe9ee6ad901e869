#include <filesystem>
#include <optional>
#include <string>

#include <catch2/catch.hpp>

#include "plugins/operators/http/response_body.h"
#include "tests/unit/worker_support.h"

namespace pawl::operators {
namespace {

namespace fs = std::filesystem;
using pawl::test::TempFolder;

const std::string kPiece(kBodyBytesInMemory + 1, 'x');

TEST_CASE("a body lies in memory until the bodies of all calls have no room there") {
  const TempFolder folder;
  const std::string scratch = folder / "scratch";
  BodyMemory memory;
  memory.bytes = kBodiesBytesMax - kPiece.size() - 1;
  std::optional<ResponseBody> body(std::in_place, memory, scratch, BodyFile{});
  REQUIRE(body->append(kPiece).ok());
  CHECK_FALSE(fs::exists(scratch));
  CHECK(*body->text() == kPiece);
  REQUIRE(body->append("ab").ok());
  CHECK(fs::file_size(scratch + "/response-body") == kPiece.size() + 2);
  CHECK(memory.bytes == kBodiesBytesMax - kPiece.size() - 1);
  REQUIRE(body->append("c").ok());
  CHECK(*body->text() == kPiece + "abc");
  body.reset();
  CHECK_FALSE(fs::exists(scratch + "/response-body"));
}

TEST_CASE("a body becomes the file that it is saved to, however small it is") {
  const TempFolder folder;
  const std::string scratch = folder / "scratch";
  BodyMemory memory;
  {
    ResponseBody body(memory, scratch, {folder / "a.part", folder / "a"});
    REQUIRE(body.append("small").ok());
    REQUIRE(body.keep().ok());
  }
  CHECK(fs::file_size(folder / "a") == 5);
  CHECK_FALSE(fs::exists(folder / "a.part"));
  CHECK_FALSE(fs::exists(scratch));
  CHECK(memory.bytes == 0);
}

TEST_CASE("a body for which no file can be made says where and why") {
  const TempFolder folder;
  BodyMemory memory;
  memory.bytes = kBodiesBytesMax;
  const std::string scratch = folder / "none/scratch";
  ResponseBody body(memory, scratch, BodyFile{});
  const auto added = body.append(kPiece);
  REQUIRE_FALSE(added.ok());
  CHECK(added.error().message ==
        scratch + "/response-body cannot be written: No such file or directory");
}

}  // namespace
}  // namespace pawl::operators
