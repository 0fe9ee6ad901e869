#include <sys/stat.h>

#include <filesystem>
#include <string>

#include <catch2/catch.hpp>

#include "plugins/worker/scratch.h"
#include "plugins/worker/scratch_sweep.h"
#include "tests/unit/loop_support.h"
#include "tests/unit/worker_support.h"

namespace pawl {
namespace {

namespace fs = std::filesystem;
using test::TempFolder;

Scratch take(ScratchPool& pool) {
  auto scratch = pool.take();
  REQUIRE(scratch.ok());
  REQUIRE(fs::is_directory(scratch->path));
  REQUIRE(fs::is_empty(scratch->path));
  REQUIRE_FALSE(fs::exists(scratch->output_path));
  return *scratch;
}

}  // namespace

TEST_CASE("attempts that run together have scratch folders of their own") {
  TempFolder folder;
  ScratchPool pool(folder / "scratch");
  CHECK(take(pool).path != take(pool).path);
}

TEST_CASE("a scratch folder that was not used is handed on") {
  TempFolder folder;
  ScratchPool pool(folder / "scratch");
  Scratch first = take(pool);
  pool.give_back(first, false);
  CHECK(take(pool).path == first.path);
  CHECK_FALSE(pool.has_rubbish());
}

TEST_CASE("a scratch folder that was used is emptied and never seen again") {
  TempFolder folder;
  TempFolder bystander;
  test::write_whole(bystander / "file", "mine");
  fs::create_directory(bystander / "sub");
  ::chmod(bystander.path().c_str(), 0750);
  ScratchPool pool(folder / "scratch");
  for (int round = 0; round < 8; ++round) {
    Scratch scratch = take(pool);
    if (round == 0) test::write_whole(scratch.path + "/file", "x");
    if (round == 1) fs::create_directory(scratch.path + "/.hidden");
    if (round == 2) fs::remove(scratch.path);
    if (round == 3) ::chmod(scratch.path.c_str(), 0500);
    if (round == 4) {
      fs::remove(scratch.path);
      fs::create_directory_symlink(bystander.path(), scratch.path);
    }
    if (round == 5) test::write_whole(scratch.output_path, "left");
    if (round == 6) fs::create_directory_symlink(bystander.path(), scratch.path + "/link");
    if (round == 7) fs::create_directory_symlink(bystander.path(), scratch.output_path);
    pool.give_back(scratch, round == 5 || round == 7);
  }
  take(pool);
  while (pool.clean(10)) {
  }
  CHECK(fs::is_empty(folder / "scratch/trash"));
  // A link leads out of the scratch folder: it goes, and where it leads nothing is touched.
  CHECK(test::read_whole(bystander / "file") == "mine");
  CHECK(fs::is_directory(bystander / "sub"));
  struct stat info {};
  REQUIRE(::stat(bystander.path().c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0750);
}

TEST_CASE("a deep tree and a wide one are removed in small steps") {
  TempFolder folder;
  ScratchPool pool(folder / "scratch");
  Scratch scratch = take(pool);
  fs::path deep = scratch.path;
  for (int i = 0; i < 200; ++i) {
    deep /= "d";
    fs::create_directory(deep);
    test::write_whole(deep / "file", "x");
  }
  for (int i = 0; i < 500; ++i) test::write_whole(scratch.path + "/" + std::to_string(i), "x");
  fs::create_directory(scratch.path + "/locked");
  test::write_whole(scratch.path + "/locked/file", "x");
  ::chmod((scratch.path + "/locked").c_str(), 0);
  pool.give_back(scratch, false);
  int steps = 0;
  while (pool.clean(50)) ++steps;
  CHECK(steps > 10);
  CHECK(fs::is_empty(folder / "scratch/trash"));
}

TEST_CASE("what cannot be removed is left, and said once") {
  TempFolder folder;
  std::string said;
  ScratchPool pool(folder / "scratch", [&](const std::string& text) { said += text + '\n'; });
  for (int round = 0; round < 2; ++round) {
    Scratch scratch = take(pool);
    for (int i = 0; i < 60; ++i) fs::create_directory(scratch.path + "/" + std::to_string(i));
    pool.give_back(scratch, false);
  }
  // The names under which the folders would go into the trash are taken.
  for (int i = 3; i < 1000; ++i) {
    fs::create_directories(folder / ("scratch/trash/" + std::to_string(i) + "/file"));
  }
  int steps = 0;
  while (steps < 10 && pool.clean(50)) ++steps;
  CHECK_FALSE(pool.has_rubbish());
  CHECK(said == "what tasks left in " + (folder / "scratch") +
                    " cannot all be removed and stays there (Directory not empty); this is said "
                    "once\n");
}

TEST_CASE("beside what cannot be removed all else goes") {
  TempFolder folder;
  ScratchPool pool(folder / "scratch");
  Scratch scratch = take(pool);
  for (int i = 0; i < 20; ++i) fs::create_directory(scratch.path + "/" + std::to_string(i));
  for (int i = 0; i < 500; ++i) test::write_whole(scratch.path + "/f" + std::to_string(i), "x");
  pool.give_back(scratch, false);
  for (int i = 2; i < 1000; ++i) {
    fs::create_directories(folder / ("scratch/trash/" + std::to_string(i) + "/file"));
  }
  while (pool.clean(50)) {
  }
  const fs::path left = folder / "scratch/trash/1";
  CHECK(std::distance(fs::directory_iterator(left), fs::directory_iterator()) == 20);
}

TEST_CASE("the pool leaves nothing behind") {
  TempFolder folder;
  {
    ScratchPool pool(folder / "scratch");
    Scratch one = take(pool);
    Scratch two = take(pool);
    test::write_whole(two.path + "/file", "x");
    pool.give_back(one, false);
    pool.give_back(two, false);
    pool.remove_all(1000);
  }
  CHECK_FALSE(fs::exists(folder / "scratch"));
}

TEST_CASE("scratch folders of ended attempts go, and those of others stay") {
  // Beyond a few, the folder that holds them is looked through instead of trying each.
  const int ended = GENERATE(2, 20);
  CAPTURE(ended);
  TempFolder folder;
  Loop loop;
  int done = 0;
  ScratchSweep sweep(loop, folder.path(), [&] { ++done; });
  fs::create_directory(folder / "other");
  fs::create_directory(folder / "0");
  test::write_whole(folder / "0/kept", "by mistake");
  fs::create_directory(folder / "1");
  for (int i = 0; i < ended; ++i) sweep.add(folder / std::to_string(i));
  sweep.sweep();
  CHECK_FALSE(fs::exists(folder / "1"));
  REQUIRE(test::run_until(loop, [&] { return done == 1; }));
  CHECK_FALSE(fs::exists(folder / "0"));
  CHECK(fs::exists(folder / "other"));
  sweep.sweep();
  CHECK(done == 1);
}

}  // namespace pawl
