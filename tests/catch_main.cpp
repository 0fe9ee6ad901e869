#define CATCH_CONFIG_RUNNER
#include <iostream>

#include <catch2/catch.hpp>

#include "tests/skip.h"

namespace {

constexpr int kSkipped = 77;  // PAWL_TEST_SKIPPED of cmake/flags.cmake
bool is_skipped = false;

}  // namespace

namespace pawl::test {

void skip(std::string_view why) {
  is_skipped = true;
  std::cout << "skipped: " << why << '\n';
}

}  // namespace pawl::test

int main(int argc, char** argv) {
  const int code = Catch::Session().run(argc, argv);
  return code == 0 && is_skipped ? kSkipped : code;
}
